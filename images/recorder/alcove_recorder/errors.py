"""The errors of the recorder."""

from __future__ import annotations

from alcove_api.errors import AlcoveError


class RecorderSettingsError(AlcoveError):
    """The environment does not say what to record."""


class RefusedError(AlcoveError):
    """A prediction file that does not count; its cause is what the participant is shown."""


class UploadError(AlcoveError):
    """Something could not be written to the store; it is tried again for as long as there is time.

    ``full``: whether there is no room for it.
    """

    def __init__(self, cause: str, *, full: bool = False) -> None:
        super().__init__(cause)
        self.full = full
