"""The errors of the recorder."""

from __future__ import annotations

from typing import Literal

ChargedTo = Literal["Participant", "Platform", "Organizer"]


class RecorderError(Exception):
    """The recorder cannot do its work. ``str()`` of it is one or more sentences for a person."""

    charged_to: ChargedTo = "Platform"
    retriable: bool = True

    def __init__(self, cause: str, *, consequence: str = "", remedy: str = "") -> None:
        super().__init__(cause, consequence, remedy)
        self.cause = cause
        self.consequence = consequence
        self.remedy = remedy

    def __str__(self) -> str:
        return " ".join(part for part in (self.cause, self.consequence, self.remedy) if part)


class SettingsError(RecorderError):
    """The environment does not say what to record."""

    retriable = False


class RefusedError(RecorderError):
    """A prediction file that does not count; its cause is what the participant is shown."""

    charged_to: ChargedTo = "Participant"
    retriable = False


class SinkError(RecorderError):
    """Something could not be written to the store. Always worth another try while there is time."""
