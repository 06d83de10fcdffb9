"""What goes wrong at the command line, told in sentences that end with what to do."""

from __future__ import annotations

from alcove_api.errors import AlcoveError
from alcove_store.errors import StoreDeniedError


class CommandError(AlcoveError):
    """Ends a command with its text on stderr and exit status 2: it was used wrongly."""

    exit_status = 2


class FailedError(CommandError):
    """The same with exit status 1: it was used rightly, and failed."""

    exit_status = 1


class FaultError(CommandError):
    """The same with exit status 3: Alcove, or the machine, could not do its work. It is neither yes nor no."""

    exit_status = 3


def exit_status(error: AlcoveError) -> int:
    """3 where something did not answer, so that the same command may work later; 1 where the store refused a right;
    2 where it has to be another command.
    """
    if isinstance(error, CommandError):
        return error.exit_status
    if isinstance(error, StoreDeniedError):
        return FailedError.exit_status
    return FaultError.exit_status if _may_work_later(error) else CommandError.exit_status


def _may_work_later(error: AlcoveError) -> bool:
    """A refused right is worth another try in a pod, whose credentials are renewed. Whoever types has one pair."""
    return error.retriable and not isinstance(error, StoreDeniedError)


def choose_failure(error: AlcoveError) -> type[CommandError]:
    """What a command raises in place of an error that it adds something to: with status 3 where something did not
    answer, else 1."""
    return FaultError if _may_work_later(error) else FailedError
