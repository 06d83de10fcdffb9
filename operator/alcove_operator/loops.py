"""The loops of the operator side by side, until one ends."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any


async def stop_signal(started: asyncio.Event) -> None:
    """Ends on SIGTERM or SIGINT. Kopf's own handlers, which take the place of these until it has ``started``, and then
    are replaced, take seconds to let go."""
    stop = asyncio.Event()
    _hear_signals(stop)
    waits = [asyncio.create_task(event.wait()) for event in (started, stop)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    _hear_signals(stop)
    await stop.wait()


def _hear_signals(stop: asyncio.Event) -> None:
    for which in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(which, stop.set)


async def first_of(loops: list[Coroutine[Any, Any, None]]) -> None:
    """Runs all until one ends, then stops the others. Raises what that one raised."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        # On a signal kopf cancels, beside its own tasks, those that others started after it.
        if not task.cancelled():
            task.result()
