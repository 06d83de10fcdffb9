"""The check job: a published dataset and its solution, read once from the store, before anyone is scored on them."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from pydantic import ValidationError

from alcove_crds import keys
from alcove_crds.documents import CheckRequest, CheckResult, DatasetManifest, FileEntry
from alcove_datasets.check import PartCheck, result
from alcove_datasets.errors import DatasetsError, FormatError, StoreNotFoundError
from alcove_datasets.metadata import METADATA_FILE, Metadata, read_metadata
from alcove_datasets.store import connect, get_bytes, stream
from alcove_datasets.volume import Volume
from alcove_scorer import jobs
from alcove_scorer.errors import InputError
from alcove_scorer.metrics import metric

if TYPE_CHECKING:
    from minio import Minio
    from typing_extensions import Buffer

STORE_RETRIES = 6
PARTS = ("train", "test")


class Files(Protocol):
    """Where the files of a dataset lie, each named by its path in the manifest."""

    def problems(self, manifest: DatasetManifest, /) -> list[str]:
        """What can be seen to be wrong before any file is read."""

    def pieces(self, path: str) -> Iterator[bytes]:
        """The bytes of a file, piece by piece. Raises StoreNotFoundError or FormatError."""


def run() -> int:
    request = jobs.request(CheckRequest)
    config = jobs.store_config()
    store = connect(config, retries=STORE_RETRIES)
    mounted = Path(os.environ.get("ALCOVE_ROOT", "/alcove")) / "data"
    files = Volume(mounted) if request.on_volume else InStore(store, config.bucket, request.data_sha256)
    checked = Published(store, config.bucket, request, files).check()
    jobs.leave_message(checked.canonical().decode())
    return jobs.DONE if checked.ok else jobs.UNSOUND


@dataclass(frozen=True)
class InStore:
    """The files lie in the store, beside their manifest."""

    store: Minio
    bucket: str
    data_sha256: str

    def problems(self, _: DatasetManifest) -> list[str]:
        return []

    def pieces(self, path: str) -> Iterator[bytes]:
        return stream(self.store, self.bucket, keys.dataset_file(self.data_sha256, path))


class UnsoundError(DatasetsError):
    """What was published cannot be read far enough to check more of it."""


@dataclass(frozen=True)
class Published:
    """A dataset whose manifest and solution are in the store. Nothing of it but the metadata is written to a disk."""

    store: Minio
    bucket: str
    request: CheckRequest
    files: Files

    def check(self) -> CheckResult:
        """Never raises for what is wrong with the dataset, only where the store fails."""
        try:
            manifest = self._manifest()
            if wrong := self.files.problems(manifest):
                return CheckResult(ok=False, problems=tuple(problem[:300] for problem in wrong))
            parts = {name: self._part(name, manifest) for name in PARTS}
            solution = self._get(jobs.solutions_bucket(), keys.solution(self.request.solution_sha256))
            _same(solution, self.request.solution_sha256, "the solution")
            score = metric(self.request.metric).score
            checked = result(parts["train"], parts["test"], solution, "the solution", score)
        except (UnsoundError, FormatError, InputError) as error:
            return CheckResult(ok=False, problems=(str(error)[:300],))
        return checked if not checked.ok else self._against(manifest, checked)

    def _manifest(self) -> DatasetManifest:
        named = keys.volume_manifest if self.request.on_volume else keys.dataset_manifest
        data = self._get(self.bucket, named(self.request.data_sha256))
        _same(data, self.request.data_sha256, "manifest.json")
        try:
            return DatasetManifest.model_validate_json(data)
        except ValidationError as error:
            raise UnsoundError(
                f"manifest.json: {error.errors()[0]['msg']}. Publish the dataset again."
            ) from None

    def _part(self, name: str, manifest: DatasetManifest) -> PartCheck:
        entries = {entry.path: entry for entry in manifest.files if entry.path.startswith(f"{name}/")}
        described = entries.pop(f"{name}/{METADATA_FILE}", None)
        if described is None:
            raise UnsoundError(f"{name}/{METADATA_FILE} is not in the manifest. Publish the dataset again.")
        part = PartCheck(name, self._metadata(described))
        for path, entry in sorted(entries.items()):
            part.problems += self._file(part, path, entry)
        part.end()
        return part

    def _metadata(self, entry: FileEntry) -> Metadata:
        try:
            data = b"".join(self.files.pieces(entry.path))
        except StoreNotFoundError:
            raise UnsoundError(f"{entry.path} is missing. Publish the dataset again.") from None
        _same(data, entry.sha256, entry.path)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / METADATA_FILE
            path.write_bytes(data)
            try:
                return read_metadata(path)
            except FormatError as error:
                # The name in the dataset, not that of the temporary file, is what the organizer can correct.
                raise UnsoundError(str(error).replace(str(path), entry.path)) from None

    def _file(self, part: PartCheck, path: str, entry: FileEntry) -> list[str]:
        """Checks one sample file as it comes in; its digest too, of what was read and what was not."""
        source = HashedStream(self.files.pieces(path))
        try:
            part.file(cast(BinaryIO, io.BufferedReader(source, 1 << 20)), entry.bytes, path)
            source.drain()
        except StoreNotFoundError:
            return [f"{path} is missing. Publish the dataset again."]
        if (source.digest.hexdigest(), source.size) != (entry.sha256, entry.bytes):
            return [f"{path}: its bytes are not those that the manifest names. Publish the dataset again."]
        return []

    def _against(self, manifest: DatasetManifest, checked: CheckResult) -> CheckResult:
        """What the manifest promises to stager and scorer must be what the files hold."""
        wrong = [
            f"manifest.json: {field} is {getattr(manifest, field)}, but the files hold {getattr(checked, field)}. "
            "Publish the dataset again."
            for field in ("n_train", "n_test", "n_labels")
            if getattr(manifest, field) != getattr(checked, field)
        ]
        return checked.model_copy(update={"ok": not wrong, "problems": tuple(wrong)})

    def _get(self, bucket: str, key: str) -> bytes:
        try:
            return get_bytes(self.store, bucket, key)
        except StoreNotFoundError:
            raise UnsoundError(f"{key} is missing from the store. Publish the dataset again.") from None


def _same(data: bytes, sha256: str, name: str) -> None:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UnsoundError(
            f"{name}: its bytes are not those that its digest names. Publish the dataset again."
        )


class HashedStream(io.RawIOBase):
    """Pieces of bytes as a file to read from, with the digest and the size of all that came in."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.digest = hashlib.sha256()
        self.size = 0
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        target = memoryview(buffer)
        if not self._rest:
            self._rest = memoryview(self._next())
        taken = min(len(target), len(self._rest))
        target[:taken] = self._rest[:taken]
        self._rest = self._rest[taken:]
        return taken

    def drain(self) -> None:
        while self._next():
            pass

    def _next(self) -> bytes:
        piece = next(self._pieces, b"")
        self.digest.update(piece)
        self.size += len(piece)
        return piece
