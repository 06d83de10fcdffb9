"""Publishing a dataset to the object store, and the Dataset that names what was published."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from alcove_api import keys
from alcove_api.dataset import RECHECK
from alcove_api.documents import DatasetManifest, DatasetVersion, FileEntry
from alcove_api.retry import retry
from alcove_format.errors import FormatError
from alcove_format.metadata import METADATA_FILE
from alcove_format.reader import DataFolder, open_dataset
from alcove_format.solution import read_solution, read_targets
from alcove_store.client import put_bytes, put_file, store_errors
from alcove_store.errors import StoreConflictError
from alcove_store.transfer import is_stored, run_parallel

if TYPE_CHECKING:
    from minio import Minio

_PATIENCE = 5.0
"""Seconds in which two versions of one name get times that differ."""


def publish(
    path: Path,
    solution: Path,
    client: Minio,
    *,
    name: str | None = None,
    bucket: str = keys.MAIN_BUCKET,
    solutions_bucket: str = keys.SOLUTIONS_BUCKET,
    on_volume: bool = False,
) -> tuple[str, str, DatasetManifest]:
    """Uploads a folder ``NAME.data`` and its solution: a hidden dataset.

    What is there already, from an upload that broke off, is read and not sent again; what is damaged there is replaced.
    The manifest goes last: where it is, all is. The solution goes to a bucket of its own. Of a dataset whose files runs
    read ``on_volume``, none is uploaded.

    Args:
        name: what it can be pulled by again.

    Returns:
        Digest of the data (of its manifest), digest of the solution, the manifest.

    Raises:
        FormatError, SolutionError: the folder or the solution cannot be read.
        StoreError: the store is away or refuses.
    """
    folder = open_dataset(path)
    require_solution(folder, solution)
    manifest = describe(folder)
    digest = manifest.digest()
    if not on_volume:
        _send_files(client, bucket, folder, manifest)
    solution_sha256 = _send_solution(client, solutions_bucket, solution)
    named = keys.volume_manifest if on_volume else keys.dataset_manifest
    put_bytes(client, bucket, named(digest), manifest.canonical())
    if name is not None:
        _enter_version(client, bucket, _version(name, manifest, solution_sha256))
    return digest, solution_sha256, manifest


def require_solution(folder: DataFolder, solution: Path) -> None:
    """Raises SolutionError where it cannot be read."""
    if folder.test.metadata.is_regression:
        read_targets(solution)
    else:
        read_solution(solution)


def _send_files(client: Minio, bucket: str, folder: DataFolder, manifest: DatasetManifest) -> None:
    digest = manifest.digest()

    def send(entry: FileEntry) -> None:
        key = keys.dataset_file(digest, entry.path)
        if is_stored(client, bucket, key, entry.sha256, entry.bytes):
            return
        with _Hashed(folder.path / entry.path) as file:
            put_file(client, bucket, key, cast(BinaryIO, file), entry.bytes)
            if file.digest.hexdigest() != entry.sha256:
                raise FormatError(
                    str(folder.path / entry.path),
                    "the file was changed while it was sent",
                    remedy="Push it again once nothing writes to it.",
                )

    run_parallel(manifest.files, send)


def _enter_version(client: Minio, bucket: str, version: DatasetVersion) -> None:
    """Writes the entry in the index, at a time that no other version of the name has by the store's clock.

    The newest is the one with the latest time, and many stores tell times in whole seconds.
    """
    key = keys.dataset_version(version.name, version.data_sha256)

    def enter() -> None:
        put_bytes(client, bucket, key, version.canonical())
        with store_errors(f"the versions of {version.name}"):
            entries = client.list_objects(bucket, prefix=key.rpartition("/")[0] + "/")
            times = {entry.object_name: entry.last_modified for entry in entries}
        if list(times.values()).count(times.get(key)) > 1:
            raise StoreConflictError(
                f"Another version of {version.name} was pushed at the same moment.",
                consequence="Which of the two is newer cannot be told.",
                remedy="Push it again.",
            )

    retry(enter, _PATIENCE, may_repeat=lambda error: isinstance(error, StoreConflictError))


def _send_solution(client: Minio, bucket: str, solution: Path) -> str:
    data = solution.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    key = keys.solution(digest)
    if not is_stored(client, bucket, key, digest, len(data)):
        put_bytes(client, bucket, key, data)
    return digest


def _version(name: str, manifest: DatasetManifest, solution_sha256: str | None) -> DatasetVersion:
    """The entry in the index."""
    return DatasetVersion(
        name=name,
        data_sha256=manifest.digest(),
        solution_sha256=solution_sha256,
        domain=manifest.domain,
        n_train=manifest.n_train,
        n_test=manifest.n_test,
        bytes=sum(entry.bytes for entry in manifest.files),
    )


class _Hashed:
    """A file to read from, with the digest of what was read."""

    def __init__(self, path: Path) -> None:
        self.digest = hashlib.sha256()
        self._file = path.open("rb", buffering=0)

    def __enter__(self) -> _Hashed:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


def describe(folder: DataFolder) -> DatasetManifest:
    """The manifest of a folder. Reads every file once, for its digest."""
    entries = []
    for name, part in (("test", folder.test), ("train", folder.train)):
        for file in (part.path / METADATA_FILE, *part.files):
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            entries.append(FileEntry(path=f"{name}/{file.name}", bytes=file.stat().st_size, sha256=digest))
    metadata = folder.test.metadata
    return DatasetManifest(
        name=folder.name,
        domain=metadata.domain,
        n_train=folder.train.metadata.n_examples,
        n_test=metadata.n_examples,
        n_labels=metadata.n_labels,
        labels=metadata.label_names,
        files=tuple(entries),
    )


def dataset_yaml(
    name: str,
    data_sha256: str,
    solution_sha256: str,
    domain: str,
    alias: str | None = None,
    volume_claim: str | None = None,
    recheck: str | None = None,
) -> str:
    """The Dataset to apply in the competition's namespace.

    Args:
        alias: what participants see (default: name).
        volume_claim: where the files lie on a volume, ``CLAIM`` or ``CLAIM:FOLDER``.
        recheck: a value never used before has a Dataset of the same digests checked once more.
    """
    claim, _, folder = (volume_claim or "").partition(":")
    where = (
        f"  volumeClaim: {{claimName: {json.dumps(claim)}, path: {json.dumps(folder)}}}\n" if claim else ""
    )
    asked = f"  annotations: {{{RECHECK}: {json.dumps(recheck)}}}\n" if recheck else ""
    return (
        "apiVersion: alcove.dev/v1alpha1\n"
        "kind: Dataset\n"
        "metadata:\n"
        f"  name: {name}\n"
        f"{asked}"
        "spec:\n"
        f"  alias: {alias or name}\n"
        f"  domain: {domain}\n"
        f"  dataSha256: {data_sha256}\n"
        f"  solutionSha256: {solution_sha256}\n"
        f"{where}"
    )
