"""An event loop whose clock jumps to the next timer when there is nothing to do: hours pass in milliseconds.

Everything runs in one thread, and in the same order each time, so a schedule that fails fails again.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


BUSY = 20_000
"""Rounds of the event loop in a row without a wait: more than this is a loop that never waits."""
RESOLUTION = 1e-9


class _JumpingSelector(selectors.DefaultSelector):
    loop: VirtualTimeLoop
    rounds = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing will ever happen again: every task waits for another"
        self.rounds = 0 if timeout > 0 else self.rounds + 1
        assert self.rounds < BUSY, "the operator is busy without end, and no time passes"
        # As on a real clock, no round takes no time at all: asyncio runs timers that are due within its clock's
        # resolution, and whoever then finds that its moment has not quite come would ask again for ever.
        self.loop.now += max(RESOLUTION, timeout)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        self.now = 0.0
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """At once, in this thread: what blocks in production takes no time here."""
        assert executor is None
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


def run(test: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(test)


async def wait_until(what: str, look: Callable[[], object], seconds: float) -> None:
    """Returns once ``look`` finds something true; fails after ``seconds`` on the virtual clock."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not look():
        assert loop.time() < deadline, f"waited {seconds} s in vain: {what}"
        await asyncio.sleep(0.25)
