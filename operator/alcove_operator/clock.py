"""The time of day: the API server's, where this machine's own clock disagrees with it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

AGREE = timedelta(seconds=30)
"""The API server tells whole seconds, and an answer may be on its way for some: clocks that differ less agree."""


def utc_now() -> datetime:
    """By this machine's own clock."""
    return datetime.now(UTC)


class ServerClock:
    """The time of day as the API server has it, which also says when objects were created.

    Deadlines of pods are compared with such times: a clock of our own that is an hour ahead would end every run.
    Between two answers the monotonic clock goes on, which nobody steps.
    """

    def __init__(self) -> None:
        self._began: datetime | None = None
        """When, by the API server's clock, our monotonic clock began; None before its first answer."""

    def hear(self, date: str | None) -> None:
        """``date``: the header of an answer that has just come. Threads may share it."""
        try:
            told = parsedate_to_datetime(date or "").astimezone(UTC)
        except ValueError:
            return  # of a proxy that leaves it out, or writes it in a way of its own
        self._began = told - timedelta(seconds=time.monotonic())

    def now(self) -> datetime:
        own, began = utc_now(), self._began
        if began is None:
            return own
        told = began + timedelta(seconds=time.monotonic())
        return own if abs(own - told) <= AGREE else told
