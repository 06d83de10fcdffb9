"""Packs files into the archives that code and evidence travel in; :mod:`.unpack` takes them apart."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from alcove_store.errors import StoreError


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """A ``.tar.gz`` of files by path: the same bytes for the same files, whoever packs them, when and where."""
    packed = io.BytesIO()
    write_archive(packed, ((path, len(data), iter((data,))) for path, data in sorted(files.items())), level=9)
    return packed.getvalue()


def write_archive(output: BinaryIO, files: Iterable[tuple[str, int, Iterator[bytes]]], *, level: int) -> None:
    """Writes a ``.tar.gz`` as its files come; holds a piece of one in memory, and the same files give the same bytes.

    Args:
        output: takes the archive; stays open.
        files: path, size in bytes and content of each, in their order in the archive.
        level: of the compression, from 1 to 9.

    Raises:
        StoreError: a file has another size than was said.
    """
    with (
        # Without a name, and the time of 1970: a file object's own would be in the header.
        gzip.GzipFile(filename="", fileobj=output, mode="wb", compresslevel=level, mtime=0) as compressed,
        # Not the plain format, which has no room for names of more than 100 characters.
        tarfile.open(fileobj=cast(IO[bytes], compressed), mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path, size, pieces in files:
            entry = tarfile.TarInfo(path)
            entry.size = size
            entry.mode = 0o644
            content = _PieceReader(pieces)
            try:
                archive.addfile(entry, cast(IO[bytes], content))
            except OSError as error:
                if content.size >= size:
                    raise
                raise _other_size(path) from error
            if content.read(1):
                raise _other_size(path)
            # It would keep every member.
            archive.members.clear()  # type: ignore[attr-defined]


def _other_size(path: str) -> StoreError:
    return StoreError(
        f"{path} changed while it was packed.",
        consequence="The archive is not whole.",
        remedy="Pack it again.",
    )


@dataclass
class _PieceReader:
    """Pieces as a file that is read."""

    pieces: Iterator[bytes]
    size: int = 0
    """Bytes that were handed out."""
    _piece: bytes = b""
    _place: int = 0

    def read(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size:
            if self._place == len(self._piece):
                self._piece, self._place = next(self.pieces, b""), 0
                if not self._piece:
                    break
            part = self._piece[self._place : self._place + size]
            self._place += len(part)
            size -= len(part)
            parts.append(part)
        found = b"".join(parts)
        self.size += len(found)
        return found
