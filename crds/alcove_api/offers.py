"""Datasets that teams offer each other: a few slots a team, each with a bound on its bytes that the store keeps."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from alcove_api.base import Name, Sha256, StatusModel
from alcove_api.documents import Document
from alcove_api.uploads import UploadPermit

SLOTS = 4
"""Datasets that a team can offer at a time."""
ARCHIVE_BYTES = 5 << 30
"""Of one archive at most: what S3 takes in one form."""
ENTRY_BYTES = 1024
"""Of an :class:`OfferedDataset` in the store, at most."""
OFFERS_SECRET = "alcove-offers"
"""Secret in a team's namespace whose key :data:`PERMITS_KEY` is an :class:`OfferPermits`."""
PERMITS_KEY = "permits.json"


def slot_bytes(shared_bytes: int) -> int:
    """Of one archive, where all that a team offers may have ``shared_bytes``; 0 where nothing may be offered."""
    return min(ARCHIVE_BYTES, max(0, shared_bytes // SLOTS - ENTRY_BYTES))


class SlotPermits(StatusModel):
    archive: UploadPermit
    entry: UploadPermit


class OfferPermits(StatusModel):
    slots: Annotated[tuple[SlotPermits, ...], Field(max_length=SLOTS)] = ()
    """By number of the slot, from 0; none where nothing may be offered."""
    bytes_at_most: int
    """Of one archive."""
    expires_at: datetime


class OfferedDataset(Document):
    """What is in a slot. A team writes it, so nothing in it is trusted."""

    name: Name
    sha256: Sha256
    """Of the archive."""
    bytes: Annotated[int, Field(ge=1, le=ARCHIVE_BYTES)]
    has_solution: bool = False
