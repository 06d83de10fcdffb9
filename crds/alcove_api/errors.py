"""The base of all errors of Alcove.

Each says what went wrong, what follows from it, what to do, and whether a retry helps.
"""

from __future__ import annotations


class AlcoveError(Exception):
    """Base of all errors.

    ``str()`` of it is the text for a user: three sentences, cause, consequence and remedy.
    """

    retriable: bool = False
    retry_after: float = 0.0
    """Seconds that whoever refused asks to wait before the next try."""

    def __init__(self, cause: str, *, consequence: str = "", remedy: str = "") -> None:
        super().__init__(cause, consequence, remedy)
        self.cause = cause
        self.consequence = consequence
        self.remedy = remedy

    def __str__(self) -> str:
        return " ".join(part for part in (self.cause, self.consequence, self.remedy) if part)
