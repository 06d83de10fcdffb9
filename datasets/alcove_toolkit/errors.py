"""The errors of converting, making and exchanging datasets."""

from __future__ import annotations

import errno

from alcove_api.errors import AlcoveError


class FileAccessError(AlcoveError):
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


class UnknownDatasetError(AlcoveError):
    """No practice dataset of this name."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"There is no practice dataset {name!r}.", remedy=f"There are: {', '.join(known)}.")


class SourceError(AlcoveError):
    """What was to be converted is not as a converter needs it. ``where`` names file and position."""

    def __init__(self, where: str, problem: str, *, remedy: str) -> None:
        super().__init__(f"{where}: {problem}.", consequence="Nothing was written.", remedy=remedy)
        self.where = where
        self.problem = problem


class ExchangeError(AlcoveError):
    """A dataset that cannot be pushed under this name, is not offered, or is not what a dataset may be."""
