"""The errors of the runner. Each says what went wrong, what follows from it and what to do.

Whatever ends here ends the run with exit status 1; predictions that were saved before still count.
"""

from __future__ import annotations

from alcove_api.errors import AlcoveError


class IngestionError(AlcoveError):
    """Base of all errors of the runner; ``str()`` of it is the text for a user."""


class ModelError(IngestionError):
    """The code has no usable ``Model``."""


class InvalidPredictionError(IngestionError):
    """What ``test`` returned is not a prediction for this dataset."""


class ParticipantCodeError(IngestionError):
    """The participant's code raised; ``str()`` is its traceback, without frames of ours or of libraries."""


class GoError(IngestionError):
    """The supervisor did not give the go."""


class IngestionSettingsError(IngestionError):
    """An environment variable is missing or wrong."""
