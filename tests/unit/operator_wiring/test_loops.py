"""How the operator is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from alcove_operator.loops import stop_signal


@pytest.mark.parametrize("started", [False, True])
def test_a_signal_ends_it_also_before_kopf_has_started(started: bool) -> None:
    """Kopf takes seconds where there are thousands of teams. A process that the signal killed would keep its lease."""

    async def scenario() -> None:
        has_started = asyncio.Event()
        waiting = asyncio.create_task(stop_signal(has_started))
        if started:
            has_started.set()
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(10):
            await waiting

    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        asyncio.run(scenario())
    finally:
        signal.signal(signal.SIGTERM, before)
