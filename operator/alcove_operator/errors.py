"""The operator's errors.

Each says cause, consequence and remedy in one sentence each.
"""

from __future__ import annotations

from alcove_api.errors import AlcoveError


class OperatorError(AlcoveError):
    """Base of all errors of this package; ``str()`` of it is the text for a user."""


class SettingsError(OperatorError):
    """The environment of the operator lacks a setting, or has a wrong one."""


class CodeError(OperatorError):
    """The code of a submission cannot be taken; ``reason`` says it in one CamelCase word."""

    def __init__(self, reason: str, cause: str, *, remedy: str, wait: bool = False) -> None:
        super().__init__(cause, consequence="Nothing was run, and no quota is used up.", remedy=remedy)
        self.reason = reason
        self.wait = wait
        """Whether it may pass by itself."""


class LeaseLostError(OperatorError):
    """Another operator holds the Lease: this one must stop at once."""


class WebhookError(OperatorError):
    """A notice was not taken; it is tried again, within a bound."""
