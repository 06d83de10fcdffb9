"""The go: the moment from which everything is charged. See docs/contracts.md, "Supervisor"."""

from __future__ import annotations

import os
import time
from collections.abc import MutableMapping
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


def wait_for_go(environment: MutableMapping[str, str]) -> Clock:
    """Asks the supervisor for the go on the socket that ``ALCOVE_GO_FD`` numbers; waits for it.

    Without a supervisor (on a laptop) the clock starts at once, with ``ALCOVE_BUDGET`` seconds if set.

    Raises:
        GoError: the supervisor closed the socket, or answered something else.
        IngestionSettingsError: ALCOVE_BUDGET is not a number.
    """
    number = environment.pop("ALCOVE_GO_FD", None)
    if number is None:
        return Clock(time.monotonic_ns(), _budget(environment))
    descriptor = int(number)
    try:
        os.write(descriptor, b"go\n")
        answer = b""
        while not answer.endswith(b"\n"):
            received = os.read(descriptor, 256)
            if not received:
                raise GoError("The supervisor closed the connection before it gave the go. Run it again.")
            answer += received
    except OSError as error:
        raise GoError(f"The supervisor cannot be asked for the go ({error}). Run it again.") from None
    finally:
        os.close(descriptor)
    match answer.split():
        case [b"started", t0, budget] if t0.isdigit() and budget.isdigit():
            return Clock(int(t0), int(budget) or None)
        case _:
            raise GoError(f"The supervisor answered {answer!r} when asked for the go. Run it again.")


def _budget(environment: MutableMapping[str, str]) -> int | None:
    text = environment.get("ALCOVE_BUDGET")
    if not text:
        return None
    try:
        return int(float(text) * 1e9)
    except ValueError:
        raise IngestionSettingsError(f"ALCOVE_BUDGET is {text!r}: set it to a number of seconds.") from None
