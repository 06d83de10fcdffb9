"""Datasets that teams offer each other: packed into an archive, found by name, and fetched. Nothing read is trusted."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pydantic import ValidationError

from alcove_api import keys
from alcove_api.offers import ENTRY_BYTES, SLOTS, OfferedDataset
from alcove_api.retry import retry
from alcove_format.errors import OutputExistsError
from alcove_format.reader import open_dataset
from alcove_store.client import get_bytes, store_errors, stream
from alcove_store.errors import BundleError, StoreError
from alcove_store.pack import write_archive
from alcove_store.transfer import Say, TransferProgress, save_checked
from alcove_store.unpack import file_names, unpack
from alcove_toolkit.errors import ExchangeError
from alcove_toolkit.exchange import broken_offer, check_disk, check_name, is_dataset_path
from alcove_toolkit.publish import describe, require_solution

if TYPE_CHECKING:
    from minio import Minio

SOLUTION = "solution"
"""Path of the solution in an archive; the other paths are those of a dataset's folder."""
_KEY = re.compile(r"shared/([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)/([0-9])/offer\.json")
_MOST_OFFERS = 1000 * SLOTS
_PIECE = 1 << 20
_PATIENCE = 30.0


@dataclass(frozen=True)
class ListedOffer:
    team: str
    slot: int
    offered: OfferedDataset
    pushed_at: datetime
    """By the store's clock."""


def pack_offer(path: Path, solution: Path | None, name: str, output: BinaryIO) -> OfferedDataset:
    """Writes the archive of a folder ``NAME.data``, and its solution, if any, to ``output``.

    It is practice data: who tries a model on it needs the solution. The same files give the same archive.

    Raises:
        FormatError, SolutionError: the folder or the solution cannot be read.
        StoreError: a file changed meanwhile.
    """
    folder = open_dataset(path)
    files = {entry.path: folder.path / entry.path for entry in describe(folder).files}
    if solution is not None:
        require_solution(folder, solution)
        files[SOLUTION] = solution
    begin = output.tell()
    write_archive(
        output,
        ((inner, file.stat().st_size, _pieces(file)) for inner, file in sorted(files.items())),
        level=1,
    )
    size = output.tell() - begin
    output.seek(begin)
    digest = hashlib.sha256()
    while piece := output.read(_PIECE):
        digest.update(piece)
    output.seek(begin)
    return OfferedDataset(name=name, sha256=digest.hexdigest(), bytes=size, has_solution=solution is not None)


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while piece := source.read(_PIECE):
            yield piece


def list_offers(client: Minio, bucket: str, team: str | None = None) -> list[ListedOffer]:
    """All that teams offer, or one of them, newest first. What no push writes is skipped."""
    prefix = keys.SHARED if team is None else keys.shared(team)
    with store_errors("the list of shared datasets"):
        entries = client.list_objects(bucket, prefix=prefix, recursive=True)
        found = [
            (match[1], int(match[2]), entry.last_modified)
            for entry in islice(entries, 2 * _MOST_OFFERS)
            if (match := _KEY.fullmatch(entry.object_name))
        ]
    offers = [
        ListedOffer(of, slot, offered, at)
        for of, slot, at in found
        if (offered := _read_entry(client, bucket, of, slot)) is not None
    ]
    return sorted(offers, key=lambda o: (o.pushed_at, o.team, o.slot), reverse=True)


def _read_entry(client: Minio, bucket: str, team: str, slot: int) -> OfferedDataset | None:
    try:
        data = get_bytes(client, bucket, keys.shared_entry(team, slot), limit=ENTRY_BYTES)
        return OfferedDataset.model_validate_json(data)
    except (StoreError, ValidationError):
        return None


def pull_offer(
    client: Minio, bucket: str, team: str, name: str, out: Path, *, sha256: str, limit: int, say: Say
) -> tuple[Path, str]:
    """Fetches ``out/NAME.data``, and ``out/NAME.solution`` where the team offers one.

    Args:
        sha256: digest of the archive, or how it begins; "" for the newest of that name.
        limit: bytes, packed and unpacked, at most.

    Returns:
        The folder and the digest.

    Raises:
        ExchangeError: no such dataset, or not what a dataset may be.
        OutputExistsError: one of the names exists already.
        StoreError: the store cannot be reached or refuses, or its bytes are not those that were offered.
    """
    data, solution = out / f"{check_name(name)}.data", out / f"{name}.solution"
    found = _find_offer(client, bucket, check_name(team), name, sha256)
    offered = found.offered
    if offered.bytes > limit:
        raise broken_offer(f"It has more than the {limit} bytes that are allowed here (--limit).")
    for path in (data, solution) if offered.has_solution else (data,):
        if path.exists():
            raise OutputExistsError(str(path))
    out.mkdir(parents=True, exist_ok=True)
    check_disk(out, offered.bytes)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=out) as scratch:
        archive, unpacked = Path(scratch) / "archive", Path(scratch) / "unpacked"

        def download() -> None:
            progress = TransferProgress(1, offered.bytes, say)
            pieces = stream(client, bucket, keys.shared_archive(team, found.slot))
            save_checked(progress.counted(pieces), archive, offered.sha256, offered.bytes, f"{team}/{name}")

        retry(download, _PATIENCE, say)
        _unpack(archive, unpacked, limit)
        if offered.has_solution and (unpacked / SOLUTION).is_file():
            shutil.move(unpacked / SOLUTION, solution)
        shutil.move(unpacked, data)
    return data, offered.sha256


def _unpack(archive: Path, target: Path, limit: int) -> None:
    """Raises ExchangeError for what no dataset holds, before anything of it is written."""
    try:
        with archive.open("rb") as packed:
            names = file_names(packed, limit=limit)
        wrong = [name for name in names if name != SOLUTION and not is_dataset_path(name)]
        if wrong:
            raise broken_offer(f"The archive has the path {wrong[0][:80]!r}, which no dataset can have.")
        target.mkdir()
        unpack(archive, target, limit=limit)
    except BundleError as error:
        raise broken_offer(error.cause) from error


def _find_offer(client: Minio, bucket: str, team: str, name: str, begin: str) -> ListedOffer:
    offers = [o for o in list_offers(client, bucket, team) if o.offered.name == name]
    found = next((o for o in offers if o.offered.sha256.startswith(begin)), None)
    if found is None:
        raise ExchangeError(
            f"There is no dataset {name!r}{f' with the digest {begin[:64]!r}' if begin else ''} by {team}.",
            consequence="Nothing was fetched.",
            remedy="List the datasets: alcove dataset list --team YOURS.",
        )
    return found
