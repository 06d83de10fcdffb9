"""How long something that fails is tried again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from alcove_api import retry as retrying
from alcove_api.retry import retry
from alcove_store.errors import StoreDeniedError, StoreNotFoundError, StoreUnavailableError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Time that passes when it is slept through, or when a test says so."""
    passing = SimpleNamespace(now=100.0)
    passing.monotonic = lambda: passing.now

    def sleep(seconds: float) -> None:
        passing.now += seconds

    passing.sleep = sleep
    monkeypatch.setattr(retrying, "time", passing)
    return passing


def test_patience_begins_with_the_first_failure(clock: SimpleNamespace) -> None:
    """A dataset of many gigabytes takes minutes, and a store that is away for a moment then must not end the run."""
    called_at: list[float] = []

    def download() -> str:
        called_at.append(clock.now)
        clock.now += 300.0
        if len(called_at) == 1:
            raise StoreUnavailableError("away")
        return "done"

    assert retry(download, 60.0, print) == "done"


def test_a_store_that_stays_away_is_given_up(clock: SimpleNamespace) -> None:
    def ask() -> None:
        raise StoreDeniedError("expired")

    with pytest.raises(StoreDeniedError):
        retry(ask, 60.0, print)
    assert 158.0 <= clock.now <= 160.0


def test_what_time_does_not_mend_is_not_tried_again(clock: SimpleNamespace) -> None:
    def ask() -> None:
        raise StoreNotFoundError("gone")

    with pytest.raises(StoreNotFoundError):
        retry(ask, 60.0, print)
    assert clock.now == 100.0


def test_the_wait_that_the_other_side_asks_for_is_kept_unless_patience_is_shorter(
    clock: SimpleNamespace,
) -> None:
    def ask() -> float:
        if clock.now < 105.0:
            error = StoreUnavailableError("later")
            error.retry_after = 5.0
            raise error
        return float(clock.now)

    assert retry(ask, 60.0) == 105.0
    clock.now = 100.0
    with pytest.raises(StoreUnavailableError):
        retry(ask, 4.0)
    assert clock.now == 100.0


def test_only_what_may_be_repeated_is(clock: SimpleNamespace) -> None:
    def ask() -> None:
        raise StoreUnavailableError("half done")

    with pytest.raises(StoreUnavailableError):
        retry(ask, 60.0, may_repeat=lambda _error: False)
    assert clock.now == 100.0
