"""The errors of the recorder."""

from __future__ import annotations

from alcove_api.errors import AlcoveError, ChargedTo


class RecorderError(AlcoveError):
    """The recorder cannot do its work. ``str()`` of it is one or more sentences for a person."""

    retriable: bool = True


class SettingsError(RecorderError):
    """The environment does not say what to record."""

    retriable = False


class RefusedError(RecorderError):
    """A prediction file that does not count; its cause is what the participant is shown."""

    charged_to: ChargedTo = "Participant"
    retriable = False


class SinkError(RecorderError):
    """Something could not be written to the store. Always worth another try while there is time."""
