"""The one retry loop: what may work later is tried again, with growing pauses, for a bounded time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

from alcove_api.errors import AlcoveError

_T = TypeVar("_T")
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds; each pause is twice the one before."""


def retry(
    action: Callable[[], _T],
    patience: float,
    say: Callable[[str], None] = lambda _text: None,
    may_repeat: Callable[[AlcoveError], bool] = lambda error: error.retriable,
) -> _T:
    """What ``action`` returns, once it does.

    Raises its last :class:`AlcoveError` where that may not be repeated, or about ``patience`` seconds after the
    *first*: what takes long before it fails, such as a large download, gets its time.
    """
    pause, deadline = FIRST_PAUSE, math.inf
    while True:
        try:
            return action()
        except AlcoveError as error:
            deadline = min(deadline, time.monotonic() + patience)
            wait = max(pause, error.retry_after)
            if not may_repeat(error) or time.monotonic() + wait > deadline:
                raise
            say(f"{error} Trying again.")
            time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE)
