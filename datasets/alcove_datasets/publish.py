"""Publishing a dataset to the object store, and the Dataset that names what was published."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from alcove_crds import keys
from alcove_crds.documents import DatasetManifest, FileEntry
from alcove_datasets.errors import StoreDeniedError, StoreNotFoundError
from alcove_datasets.metadata import METADATA_FILE
from alcove_datasets.reader import DataFolder, open_folder
from alcove_datasets.solution import read_solution
from alcove_datasets.store import put_bytes, put_file, store_errors

if TYPE_CHECKING:
    from minio import Minio


def publish(
    path: Path,
    solution: Path,
    client: Minio,
    *,
    bucket: str = keys.MAIN_BUCKET,
    solutions_bucket: str = keys.SOLUTIONS_BUCKET,
    on_volume: bool = False,
) -> tuple[str, str, DatasetManifest]:
    """Uploads a folder ``NAME.data`` and its solution.

    What is there already, from an upload that broke off, is not sent again. The manifest goes last: where it is, all
    is. The solution goes to a bucket of its own. Of a dataset whose files runs read ``on_volume``, none is uploaded.

    Returns:
        Digest of the data (of its manifest), digest of the solution, the manifest.

    Raises:
        FormatError, SolutionError: the folder or the solution cannot be read.
        StoreError: the store is away or refuses.
    """
    folder = open_folder(path)
    read_solution(solution)
    manifest = describe(folder)
    digest = manifest.digest()
    for entry in () if on_volume else manifest.files:
        key = keys.dataset_file(digest, entry.path)
        if not _is_there(client, bucket, key, entry.bytes):
            with (folder.path / entry.path).open("rb") as file:
                put_file(client, bucket, key, file, entry.bytes)
    hidden = solution.read_bytes()
    solution_digest = hashlib.sha256(hidden).hexdigest()
    if not _is_there(client, solutions_bucket, keys.solution(solution_digest), len(hidden)):
        put_bytes(client, solutions_bucket, keys.solution(solution_digest), hidden)
    named = keys.volume_manifest if on_volume else keys.dataset_manifest
    put_bytes(client, bucket, named(digest), manifest.canonical())
    return digest, solution_digest, manifest


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
) -> str:
    """The Dataset to apply in the competition's namespace.

    Args:
        alias: what participants see (default: name).
        volume_claim: where the files lie on a volume, ``CLAIM`` or ``CLAIM:FOLDER``.
    """
    claim, _, folder = (volume_claim or "").partition(":")
    where = (
        f"  volumeClaim: {{claimName: {json.dumps(claim)}, path: {json.dumps(folder)}}}\n" if claim else ""
    )
    return (
        "apiVersion: alcove.dev/v1alpha1\n"
        "kind: Dataset\n"
        "metadata:\n"
        f"  name: {name}\n"
        "spec:\n"
        f"  alias: {alias or name}\n"
        f"  domain: {domain}\n"
        f"  dataSha256: {data_sha256}\n"
        f"  solutionSha256: {solution_sha256}\n"
        f"{where}"
    )


def _is_there(client: Minio, bucket: str, key: str, size: int) -> bool:
    """Whether an object of that size is there. Its key names its content, so the same size is the same object."""
    try:
        with store_errors(f"looking for {key}"):
            found: int = client.stat_object(bucket, key).size
            return found == size
    except (StoreNotFoundError, StoreDeniedError):  # Denied: may write, but not read.
        return False
