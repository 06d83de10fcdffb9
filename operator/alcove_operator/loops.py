"""The loops of the operator side by side, until one ends."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any


async def stop_signal(started: asyncio.Event) -> None:
    """Ends on SIGTERM or SIGINT. Kopf's own handlers, which it replaces once it has started, take seconds to let go."""
    await started.wait()
    stop = asyncio.Event()
    for which in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(which, stop.set)
    await stop.wait()


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
