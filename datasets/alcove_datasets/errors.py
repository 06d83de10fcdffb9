"""The errors of the dataset format and of the object store.

Each says what went wrong, what follows from it and what to do, who is charged, and whether a retry helps.
"""

from __future__ import annotations

import errno
from typing import Literal

ChargedTo = Literal["Participant", "Platform", "Organizer"]


class AlcoveError(Exception):
    """Base of all errors of the dataset format, the operator and the recorder.

    ``str()`` of it is the text for a user: three sentences, cause, consequence and remedy.
    """

    charged_to: ChargedTo = "Platform"
    retriable: bool = False

    def __init__(self, cause: str, *, consequence: str = "", remedy: str = "") -> None:
        super().__init__(cause, consequence, remedy)
        self.cause = cause
        self.consequence = consequence
        self.remedy = remedy

    def __str__(self) -> str:
        return " ".join(part for part in (self.cause, self.consequence, self.remedy) if part)


class DatasetsError(AlcoveError):
    """Base of all errors of this package."""

    charged_to: ChargedTo = "Organizer"


class StoreError(DatasetsError):
    """The object store did not do what was asked of it."""

    charged_to: ChargedTo = "Platform"


class StoreUnavailableError(StoreError):
    """No answer, or one that says "later": connection refused, timeout, 5xx."""

    retriable = True


class StoreDeniedError(StoreError):
    """The credentials were refused: wrong, expired, or not meant for this key."""

    retriable = True
    """Credentials are refreshed while a pod waits, so a later try can succeed."""


class StoreNotFoundError(StoreError):
    """No object under this key."""


class StoreConflictError(StoreError):
    """There is an object under this key already, and it was to be written only once."""


class DigestError(StoreError):
    """The bytes in the store are not those that their digest names."""


class BundleError(DatasetsError):
    """A participant's bundle that cannot be unpacked, or must not be."""

    charged_to: ChargedTo = "Participant"


class BundleTooLargeError(BundleError):
    """More bytes or members than may be unpacked."""


class FormatError(DatasetsError):
    """A dataset on disk that does not follow the format. ``where`` names file and position."""

    def __init__(
        self, where: str, problem: str, *, remedy: str = "Make the file again, or fetch it again."
    ) -> None:
        super().__init__(
            f"{where}: {problem.rstrip('.')}.", consequence="The dataset cannot be used.", remedy=remedy
        )
        self.where = where
        self.problem = problem


class SolutionError(DatasetsError):
    """A solution that is not a table of 0 and 1. ``where`` names file and row."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(
            f"{where}: {problem.rstrip('.')}.",
            consequence="Nothing can be scored with it.",
            remedy="It must have one row a test example, and in it one 0 or 1 a label, with spaces between.",
        )
        self.where = where
        self.problem = problem


class OutputExistsError(DatasetsError):
    """There is something under the final name already; nothing is overwritten."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} is there already.",
            consequence="Nothing was written.",
            remedy="Remove it, or choose another name.",
        )


class FileAccessError(DatasetsError):
    """The system did not let a file be read or written, when a dataset was to be made.

    ``source`` and ``out`` are named where the system names no file: the latter where there is no room.
    """

    def __init__(self, error: OSError, source: str, out: str) -> None:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        no_folder = isinstance(error, FileExistsError | NotADirectoryError)
        where = out if is_full or no_folder else error.filename or source
        super().__init__(
            f"{where}: {'is no folder' if no_folder else error.strerror or error}.",
            consequence="Nothing was written.",
            remedy="Choose another place, or make room." if is_full or no_folder else "Give access to it.",
        )


class UnknownDatasetError(DatasetsError):
    """No practice dataset of this name."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"There is no practice dataset {name!r}.", remedy=f"There are: {', '.join(known)}.")


class SourceError(DatasetsError):
    """What was to be converted is not as a converter needs it. ``where`` names file and position."""

    def __init__(self, where: str, problem: str, *, remedy: str) -> None:
        super().__init__(f"{where}: {problem}.", consequence="Nothing was written.", remedy=remedy)
        self.where = where
        self.problem = problem


class ExchangeError(DatasetsError):
    """A dataset that cannot be pushed under this name, is not offered, or is not what a dataset may be."""
