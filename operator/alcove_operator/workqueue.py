"""The work queue: deduplicated, serial for each key, fair among groups of keys, with backoff and delayed requeue.

A key is idle, due (waiting for its time), running, or running and due again. However often it is added while it
waits, it runs once. Added while it runs, it runs once more afterwards. So no event is lost, and no key ever runs
beside itself.

Of the keys that are due, those of the lowest rank go first. Among the groups of one rank each has its turn after the
other, so that a team with a thousand keys due keeps no other team waiting; within a group, first come is first served.
Every operation takes a time that does not grow with the number of keys, or with its logarithm; but for the gauges.

Everything happens on one event loop. Only :meth:`WorkQueue.run` awaits; all other methods run from start to end
without an await, so anybody on the loop may call them at any time. While a turn on one key awaits, turns on other
keys run, and events change the index. What belongs to one key may be written by its own turn without care. For what
several keys share there has to be one writer, or a comparison right before the write: see
:class:`alcove_operator.submissions.Submissions`.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backoff:
    """After the n-th failure in a row: ``base · 2^(n−1)`` seconds, at most ``cap``; half of it is jitter."""

    base: float = 0.2
    cap: float = 60.0

    def delay(self, failures: int, jitter: Callable[[], float] = random.random) -> float:
        """Seconds to wait; ``jitter`` gives a number in [0, 1)."""
        full = min(self.cap, self.base * 2.0 ** min(failures - 1, 30))
        return full * (0.5 + 0.5 * jitter())


Place = tuple[int, Hashable]
"""Rank, lowest first, and group of a key."""


class _Line(Generic[K]):
    """Keys that are due, in the order in which they go."""

    def __init__(self, place_of: Callable[[K], Place]) -> None:
        self._place_of = place_of
        self._groups: dict[int, OrderedDict[Hashable, list[tuple[float, int, K]]]] = {}
        """By rank; the group that goes next comes first."""
        self._present: set[K] = set()

    def __bool__(self) -> bool:
        return bool(self._present)

    def __contains__(self, key: K) -> bool:
        return key in self._present

    def push(self, entry: tuple[float, int, K]) -> None:
        """``entry``: since when the key is due, a number that tells equal times apart, and the key."""
        rank, group = self._place_of(entry[2])
        heapq.heappush(self._groups.setdefault(rank, OrderedDict()).setdefault(group, []), entry)
        self._present.add(entry[2])

    def pop(self) -> K:
        rank = min(self._groups)
        groups = self._groups[rank]
        group, keys = next(iter(groups.items()))
        key = heapq.heappop(keys)[2]
        if keys:
            groups.move_to_end(group)
        else:
            del groups[group]
            if not groups:
                del self._groups[rank]
        self._present.remove(key)
        return key


class WorkQueue(Generic[K]):
    """Keys with the time at which each is due, on the event loop's monotonic clock."""

    def __init__(
        self,
        backoff: Backoff | None = None,
        clock: Callable[[], float] | None = None,
        jitter: Callable[[], float] = random.random,
        place_of: Callable[[K], Place] = lambda _: (0, None),
    ) -> None:
        self._backoff = backoff or Backoff()
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._jitter = jitter
        self._due: dict[K, float] = {}
        # Keys that neither run nor stand in line, by the time when they are due. Entries whose time is no longer that
        # in _due are stale, and skipped.
        self._heap: list[tuple[float, int, K]] = []
        self._line: _Line[K] = _Line(place_of)
        self._running: set[K] = set()
        self._failures: dict[K, int] = {}
        self._serial = 0
        self._changed = asyncio.Event()
        self.turns = 0
        """How many have ended."""

    def add(self, key: K, after: float = 0.0) -> None:
        """Makes ``key`` due in ``after`` seconds, or earlier where it already was."""
        at = self._clock() + max(0.0, after)
        if key in self._due and self._due[key] <= at:
            return
        self._due[key] = at
        if key not in self._running and key not in self._line:
            self._push(key)

    def _push(self, key: K) -> None:
        self._serial += 1
        heapq.heappush(self._heap, (self._due[key], self._serial, key))
        self._changed.set()

    def take(self) -> K | None:
        """The key whose turn it is; it counts as running until :meth:`done`. None where none is due."""
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            if not self._is_stale(entry[0], entry[2]):
                self._line.push(entry)
        if not self._line:
            return None
        key = self._line.pop()
        del self._due[key]
        self._running.add(key)
        return key

    def _is_stale(self, at: float, key: K) -> bool:
        return self._due.get(key) != at or key in self._running or key in self._line

    def done(self, key: K, failed: bool = False) -> None:
        """Ends the run of ``key``; after a failure it is due again by the backoff, if it is not earlier."""
        self._running.discard(key)
        self.turns += 1
        if key in self._due:
            self._push(key)
        if failed:
            self._failures[key] = self._failures.get(key, 0) + 1
            self.add(key, self._backoff.delay(self._failures[key], self._jitter))
        else:
            self._failures.pop(key, None)
        self._changed.set()

    def failures(self, key: K) -> int:
        """Failures in a row."""
        return self._failures.get(key, 0)

    @property
    def depth(self) -> int:
        """Keys that are due now and wait for a worker: not those that run already, and will once more."""
        now = self._clock()
        return sum(1 for key, at in self._due.items() if at <= now and key not in self._running)

    @property
    def age(self) -> float:
        """Seconds that the longest waiting key has been due, also one whose turn goes on."""
        now = self._clock()
        return max((now - at for at in self._due.values() if at <= now), default=0.0)

    def next_due(self) -> float | None:
        """Seconds until some key that does not run is due; 0 where one is; None where none is known."""
        if self._line:
            return 0.0
        while self._heap and self._is_stale(self._heap[0][0], self._heap[0][2]):
            heapq.heappop(self._heap)
        return max(0.0, self._heap[0][0] - self._clock()) if self._heap else None

    async def run(self, work: Callable[[K], Awaitable[None]], workers: int = 4) -> None:
        """Works until cancelled. An exception of ``work`` is a failure of its key, and of nothing else."""
        await asyncio.gather(*(self._worker(work) for _ in range(workers)))

    async def _worker(self, work: Callable[[K], Awaitable[None]]) -> None:
        while True:
            key = self.take()
            if key is None:
                await self._wait()
                continue
            failed = True
            try:
                await work(key)
                failed = False
            except Exception:
                log.debug("%s failed and will be tried again.", key, exc_info=True)
            finally:
                self.done(key, failed)
            # A turn that never waited has kept the event loop to itself: now the others, and the watches, go on.
            await asyncio.sleep(0)

    async def _wait(self) -> None:
        self._changed.clear()
        due = self.next_due()
        if due == 0.0:
            return
        try:
            async with asyncio.timeout(due):
                await self._changed.wait()
        except TimeoutError:
            pass
