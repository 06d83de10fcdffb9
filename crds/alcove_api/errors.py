"""The base of all errors of Alcove.

Each says what went wrong, what follows from it and what to do, who is charged, and whether a retry helps.
"""

from __future__ import annotations

from typing import Literal

ChargedTo = Literal["Participant", "Platform", "Organizer"]


class AlcoveError(Exception):
    """Base of all errors of the dataset format, the operator and the recorder.

    ``str()`` of it is the text for a user: three sentences, cause, consequence and remedy.
    """

    charged_to: ChargedTo = "Platform"
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
