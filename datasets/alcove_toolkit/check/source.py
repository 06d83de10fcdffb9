"""Where the bytes of a dataset come from: a folder here; the job that checks what was published has its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from alcove_format.errors import FormatError, SolutionError
from alcove_format.metadata import Metadata
from alcove_format.reader import DataFolder, Part

PartName = Literal["train", "test"]
PARTS: tuple[PartName, ...] = ("train", "test")


@dataclass(frozen=True)
class SampleFile:
    path: str
    """In the dataset: ``train/sample-00000``."""
    bytes: int


class Source(Protocol):
    """A dataset to be checked. Each file is opened once and read front to back."""

    @property
    def solution_name(self) -> str:
        """For messages."""
        ...

    def metadata(self, part: PartName) -> Metadata:
        """Raises FormatError."""
        ...

    def files(self, part: PartName) -> Sequence[SampleFile]:
        """In the order of their names, which is that of the examples."""
        ...

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Raises FormatError, at the latest on leaving, where the file cannot be read or is not what it should be."""
        ...

    def solution(self) -> bytes:
        """Raises SolutionError."""
        ...


@dataclass(frozen=True)
class FolderSource:
    """A folder ``NAME.data`` and a solution file."""

    folder: DataFolder
    solution_path: Path

    @property
    def solution_name(self) -> str:
        return self.solution_path.name

    def metadata(self, part: PartName) -> Metadata:
        return self._part(part).metadata

    def files(self, part: PartName) -> Sequence[SampleFile]:
        return [SampleFile(f"{part}/{file.name}", file.stat().st_size) for file in self._part(part).files]

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        try:
            with (self.folder.path / path).open("rb", buffering=1 << 20) as file:
                yield file
        except OSError as error:
            raise FormatError(path, f"cannot be read: {error.strerror}", remedy="Make it readable.") from None

    def solution(self) -> bytes:
        try:
            return self.solution_path.read_bytes()
        except OSError as error:
            raise SolutionError(self.solution_name, f"cannot be read: {error.strerror}.") from None

    def _part(self, part: PartName) -> Part:
        return self.folder.train if part == "train" else self.folder.test
