"""Arrays of NumPy's formats, read a row at a time: ``.npy``, and members of ``.npz``."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from alcove_toolkit.errors import SourceError


@dataclass(frozen=True)
class ArrayFile:
    """One array on disk, whose header alone has been read."""

    path: Path
    member: str
    """Of an ``.npz``; empty for an ``.npy``."""
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @property
    def where(self) -> str:
        return f"{self.path}, {self.member.removesuffix('.npy')}" if self.member else str(self.path)

    def rows(self) -> Iterator[npt.NDArray[np.generic]]:
        """Yields what lies along the first axis, in order; raises SourceError where the file ends too early."""
        size = int(np.prod(self.shape[1:])) * self.dtype.itemsize
        with _open(self.path, self.member) as file, _errors(self.where):
            _, _, fortran = _header(file, self.where)
            if fortran:
                yield from self._columns(file)
                return
            for number in range(self.shape[0]):
                data = file.read(size)
                if len(data) < size:
                    raise SourceError(
                        f"{self.where}, row {number}", "the file ends too early", remedy="Save it again."
                    )
                yield np.frombuffer(data, self.dtype).reshape(self.shape[1:])

    def _columns(self, file: IO[bytes]) -> Iterator[npt.NDArray[np.generic]]:
        """The rows of an array that is stored column by column, as NumPy saves a data frame: from the disk where it
        is a file of its own, else all of it in memory."""
        if not self.member:
            table: npt.NDArray[np.generic] = np.memmap(
                self.path, self.dtype, "r", file.tell(), self.shape, "F"
            )
        else:
            table = np.frombuffer(file.read(), self.dtype).reshape(self.shape, order="F")
        yield from map(np.ascontiguousarray, table)

    def whole(self) -> npt.NDArray[np.generic]:
        """All of it, in memory."""
        return np.array(list(self.rows()), self.dtype).reshape(self.shape)


def open_arrays(path: Path) -> dict[str, ArrayFile]:
    """The arrays of an ``.npz`` by name; of an ``.npy`` the one, named ``X``.

    Raises:
        SourceError: it is neither, is damaged, or holds Python objects.
    """
    if not zipfile.is_zipfile(path):
        return {"X": _array(path, "")}
    with _errors(str(path)), zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.endswith(".npy")]
    return {name.removesuffix(".npy"): _array(path, name) for name in members}


def _array(path: Path, member: str) -> ArrayFile:
    where = f"{path}, {member}" if member else str(path)
    with _open(path, member) as file, _errors(where):
        shape, dtype, _ = _header(file, where)
    return ArrayFile(path, member, shape, dtype)


def _header(file: IO[bytes], where: str) -> tuple[tuple[int, ...], np.dtype[np.generic], bool]:
    """Shape, type, and whether it is stored column by column."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise SourceError(where, "holds Python objects", remedy="Save arrays of numbers or texts.")
    return shape, dtype, fortran and len(shape) > 1


@contextmanager
def _open(path: Path, member: str) -> Iterator[IO[bytes]]:
    if not member:
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
        yield stream


@contextmanager
def _errors(where: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        problem = str(error).splitlines()[0]
        raise SourceError(
            where,
            f"cannot be read as an array ({problem})",
            remedy="Save it with numpy.save or numpy.savez.",
        ) from None
