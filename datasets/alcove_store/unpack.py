"""Unpacks an archive: hostile bytes, read with bounds and written with none of their own ideas.

Only plain files and folders are taken. (The `data` filter of the standard library would do most of it, but Debian
12's Python has none, and it bounds neither sizes nor headers.)
"""

from __future__ import annotations

import errno
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, BinaryIO, cast

from alcove_store.errors import BundleError, BundleTooLargeError

MAX_MEMBERS = 10_000
_HEADER_LIMIT = 256 << 10
"""Bytes of headers that `tarfile` may read for one member: it holds all of them in memory."""
_HEADERS_OF_MEMBER = 2048
"""The same for a member on average, over all of them: parsing headers is the slow part."""
_GLOBAL_HEADERS = 100
_PIECE = 256 << 10
_PACKED_PIECE = 8 << 10
"""Small, since what of it is not needed yet is copied at each read."""
_PATH_LIMIT = 512
_PART_LIMIT = 255
"""Bytes that Linux lets a name have, between two slashes."""
_OF_THE_BUNDLE = (None, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL)
"""What its own content can bring about. Anything else, a full disk say, is not its fault."""
_DAMAGED = (tarfile.TarError, zlib.error, EOFError, ValueError, ArithmeticError, LookupError, RecursionError)
"""LookupError: a sparse file that ends too soon."""
_REMEDY = "Make it with `tar -czf bundle.tar.gz -C FOLDER .`, or use `alcove submit`."


_CONSEQUENCE = "Nothing of it was run."


def _bad(cause: str) -> BundleError:
    return BundleError(cause, consequence=_CONSEQUENCE, remedy=_REMEDY)


def _too_large(cause: str) -> BundleError:
    return BundleTooLargeError(cause, consequence=_CONSEQUENCE, remedy="Leave out what is not needed.")


class _Bounded:
    """A decompressed stream, read forwards, that ends in an error past ``limit`` bytes, or past the limits on headers.

    One gzip stream and no more: empty ones in a row give nothing, so no limit on what comes out would end them, and
    `gzip` of the standard library takes minutes over what fits a bundle.
    """

    def __init__(self, packed: BinaryIO, limit: int, headers_limit: int) -> None:
        self._packed = packed
        self._inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        self._position = 0
        self._limit = limit
        self._headers_limit = headers_limit
        self._headers = 0
        self._headers_until: int | None = None

    @contextmanager
    def header(self) -> Iterator[None]:
        """What is read within is one member's header."""
        self._headers_until = min(self._headers + _HEADER_LIMIT, self._headers_limit)
        try:
            yield
        finally:
            self._headers_until = None

    def _check(self, position: int) -> None:
        if position > self._limit:
            raise _too_large(f"The archive unpacks to more than {self._limit} bytes.")

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            raise _bad("The archive has a header without an end.")
        if self._headers_until is not None:
            self._headers += size
            if self._headers > self._headers_until:
                raise _bad("The archive has headers that are far too long.")
        return self._take(size)

    def _take(self, size: int) -> bytes:
        self._check(self._position + size)
        found = b"".join(self._pieces(size))
        self._position += len(found)
        return found

    def _pieces(self, left: int) -> Iterator[bytes]:
        """``left`` bytes, or fewer at the end. Raises EOFError where the gzip stream is cut short."""
        while left and not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._packed.read(_PACKED_PIECE)
            piece = self._inflate.decompress(packed, left)
            if not packed and not piece:
                raise EOFError
            left -= len(piece)
            yield piece
        if left and self._inflate.unused_data.strip(b"\0"):
            raise _bad("The archive is several gzip streams, one behind the other.")

    def seek(self, offset: int) -> None:
        self._check(offset)
        if offset < self._position:
            raise _bad("The archive has a member of negative size.")
        # What is passed over on the way to a header is the member before it, and nobody holds it.
        while self._position < offset and self._take(min(_PIECE, offset - self._position)):
            pass

    def tell(self) -> int:
        return self._position


