"""What a program prints, in the store while it runs. Each upload is the whole log, and a versioned bucket keeps all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

_GROWTH = 1.25


class LiveLog:
    """Bounds the sum of what is uploaded before the seal: 6 × the largest size that the log may have.

    Versions of up to that size in all go whenever something was printed, and then each that is a quarter longer than
    the one before: the sum of such is 5 × the last (a geometric series).
    """

    def __init__(self, path: Path, limit: int) -> None:
        """``limit``: bytes that the log may have."""
        self._path, self._limit = path, limit
        self._uploaded = 0
        """Bytes of the newest version."""
        self._sum = 0
        """Bytes of the versions that went whatever had come."""

    def upload(self, put: Callable[[], None]) -> None:
        """Calls ``put`` where a version is due. What it raises is passed on, and the version is due again."""
        size = self._path.stat().st_size
        grown = size >= self._uploaded * _GROWTH
        if size == self._uploaded or not (grown or self._sum + size <= self._limit):
            return
        put()
        self._sum += 0 if grown else size
        self._uploaded = size
