"""The capacity queue of one competition: who goes next, and what the others are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from alcove_operator.core.model import QueuePlace


@dataclass(frozen=True, order=True)
class Waiting:
    """One run that could start. Sorts by first come: Submission's creation, then the order of datasets."""

    created_at: datetime
    submission_uid: str
    index: int
    """Place of the dataset among the Submission's runs."""
    alias: str
    team: str


Key = tuple[str, str]
"""(Submission's UID, alias)."""


@dataclass(frozen=True)
class CapacityPlan:
    grants: frozenset[Key]
    places: Mapping[Key, QueuePlace]
    """Of those that got no grant."""


def round_place(place: QueuePlace) -> QueuePlace:
    """The position, rounded up to a power of two: who waits far behind is not told of every start before them."""
    return replace(place, position=1 << (place.position - 1).bit_length())


def grant_places(
    waiting: Iterable[Waiting],
    running: Mapping[Key, str],
    usage: Mapping[str, float],
    capacity: int,
    parallel: int,
) -> CapacityPlan:
    """Gives the free places to the teams with the least compute used; among equals, first come, first served.

    Args:
        waiting: runs that only lack a place.
        running: team of every run that holds a place, from its grant until its last attempt is over.
        usage: compute seconds of each team (see ``usage.compute_seconds``); 0 where it is missing.
        capacity: places of the competition.
        parallel: places of one team at most.
    """
    held = Counter(running.values())
    free = capacity - sum(held.values())
    order = sorted(
        (w for w in waiting if (w.submission_uid, w.alias) not in running),
        key=lambda w: (usage.get(w.team, 0.0), w),
    )
    grants: set[Key] = set()
    places: dict[Key, QueuePlace] = {}
    for entry in order:
        key = (entry.submission_uid, entry.alias)
        if held[entry.team] < parallel and free > 0:
            grants.add(key)
            held[entry.team] += 1
            free -= 1
        elif held[entry.team] >= parallel:
            reason = f"the team has {held[entry.team]} runs under way, of {parallel} at the same time"
            places[key] = QueuePlace(len(places) + 1, reason)
        else:
            reason = f"all {capacity} places are taken; the team that has used the least compute goes next"
            places[key] = QueuePlace(len(places) + 1, reason)
    return CapacityPlan(frozenset(grants), places)