def unpack(bundle: Path, target: Path, *, limit: int, members: int = MAX_MEMBERS) -> int:
    """Unpacks a .tar.gz below ``target``, files 0444 (0555 where executable), folders 0755; how many files.

    Raises :class:`BundleError` where it is damaged, unpacks to more than ``limit`` bytes, ``members`` members
    or as many folders, or holds a link, a device, a sparse file, a path twice, or one that leaves ``target``.
    """
    with bundle.open("rb") as stream, _faults_named():
        return sum(
            _extract(archive, member, parts, target)
            for archive, member, parts in _members(stream, limit, members)
        )


def file_names(bundle: BinaryIO, *, limit: int) -> list[str]:
    """Paths of the files in a bundle, in order, with nothing unpacked. Little memory, whatever it holds.

    Raises :class:`BundleError` as :func:`unpack` does.
    """
    with _faults_named():
        return [
            "/".join(parts) for _, member, parts in _members(bundle, limit, MAX_MEMBERS) if member.isreg()
        ]


@contextmanager
def _faults_named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _OF_THE_BUNDLE:
            raise
        raise _bad(f"The archive cannot be unpacked ({error.strerror or type(error).__name__}).") from error
    except _DAMAGED as error:
        raise _bad(f"The archive is not a readable .tar.gz ({type(error).__name__}).") from error


def _members(
    bundle: BinaryIO, limit: int, most: int
) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo, list[str]]]:
    """Each member that may be taken, with the parts of its path."""
    # A tar file has a header of 512 bytes a member, rounding, and an end, beside its content.
    whole = limit + 2048 * most
    total = 0
    paths = _Paths(most)
    bounded = _Bounded(bundle, whole, _HEADERS_OF_MEMBER * most)
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
                raise _bad("The archive has more global headers than any archiver writes.")
            total += max(0, member.size)
            if number >= most or total > limit:
                raise _too_large(f"The archive has more than {most} members, or {limit} bytes unpacked.")
            parts = _parts(member)
            paths.add(member, parts)
            yield archive, member, parts


class _Paths:
    """Files and folders of an archive so far: what a file system would refuse to make is known without one."""

    def __init__(self, most: int) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._most = most

    def add(self, member: tarfile.TarInfo, parts: list[str]) -> None:
        """Raises BundleError where a file comes twice or is a folder too, or where there are too many folders."""
        path = "/".join(parts)
        folders = {"/".join(parts[:depth]) for depth in range(1, len(parts) + member.isdir())}
        new_file = set() if member.isdir() else {path}
        if not self._files.isdisjoint(folders | new_file) or not self._folders.isdisjoint(new_file):
            raise _bad(f"The archive holds {_shown(member)} more than once, or as a file and as a folder.")
        self._files |= new_file
        # A node has so many inodes and no more, and few bytes of a header name many folders.
        self._folders |= folders
        if len(self._folders) > self._most:
            raise _too_large(f"The archive has more than {self._most} folders.")


def _shown(member: tarfile.TarInfo) -> str:
    return repr("".join(c if c.isprintable() else "?" for c in member.name[:100]))


def _parts(member: tarfile.TarInfo) -> list[str]:
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if member.name.startswith("/") or ".." in parts or "\0" in member.name or len(member.name) > _PATH_LIMIT:
        raise _bad(f"The archive holds the path {_shown(member)}, which leads out of it or is too long.")
    if any(len(os.fsencode(part)) > _PART_LIMIT for part in parts):
        raise _bad(
            f"The archive holds the path {_shown(member)}, of which a part is too long for a file's name."
        )
    if not member.isdir() and (not member.isreg() or member.issparse() or not parts):
        raise _bad(f"The archive holds {_shown(member)}, which is neither a plain file nor a folder.")
    return parts


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, parts: list[str], target: Path) -> int:
    path = target.joinpath(*parts)
    if member.isdir():
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        return 0
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    # The folder was empty and links are refused, so no path can lead out.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        source = archive.extractfile(member)
        assert source is not None
        left = member.size
        while left:
            piece = source.read(min(_PIECE, left))
            if not piece:
                raise _bad(f"The archive ends within {path.name!r}.")
            output.write(piece)
            left -= len(piece)
        os.fchmod(output.fileno(), 0o555 if member.mode & 0o100 else 0o444)
    return 1
