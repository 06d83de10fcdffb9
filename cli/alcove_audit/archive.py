"""A phase as one archive: all that an audit reads, so that a third party can make it without store or cluster.

``store/<key>`` are objects of the store, ``cluster/…`` those of the API, and ``index.json``, which comes last, has the
digests of all of them. The same phase gives the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from pydantic import ValidationError

from alcove_api import keys
from alcove_api.board_documents import CountedSubmissions
from alcove_api.documents import Document, FileEntry
from alcove_api.run_documents import Manifest
from alcove_api.score_documents import LadderBest
from alcove_audit.errors import AuditError
from alcove_audit.findings import MISSING, AuditReport, Check
from alcove_audit.phase_state import PhaseState
from alcove_audit.reading import DOCUMENT_BYTES
from alcove_audit.source import DigestedPieces, EvidenceSource, FolderSource
from alcove_scorer.errors import first_fault
from alcove_store.client import dump_json
from alcove_store.errors import BundleError, StoreNotFoundError
from alcove_store.pack import write_archive
from alcove_store.unpack import unpack

INDEX, STORE, CLUSTER = "index.json", "store/", "cluster/"
MOST_FILES = 1_000_000
"""In an archive."""
_INDEX_BYTES = 512 << 20
_PATH = re.compile(r"[^\x00-\x1f\x7f/][^\x00-\x1f\x7f]{0,399}")
"""Of keys that archives hold."""
_CHANGED = "The archive was changed after it was exported. Ask whoever exported it for another copy."


class ArchiveIndex(Document):
    """``index.json``."""

    version: Literal[1] = 1
    phase: str
    teams: tuple[str, ...] | None
    """Namespaces of the teams that take part; None where that was not known."""
    solutions: bool
    """Whether it has the solutions, without which no score can be computed again."""
    inputs: bool
    """Whether it has the files of the datasets."""
    left_out: tuple[str, ...]
    """Keys that no archive can hold; no part of Alcove writes such."""
    files: tuple[FileEntry, ...]


@dataclass
class PhaseExport:
    """``source.solutions`` and ``source.inputs`` say what of these goes into the archive."""

    source: EvidenceSource
    state: PhaseState
    report: AuditReport
    _files: list[FileEntry] = field(default_factory=list)
    _left_out: list[str] = field(default_factory=list)

    def write(self, output: BinaryIO) -> int:
        """How many objects of the store it holds. Raises AuditError for too many, and the source's errors."""
        sizes: dict[str, int] = {}
        for prefix in self._prefixes():
            sizes |= self.source.list_sizes(prefix)
        sizes |= self._single_objects()
        phase_path, last = self.state.phase_path, self.state.board_status.generation
        # Of the requests, the board that is shown was made of one.
        requests, request = keys.board(*phase_path, "request-"), keys.board_request(*phase_path, last)
        wanted = sorted(key for key in sizes if key == request or not key.startswith(requests))
        if len(wanted) > MOST_FILES:
            raise AuditError(f"The phase has {len(wanted)} objects; an archive holds {MOST_FILES} at most.")
        write_archive(output, self._members({key: sizes[key] for key in wanted}), level=1)
        return len(wanted) - len(self._left_out)

    def _members(self, sizes: dict[str, int]) -> Iterator[tuple[str, int, Iterator[bytes]]]:
        for name, raw in self.state.named_objects():
            data = dump_json(raw)
            yield self._digested(f"{CLUSTER}{name}", len(data), iter((data,)))
        for key, size in sizes.items():
            if _PATH.fullmatch(key) and not {"", ".", ".."} & set(key.split("/")):
                yield self._digested(f"{STORE}{key}", size, self.source.read(key))
            else:
                self._left_out.append(key)
        data = self._index().canonical()
        yield INDEX, len(data), iter((data,))

    def _digested(self, path: str, size: int, pieces: Iterator[bytes]) -> tuple[str, int, Iterator[bytes]]:
        return path, size, self._digest(path, DigestedPieces(pieces, limit=1 << 62))

    def _digest(self, path: str, pieces: DigestedPieces) -> Iterator[bytes]:
        for piece in pieces:
            self.report.progress(len(piece))
            yield piece
        self._files.append(FileEntry(path=path, bytes=pieces.size, sha256=pieces.sha256))

    def _index(self) -> ArchiveIndex:
        return ArchiveIndex(
            phase=self.state.phase_name,
            teams=None if self.state.teams is None else tuple(sorted(self.state.teams)),
            solutions=self.source.solutions,
            inputs=self.source.inputs,
            left_out=tuple(self._left_out),
            files=tuple(self._files),
        )

    def _prefixes(self) -> Iterator[str]:
        prefix = "{}.{}/{}".format(*self.state.phase_path)
        yield from (f"boards/{prefix}/", f"ladders/{prefix}/")
        for uid in sorted(self._uids(f"ladders/{prefix}/")):
            yield from (f"runs/{uid}/", f"scores/{uid}/")
        if self.source.inputs:
            yield from (f"data/{view.data_sha256}/" for view in self.state.datasets_by_name.values())

    def _uids(self, ladders: str) -> set[str]:
        """Of all Submissions, those that are deleted and stand or raised a Ladder among them."""
        found = {view.uid for view in self.state.submission_views}
        counted = self._read(keys.board(*self.state.phase_path, "counted.json"), CountedSubmissions)
        found |= {entry.submission_uid for entry in counted.entries} if counted else set()
        for key in self.source.list_sizes(ladders):
            best = self._read(key, LadderBest)
            found |= {best.submission_uid} if best else set()
        return {uid for uid in found if re.fullmatch(r"[0-9a-f-]{1,64}", uid)}

    def _read(self, key: str, kind: type[Any]) -> Any:
        """None where there is none that can be read: the archive holds it as it is."""
        try:
            return kind.model_validate_json(b"".join(self.source.read(key)))
        except (StoreNotFoundError, ValidationError):
            return None

    def _single_objects(self) -> dict[str, int]:
        """Code, manifests of datasets, solutions, reports: by name, since their neighbours belong to others."""
        datasets = self.state.datasets_by_name.values()
        wanted = {keys.code(digest) for digest in self._code_digests()}
        wanted |= {keys.dataset_manifest(view.data_sha256) for view in datasets}
        wanted |= {keys.volume_manifest(view.data_sha256) for view in datasets}
        wanted |= {keys.solution(view.solution_sha256) for view in datasets if self.source.solutions}
        shown = (*self.state.submission_views, *self.state.rerun_results.values())
        wanted |= {keys.team_report(view.namespace, view.uid) for view in shown}
        counted = self._read(keys.board(*self.state.phase_path, "counted.json"), CountedSubmissions)
        wanted |= {keys.team_report(e.team, e.submission_uid) for e in (counted.entries if counted else ())}
        sizes: dict[str, int] = {}
        for key in sorted(wanted):
            sizes |= {found: size for found, size in self.source.list_sizes(key).items() if found == key}
        return sizes

    def _code_digests(self) -> set[str]:
        """By the status; of Submissions that are gone, by the manifests of their runs."""
        found = {view.status.code_sha256 for view in self.state.submission_views}
        present = {view.uid for view in self.state.submission_views}
        for uid in self._uids("ladders/{}.{}/{}/".format(*self.state.phase_path)) - present:
            for key in self.source.list_sizes(f"runs/{uid}/"):
                if key.endswith("/manifest.json"):
                    manifest = self._read(key, Manifest)
                    found |= {manifest.code_sha256} if manifest else set()
        return {digest for digest in found if digest}


