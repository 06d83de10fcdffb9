"""The operator's errors.

Each says cause, consequence and remedy in one sentence each, who is charged, and whether a retry helps.
"""

from __future__ import annotations

from alcove_api.errors import AlcoveError, ChargedTo


class OperatorError(AlcoveError):
    """Base of all errors of this package; ``str()`` of it is the text for a user."""


class SettingsError(OperatorError):
    """The environment of the operator lacks a setting, or has a wrong one."""

    charged_to: ChargedTo = "Organizer"


class CodeError(OperatorError):
    """The code of a submission cannot be taken; ``reason`` says it in one CamelCase word."""

    charged_to: ChargedTo = "Participant"

    def __init__(self, reason: str, cause: str, *, remedy: str, wait: bool = False) -> None:
        super().__init__(cause, consequence="Nothing was run, and no quota is used up.", remedy=remedy)
        self.reason = reason
        self.wait = wait
        """Whether it may pass by itself."""


class LeaseLostError(OperatorError):
    """Another operator holds the Lease: this one must stop at once."""
