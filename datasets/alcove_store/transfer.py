"""Moving the files of a dataset to and from the store: several at a time, each checked while it streams."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from alcove_api.documents import FileEntry
from alcove_store.client import store_errors, stream
from alcove_store.errors import DigestError, StoreDeniedError, StoreNotFoundError

if TYPE_CHECKING:
    from minio import Minio

PARALLEL = 4
Say = Callable[[str], None]


class TransferProgress:
    """At most one line a second, from any thread."""

    def __init__(self, files: int, total: int, say: Say) -> None:
        self._lock = threading.Lock()
        self._files, self._total, self._say = files, total, say
        self._files_done = self._done = 0
        self._said = time.monotonic()

    def counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.add(len(piece))
            yield piece

    def add(self, count: int, *, file: bool = False) -> None:
        with self._lock:
            self._done += count
            self._files_done += file
            now = time.monotonic()
            if now - self._said >= 1.0:
                self._said = now
                self._say(
                    f"{self._files_done}/{self._files} files, {self._done >> 20} of {self._total >> 20} MiB"
                )


class CountedSource:
    """A file that tells how much of it was read."""

    def __init__(self, source: BinaryIO, progress: TransferProgress) -> None:
        self._source, self._progress = source, progress

    def read(self, size: int = -1) -> bytes:
        piece = self._source.read(size)
        self._progress.add(len(piece))
        return piece


def is_stored(store: Minio, bucket: str, key: str, sha256: str, size: int) -> bool:
    """Whether the bytes under ``key`` are those of this digest and size: reads them all.

    An ETag or a digest kept beside the object says what was once sent, and what it means differs between servers; only
    reading says what is there now. False where the object may not be read.
    """
    digest = hashlib.sha256()
    try:
        with store_errors(f"looking for {key}"):
            if store.stat_object(bucket, key).size != size:
                return False
        for piece in stream(store, bucket, key):
            digest.update(piece)
    except (StoreNotFoundError, StoreDeniedError):
        return False
    return digest.hexdigest() == sha256


def run_parallel(entries: Sequence[FileEntry], action: Callable[[FileEntry], None]) -> None:
    """Does it with every file, a few at a time, the largest first. The first error ends it, and is raised."""
    pool = ThreadPoolExecutor(PARALLEL)
    try:
        for future in [pool.submit(action, entry) for entry in sorted(entries, key=lambda e: -e.bytes)]:
            future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def save_checked(pieces: Iterator[bytes], path: Path, sha256: str, size: int | None, what: str) -> None:
    """Writes what comes in to ``path``. Raises :class:`DigestError` where it is not of this digest and size."""
    digest, count = hashlib.sha256(), 0
    with path.open("wb") as output:
        for piece in pieces:
            count += len(piece)
            if size is not None and count > size:
                break
            digest.update(piece)
            output.write(piece)
    if digest.hexdigest() != sha256 or size not in (None, count):
        raise DigestError(
            f"{what} in the store is not what its digest says.",
            consequence="It is not used.",
            remedy="Publish it again, or restore that object's first version.",
        )
