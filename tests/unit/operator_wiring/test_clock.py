"""The operator's time of day is the API server's, whatever happens to the clock of its own machine."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from alcove_operator import clock
from alcove_operator.clock import AGREE, ServerClock

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


class Times:
    """Both clocks of a machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.monotonic = NOON, 1000.0
        monkeypatch.setattr(clock, "utc_now", lambda: self.wall)
        monkeypatch.setattr(time, "monotonic", lambda: self.monotonic)

    def pass_by(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.monotonic += seconds


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    return Times(monkeypatch)


def say(moment: datetime) -> str:
    """As an HTTP server says it."""
    return format_datetime(moment, usegmt=True)


def test_a_clock_that_agrees_is_believed_to_the_microsecond(times: Times) -> None:
    found = ServerClock()
    assert found.now() == times.wall, "no answer has come yet"
    times.wall += timedelta(microseconds=700_001)
    found.hear(say(NOON))
    assert found.now() == times.wall


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_step_of_the_machines_clock_changes_nothing(times: Times, hours: int) -> None:
    found = ServerClock()
    found.hear(say(NOON))
    times.wall += timedelta(hours=hours)
    assert found.now() == NOON, "before another answer"
    times.pass_by(7.5)
    assert found.now() == NOON + timedelta(seconds=7.5)
    found.hear(say(NOON + timedelta(seconds=8)))
    assert found.now() == NOON + timedelta(seconds=8)
    times.wall -= timedelta(hours=hours)
    assert found.now() == times.wall, "it is right again"


@pytest.mark.usefixtures("times")
def test_the_api_server_is_followed_where_its_clock_was_set_right() -> None:
    found = ServerClock()
    found.hear(say(NOON - timedelta(hours=1)))
    assert found.now() == NOON - timedelta(hours=1)
    found.hear(say(NOON))
    assert found.now() == NOON


@pytest.mark.usefixtures("times")
def test_an_answer_that_was_long_on_its_way_makes_no_other_time() -> None:
    found = ServerClock()
    found.hear(say(NOON - AGREE + timedelta(seconds=1)))
    assert found.now() == NOON


@pytest.mark.usefixtures("times")
@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_an_answer_without_a_date_is_no_answer(date: str | None) -> None:
    found = ServerClock()
    found.hear(date)
    assert found.now() == NOON
    found.hear(say(NOON - timedelta(hours=1)))
    found.hear(date)
    assert found.now() == NOON - timedelta(hours=1)
