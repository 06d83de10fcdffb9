"""Keeps the permits fresh by which a team offers datasets: a form for each slot, in a Secret of its namespace.

The forms bound the bytes: one object a slot, of so many bytes at most, in a bucket without versions. So whatever a team
sends, and whenever, the room that it takes is bounded before the bytes are in.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import ValidationError

from alcove_api import keys
from alcove_api.errors import AlcoveError
from alcove_api.offers import (
    ENTRY_BYTES,
    OFFERS_SECRET,
    PERMITS_KEY,
    SLOTS,
    OfferPermits,
    SlotPermits,
    slot_bytes,
)
from alcove_kube.client import Object
from alcove_kube.resources import SECRETS
from alcove_operator.api import Api
from alcove_operator.clock import utc_now
from alcove_operator.index import Index
from alcove_operator.store import OperatorStore

log = logging.getLogger(__name__)
LIFE = timedelta(hours=24)
LOOK, AFTER_FAILURE = timedelta(minutes=30), timedelta(minutes=1)
"""How often a team's Secret is looked at, and how soon after a look that failed."""
ROUND_SECONDS = 5.0


@dataclass
class Offers:
    api: Api
    index: Index
    store: OperatorStore
    endpoint: str
    """Of the store, as teams reach it."""
    teams: Callable[[], Collection[str]]
    clock: Callable[[], datetime] = utc_now
    _looked: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    """By team: the limit that its permits have, and when they were looked at."""

    async def run(self) -> None:
        """Looks at one team after the other, until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(ROUND_SECONDS)

    async def refresh(self) -> None:
        """Sees to those teams whose limit has changed, or whose permits were not looked at for a while.

        Of several competitions the smallest limit holds.
        """
        limits = [c.spec.limits.shared_bytes for c in self.index.competitions.values()]
        if not limits:
            return
        most = slot_bytes(min(limits))
        teams = set(self.teams())
        self._looked = {team: seen for team, seen in self._looked.items() if team in teams}
        for team in sorted(teams):
            seen = self._looked.get(team)
            if seen is not None and seen[0] == most and self.clock() < seen[1] + LOOK:
                continue
            try:
                await self._see_to(team, most)
            except AlcoveError as error:
                log.warning("The permits by which %s offers datasets stay as they are: %s", team, error)
                self._looked[team] = most, self.clock() + AFTER_FAILURE - LOOK
                continue
            self._looked[team] = most, self.clock()

    async def _see_to(self, team: str, most: int) -> None:
        found = await self.api.get(SECRETS, team, OFFERS_SECRET)
        known, now = _read(found), self.clock()
        if known is not None and known.bytes_at_most == most and now < known.expires_at - LIFE / 2:
            return
        permits = sign_permits(self.store, self.endpoint, team, most, now)
        data = permits.model_dump_json(by_alias=True).encode()
        body = {"data": {PERMITS_KEY: base64.b64encode(data).decode()}}
        await self.api.patch(SECRETS, team, OFFERS_SECRET, body)


def sign_permits(store: OperatorStore, endpoint: str, team: str, most: int, now: datetime) -> OfferPermits:
    """Permits for all slots, of ``most`` bytes each; none where that is 0."""
    end = now + LIFE
    slots = [
        SlotPermits(
            archive=store.permit_upload(keys.shared_archive(team, slot), most, end, endpoint),
            entry=store.permit_upload(keys.shared_entry(team, slot), ENTRY_BYTES, end, endpoint),
        )
        for slot in range(SLOTS if most else 0)
    ]
    return OfferPermits(slots=tuple(slots), bytes_at_most=most, expires_at=end)


def _read(secret: Object) -> OfferPermits | None:
    """None where there are none yet, or none that can be read."""
    try:
        return OfferPermits.model_validate_json(base64.b64decode(secret["data"][PERMITS_KEY]))
    except (KeyError, TypeError, ValueError, ValidationError):
        return None
