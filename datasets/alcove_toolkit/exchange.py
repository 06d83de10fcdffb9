"""Find hidden datasets in the store by name, and fetch them. Nothing read there is trusted.

Names are checked before anything is written, sizes are bounded, and a file gets its final name only once its digest is
right. What teams offer each other is in :mod:`alcove_toolkit.offers`.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from alcove_api import keys
from alcove_api.documents import DatasetManifest, DatasetVersion, FileEntry
from alcove_api.retry import retry
from alcove_format.errors import OutputExistsError
from alcove_format.metadata import METADATA_FILE
from alcove_store.client import get_bytes, store_errors, stream
from alcove_store.errors import StoreNotFoundError
from alcove_store.transfer import Say, TransferProgress, run_parallel, save_checked
from alcove_toolkit.errors import ExchangeError

if TYPE_CHECKING:
    from minio import Minio

MOST_FILES = 10_000
MOST_BYTES = 100 << 30
_MANIFEST_BYTES = 8 << 20
_VERSION_BYTES = 64 << 10
_METADATA_BYTES = 64 << 20
_MOST_VERSIONS = 1000
"""Later ones are not listed."""
_SPARE_DISK = 256 << 20
_PATIENCE = 30.0
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DIGEST_BEGIN = re.compile(r"[0-9a-f]{8,64}")
_ENTRY = re.compile(rf"({_NAME.pattern})/({_DIGEST.pattern})\.json")


@dataclass(frozen=True)
class DatasetCatalog:
    """The place where names are looked up."""

    client: Minio
    bucket: str = keys.MAIN_BUCKET

    def get(self, key: str, limit: int) -> bytes:
        return get_bytes(self.client, self.bucket, key, limit=limit)


@dataclass(frozen=True)
class ListedVersion:
    """One version of a dataset's name."""

    name: str
    sha256: str
    pushed_at: datetime
    """By the store's clock."""


def check_name(name: str) -> str:
    """Return the name. Raises ExchangeError where neither a Dataset nor a namespace could have it."""
    if not _NAME.fullmatch(name):
        raise ExchangeError(
            f"{name[:80]!r} is not a name.",
            consequence="Nothing was sent or fetched.",
            remedy="Use up to 63 lower-case letters, digits and hyphens, as for a Dataset.",
        )
    return name


def list_versions(catalog: DatasetCatalog, name: str | None = None) -> list[ListedVersion]:
    """List the versions of one name, or of all, newest first. Entries that no push writes are skipped."""
    prefix = keys.dataset_names() + (f"{check_name(name)}/" if name else "")
    with store_errors("the list of datasets"):
        entries = catalog.client.list_objects(catalog.bucket, prefix=prefix, recursive=True)
        found = [
            ListedVersion(match[1], match[2], entry.last_modified)
            for entry in islice(entries, _MOST_VERSIONS)
            if (match := _ENTRY.fullmatch(entry.object_name.removeprefix(keys.dataset_names())))
        ]
    return sorted(found, key=lambda v: (v.pushed_at, v.sha256), reverse=True)


def pull_dataset(
    catalog: DatasetCatalog,
    name: str,
    out: Path,
    *,
    sha256: str | None = None,
    limit: int = MOST_BYTES,
    say: Say,
) -> tuple[Path, str]:
    """Fetch ``out/NAME.data``. The solution stays in the store.

    Files of an interrupted pull are kept in a hidden folder, and not fetched again.

    Args:
        sha256: digest of the version, or its first 8 characters or more; by default the newest.
        limit: at most so many bytes.

    Returns:
        The folder and the digest of its version.

    Raises:
        ExchangeError: no such dataset, or not what a dataset may be.
        OutputExistsError: the name exists already.
        StoreError: the store cannot be reached or refuses, or its bytes are not those that were pushed.
    """
    data = out / f"{check_name(name)}.data"
    digest = _find_digest(catalog, name, sha256 or "")
    _check_version(catalog, name, digest)
    manifest = _read_manifest(catalog, digest, limit)
    if data.exists():
        raise OutputExistsError(str(data))
    out.mkdir(parents=True, exist_ok=True)
    partial = out / f".{name}-{digest[:16]}.part"
    missing = [entry for entry in manifest.files if not _is_whole(partial / entry.path, entry)]
    check_disk(out, sum(entry.bytes for entry in missing))
    if len(missing) < len(manifest.files):
        say(f"{len(manifest.files) - len(missing)} of {len(manifest.files)} files are here already.")
    _fetch_files(catalog, digest, missing, partial, say)
    partial.rename(data)
    return data, digest


