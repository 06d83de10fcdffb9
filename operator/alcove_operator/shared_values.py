"""Lets equal parts of many models be one object in memory.

A model read from JSON holds a set of its fields' names of its own, 2 KiB where it has many, and its own copy of each
string. Of ten thousand Submissions that have ended, nearly all of that is equal.
"""

from __future__ import annotations

import sys
from functools import lru_cache

from alcove_api.base import FrozenModel


def share_values(model: FrozenModel) -> None:
    """Of ``model`` and all models in it. Its value stays what it is; the shared parts are never changed, since the
    models are frozen, and go with the last model that holds them."""
    object.__setattr__(model, "__pydantic_fields_set__", _share_names(frozenset(model.model_fields_set)))
    values = vars(model)
    for name, value in values.items():
        if isinstance(value, FrozenModel):
            share_values(value)
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, FrozenModel):
                    share_values(item)
        elif type(value) is str:
            values[name] = sys.intern(value)


@lru_cache(maxsize=1024)
def _share_names(names: frozenset[str]) -> set[str]:
    return set(names)
