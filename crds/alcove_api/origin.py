"""What an object was before it was moved: a restored object has another UID and another time of creation, and the
store, counts and ranks know it by the first ones.

``alcove restore`` writes it into the status, which no team can write.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from alcove_api.base import StatusModel, Time


class Origin(StatusModel):
    uid: Annotated[str, Field(min_length=1, max_length=36)]
    """That it had first."""
    created_at: Time
    """When it was made first."""
    generation: Annotated[int, Field(ge=0)] = 0
    """Changes of its spec before it was moved last: those since are counted on top of them."""


def find_origin(raw: Mapping[str, Any]) -> Origin | None:
    """Of a Submission or Competition as the API server gives it; None where it was never moved.

    Raises ValidationError where its status cannot be read.
    """
    found = (raw.get("status") or {}).get("origin")
    return None if found is None else Origin.model_validate(found)


def identify(raw: Mapping[str, Any]) -> str:
    """The UID by which the store knows a Submission or a Competition. Raises as :func:`find_origin` does."""
    origin = find_origin(raw)
    return origin.uid if origin else str(raw["metadata"]["uid"])


def creation_time(raw: Mapping[str, Any]) -> datetime:
    """When it was made first. Raises as :func:`find_origin` does."""
    origin = find_origin(raw)
    return origin.created_at if origin else datetime.fromisoformat(raw["metadata"]["creationTimestamp"])


def count_generations(raw: Mapping[str, Any]) -> int:
    """Changes of its spec, those before it was moved among them. Raises as :func:`find_origin` does."""
    origin = find_origin(raw)
    return int(raw["metadata"]["generation"]) + (origin.generation if origin else 0)
