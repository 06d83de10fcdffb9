"""One attempt of a run: its records, their chain, what was recorded, and the manifest that closes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from alcove_api import keys
from alcove_api.run_documents import Manifest, Record, RepeatedAttempt, commit_head
from alcove_api.submission import PrunedParts
from alcove_audit.findings import MISSING, Check, describe
from alcove_audit.reading import EvidenceReader, ReadDocument, as_written
from alcove_audit.source import DigestedPieces
from alcove_scorer.scored_run import score_record
from alcove_scorer.scoring import RunScorer
from alcove_store.errors import StoreNotFoundError

_RECORD = re.compile(r"/rec/(\d{8})\.json$")
_STAGED = {"data_sha256": (Check.INPUT, "another input"), "code_sha256": (Check.CODE, "other code")}
_SCORED = frozenset({Check.RECORD, Check.MANIFEST, Check.HEAD, Check.PREDICTION})
"""What a score is made of."""
CHANGED = "It was changed after the run: nothing that is made of it can be trusted."
RESTORE = "Restore the object's first version, if the store keeps versions; then score it again."


@dataclass(frozen=True)
class KnownAttempt:
    """What is known of an attempt from elsewhere; None for what is not."""

    submission_uid: str
    alias: str
    attempt: int
    pod_uid: str
    budget_ns: int
    head: str | None = None
    """From the Submission's status."""
    head_commitment: str = ""
    """Likewise, of a blind phase."""
    verdict_head: str | None = None
    manifest_sha256: str | None = None
    """From the score; of an attempt that was repeated, from the verdict."""
    staged: Mapping[str, str | None] = field(default_factory=dict)
    """``data_sha256`` and ``code_sha256``, where it is known what they must be."""
    solution_sha256: str = ""
    repeated: RepeatedAttempt | None = None
    """What the verdict says of an attempt that was repeated."""
    pruned: PrunedParts = field(default_factory=PrunedParts)
    """What the status says that retention has deleted."""

    @property
    def prefix(self) -> str:
        return keys.attempt_prefix(self.submission_uid, self.alias, self.attempt, self.pod_uid)


@dataclass(frozen=True)
class CheckedAttempt:
    records: tuple[Record, ...]
    manifest: ReadDocument[Manifest] | None
    prefix: str
    whole: bool
    """Whether all that a score is made of is there, as it was recorded."""
    pruned: str = ""
    """Why not all is, where that is nobody's fault."""


