"""The check job: a published dataset and its solution, read once from the store, before anyone is scored on them."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from pydantic import ValidationError

from alcove_api import keys
from alcove_api.documents import CheckRequest, CheckResult, DatasetManifest, FileEntry
from alcove_api.errors import AlcoveError
from alcove_api.exit_statuses import ScorerExit
from alcove_api.schemes import BALANCED_ACCURACY, R2
from alcove_format.errors import FormatError
from alcove_format.metadata import METADATA_FILE, Metadata, parse_metadata
from alcove_scorer import jobs
from alcove_scorer.errors import InputError
from alcove_scorer.metric_registry import find_metric
from alcove_scorer.metrics import Metric, predicts_numbers, whole_scorer
from alcove_store.client import connect, get_bytes, stream
from alcove_store.errors import StoreNotFoundError
from alcove_toolkit.check import CheckMetric, check_source
from alcove_toolkit.check.report import shorten_to_fit
from alcove_toolkit.check.source import PartName, SampleFile
from alcove_toolkit.volume import Volume

if TYPE_CHECKING:
    from minio import Minio
    from typing_extensions import Buffer

STORE_RETRIES = 6
AGAIN = "Publish the dataset again."


class DatasetFiles(Protocol):
    """Where the files of a dataset lie, each named by its path in the manifest."""

    def problems(self, manifest: DatasetManifest, /) -> list[str]:
        """What can be seen to be wrong before any file is read."""

    def pieces(self, path: str) -> Iterator[bytes]:
        """The bytes of a file, piece by piece. Raises StoreNotFoundError, or StoreUnavailableError for now."""


def run() -> int:
    request = jobs.read_request(CheckRequest)
    config = jobs.store_config()
    store = connect(config, retries=STORE_RETRIES)
    mounted = Path(os.environ.get("ALCOVE_ROOT", "/alcove")) / "data"
    files = Volume(mounted) if request.on_volume else StoreFiles(store, config.bucket, request.data_sha256)
    checked = Published(store, config.bucket, request, files).check()
    jobs.write_termination_message(checked.canonical().decode())
    return ScorerExit.DONE if checked.ok else ScorerExit.UNSOUND


@dataclass(frozen=True)
class StoreFiles:
    """The files lie in the store, beside their manifest."""

    store: Minio
    bucket: str
    data_sha256: str

    def problems(self, _: DatasetManifest) -> list[str]:
        return []

    def pieces(self, path: str) -> Iterator[bytes]:
        return stream(self.store, self.bucket, keys.dataset_file(self.data_sha256, path))


class UnsoundError(AlcoveError):
    """What was published cannot be read far enough to check more of it."""


@dataclass(frozen=True)
class Published:
    """A dataset whose manifest and solution are in the store. Nothing of it is written to a disk."""

    store: Minio
    bucket: str
    request: CheckRequest
    files: DatasetFiles

    def check(self) -> CheckResult:
        """Never raises for what is wrong with the dataset, only where the store fails."""
        try:
            manifest = self._manifest()
            if wrong := self.files.problems(manifest):
                return _report_problems(*wrong)
            asked = find_metric(self.request.metric)
            of_numbers = predicts_numbers(asked)
            checked = check_source(
                PublishedSource(self, manifest),
                _name_metric(find_metric(BALANCED_ACCURACY) if of_numbers else asked),
                number_metric=_name_metric(asked if of_numbers else find_metric(R2)),
            ).to_result()
        except (UnsoundError, FormatError, InputError) as error:
            return _report_problems(str(error))
        return checked if not checked.ok else _compare_with_manifest(manifest, checked)

    def _manifest(self) -> DatasetManifest:
        named = keys.volume_manifest if self.request.on_volume else keys.dataset_manifest
        data = self.get(self.bucket, named(self.request.data_sha256))
        _check_digest(data, self.request.data_sha256, "manifest.json")
        try:
            return DatasetManifest.model_validate_json(data)
        except ValidationError as error:
            raise UnsoundError(f"manifest.json: {error.errors()[0]['msg']}. {AGAIN}") from None

    def get(self, bucket: str, key: str) -> bytes:
        try:
            return get_bytes(self.store, bucket, key)
        except StoreNotFoundError:
            raise UnsoundError(f"{key} is missing from the store. {AGAIN}") from None


@dataclass(frozen=True)
class PublishedSource:
    """The files that a manifest names, each checked against its digest while it is read."""

    published: Published
    manifest: DatasetManifest

    solution_name = "the solution"

    def metadata(self, part: PartName) -> Metadata:
        path = f"{part}/{METADATA_FILE}"
        entry = self._entries(part).get(path)
        if entry is None:
            raise UnsoundError(f"{path} is not in the manifest. {AGAIN}")
        try:
            data = b"".join(self.published.files.pieces(path))
        except StoreNotFoundError:
            raise _missing_file(path) from None
        _check_digest(data, entry.sha256, path)
        return parse_metadata(data, path)

    def files(self, part: PartName) -> list[SampleFile]:
        samples = {p: e for p, e in self._entries(part).items() if p != f"{part}/{METADATA_FILE}"}
        return [SampleFile(path, entry.bytes) for path, entry in sorted(samples.items())]

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """Raises FormatError where its bytes are others, whatever else is wrong with it: that is then the cause."""
        entry = next(entry for entry in self.manifest.files if entry.path == path)
        source = HashedStream(self.published.files.pieces(path))
        damage = None
        try:
            try:
                yield cast(BinaryIO, io.BufferedReader(source, 1 << 20))
            except FormatError as error:
                damage = error
            source.drain()
        except StoreNotFoundError:
            raise _missing_file(path) from None
        if (source.digest.hexdigest(), source.size) != (entry.sha256, entry.bytes):
            raise FormatError(path, "its bytes are not those that the manifest names", remedy=AGAIN) from None
        if damage is not None:
            raise damage

    def solution(self) -> bytes:
        sha256 = self.published.request.solution_sha256
        data = self.published.get(jobs.solutions_bucket(), keys.solution(sha256))
        _check_digest(data, sha256, self.solution_name)
        return data

    def _entries(self, part: PartName) -> dict[str, FileEntry]:
        return {entry.path: entry for entry in self.manifest.files if entry.path.startswith(f"{part}/")}


def _name_metric(metric: Metric) -> CheckMetric:
    return CheckMetric(metric.name, whole_scorer(metric), metric.chance)


def _missing_file(path: str) -> FormatError:
    return FormatError(path, "is missing", remedy=AGAIN)


def _report_problems(*problems: str) -> CheckResult:
    return shorten_to_fit(CheckResult(ok=False, problems=tuple(problem[:300] for problem in problems)))


def _compare_with_manifest(manifest: DatasetManifest, checked: CheckResult) -> CheckResult:
    """What the manifest promises to stager and scorer must be what the files hold."""
    wrong = [
        f"manifest.json: {field} is {getattr(manifest, field)}, but the files hold {getattr(checked, field)}. {AGAIN}"
        for field in ("n_train", "n_test", "n_labels")
        if getattr(manifest, field) != getattr(checked, field)
    ]
    return shorten_to_fit(checked.replace(ok=not wrong, problems=tuple(wrong)))


def _check_digest(data: bytes, sha256: str, name: str) -> None:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UnsoundError(f"{name}: its bytes are not those that its digest names. {AGAIN}")


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
