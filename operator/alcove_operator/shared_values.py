"""Makes models that there are many of small in memory.

A model read from JSON holds a set of its fields' names and a map of its own from these to their values, 2 KiB each
where it has many fields, and its own copy of each string, moment and time zone. Of ten thousand Submissions that have
ended, nearly all of that is equal.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar

from alcove_api.base import FrozenModel

Model = TypeVar("Model", bound=FrozenModel)


def share_values(model: Model) -> Model:
    """A model that is equal to ``model``, with all models in it, in half of the memory.

    The shared parts are never changed, since the models are frozen.
    """
    made = object.__new__(type(model))
    # An object whose attributes are set one by one keeps them without their names, which its class has.
    for name, value in vars(model).items():
        object.__setattr__(made, name, _share(value))
    object.__setattr__(made, "__pydantic_fields_set__", _share_names(frozenset(model.model_fields_set)))
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", None)
    return made


def _share(value: object) -> object:
    if type(value) is str:
        return sys.intern(value)
    if isinstance(value, FrozenModel):
        return share_values(value)
    if isinstance(value, datetime):
        return _share_moment(value)
    if isinstance(value, tuple):
        return tuple([_share(item) for item in value])
    return value


@lru_cache(maxsize=4096)
def _share_moment(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


@lru_cache(maxsize=1024)
def _share_names(names: frozenset[str]) -> set[str]:
    return set(names)
