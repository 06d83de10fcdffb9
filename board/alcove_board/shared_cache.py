"""What many ask for at the same time is loaded once, and what is kept has a bound."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import LRUCache

from alcove_api.errors import AlcoveError

log = logging.getLogger(__name__)
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
FAILURES = 1024
"""Keys whose failure is remembered."""


@dataclass(frozen=True)
class _Loaded(Generic[V]):
    at: float
    value: V


class SharedCache(Generic[K, V]):
    """Values by key, each loaded by one task however many ask for it.

    A value older than ``fresh_seconds`` is loaded again; whoever asks meanwhile gets the old one, if it is younger
    than ten times that. It stands in for up to ``usable_seconds`` where loading fails. A failure is told to all who ask
    within ``retry_seconds``: a store that is away is not asked by each of a thousand visitors.
    """

    def __init__(
        self,
        load: Callable[[K], Awaitable[V]],
        *,
        most_bytes: int,
        measure: Callable[[V], int],
        fresh_seconds: float = float("inf"),
        usable_seconds: float = 600.0,
        retry_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._fresh, self._usable, self._retry = fresh_seconds, usable_seconds, retry_seconds
        self._clock = clock
        self._most = most_bytes
        self._measure = measure
        self._entries: LRUCache[K, _Loaded[V]] = LRUCache(most_bytes, lambda entry: measure(entry.value))
        self._failures: LRUCache[K, tuple[float, Exception]] = LRUCache(FAILURES)
        self._tasks: dict[K, asyncio.Task[V]] = {}

    @property
    def size(self) -> int:
        """Bytes held, as ``measure`` counts them."""
        return int(self._entries.currsize)

    def find_fresh(self, key: K) -> V | None:
        """What :meth:`get` would give at once and without loading it again; None where it would not."""
        entry = self._entries.get(key)
        return entry.value if entry and self._clock() - entry.at < self._fresh else None

    async def get(self, key: K) -> V:
        """Raises what ``load`` raised where there is nothing that can stand in."""
        entry, now = self._entries.get(key), self._clock()
        age = now - entry.at if entry else float("inf")
        if entry and age < self._fresh:
            return entry.value
        failed = self._failures.get(key)
        if failed and now - failed[0] < self._retry:
            if entry and age < self._usable:
                return entry.value
            raise failed[1]
        task = self._tasks.get(key)
        if task is None:
            task = asyncio.create_task(self._run(key))
            self._tasks[key] = task
        if entry and age < 10 * self._fresh:
            return entry.value
        try:
            return await asyncio.shield(task)
        except Exception:
            if entry and age < self._usable:
                return entry.value
            raise

    async def _run(self, key: K) -> V:
        task = asyncio.current_task()
        assert task is not None
        # Where an old value stands in, nobody waits for this task; its failure is in the map.
        task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        try:
            value = await self._load(key)
        except Exception as error:
            # One that nobody thought of is a fault of ours, and not to be asked for by each visitor either.
            log.warning("%s", error, exc_info=None if isinstance(error, AlcoveError) else error)
            self._failures[key] = (self._clock(), error)
            raise
        finally:
            del self._tasks[key]
        self._failures.pop(key, None)
        if self._measure(value) <= self._most:
            self._entries[key] = _Loaded(self._clock(), value)
        return value