def _find_digest(catalog: DatasetCatalog, name: str, begin: str) -> str:
    """Of the one version whose digest begins so, or with "" of the newest."""
    if begin and not _DIGEST_BEGIN.fullmatch(begin):
        raise ExchangeError(
            f"{begin[:80]!r} is not a digest.",
            remedy="Give its first 8 characters or more, 0-9a-f, after the @.",
        )
    if _DIGEST.fullmatch(begin):
        return begin
    found = [v.sha256 for v in list_versions(catalog, name) if v.sha256.startswith(begin)]
    if not found:
        raise _unknown_dataset(f"{name}@{begin}" if begin else name)
    if begin and len(found) > 1:
        raise ExchangeError(
            f"{len(found)} versions of {name} have a digest that begins with {begin}.",
            consequence="Nothing was fetched.",
            remedy="Give more of it.",
        )
    return found[0]


def _unknown_dataset(name: str) -> ExchangeError:
    return ExchangeError(
        f"There is no dataset {name!r} in this store.",
        consequence="Nothing was fetched.",
        remedy="List the datasets: alcove dataset list.",
    )


def _check_version(catalog: DatasetCatalog, name: str, digest: str) -> None:
    """Raises ExchangeError where nothing of that name and digest was pushed."""
    try:
        data = catalog.get(keys.dataset_version(name, digest), _VERSION_BYTES)
    except StoreNotFoundError:
        raise _unknown_dataset(f"{name}@{digest}") from None
    try:
        version = DatasetVersion.model_validate_json(data)
    except ValidationError as error:
        raise broken_offer(f"The entry of {name}@{digest[:12]} cannot be read.") from error
    if (version.name, version.data_sha256) != (name, digest):
        raise broken_offer(f"The entry of {name}@{digest[:12]} is that of another dataset.")


def _read_manifest(catalog: DatasetCatalog, digest: str, limit: int) -> DatasetManifest:
    try:
        data = catalog.get(keys.dataset_manifest(digest), _MANIFEST_BYTES)
    except StoreNotFoundError:
        raise ExchangeError(
            "The files of this dataset are not in the store.",
            consequence="Nothing was fetched.",
            remedy="They may be on a volume: ask whoever pushed it.",
        ) from None
    _check_digest(data, digest, "The manifest")
    try:
        manifest = DatasetManifest.model_validate_json(data)
    except ValidationError as error:
        raise broken_offer("The manifest cannot be read.") from error
    problem = _find_problem(manifest, limit)
    if problem:
        raise broken_offer(problem)
    return manifest


def _find_problem(manifest: DatasetManifest, limit: int) -> str:
    """Why its files must not be written; empty where they may be."""
    if len(manifest.files) > MOST_FILES:
        return f"The manifest has more than {MOST_FILES} files."
    paths = [entry.path for entry in manifest.files]
    if len(set(paths)) < len(paths):
        return "The manifest has a file twice."
    for entry in manifest.files:
        if not is_dataset_path(entry.path):
            return f"The manifest has the path {entry.path[:80]!r}, which no dataset can have."
        if not 0 <= entry.bytes <= (_METADATA_BYTES if entry.path.endswith(METADATA_FILE) else limit):
            return f"The manifest gives {entry.path!r} a size that is not allowed."
    if sum(entry.bytes for entry in manifest.files) > limit:
        return f"The dataset has more than the {limit} bytes that are allowed here (--limit)."
    return ""


def is_dataset_path(path: str) -> bool:
    part, _, name = path.partition("/")
    plain = name.isprintable() and not set(name) & set("/\\:") and len(name.encode()) <= 200
    return part in ("train", "test") and plain and (name == METADATA_FILE or name.startswith("sample"))


def _is_whole(path: Path, entry: FileEntry) -> bool:
    if not path.is_file() or path.stat().st_size != entry.bytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256


def check_disk(out: Path, wanted: int) -> None:
    free = shutil.disk_usage(out).free - _SPARE_DISK
    if wanted > free:
        raise ExchangeError(
            f"The dataset needs {wanted >> 20} MiB, and {max(free, 0) >> 20} MiB are free in {out}.",
            consequence="Nothing was fetched.",
            remedy="Make room, or name another folder.",
        )


def _fetch_files(
    catalog: DatasetCatalog, digest: str, entries: list[FileEntry], partial: Path, say: Say
) -> None:
    progress = TransferProgress(len(entries), sum(entry.bytes for entry in entries), say)
    for part in ("train", "test"):
        (partial / part).mkdir(parents=True, exist_ok=True)

    def fetch(entry: FileEntry) -> None:
        path = partial / entry.path
        temporary = path.with_name(f".{path.name}.tmp")

        def download() -> None:
            pieces = stream(catalog.client, catalog.bucket, keys.dataset_file(digest, entry.path))
            save_checked(progress.counted(pieces), temporary, entry.sha256, entry.bytes, entry.path)

        try:
            retry(download, _PATIENCE, say)
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)
        progress.add(0, file=True)

    run_parallel(entries, fetch)


def _check_digest(data: bytes, sha256: str, what: str) -> None:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise broken_offer(f"{what} is not what its digest says.")


def broken_offer(cause: str) -> ExchangeError:
    return ExchangeError(
        cause, consequence="Nothing of it is used.", remedy="Ask whoever pushed it to push it again."
    )
