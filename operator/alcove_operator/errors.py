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


class ApiError(OperatorError):
    """The API server refused a request.

    ``status`` is the HTTP status (0 where there was no answer), ``reason`` the server's one-word reason.
    """

    def __init__(self, cause: str, *, status: int = 0, reason: str = "", remedy: str = "") -> None:
        super().__init__(cause, remedy=remedy)
        self.status = status
        self.reason = reason
        self.retriable = status == 0 or status == 429 or status >= 500

    @property
    def not_found(self) -> bool:
        return self.status == 404

    @property
    def conflict(self) -> bool:
        return self.status == 409


class LeaseLostError(OperatorError):
    """Another operator holds the Lease: this one must stop at once."""
