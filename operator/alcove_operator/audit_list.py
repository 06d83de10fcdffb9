"""Keeps the audit list of a competition in the store, and tells of each change by an Event on the Competition."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alcove_api.change_documents import CompetitionChange, SpecChange
from alcove_api.errors import AlcoveError
from alcove_api.origin import count_generations, identify
from alcove_kube.client import Object
from alcove_kube.resources import COMPETITIONS
from alcove_operator.announce import Announcer
from alcove_operator.api import Api
from alcove_operator.clock import utc_now
from alcove_operator.core.spec_changes import describe_changes
from alcove_operator.store import OperatorStore

log = logging.getLogger(__name__)
AGAIN = timedelta(seconds=60)
"""After a failure, the list is tried again this much later."""


@dataclass
class AuditList:
    """Turns of one competition alone write its list, and there is one at a time.

    What differs is found by comparing with the last entry in the store, so that nothing is lost while the operator is
    down, and nothing is told twice.
    """

    api: Api
    store: OperatorStore
    announcer: Announcer
    clock: Callable[[], datetime] = utc_now
    _again: dict[str, datetime] = field(default_factory=dict)
    """When to try again, by UID."""
    _known: dict[str, int] = field(default_factory=dict)
    """The newest generation that is in the list, by the Competition's UID."""
    _told: dict[str, int] = field(default_factory=dict)
    """Number of the last entry of which Events tell, by the Competition's UID."""

    async def update(self, namespace: str, name: str, uid: str, generation: int) -> float | None:
        """Takes in the newest spec where the list does not have it. Raises nothing: a store that refuses, as one whose
        policies are those of an earlier release, must keep nobody waiting.

        Returns:
            After how many seconds to try again, where it could not be done.
        """
        left = (self._again.get(uid, self.clock()) - self.clock()).total_seconds()
        if self._known.get(uid, -1) >= generation or left > 0:
            return None
        try:
            await self._update(namespace, name, uid)
        except AlcoveError as error:
            log.warning("The audit list waits: %s", error, extra={"cause": type(error).__name__})
            self._again[uid] = self.clock() + AGAIN
            return AGAIN.total_seconds()
        return None

    async def _update(self, namespace: str, name: str, uid: str) -> None:
        raw = await self.api.find(COMPETITIONS, namespace, name)
        if raw is None or identify(raw) != uid:
            return
        number, last = await asyncio.to_thread(self.store.last_change, namespace, name)
        # Of another Competition of the same name nothing is compared.
        known = last if last is not None and last.competition_uid == uid else None
        generation = count_generations(raw)
        if known is not None and self._told.get(uid) != number:
            # Written before a crash: what it tells of may not have been told.
            await self._tell(raw, known)
            self._told[uid] = number
        if known is None or known.generation < generation:
            managed = raw["metadata"].get("managedFields") or []
            changes = describe_changes(known.spec, raw["spec"], managed) if known else ()
            entry = CompetitionChange(
                competition_uid=uid,
                generation=generation,
                seen_at=self.clock(),
                changes=changes,
                spec=raw["spec"],
            )
            await asyncio.to_thread(self.store.write_change, namespace, name, number + 1, entry)
            await self._tell(raw, entry)
            self._told[uid] = number + 1
        self._known[uid] = raw["metadata"]["generation"]

    async def _tell(self, raw: Object, entry: CompetitionChange) -> None:
        for number, change in enumerate(entry.changes):
            about = {"cause": change.kind}
            log.info("%s (by %s)", change.text, change.author, extra=about)
            await self.announcer.announce(
                COMPETITIONS, raw, _event_key(entry, number, change), "Normal", change.kind, _note(change)
            )


def _note(change: SpecChange) -> str:
    return f"{change.text} (by {change.author})"


def _event_key(entry: CompetitionChange, number: int, change: SpecChange) -> str:
    digest = hashlib.sha256(change.text.encode()).hexdigest()[:8]
    return f"change/{entry.generation}/{number}/{digest}"
