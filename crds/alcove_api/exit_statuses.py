"""Exit statuses by which one part tells another how it ended; docs/contracts.md says when each is given."""

from __future__ import annotations

from enum import IntEnum


class SupervisorExit(IntEnum):
    """Of the participant's container. ``enum exit_status`` in images/supervisor/supervisor.h holds the same."""

    FINISHED = 0
    PROGRAM_FAILED = 10
    SIGNALLED = 11
    BUDGET = 12
    RECORDER_LOST = 20
    NOT_STARTED = 21


class RecorderExit(IntEnum):
    SEALED = 0
    NOT_SEALED = 1
    """It failed, or was stopped before all was uploaded."""
    NOT_STARTED = 2
    NOT_STAGED = 3
    """Nothing was started: its report says why."""


class StageExit(IntEnum):
    """Of the init container that staged data and code in pods of an earlier release."""

    STAGED = 0
    BAD_BUNDLE = 3
    """The participant's bundle is at fault."""
    FAULT = 4
    """The platform is."""


class ScorerExit(IntEnum):
    """Of every job of the scorer."""

    DONE = 0
    UNSOUND = 1
    """``check`` found a dataset that must not be used."""
    WRONG_REQUEST = 2
    """A setting makes no sense; another try would end alike."""
    INPUT_DAMAGED = 3
    """An input is missing or damaged; another try would end alike."""
    AWAY = 4
    """The store or the API server is away: the only end that is worth another try."""
