"""Find datasets in the store by name, and fetch them. Nothing read there is trusted.

Whoever offers a dataset (below ``shared/<namespace>/``) may mean harm: names are checked before anything is written,
sizes are bounded, and a file gets its final name only once its digest is right.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
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
from alcove_store.errors import StoreDeniedError, StoreNotFoundError
from alcove_store.transfer import Say, TransferProgress, run_parallel, save_checked
from alcove_toolkit.errors import ExchangeError

if TYPE_CHECKING:
    from minio import Minio

MOST_FILES = 10_000
MOST_BYTES = 100 << 30
_MANIFEST_BYTES = 8 << 20
_VERSION_BYTES = 64 << 10
_SOLUTION_BYTES = 64 << 20
_METADATA_BYTES = 64 << 20
_MOST_VERSIONS = 1000
"""Of one team, or of the hidden datasets; later ones are not listed."""
_MOST_TEAMS = 1000
_SPARE_DISK = 256 << 20
_PATIENCE = 30.0
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DIGEST_BEGIN = re.compile(r"[0-9a-f]{8,64}")
_ENTRY = re.compile(rf"({_NAME.pattern})/({_DIGEST.pattern})\.json")


@dataclass(frozen=True)
class DatasetCatalog:
    """A place where names are looked up: the hidden datasets, or what one team offers."""

    client: Minio
    bucket: str = keys.MAIN_BUCKET
    team: str | None = None

    @property
    def below(self) -> str:
        return keys.shared(self.team) if self.team is not None else ""

    def get(self, key: str, limit: int) -> bytes:
        return get_bytes(self.client, self.bucket, self.below + key, limit=limit)


@dataclass(frozen=True)
class ListedVersion:
    """One version of a dataset's name."""

    team: str | None
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
    prefix = catalog.below + keys.dataset_names() + (f"{check_name(name)}/" if name else "")
    with store_errors("the list of datasets"):
        entries = catalog.client.list_objects(catalog.bucket, prefix=prefix, recursive=True)
        found = [
            ListedVersion(catalog.team, match[1], match[2], entry.last_modified)
            for entry in islice(entries, _MOST_VERSIONS)
            if (
                match := _ENTRY.fullmatch(
                    entry.object_name.removeprefix(catalog.below + keys.dataset_names())
                )
            )
        ]
    return sorted(found, key=lambda v: (v.pushed_at, v.sha256), reverse=True)


def list_teams(client: Minio, bucket: str = keys.MAIN_BUCKET) -> list[str]:
    """List the namespaces of teams that offer something."""
    with store_errors("the list of teams"):
        entries = client.list_objects(bucket, prefix=keys.SHARED)
        found = [
            e.object_name.removeprefix(keys.SHARED).removesuffix("/") for e in islice(entries, _MOST_TEAMS)
        ]
    return [name for name in found if _NAME.fullmatch(name)]


def pull_dataset(
    catalog: DatasetCatalog,
    name: str,
    out: Path,
    *,
    sha256: str | None = None,
    limit: int = MOST_BYTES,
    say: Say,
) -> tuple[Path, str]:
    """Fetch ``out/NAME.data``, and ``out/NAME.solution`` where a team offers one.

    Files of an interrupted pull are kept in a hidden folder, and not fetched again.

    Args:
        sha256: digest of the version, or its first 8 characters or more; by default the newest.
        limit: at most so many bytes.

    Returns:
        The folder and the digest of its version.

    Raises:
        ExchangeError: no such dataset, or not what a dataset may be.
        OutputExistsError: one of the names exists already.
        StoreError: the store cannot be reached or refuses, or its bytes are not those that were pushed.
    """
    data, solution = out / f"{check_name(name)}.data", out / f"{name}.solution"
    digest = _find_digest(catalog, name, sha256 or "")
    version = _read_version(catalog, name, digest)
    manifest = _read_manifest(catalog, digest, limit)
    wanted = version.solution_sha256 if catalog.team is not None else None
    for path in (data, solution) if wanted else (data,):
        if path.exists():
            raise OutputExistsError(str(path))
    out.mkdir(parents=True, exist_ok=True)
    partial = out / f".{name}-{digest[:16]}.part"
    missing = [entry for entry in manifest.files if not _is_whole(partial / entry.path, entry)]
    _check_disk(out, sum(entry.bytes for entry in missing))
    if len(missing) < len(manifest.files):
        say(f"{len(manifest.files) - len(missing)} of {len(manifest.files)} files are here already.")
    _fetch_files(catalog, digest, missing, partial, say)
    if wanted:
        rows = catalog.get(keys.solution(wanted), _SOLUTION_BYTES)
        _check_digest(rows, wanted, "The solution")
        (partial / "solution").write_bytes(rows)
        (partial / "solution").rename(solution)
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
        raise _unknown_dataset(catalog, f"{name}@{begin}" if begin else name)
    if begin and len(found) > 1:
        raise ExchangeError(
            f"{len(found)} versions of {name} have a digest that begins with {begin}.",
            consequence="Nothing was fetched.",
            remedy="Give more of it.",
        )
    return found[0]


