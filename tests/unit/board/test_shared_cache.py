"""What a thousand ask for is loaded once; what is old, and what cannot be loaded, is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from alcove_api.errors import AlcoveError
from alcove_board.shared_cache import SharedCache


@dataclass
class Source:
    """A store whose answers can be held back, and that can be away."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    loads: int = 0
    away: bool = False
    error: Exception = field(default_factory=lambda: AlcoveError("away"))
    now: float = 0.0

    async def load(self, key: str) -> bytes:
        self.loads += 1
        loaded = f"{key}{self.loads}".encode()
        await self.open.wait()
        if self.away:
            raise self.error
        return loaded

    def cache(self, most_bytes: int = 1000, **settings: float) -> SharedCache[str, bytes]:
        return SharedCache(self.load, most_bytes=most_bytes, measure=len, clock=lambda: self.now, **settings)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_a_thousand_who_ask_at_once_have_it_loaded_once() -> None:
    async def ask() -> None:
        source = Source()
        cache = source.cache()
        asked = [asyncio.create_task(cache.get("a")) for _ in range(1000)]
        await asyncio.sleep(0)
        source.open.set()
        assert set(await asyncio.gather(*asked)) == {b"a1"}
        assert source.loads == 1

    run(ask())


def test_who_gives_up_waiting_stops_it_for_nobody_else() -> None:
    async def ask() -> None:
        source = Source()
        cache = source.cache()
        first, second = (asyncio.create_task(cache.get("a")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        source.open.set()
        assert await second == b"a1"

    run(ask())


def test_an_old_value_is_served_while_the_new_one_is_loaded_and_a_very_old_one_is_not() -> None:
    async def ask() -> None:
        source = Source()
        source.open.set()
        cache = source.cache(fresh_seconds=2.0)
        assert await cache.get("a") == b"a1"
        source.now = 1.9
        assert await cache.get("a") == b"a1"
        assert source.loads == 1
        source.now = 2.0
        assert await cache.get("a") == b"a1"
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (await cache.get("a"), source.loads) == (b"a2", 2)
        source.now = 100.0
        assert await cache.get("a") == b"a3"

    run(ask())


@pytest.mark.parametrize("error", [AlcoveError("away"), ValueError("away")])
def test_a_source_that_is_away_is_asked_once_a_second_and_what_is_known_stands_in(error: Exception) -> None:
    async def ask() -> None:
        source = Source(away=True, error=error)
        source.open.set()
        cache = source.cache(fresh_seconds=2.0, usable_seconds=60.0, retry_seconds=1.0)
        for _ in range(50):
            with pytest.raises(type(error), match="away"):
                await cache.get("a")
        assert source.loads == 1
        source.now, source.away = 1.0, False
        assert await cache.get("a") == b"a2"
        source.away = True
        for moment in (30.0, 30.5, 59.0):
            source.now = moment
            assert await cache.get("a") == b"a2"
        assert source.loads == 4
        source.now = 61.5
        with pytest.raises(type(error)):
            await cache.get("a")

    run(ask())


def test_memory_is_bounded_and_what_is_larger_than_all_of_it_is_not_kept() -> None:
    async def ask() -> None:
        source = Source()
        source.open.set()
        cache = source.cache(most_bytes=10)
        for key in "abcdefgh":
            await cache.get(key)
            assert cache.size <= 10
        before = source.loads
        assert await cache.get("h") == b"h8"
        assert source.loads == before
        assert await cache.get("x" * 50) == b"x" * 50 + b"9"
        assert cache.size <= 10

    run(ask())
