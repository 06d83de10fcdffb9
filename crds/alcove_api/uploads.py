"""Upload permits: what the operator answers where a team wants to put bytes into the store."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from alcove_api.base import StatusModel, Time

PERMIT_SECONDS = 3600
"""How long a permit is valid."""


class FormField(StatusModel):
    name: Annotated[str, Field(max_length=64)]
    value: Annotated[str, Field(max_length=4096)]


class UploadPermit(StatusModel):
    """A signed POST policy of S3: whoever has it can store one object under one key, of so many bytes at most, until it
    expires."""

    url: Annotated[str, Field(max_length=512)]
    """Where to send the form."""
    fields: Annotated[tuple[FormField, ...], Field(max_length=16)]
    """Of the form, in this order; the last field is `file`, with the bytes."""
    bytes_at_most: int
    """Size of the object; the store refuses more."""
    expires_at: Time
