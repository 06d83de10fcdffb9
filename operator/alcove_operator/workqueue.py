"""The work queue: deduplicated, serial for each key, with backoff and delayed requeue.

A key is idle, due (waiting for its time), running, or running and due again. However often it is added while it
waits, it runs once. Added while it runs, it runs once more afterwards. So no event is lost, and no key ever runs
beside itself.

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


class WorkQueue(Generic[K]):
    """Keys with the time at which each is due, on the event loop's monotonic clock."""

    def __init__(
        self,
        backoff: Backoff | None = None,
        clock: Callable[[], float] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._backoff = backoff or Backoff()
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._jitter = jitter
        self._due: dict[K, float] = {}
        # Entries whose time is no longer that in _due are stale, and skipped.
        self._heap: list[tuple[float, int, K]] = []
        self._running: set[K] = set()
        self._failures: dict[K, int] = {}
        self._serial = 0
        self._changed = asyncio.Event()

    def add(self, key: K, after: float = 0.0) -> None:
        """Makes ``key`` due in ``after`` seconds, or earlier where it already was."""
        at = self._clock() + max(0.0, after)
        if key in self._due and self._due[key] <= at:
            return
        self._due[key] = at
        self._serial += 1
        heapq.heappush(self._heap, (at, self._serial, key))
        self._changed.set()

    def take(self) -> K | None:
        """The key that has been due longest and does not run; it counts as running until :meth:`done`."""
        postponed = []
        found = None
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            at, _, key = entry
            if self._due.get(key) != at:
                continue
            if key in self._running:
                postponed.append(entry)
                continue
            del self._due[key]
            self._running.add(key)
            found = key
            break
        for entry in postponed:
            heapq.heappush(self._heap, entry)
        return found

    def done(self, key: K, failed: bool = False) -> None:
        """Ends the run of ``key``; after a failure it is due again by the backoff, if it is not earlier."""
        self._running.discard(key)
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
        """Keys that are due now and wait for a worker."""
        now = self._clock()
        return sum(1 for at in self._due.values() if at <= now)

    @property
    def age(self) -> float:
        """Seconds that the longest waiting key has been due."""
        now = self._clock()
        return max((now - at for at in self._due.values() if at <= now), default=0.0)

    def next_due(self) -> float | None:
        """Seconds until some key that does not run is due; 0 where one is; None where none is known."""
        times = [at for key, at in self._due.items() if key not in self._running]
        return max(0.0, min(times) - self._clock()) if times else None

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
