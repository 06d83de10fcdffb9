"""What the capacity queue said last of each Submission under way; :mod:`alcove_operator.places` alone writes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from alcove_operator.core.model import Facts, QueuePlace, SubmissionView
from alcove_operator.core.run_ends import OVER

PLACES_PAUSE = timedelta(seconds=60)
"""Between two writes of a Submission's status because it has moved within the queue."""


@dataclass(frozen=True)
class Grant:
    """Of one Submission."""

    aliases: frozenset[str] = frozenset()
    """Of the runs that were given a place, and do not show it yet."""
    kept: frozenset[str] = frozenset()
    """Of the runs that have a place, and may begin another attempt."""
    places: Mapping[str, QueuePlace] = field(default_factory=dict)
    """Of the other runs that wait, by alias."""
    at: datetime | None = None
    """When it was told."""


_NOTHING = Grant()


@dataclass
class Grants:
    clock: Callable[[], datetime]
    _grants: dict[str, Grant] = field(default_factory=dict)
    """By UID."""

    def __len__(self) -> int:
        return len(self._grants)

    def of(self, uid: str) -> Grant:
        return self._grants.get(uid, _NOTHING)

    def add_to(self, facts: Facts, view: SubmissionView) -> Facts:
        """What of a Submission's runs that have a place is not known to have room waits, also after a restart."""
        grant = self.of(view.uid)
        holders = frozenset(r.dataset for r in view.status.runs if r.attempt and r.phase not in OVER)
        return replace(facts, granted=grant.aliases, queue=grant.places, withheld=holders - grant.kept)

    def give(self, uid: str, aliases: frozenset[str], kept: frozenset[str]) -> bool:
        """Takes in which runs of a Submission have a place now, and which may begin another attempt; whether it is due
        for that."""
        old = self.of(uid)
        if (aliases, kept) == (old.aliases, old.kept):
            return False
        self._grants[uid] = replace(old, aliases=aliases, kept=kept)
        return aliases != old.aliases or not kept <= old.kept

    def tell_places(self, uid: str, places: Mapping[str, QueuePlace]) -> bool:
        """Takes in the places in the queue of the other runs of a Submission; whether that is news, so that it is due.

        That one who waits has moved within the queue is news once in :data:`PLACES_PAUSE`.
        """
        now, old = self.clock(), self.of(uid)
        recent = old.at is not None and now < old.at + PLACES_PAUSE
        if places == old.places or (places.keys() == old.places.keys() and recent):
            return False
        self._grants[uid] = replace(old, places=places, at=now)
        return True

    def forget_one(self, uid: str) -> None:
        self._grants.pop(uid, None)

    def forget(self, present: Collection[str]) -> None:
        """Drops what is kept of all but these, by their UIDs."""
        for uid in self._grants.keys() - present:
            del self._grants[uid]
