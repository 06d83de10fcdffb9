"""Rows are not searched for cycles again and again, and cycles still go."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from alcove_operator import garbage
from tests.unit.operator_wiring.virtual_time import run


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


class Node:
    me: Node


def test_no_full_search_comes_by_itself() -> None:
    garbage.search_seldom()
    full: list[int] = []

    def note(_phase: str, told: dict[str, Any]) -> None:
        full.extend([1] * (told["generation"] == 2))

    gc.callbacks.append(note)
    try:
        rows: list[tuple[int, list[int]]] = [(number, []) for number in range(1_000_000)]
    finally:
        gc.callbacks.remove(note)
    assert len(rows) == 1_000_000
    assert not full


def play_until(seconds: float, blocks: int) -> bool:
    """Whether an old cycle is gone after so many seconds in which so many blocks of memory came into use."""

    async def play() -> bool:
        garbage.search_seldom()
        garbage.spare_rows()
        node = Node()
        node.me, gone = node, weakref.ref(node)
        gc.collect(1)
        del node
        assert gone() is not None
        searching = asyncio.create_task(garbage.search_forever())
        await asyncio.sleep(0)
        grown = [object() for _ in range(blocks)]
        await asyncio.sleep(seconds)
        searching.cancel()
        return len(grown) == blocks and gone() is None

    return run(play())


def test_old_cycles_go_once_an_hour_and_earlier_where_memory_grows() -> None:
    assert not play_until(garbage.EVERY + 1, 0)
    assert play_until(garbage.EVERY * garbage.AT_LATEST + 1, 0)
    assert play_until(garbage.EVERY + 1, sys.getallocatedblocks())
