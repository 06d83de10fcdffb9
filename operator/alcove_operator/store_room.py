"""Whether the store answers and has room. While it has none, nothing starts, and what runs save waits on spools."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from alcove_operator.clock import utc_now
from alcove_operator.core.conditions import ConditionValue
from alcove_operator.core.notices import StoreState, StoreTrouble
from alcove_operator.metrics import Metrics
from alcove_operator.store import OperatorStore
from alcove_store.errors import StoreDeniedError, StoreError, StoreFullError, StoreUnavailableError

log = logging.getLogger(__name__)
LOOK_SECONDS = 10.0
DENIED_TIME = timedelta(hours=1)
"""Until the next probe of a store that took one and keeps it: what cannot be deleted stays, so it must not be many."""
ROOM = "StoreHasRoom"
"""The condition of a Competition; not there while the store was never full."""
WAITS = "the object store is full; runs start again by themselves once it has room"
"""Reason of a run to wait."""


@dataclass
class StoreRoom:
    store: OperatorStore
    namespace: str
    """Of the competitions."""
    metrics: Metrics
    changed: Callable[[], None]
    """Called when it has become full, or has room again."""
    clock: Callable[[], datetime] = utc_now
    full: bool = False
    trouble: StoreTrouble | None = None
    _probe_at: datetime | None = None
    """When the store may be written again; None where no probe has to stay in it."""
    _denied: bool = False
    """Whether it denied the newest probe: whether there is room is then not known."""

    async def watch(self) -> None:
        """Looks every few seconds, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        try:
            state = await self._find_state()
        except StoreError as error:
            log.warning("The store answers, but not as it should: %s", error)
            self.metrics.store.has_room.set(None)
            return
        if state == "sound":
            self.trouble = None
        elif self.trouble is None or self.trouble.state != state:
            self.trouble = StoreTrouble(state, self.clock())
        # One that is away is not known to have room again.
        full = self.full if state == "away" else state == "full"
        if self._denied:
            self.metrics.store.has_room.set(None)
        elif state != "away":
            self.metrics.store.has_room.set(not full)
        if full != self.full:
            self.full = full
            log.warning("The store %s.", "can be read, and takes nothing" if full else "has room again")
            self.changed()

    async def _find_state(self) -> StoreState:
        """A store that can be read and not written is full: not every one says so in other words.

        Written a second time, since one that was away may have come back before it was read.
        """
        if self._probe_at is not None and self.clock() < self._probe_at:
            return await self._look_by_reading(self.full)
        self._probe_at, self._denied = None, False
        for _ in range(2):
            written = False
            try:
                version = await asyncio.to_thread(self.store.write_probe, self.namespace)
                written = True
                await asyncio.to_thread(self.store.delete_probe, self.namespace, version)
                return "sound"
            except StoreFullError:
                return "full"
            except StoreDeniedError as error:
                return await self._note_denial(error, stays=written)
            except StoreUnavailableError:
                if not await self._can_be_read():
                    return "away"
        return "full"

    async def _note_denial(self, error: StoreDeniedError, *, stays: bool) -> StoreState:
        """``stays``: whether it was written and may not be deleted: probes would fill the store by themselves."""
        self.metrics.store.errors.labels("refused").inc()
        self._denied = True
        if stays:
            self._probe_at = self.clock() + DENIED_TIME
        log.warning(
            "Whether the store has room is not known%s: %s The operator's user must be allowed to write and "
            "delete below probes/: check its credentials, or run the store's setup again.",
            " for an hour" if stays else "",
            error,
        )
        return await self._look_by_reading(self.full and not stays)

    async def _look_by_reading(self, full: bool) -> StoreState:
        """``full``: whether it was when a probe last told; no denial says that it has room again."""
        if not await self._can_be_read():
            return "away"
        return "full" if full else "sound"

    async def _can_be_read(self) -> bool:
        try:
            await asyncio.to_thread(self.store.exists, "code/probe")
        except StoreError:
            return False
        return True

    def describe(self) -> ConditionValue:
        """Of the condition :data:`ROOM`."""
        if not self.full:
            return "True", "HasRoom", "The object store takes what runs save."
        message = (
            "The object store is full. No run starts; those under way keep their predictions on their own disks as "
            "long as these last. Make room, or give the store a larger volume: everything then goes on by itself."
        )
        return "False", "StoreFull", message
