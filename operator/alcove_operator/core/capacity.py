"""The capacity queue of one competition: who goes next, and what the others are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import NamedTuple

from alcove_api.words import count_of
from alcove_operator.core.model import QueuePlace


class Waiting(NamedTuple):
    """One run that could start. Sorts by first come: Submission's creation, then the order of datasets."""

    created_at: datetime
    submission_uid: str
    order: int
    """Place of the dataset among the Submission's runs."""
    alias: str
    team: str


Key = tuple[str, str]
"""(Submission's UID, alias)."""


@dataclass(frozen=True)
class CapacityPlan:
    grants: frozenset[Key]
    queue: Sequence[tuple[Key, str]]
    """Those that got no grant, in the order in which they go, and why each waits."""

    @cached_property
    def places(self) -> Mapping[Key, QueuePlace]:
        return {key: QueuePlace(number, reason) for number, (key, reason) in enumerate(self.queue, 1)}


def round_place(place: QueuePlace) -> QueuePlace:
    """The position, rounded up to a power of two: who waits far behind is not told of every start before them."""
    return place._replace(position=1 << (place.position - 1).bit_length())


def grant_places(
    waiting: Iterable[Waiting],
    running: Mapping[Key, str],
    usage: Mapping[str, float],
    capacity: int,
    parallel: int,
    elsewhere: Mapping[str, int] = MappingProxyType({}),
) -> CapacityPlan:
    """Gives the free places to the teams with the least compute used; among equals, first come, first served.

    Args:
        waiting: runs that only lack a place.
        running: team of every run that holds a place, from its grant until its last attempt is over.
        usage: compute seconds of each team (see ``usage.compute_seconds``); 0 where it is missing.
        capacity: places of the competition.
        parallel: runs of one team at most.
        elsewhere: runs of each team that hold none of these places, and count towards ``parallel``.
    """
    held = Counter(running.values()) + Counter(elsewhere)
    free = capacity - len(running)
    grants: set[Key] = set()
    queue: list[tuple[Key, str]] = []
    taken = f"all {capacity} places are taken; the team that has used the least compute goes next"
    for entry in _order(waiting, running, usage):
        key = (entry.submission_uid, entry.alias)
        if held[entry.team] >= parallel:
            queue.append((key, _tell_parallel(held[entry.team], parallel)))
        elif free > 0:
            grants.add(key)
            held[entry.team] += 1
            free -= 1
        else:
            queue.append((key, taken))
    return CapacityPlan(frozenset(grants), queue)


def keep_places(held: Collection[Key], repeated: Sequence[Key], capacity: int) -> frozenset[Key]:
    """Runs that may begin another attempt.

    More may hold places than there are: the organizer has taken some away, or a team was let go of, lost its places and
    was taken back. What is under way goes on, and is not followed by another attempt before there is room.

    Args:
        held: runs that hold a place.
        repeated: those of ``held`` of which nothing is under way, in the order in which they go.
        capacity: places of the competition.
    """
    if len(held) <= capacity:
        return frozenset(held)
    return frozenset(repeated[: max(0, capacity - (len(held) - len(repeated)))])


def grant_nothing(
    waiting: Iterable[Waiting], running: Mapping[Key, str], usage: Mapping[str, float], reason: str
) -> CapacityPlan:
    """Tells everybody their place, and ``reason``. The arguments are those of :func:`grant_places`."""
    queue = [((entry.submission_uid, entry.alias), reason) for entry in _order(waiting, running, usage)]
    return CapacityPlan(frozenset(), queue)


def hand_to_kueue(
    waiting: Iterable[Waiting],
    running: Mapping[Key, str],
    usage: Mapping[str, float],
    parallel: int,
    asked: Collection[str],
    demand_of: Callable[[Key], str],
    elsewhere: Mapping[str, int] = MappingProxyType({}),
) -> CapacityPlan:
    """Gives Kueue the run that goes next, of each kind of run one, so that the order among teams stays Alcove's.

    Of two that wait there, Kueue says which goes first. Of runs with other demands one more is given: a queue that is
    full for GPUs may have room for processors.

    Args:
        waiting: runs that only lack a place.
        running: team of every run that holds a place or waits in Kueue.
        usage: compute seconds of each team; 0 where it is missing.
        parallel: runs of one team at most.
        asked: demands of the runs that wait in Kueue.
        demand_of: what a run asks for; any text, alike for runs that ask for the same.
        elsewhere: runs of each team that wait in no such queue, and count towards ``parallel``.
    """
    held, taken = Counter(running.values()) + Counter(elsewhere), set(asked)
    grants: set[Key] = set()
    queue: list[tuple[Key, str]] = []
    for entry in _order(waiting, running, usage):
        key = (entry.submission_uid, entry.alias)
        demand = demand_of(key)
        if held[entry.team] >= parallel:
            queue.append((key, _tell_parallel(held[entry.team], parallel)))
        elif demand in taken:
            reason = "the team that has used the least compute goes next once Kueue has room"
            queue.append((key, reason))
        else:
            grants.add(key)
            held[entry.team] += 1
            taken.add(demand)
    return CapacityPlan(frozenset(grants), queue)


def _order(
    waiting: Iterable[Waiting], running: Mapping[Key, str], usage: Mapping[str, float]
) -> list[Waiting]:
    """First the team with the least compute used; among equals, first come, first served."""
    left = sorted(w for w in waiting if (w.submission_uid, w.alias) not in running)
    return sorted(left, key=lambda w: usage.get(w.team, 0.0))


@lru_cache(maxsize=1024)
def _tell_parallel(held: int, parallel: int) -> str:
    return f"the team has {count_of(held, 'run')} under way, of {parallel} at the same time"
