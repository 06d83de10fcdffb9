"""When a store counts as full: nothing starts then, so one failure to write does not say it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from minio import Minio

from alcove_operator.core.notices import StoreState
from alcove_operator.metrics import Metrics
from alcove_operator.store import OperatorStore
from alcove_operator.store_room import StoreRoom
from alcove_store.errors import (
    StoreDeniedError,
    StoreError,
    StoreFullError,
    StoreNotFoundError,
    StoreUnavailableError,
)

AWAY, FULL = StoreUnavailableError("It did not answer."), StoreFullError("It is full.")


@dataclass(frozen=True)
class AnsweringStore(OperatorStore):
    writes: Iterator[StoreError | None] = field(default_factory=lambda: iter(()))
    reads: Iterator[StoreError | None] = field(default_factory=lambda: iter(()))

    deletes: Iterator[StoreError | None] = field(default_factory=lambda: iter(()))

    def write_probe(self, _name: str) -> str:
        if (error := next(self.writes, None)) is not None:
            raise error
        return "version"

    def delete_probe(self, _name: str, _version: str | None) -> None:
        if (error := next(self.deletes, None)) is not None:
            raise error

    def exists(self, _key: str) -> bool:
        if (error := next(self.reads, None)) is not None:
            raise error
        return False


def has_room(room: StoreRoom) -> float | None:
    """As the metric says it."""
    return room.metrics.registry.get_sample_value("alcove_store_has_room")


@pytest.mark.parametrize(
    ("writes", "reads", "state"),
    [
        ([None], [], "sound"),
        ([FULL], [], "full"),
        ([AWAY, AWAY], [None, None], "full"),
        ([AWAY, FULL], [None], "full"),
        ([AWAY, None], [None], "sound"),
        ([AWAY], [AWAY], "away"),
    ],
    ids=[
        "it takes what is written",
        "it says that it is full",
        "it can be read, and takes nothing again",
        "it says so then",
        "it was away, and came back before it was read",
        "it is away",
    ],
)
def test_when_a_store_is_full(
    writes: list[StoreError | None], reads: list[StoreError | None], state: StoreState
) -> None:
    store = AnsweringStore(cast(Minio, None), "alcove", writes=iter(writes), reads=iter(reads))
    changes: list[bool] = []
    room = StoreRoom(store, "cup", Metrics(), lambda: changes.append(room.full))
    assert has_room(room) is None
    asyncio.run(room.look())
    assert has_room(room) == {"sound": 1, "full": 0, "away": None}[state]
    assert (room.trouble.state if room.trouble else "sound") == state
    assert room.full is (state == "full")
    assert changes == [True] * (state == "full")


def test_a_full_store_that_goes_away_is_not_known_to_have_room() -> None:
    store = AnsweringStore(cast(Minio, None), "alcove", writes=iter([FULL, AWAY, None]), reads=iter([AWAY]))
    room = StoreRoom(store, "cup", Metrics(), lambda: None)
    found = []
    for _ in range(3):
        asyncio.run(room.look())
        found.append((room.full, room.trouble and room.trouble.state, has_room(room)))
    assert found == [(True, "full", 0), (True, "away", 0), (False, None, 1)]


def test_a_store_that_keeps_the_probe_is_probed_again_an_hour_later() -> None:
    """Credentials that were broken for a moment must not hide for good that the store is full."""
    writes = iter([None, None, FULL])
    deletes = iter([StoreDeniedError("No."), StoreDeniedError("No.")])
    store = AnsweringStore(cast(Minio, None), "alcove", writes=writes, deletes=deletes)
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    room = StoreRoom(store, "cup", Metrics(), lambda: None, clock=lambda: now[0])
    found = []
    for minutes in (0, 59, 1, 60):
        now[0] += timedelta(minutes=minutes)
        asyncio.run(room.look())
        refused = room.metrics.registry.get_sample_value("alcove_store_errors_total", {"reason": "refused"})
        found.append((room.full, has_room(room), refused))
    assert found == [(False, None, 1), (False, None, 1), (False, None, 2), (True, 0, 2)]
    assert not list(writes)


def test_a_store_that_takes_no_probe_is_probed_at_each_look() -> None:
    """Nothing stays of what it denies: so it is before the store is set up, just after an install."""
    writes = iter([StoreDeniedError("No."), StoreDeniedError("No."), None, StoreNotFoundError("No bucket.")])
    room = StoreRoom(
        AnsweringStore(cast(Minio, None), "alcove", writes=writes), "cup", Metrics(), lambda: None
    )
    found = []
    for _ in range(4):
        asyncio.run(room.look())
        refused = room.metrics.registry.get_sample_value("alcove_store_errors_total", {"reason": "refused"})
        found.append((has_room(room), refused))
    assert found == [(None, 1), (None, 2), (1, 2), (None, 2)]


@pytest.mark.parametrize("denied", ["the probe", "its deletion"])
def test_a_full_store_that_denies_a_probe_is_not_known_to_have_room(denied: str) -> None:
    """Nothing may start on a full store; what it takes and keeps says that it has room."""
    probe = denied == "the probe"
    writes = iter([FULL, StoreDeniedError("No.") if probe else None, FULL if probe else None])
    deletes = iter([] if probe else [StoreDeniedError("No.")])
    store = AnsweringStore(cast(Minio, None), "alcove", writes=writes, deletes=deletes)
    room = StoreRoom(store, "cup", Metrics(), lambda: None)
    found = []
    for _ in range(3):
        asyncio.run(room.look())
        found.append((room.full, room.trouble and room.trouble.state, has_room(room)))
    if probe:
        assert found == [(True, "full", 0), (True, "full", None), (True, "full", 0)]
    else:
        assert found == [(True, "full", 0), (False, None, None), (False, None, None)]
