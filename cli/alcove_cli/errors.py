"""What goes wrong at the command line, said in one sentence that ends with what to do."""

from __future__ import annotations


class CommandError(Exception):
    """Ends a command with one line on stderr and exit status 2: it was used wrongly."""

    exit_status = 2


class FailedError(CommandError):
    """The same with exit status 1: it was used rightly, and failed."""

    exit_status = 1