def _unknown_dataset(catalog: DatasetCatalog, name: str) -> ExchangeError:
    where = f"by {catalog.team}" if catalog.team is not None else "in this store"
    return ExchangeError(
        f"There is no dataset {name!r} {where}.",
        consequence="Nothing was fetched.",
        remedy="List the datasets: alcove dataset list.",
    )


def _read_version(catalog: DatasetCatalog, name: str, digest: str) -> DatasetVersion:
    try:
        data = catalog.get(keys.dataset_version(name, digest), _VERSION_BYTES)
    except StoreNotFoundError:
        raise _unknown_dataset(catalog, f"{name}@{digest}") from None
    try:
        version = DatasetVersion.model_validate_json(data)
    except ValidationError as error:
        raise _broken_offer(f"The entry of {name}@{digest[:12]} cannot be read.") from error
    if (version.name, version.data_sha256) != (name, digest):
        raise _broken_offer(f"The entry of {name}@{digest[:12]} is that of another dataset.")
    return version


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
        raise _broken_offer("The manifest cannot be read.") from error
    problem = _find_problem(manifest, limit)
    if problem:
        raise _broken_offer(problem)
    return manifest


def _find_problem(manifest: DatasetManifest, limit: int) -> str:
    """Why its files must not be written; empty where they may be."""
    if len(manifest.files) > MOST_FILES:
        return f"The manifest has more than {MOST_FILES} files."
    paths = [entry.path for entry in manifest.files]
    if len(set(paths)) < len(paths):
        return "The manifest has a file twice."
    for entry in manifest.files:
        if not _is_dataset_path(entry.path):
            return f"The manifest has the path {entry.path[:80]!r}, which no dataset can have."
        if not 0 <= entry.bytes <= (_METADATA_BYTES if entry.path.endswith(METADATA_FILE) else limit):
            return f"The manifest gives {entry.path!r} a size that is not allowed."
    if sum(entry.bytes for entry in manifest.files) > limit:
        return f"The dataset has more than the {limit} bytes that are allowed here (--limit)."
    return ""


def _is_dataset_path(path: str) -> bool:
    part, _, name = path.partition("/")
    plain = name.isprintable() and not set(name) & set("/\\:") and len(name.encode()) <= 200
    return part in ("train", "test") and plain and (name == METADATA_FILE or name.startswith("sample"))


def _is_whole(path: Path, entry: FileEntry) -> bool:
    if not path.is_file() or path.stat().st_size != entry.bytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256


def _check_disk(out: Path, wanted: int) -> None:
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
            pieces = stream(
                catalog.client, catalog.bucket, catalog.below + keys.dataset_file(digest, entry.path)
            )
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
        raise _broken_offer(f"{what} is not what its digest says.")


def _broken_offer(cause: str) -> ExchangeError:
    return ExchangeError(
        cause, consequence="Nothing of it is used.", remedy="Ask whoever pushed it to push it again."
    )


def list_datasets(client: Minio, bucket: str, *, hidden: bool) -> Iterator[ListedVersion]:
    """List all names with their versions: of the hidden datasets, or of what teams offer."""
    if hidden:
        yield from list_versions(DatasetCatalog(client, bucket))
        return
    for team in list_teams(client, bucket):
        try:
            yield from list_versions(DatasetCatalog(client, bucket, team))
        except StoreDeniedError:
            continue