@dataclass
class AttemptAudit:
    reader: EvidenceReader
    known: KnownAttempt
    sizes: Mapping[str, int]
    """Of the objects of this attempt, by key."""
    sealed: bool = True
    """Whether it must have a manifest: one that was repeated need not."""
    _accounted: set[str] = field(default_factory=set)
    _pruned: str = ""

    def check(self, scorer: RunScorer | None) -> CheckedAttempt:
        """Each prediction is read once: digested, and scored on the way where there is a ``scorer``."""
        before = len(self.reader.report.findings)
        manifest = self._manifest()
        files = dict(self._record_files())
        records = self._choose(manifest, files)
        self._check_record_files(records, files)
        self._check_chain(records)
        if manifest is not None:
            self._check_manifest(manifest, records)
        self._check_heads(records, manifest)
        for record in records:
            self._check_prediction(record, scorer)
        self._check_output(manifest)
        whole = not self._pruned and not any(f.check in _SCORED for f in self.reader.report.findings[before:])
        self.reader.nothing_else(set(self.sizes), self._accounted)
        return CheckedAttempt(records, manifest, self.known.prefix, whole, self._pruned)

    def _manifest(self) -> ReadDocument[Manifest] | None:
        key = keys.manifest(self.known.prefix)
        self._accounted.add(key)
        expected = self.sealed or self.known.manifest_sha256 is not None
        if not expected and key not in self.sizes:
            return None
        return self.reader.document(Check.MANIFEST, Manifest, key, CHANGED, self.known.manifest_sha256)

    def _record_files(self) -> Iterator[tuple[int, bytes]]:
        for key in self.sizes:
            match = _RECORD.search(key)
            if match and key == keys.record(self.known.prefix, int(match[1])):
                data = self.reader.fetch(key)
                if data is not None:
                    yield int(match[1]), data

    def _choose(
        self, manifest: ReadDocument[Manifest] | None, files: Mapping[int, bytes]
    ) -> tuple[Record, ...]:
        """Where manifest and files differ, those that are proven: by the manifest's digest, or by the head."""
        listed = manifest.document.records if manifest else ()
        beside = _parse_all(files)
        if manifest is None:
            return beside or ()
        proven = self.known.manifest_sha256 in (None, manifest.sha256)
        head = self.known.head or self.known.verdict_head
        if not proven and beside is not None and _is_chain(beside) and _head(beside) == head:
            return beside
        return listed

    def _check_record_files(self, records: tuple[Record, ...], files: Mapping[int, bytes]) -> None:
        for place, record in enumerate(records):
            key = keys.record(self.known.prefix, place)
            self._accounted.add(key)
            wanted, found = as_written(record), files.get(place)
            if found is None:
                self._differ(Check.RECORD, key, "the record that the manifest lists", MISSING)
            elif found != wanted:
                expected, other = _difference(record, found)
                self._differ(Check.RECORD, key, f"{expected} (by {keys.manifest(self.known.prefix)})", other)
            else:
                self.reader.report.hold(Check.RECORD)

    def _check_chain(self, records: tuple[Record, ...]) -> None:
        previous, seen, taken = None, 0, 0
        for place, record in enumerate(records):
            key = keys.record(self.known.prefix, place)
            faults = []
            if record.seq != place:
                faults.append((f"seq {place}", f"seq {record.seq}"))
            if record.previous != previous:
                faults.append((describe("previous", previous), describe("previous", record.previous)))
            if not seen <= record.seen_ns <= self.known.budget_ns:
                bounds = f"seen_ns from {seen} (the record before) to {self.known.budget_ns} (the budget)"
                faults.append((bounds, f"seen_ns {record.seen_ns}"))
            if record.t_ns < max(taken, record.seen_ns):
                faults.append((f"t_ns of at least {max(taken, record.seen_ns)}", f"t_ns {record.t_ns}"))
            for expected, found in faults:
                self._differ(Check.RECORD, key, expected, found)
            previous, seen, taken = record.digest(), record.seen_ns, record.t_ns

    def _check_manifest(self, manifest: ReadDocument[Manifest], records: tuple[Record, ...]) -> None:
        known, document = self.known, manifest.document
        key = keys.manifest(known.prefix)
        overshoot = max(0, document.end.ended_ns - document.budget_ns)
        wanted: dict[str, object] = {
            "submission_uid": known.submission_uid,
            "alias": known.alias,
            "attempt": known.attempt,
            "pod_uid": known.pod_uid,
            "budget_ns": known.budget_ns,
            "overshoot_ns": overshoot,
            "head": _head(records),
        }
        for name, value in wanted.items():
            found = getattr(document, name)
            if found != value:
                self._differ(Check.MANIFEST, key, describe(name, value), describe(name, found))
        if document.records != records:
            self._differ(Check.MANIFEST, key, "the records that lie beside it", "others")
        self._check_staged(document)

    def _check_staged(self, manifest: Manifest) -> None:
        key, report = keys.manifest(self.known.prefix), self.reader.report
        digests = (manifest.data_sha256, manifest.code_sha256, manifest.log_sha256)
        recorded = manifest.sealed_by == "recorder" and any(digests)
        for name, wanted in self.known.staged.items():
            check, what = _STAGED[name]
            if recorded:
                meaning = f"The run was given {what} than its objects in the cluster name now."
                report.compare(check, key, name, wanted, getattr(manifest, name), meaning)
            else:
                report.leave_out(check, "what the run was given was not recorded")

    def _check_heads(self, records: tuple[Record, ...], manifest: ReadDocument[Manifest] | None) -> None:
        """The status is outside the store: who changed every record there has not changed it."""
        key, head = keys.manifest(self.known.prefix), _head(records)
        meaning = f"Records were changed, added or taken away. {RESTORE}"
        if not self.sealed:
            if self.known.repeated is not None:
                wanted = self.known.repeated.head
                self.reader.report.compare(Check.HEAD, key, "head (in the verdict)", wanted, head, meaning)
            return
        by_recorder = manifest is not None and manifest.document.sealed_by == "recorder"
        # A recorder that could not seal may have saved more than it had time to report.
        possible = {head} if by_recorder else {head, *(record.digest() for record in records)}
        said: list[tuple[str, str | None]] = [("verdict", self.known.verdict_head)]
        if not self.known.head_commitment:
            said.append(("status", self.known.head))
        for place, wanted in said:
            if wanted is None:
                self.reader.report.leave_out(Check.HEAD, f"no head in the {place}")
            elif wanted in possible:
                self.reader.report.hold(Check.HEAD)
            else:
                expected, found = describe(f"head (in the {place})", wanted), describe("head", head)
                self.reader.report.differ(Check.HEAD, key, expected, found, meaning)
        self._check_commitment(key, possible, meaning)

    def _check_commitment(self, key: str, possible: set[str | None], meaning: str) -> None:
        wanted, solution = self.known.head_commitment, self.known.solution_sha256
        if not wanted:
            return
        if wanted in {commit_head(head, solution) for head in possible if head}:
            self.reader.report.hold(Check.HEAD)
            return
        expected = describe("a head of headCommitment (in the status)", wanted)
        self.reader.report.differ(Check.HEAD, key, expected, "another, or another solution", meaning)

    def _check_prediction(self, record: Record, scorer: RunScorer | None) -> None:
        key, by = (make(self.known.prefix, record.seq) for make in (keys.snapshot, keys.record))
        if record.sha256 is None:
            if scorer is not None:
                score_record(scorer, record, lambda: iter(()))
            return
        self._accounted.add(key)
        if key not in self.sizes and (pruned := self.known.pruned.explain("snapshots")):
            self._pruned = f"predictions were {pruned}"
            self.reader.report.leave_out(Check.PREDICTION, pruned)
            return
        pieces = DigestedPieces(self.reader.pieces(key), record.bytes)

        def read_anew() -> Iterator[bytes]:
            nonlocal pieces
            pieces = DigestedPieces(self.reader.pieces(key), record.bytes)
            return iter(pieces)

        try:
            if scorer is not None:
                score_record(scorer, record, read_anew)
            # What scores nothing is not read by the scorer, or not to its end.
            for _ in pieces:
                pass
        except StoreNotFoundError:
            self._differ(Check.PREDICTION, key, describe("sha256", record.sha256), MISSING)
            return
        if pieces.size != record.bytes:
            found = f"more than {record.bytes}" if pieces.size > record.bytes else f"{pieces.size}"
            self._differ(Check.PREDICTION, key, f"{record.bytes} bytes (by {by})", f"{found} bytes")
        elif pieces.sha256 != record.sha256:
            other = describe("sha256", pieces.sha256)
            self._differ(Check.PREDICTION, key, f"{describe('sha256', record.sha256)} (by {by})", other)
        else:
            self.reader.report.hold(Check.PREDICTION)

    def _check_output(self, manifest: ReadDocument[Manifest] | None) -> None:
        key = keys.log(self.known.prefix)
        self._accounted.add(key)
        repeated = self.known.repeated
        if key not in self.sizes and (pruned := self.known.pruned.explain("logs")):
            self.reader.report.leave_out(Check.OUTPUT, pruned)
            return
        digest = repeated.log_sha256 if repeated else manifest.document.log_sha256 if manifest else None
        if digest is not None:
            meaning = "The output was changed after the run. It scores nothing, but reports show its end."
            self.reader.digest(Check.OUTPUT, key, digest, None, meaning, keys.manifest(self.known.prefix))
        elif key in self.sizes:
            self.reader.report.leave_out(Check.OUTPUT, "its digest was not recorded")

    def _differ(self, check: Check, key: str, expected: str, found: str) -> None:
        self.reader.report.differ(check, key, expected, found, f"{CHANGED} {RESTORE}")


def _parse_all(files: Mapping[int, bytes]) -> tuple[Record, ...] | None:
    """None where one is no record, or one is missing between others."""
    try:
        found = tuple(Record.model_validate_json(files[place]) for place in range(len(files)))
    except (KeyError, ValidationError):
        return None
    return found


def _is_chain(records: tuple[Record, ...]) -> bool:
    heads = [None, *(record.digest() for record in records)]
    return all((r.seq, r.previous) == (i, heads[i]) for i, r in enumerate(records))


def _head(records: tuple[Record, ...]) -> str | None:
    return records[-1].digest() if records else None


def _difference(record: Record, data: bytes) -> tuple[str, str]:
    """What the fields are that differ, as they are in the manifest and in the file."""
    try:
        other = Record.model_validate_json(data)
    except ValidationError:
        return f"a record, sha256 {record.digest()}", "no record"
    names = [name for name in Record.model_fields if getattr(record, name) != getattr(other, name)]
    if not names:
        return "the canonical form, which digests are taken of", "another one"
    return (
        ", ".join(describe(name, getattr(record, name)) for name in names),
        ", ".join(describe(name, getattr(other, name)) for name in names),
    )
