"""What the event loop's time goes into: the processor time of a turn, and how long the loop stands still."""

from __future__ import annotations

import asyncio
import time
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")
LOOK_SECONDS = 0.02


@types.coroutine
def measure_turn(turn: Coroutine[Any, Any, T], tell: Callable[[float], None]) -> Generator[Any, Any, T]:
    """Awaits ``turn``, then tells the seconds of processor time that it took, without those in which it waited."""
    spent, answer, thrown = 0.0, None, None
    try:
        while True:
            began = time.thread_time()
            try:
                waits = turn.send(answer) if thrown is None else turn.throw(thrown)
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                spent += time.thread_time() - began
            answer, thrown = None, None
            try:
                answer = yield waits
            except BaseException as error:
                thrown = error
    finally:
        tell(spent)


async def watch_standstills(tell: Callable[[float], None]) -> None:
    """For ever; tells for how many seconds the event loop was kept from what was due.

    Of that only the processor time of this thread, since a machine that has other work is nobody's standstill.
    """
    while True:
        due, worked = time.monotonic() + LOOK_SECONDS, time.thread_time()
        await asyncio.sleep(LOOK_SECONDS)
        late = time.monotonic() - due
        tell(max(0.0, min(late, time.thread_time() - worked)))
