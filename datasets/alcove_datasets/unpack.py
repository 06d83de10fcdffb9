"""Unpacks a participant's bundle: hostile bytes, read with bounds and written with none of their own ideas.

Only plain files and folders are taken. (The `data` filter of the standard library would do most of it, but Debian
12's Python has none, and it bounds neither sizes nor headers.)
"""

from __future__ import annotations

import errno
import gzip
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, BinaryIO, cast

from .errors import BundleError, BundleTooLargeError

MAX_MEMBERS = 10_000
_HEADER_LIMIT = 256 << 10
"""Bytes of headers that `tarfile` may read for one member: it holds all of them in memory."""
_HEADERS_LIMIT = 2048 * MAX_MEMBERS
"""The same for all members together: parsing headers is the slow part."""
_GLOBAL_HEADERS = 100
_PIECE = 256 << 10
_PATH_LIMIT = 512
_OF_THE_BUNDLE = (None, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL)
"""What its own content can bring about; `gzip` gives none. Anything else, a full disk say, is not its fault."""
_DAMAGED = (tarfile.TarError, zlib.error, EOFError, ValueError, ArithmeticError, LookupError, RecursionError)
"""LookupError: a sparse file that ends too soon."""
_REMEDY = "Make it with `tar -czf bundle.tar.gz -C FOLDER .`, or use `alcove submit`."


_CONSEQUENCE = "Nothing of it was run."


def _bad(cause: str) -> BundleError:
    return BundleError(cause, consequence=_CONSEQUENCE, remedy=_REMEDY)


def _too_large(cause: str) -> BundleError:
    return BundleTooLargeError(cause, consequence=_CONSEQUENCE, remedy="Leave out what is not needed.")


class _Bounded:
    """A decompressed stream that ends in an error past ``limit`` bytes, or past the limits on headers."""

    def __init__(self, stream: gzip.GzipFile, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._headers = 0
        self._headers_until: int | None = None

    @contextmanager
    def header(self) -> Iterator[None]:
        """What is read within is one member's header."""
        self._headers_until = min(self._headers + _HEADER_LIMIT, _HEADERS_LIMIT)
        try:
            yield
        finally:
            self._headers_until = None

    def _check(self, position: int) -> None:
        if position > self._limit:
            raise _too_large(f"The bundle unpacks to more than {self._limit} bytes.")

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            raise _bad("The bundle has a header without an end.")
        if self._headers_until is not None:
            self._headers += size
            if self._headers > self._headers_until:
                raise _bad("The bundle has headers that are far too long.")
        self._check(self._stream.tell() + size)
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._check(offset)
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def unpack(bundle: Path, target: Path, *, limit: int) -> int:
    """Unpacks a .tar.gz below ``target``, files 0444 (0555 where executable), folders 0755; how many files.

    Raises :class:`BundleError` where it is damaged, unpacks to more than ``limit`` bytes or 10,000 members, or
    holds a link, a device, a sparse file, or a path that leaves ``target``.
    """
    with bundle.open("rb") as stream, _faults_named():
        return sum(
            _extract(archive, member, parts, target) for archive, member, parts in _members(stream, limit)
        )


def file_names(bundle: BinaryIO, *, limit: int) -> list[str]:
    """Paths of the files in a bundle, in order, with nothing unpacked. Little memory, whatever it holds.

    Raises :class:`BundleError` as :func:`unpack` does.
    """
    with _faults_named():
        return ["/".join(parts) for _, member, parts in _members(bundle, limit) if member.isreg()]


@contextmanager
def _faults_named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _OF_THE_BUNDLE:
            raise
        raise _bad(f"The bundle cannot be unpacked ({error.strerror or type(error).__name__}).") from error
    except _DAMAGED as error:
        raise _bad(f"The bundle is not a readable .tar.gz ({type(error).__name__}).") from error


def _members(bundle: BinaryIO, limit: int) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo, list[str]]]:
    """Each member that may be taken, with the parts of its path."""
    # A tar file has a header of 512 bytes a member, rounding, and an end, beside its content.
    whole = limit + 2048 * MAX_MEMBERS
    total = 0
    with gzip.GzipFile(fileobj=bundle, mode="rb") as stream:
        bounded = _Bounded(stream, whole)
        with bounded.header():  # the first one is read on opening
            archive = tarfile.TarFile(fileobj=cast(IO[bytes], bounded))
        with archive:
            for number in count():
                with bounded.header():
                    member = archive.next()
                if member is None:
                    return
                # It would keep every member, and copies global headers for each that follows.
                archive.members.clear()  # type: ignore[attr-defined]
                if len(archive.pax_headers) > _GLOBAL_HEADERS:
                    raise _bad("The bundle has more global headers than any archiver writes.")
                total += max(0, member.size)
                if number >= MAX_MEMBERS or total > limit:
                    raise _too_large(
                        f"The bundle has more than {MAX_MEMBERS} members, or {limit} bytes unpacked."
                    )
                yield archive, member, _parts(member)


def _parts(member: tarfile.TarInfo) -> list[str]:
    shown = "".join(c if c.isprintable() else "?" for c in member.name[:100])
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if member.name.startswith("/") or ".." in parts or "\0" in member.name or len(member.name) > _PATH_LIMIT:
        raise _bad(f"The bundle holds the path {shown!r}, which leads out of it or is too long.")
    if not member.isdir() and (not member.isreg() or member.issparse() or not parts):
        raise _bad(f"The bundle holds {shown!r}, which is neither a plain file nor a folder.")
    return parts


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, parts: list[str], target: Path) -> int:
    path = target.joinpath(*parts)
    if member.isdir():
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        return 0
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    # The folder was empty and links are refused, so no path can lead out; a name that comes twice is an error.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        source = archive.extractfile(member)
        assert source is not None
        left = member.size
        while left:
            piece = source.read(min(_PIECE, left))
            if not piece:
                raise _bad(f"The bundle ends within {path.name!r}.")
            output.write(piece)
            left -= len(piece)
        os.fchmod(output.fileno(), 0o555 if member.mode & 0o100 else 0o444)
    return 1