def open_archive(
    path: Path, folder: Path, limit: int, report: AuditReport
) -> tuple[FolderSource, PhaseState]:
    """Unpacks an archive into an empty folder, and compares its files with its index.

    Args:
        limit: bytes that it may have unpacked.
        report: takes what differs.

    Raises:
        AuditError: it is not an archive of a phase; then nothing of it is used.
        OSError: it cannot be read, or the folder not written.
    """
    try:
        unpack(path, folder, limit=limit, members=MOST_FILES + 1)
    except BundleError as error:
        raise AuditError(
            f"{path} was refused. {error.cause}", consequence="Nothing of it was used."
        ) from None
    index = _read_index(path, folder / INDEX)
    files = FolderSource(folder, inputs=True, solutions=True)
    for entry in index.files:
        _check_file(files, entry, report)
    listed = {entry.path for entry in index.files} | {INDEX}
    for found in files.list_sizes(""):
        if found not in listed:
            report.differ(Check.ARCHIVE, found, "no such file", "one that was added", _CHANGED)
    for key in index.left_out:
        meaning = "No part of Alcove writes such a key: somebody put the object there."
        report.differ(Check.EXTRA, key, "no such object", "one that no archive can hold", meaning)
    source = FolderSource(folder / STORE, index.inputs, index.solutions)
    return source, _read_state(path, folder / CLUSTER, index)


def _read_index(path: Path, file: Path) -> ArchiveIndex:
    try:
        if file.stat().st_size > _INDEX_BYTES:
            raise AuditError(f"{path} has an {INDEX} of more than {_INDEX_BYTES} bytes: it was not read.")
        return ArchiveIndex.model_validate_json(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise AuditError(
            f"{path} has no {INDEX}: `alcove export` did not write it, or it is cut short."
        ) from None
    except ValidationError as error:
        field_name, fault = first_fault(error)
        raise AuditError(f"{path}: {INDEX}: field {field_name!r}: {fault}.") from None


def _check_file(files: FolderSource, entry: FileEntry, report: AuditReport) -> None:
    pieces = DigestedPieces(files.read(entry.path), entry.bytes)
    said = MISSING
    with suppress(StoreNotFoundError):
        for piece in pieces:
            report.progress(len(piece))
        said = f"{pieces.size} bytes, sha256 {pieces.sha256}"
    wanted = f"{entry.bytes} bytes, sha256 {entry.sha256}"
    if said == wanted:
        report.hold(Check.ARCHIVE)
    else:
        report.differ(Check.ARCHIVE, entry.path, f"{wanted} (by {INDEX})", said, _CHANGED)


def _read_state(path: Path, folder: Path, index: ArchiveIndex) -> PhaseState:
    def read(file: Path) -> dict[str, Any]:
        try:
            if file.stat().st_size > DOCUMENT_BYTES:
                raise ValueError("too large")
            found = json.loads(file.read_bytes())
            if not isinstance(found, dict) or not isinstance(found.get("metadata"), dict):
                raise ValueError("no object of the API")
            return found
        except (OSError, ValueError, RecursionError) as error:
            name = file.relative_to(folder.parent)
            raise AuditError(f"{path}: {name} cannot be read ({type(error).__name__}).") from None

    leaderboard = folder / "leaderboard.json"
    return PhaseState(
        index.phase,
        read(folder / "competition.json"),
        tuple(read(file) for file in sorted((folder / "datasets").glob("*.json"))),
        read(leaderboard) if leaderboard.exists() else None,
        tuple(read(file) for file in sorted((folder / "submissions").glob("*.json"))),
        None if index.teams is None else frozenset(index.teams),
    )
