"""What keeps the suite from running at all."""

from __future__ import annotations

from alcove_cli.errors import CommandError, FailedError


class PlaceError(CommandError):
    """There is no release that can be attacked."""


class SuiteError(FailedError):
    """The suite could not get to its end."""
