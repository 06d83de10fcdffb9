"""Where evidence is read from: a store, or a folder that an archive was unpacked to. Read only."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from alcove_store.client import store_errors, stream
from alcove_store.errors import StoreNotFoundError

if TYPE_CHECKING:
    from minio import Minio

SOLUTIONS = "solutions/"
"""Prefix of keys in the solutions' bucket; no key of the main bucket begins so."""
_PIECE = 1 << 20
_LONGEST_KEY = 1024
"""Bytes, as in S3."""


class EvidenceSource(Protocol):
    """Objects by key, those of the solutions' bucket among them."""

    @property
    def solutions(self) -> bool:
        """Whether solutions can be read here."""

    @property
    def inputs(self) -> bool:
        """Whether the files of datasets are to be read here."""

    def list_sizes(self, prefix: str) -> dict[str, int]:
        """Keys that begin with a prefix, which ends with a slash or is a key, with their sizes in bytes, sorted."""

    def read(self, key: str) -> Iterator[bytes]:
        """Raises StoreNotFoundError, at the latest with the first piece."""


@dataclass(frozen=True)
class StoreSource:
    client: Minio
    bucket: str
    solutions_bucket: str
    inputs: bool = True
    solutions: bool = True

    def list_sizes(self, prefix: str) -> dict[str, int]:
        with store_errors(f"listing {prefix}"):
            listed = self.client.list_objects(self._bucket(prefix), prefix=prefix, recursive=True)
            return {entry.object_name: entry.size or 0 for entry in listed}

    def read(self, key: str) -> Iterator[bytes]:
        return stream(self.client, self._bucket(key), key)

    def _bucket(self, key: str) -> str:
        return self.solutions_bucket if key.startswith(SOLUTIONS) else self.bucket


@dataclass(frozen=True)
class FolderSource:
    """Files whose paths below ``folder`` are the keys. Nothing of the folder may be a link."""

    folder: Path
    inputs: bool
    solutions: bool

    def list_sizes(self, prefix: str) -> dict[str, int]:
        whole = self._find(prefix.removesuffix("/"))
        if whole is None:
            return {}
        found = {prefix: whole.stat().st_size} if whole.is_file() else {}
        for base, _, names in os.walk(whole):
            for name in names:
                path = Path(base, name)
                found[path.relative_to(self.folder).as_posix()] = path.stat().st_size
        return dict(sorted(found.items()))

    def read(self, key: str) -> Iterator[bytes]:
        path = self._find(key)
        if path is None or not path.is_file():
            raise StoreNotFoundError(f"There is no {key} in the archive.")
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    def _find(self, key: str) -> Path | None:
        """None for a key that leads out of the folder: documents of a hostile archive name what they like."""
        if not key:
            return self.folder
        parts = key.split("/")
        inside = not {"", ".", ".."} & set(parts) and "\0" not in key and len(key) <= _LONGEST_KEY
        path = self.folder.joinpath(*parts) if inside else None
        return path if path is not None and os.path.lexists(path) else None


@dataclass
class DigestedPieces:
    """Pieces that are counted and digested as they pass, ``limit`` bytes at most: what is longer is another object."""

    pieces: Iterator[bytes]
    limit: int

    def __post_init__(self) -> None:
        self._digest = hashlib.sha256()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            self.size += len(piece)
            if self.size > self.limit:
                return
            self._digest.update(piece)
            yield piece

    @property
    def sha256(self) -> str:
        """Of what has passed."""
        return self._digest.hexdigest()
