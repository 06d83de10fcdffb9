"""The go: the moment from which everything is charged. See docs/contracts.md, "Supervisor"."""

from __future__ import annotations

import os
import time
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass

from alcove_ingestion.errors import GoError, IngestionSettingsError


@dataclass(frozen=True)
class Clock:
    """When the budget began and how much there is, on CLOCK_MONOTONIC, in nanoseconds."""

    t0_ns: int
    budget_ns: int | None
    """None where the participant is not told."""

    def elapsed(self) -> float:
        """Seconds since the go."""
        return (time.monotonic_ns() - self.t0_ns) / 1e9

    def remaining(self) -> float | None:
        """Seconds left, negative once it is over; None where the budget is not told."""
        return None if self.budget_ns is None else self.budget_ns / 1e9 - self.elapsed()


class Supervisor:
    """The other end of the socket that ``ALCOVE_GO_FD`` numbers; none on a laptop without a supervisor.

    What it needs of the environment is read at once: later the participant's code may have changed it.

    Raises:
        IngestionSettingsError: ALCOVE_BUDGET is not a number.
    """

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        number = environment.pop("ALCOVE_GO_FD", None)
        self._descriptor = None if number is None else int(number)
        self._budget = None if number is not None else _budget(environment)

    def ask_to_construct(self) -> None:
        """Asks that the participant's constructor may run before the go; waits for the answer.

        Raises:
            GoError: the supervisor closed the socket, or answered something else.
        """
        if self._descriptor is not None and (answer := self._ask(b"construct\n")) != b"constructing\n":
            raise GoError(f"The supervisor answered {answer!r} when asked to construct. Run it again.")

    def wait_for_go(self) -> Clock:
        """Asks for the go, and waits for it.

        Without a supervisor the clock starts at once, with ``ALCOVE_BUDGET`` seconds if set.

        Raises:
            GoError: the supervisor closed the socket, or answered something else.
        """
        if self._descriptor is None:
            return Clock(time.monotonic_ns(), self._budget)
        answer = self._ask(b"go\n")
        with suppress(OSError):
            os.close(self._descriptor)
        match answer.split():
            case [b"started", t0, budget] if t0.isdigit() and budget.isdigit():
                return Clock(int(t0), int(budget) or None)
            case _:
                raise GoError(f"The supervisor answered {answer!r} when asked for the go. Run it again.")

    def _ask(self, line: bytes) -> bytes:
        assert self._descriptor is not None
        answer = b""
        try:
            # After the free time it has given the go without being asked, and has closed its end.
            with suppress(BrokenPipeError):
                os.write(self._descriptor, line)
            while not answer.endswith(b"\n"):
                received = os.read(self._descriptor, 256)
                if not received:
                    raise GoError("The supervisor closed the connection before it gave the go. Run it again.")
                answer += received
        except OSError as error:
            raise GoError(f"The supervisor cannot be asked for the go ({error}). Run it again.") from None
        return answer


def _budget(environment: MutableMapping[str, str]) -> int | None:
    text = environment.get("ALCOVE_BUDGET")
    if not text:
        return None
    try:
        return int(float(text) * 1e9)
    except ValueError:
        raise IngestionSettingsError(f"ALCOVE_BUDGET is {text!r}: set it to a number of seconds.") from None
