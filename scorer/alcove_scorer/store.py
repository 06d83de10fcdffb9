"""What the score job reads of runs in the store, each object once, and how it makes sure of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from minio import Minio
from pydantic import ValidationError

from alcove_api import keys
from alcove_api.run_documents import End, Manifest, Record, Verdict
from alcove_api.score_documents import LadderBest, ScoreDataset, ScoreRequest, solutions_file
from alcove_format.errors import SolutionError
from alcove_format.solution import MAX_SOLUTION_BYTES
from alcove_scorer.curves import NANO
from alcove_scorer.errors import DamagedError, first_fault
from alcove_scorer.metrics import Metric, Solution
from alcove_scorer.solutions import parse_for_metric
from alcove_store.client import (
    StoreConfig,
    connect,
    get_bytes,
    put_if_absent,
    read_tail,
    store_errors,
    stream,
)
from alcove_store.errors import StoreConflictError, StoreNotFoundError, StoreTooLargeError

RECORD_BYTES, MANIFEST_BYTES, DOCUMENT_BYTES = 16 << 10, 16 << 20, 1 << 20
"""Of a record, of a manifest (a thousand records), and of any other document of a run, at most. What writes the first
two reads hostile bytes."""
OUTPUT_BYTES = 2000
"""Of what a run printed, at its end, that its report shows."""
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
D = TypeVar("D", Record, Manifest, Verdict, LadderBest)


@dataclass(frozen=True, order=True)
class Attempt:
    number: int
    pod_uid: str


def tidy_output(text: str) -> str:
    """What a terminal would show: no colours, and of a line that is written again (a progress bar) the last state."""
    lines = _TERMINAL.sub("", text).split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines).strip("\n")


def check_solution(data: bytes, dataset: ScoreDataset, metric: Metric) -> Solution:
    """The labels or numbers in a solution's bytes. Raises DamagedError unless they are what the request says."""
    if hashlib.sha256(data).hexdigest() != dataset.solution_sha256:
        key = keys.solution(dataset.solution_sha256)
        raise DamagedError(
            f"{key} is not what its digest says, so nothing can be scored. Upload the solution again."
        )
    try:
        solution = parse_for_metric(data, f"the solution of dataset {dataset.alias}", metric)
    except SolutionError as error:
        raise DamagedError(str(error)) from None
    if solution.shape != (dataset.n_test, dataset.n_labels):
        raise DamagedError(
            f"The solution of dataset {dataset.alias} has {solution.shape[0]} × {solution.shape[1]} cells, but its "
            f"Dataset has {dataset.n_test} × {dataset.n_labels}. Publish a matching solution."
        )
    return solution


@dataclass(frozen=True)
class RunRecords:
    """The runs of one submission in the main bucket, and the solutions in theirs."""

    store: Minio
    bucket: str
    solutions_bucket: str
    uid: str
    solution_stores: Mapping[str, Minio] = field(default_factory=dict)
    """By a solution's digest: the store with credentials for it, where those of :attr:`store` are not."""

    @classmethod
    def connect(cls, request: ScoreRequest, config: StoreConfig, solutions_bucket: str) -> RunRecords:
        """With the credentials of ``config`` for runs and scores, and those beside them for solutions."""
        stores: dict[str, Minio] = {}
        for number, group in enumerate(request.solution_groups()):
            file = config.credentials.with_name(solutions_file(number))
            stores |= dict.fromkeys(group, connect(replace(config, credentials=file)))
        return cls(connect(config), config.bucket, solutions_bucket, request.submission_uid, stores)

    def solution(self, dataset: ScoreDataset, metric: Metric) -> Solution:
        """Raises DamagedError unless it is what the request says."""
        store = self.solution_stores.get(dataset.solution_sha256, self.store)
        data = _read(store, self.solutions_bucket, keys.solution(dataset.solution_sha256), MAX_SOLUTION_BYTES)
        return check_solution(data, dataset, metric)

    def attempts(self, alias: str) -> tuple[list[Attempt], bool]:
        """Attempts that recorded anything, and whether the verdict is there."""
        prefix = f"runs/{self.uid}/{alias}/"
        found: list[Attempt] = []
        decided = False
        with store_errors(f"listing {prefix}"):
            for entry in self.store.list_objects(self.bucket, prefix=prefix):
                name = entry.object_name.removeprefix(prefix)
                decided = decided or name == "verdict.json"
                number, _, pod_uid = name.rstrip("/").partition("-")
                if number.isdecimal() and pod_uid:
                    found.append(Attempt(int(number), pod_uid))
        return sorted(found), decided

    def verdict(self, alias: str) -> tuple[Verdict, str]:
        """And the digest of its bytes."""
        key = keys.verdict(self.uid, alias)
        data = self.get(key)
        return self._document(Verdict, key, data), hashlib.sha256(data).hexdigest()

    def prefix(self, alias: str, attempt: Attempt) -> str:
        return keys.attempt_prefix(self.uid, alias, attempt.number, attempt.pod_uid)

    def records(self, prefix: str, start: int) -> Iterator[Record]:
        """Records from number ``start`` on, as far as they are without a gap."""
        with store_errors(f"listing {prefix}"):
            after = keys.record(prefix, start - 1) if start else None
            entries = self.store.list_objects(self.bucket, prefix=f"{prefix}/rec/", start_after=after)
            present = [entry.object_name for entry in entries]
        for seq, name in enumerate(present, start):
            if name != keys.record(prefix, seq):
                return
            yield self._document(Record, name, self.get(name, RECORD_BYTES))

    def snapshot(self, prefix: str, record: Record) -> Iterator[bytes]:
        """The bytes of a prediction, piece by piece, fetched as they are asked for.

        Raises DamagedError after the last one where they are not those that were recorded.
        """
        key = keys.snapshot(prefix, record.seq)
        size, digest = 0, hashlib.sha256()
        try:
            for piece in stream(self.store, self.bucket, key):
                size += len(piece)
                if size > record.bytes:
                    break
                digest.update(piece)
                yield piece
        except StoreNotFoundError:
            raise DamagedError(f"{key} is missing from the store, though it was recorded") from None
        if size != record.bytes or digest.hexdigest() != record.sha256:
            raise DamagedError(
                f"{key} is not what its record says: its bytes changed since they were recorded"
            )

    def output_tail(self, prefix: str) -> str:
        """The last lines that the run printed; empty where there are none."""
        data = read_tail(self.store, self.bucket, keys.log(prefix), OUTPUT_BYTES + 1)
        text = tidy_output(data.decode(errors="replace"))
        return text if len(data) <= OUTPUT_BYTES else text.partition("\n")[2] or text

    def manifest(self, prefix: str) -> tuple[Manifest, str] | None:
        """The manifest and the digest of its bytes, with its chain checked; None where there is none."""
        key = keys.manifest(prefix)
        try:
            data = get_bytes(self.store, self.bucket, key, limit=MANIFEST_BYTES)
        except StoreNotFoundError:
            return None
        except StoreTooLargeError as error:
            raise DamagedError(error.cause) from None
        manifest = self._document(Manifest, key, data)
        head = None
        for seq, record in enumerate(manifest.records):
            head = extend_chain(key, seq, head, record)
        if head != manifest.head:
            raise DamagedError(f"{key}: its head is not the digest of its last record")
        return manifest, hashlib.sha256(data).hexdigest()

    def ladder_chain(self, prefix: str) -> list[LadderBest]:
        """In the order in which they were raised."""
        with store_errors(f"listing {prefix}"):
            names = [entry.object_name for entry in self.store.list_objects(self.bucket, prefix=prefix)]
        return [self._document(LadderBest, name, self.get(name)) for name in names]

    def seal(self, verdict: Verdict, prefix: str, budget: float, records: tuple[Record, ...]) -> str:
        """Writes the manifest that the recorder could not, and returns the digest of its bytes.

        What the store holds without a manifest says nothing of how the run ended: the verdict does.
        """
        manifest = Manifest(
            submission_uid=self.uid,
            alias=verdict.alias,
            attempt=verdict.attempt or 0,
            pod_uid=verdict.pod_uid or "",
            budget_ns=round(budget * NANO),
            go_at=verdict.started_at,
            boot_id="",
            end=End(cause="unknown", ended_ns=-1),
            overshoot_ns=0,
            records=records,
            head=records[-1].digest() if records else None,
            log_sha256=self._log_digest(prefix),
            sealed_by="scorer",
        ).canonical()
        try:
            put_if_absent(self.store, self.bucket, keys.manifest(prefix), manifest)
        except StoreConflictError:
            raise DamagedError(
                f"{keys.manifest(prefix)} appeared after the verdict; score it again"
            ) from None
        return hashlib.sha256(manifest).hexdigest()

    def _log_digest(self, prefix: str) -> str | None:
        digest = hashlib.sha256()
        try:
            for piece in stream(self.store, self.bucket, keys.log(prefix)):
                digest.update(piece)
        except StoreNotFoundError:
            return None
        return digest.hexdigest()

    def get(self, key: str, limit: int = DOCUMENT_BYTES) -> bytes:
        """Raises DamagedError where it is missing or larger."""
        return _read(self.store, self.bucket, key, limit)

    def _document(self, kind: type[D], key: str, data: bytes) -> D:
        try:
            return kind.model_validate_json(data)
        except ValidationError as error:
            field, fault = first_fault(error)
            raise DamagedError(f"{key}: field {field!r}: {fault}") from None


def _read(store: Minio, bucket: str, key: str, limit: int) -> bytes:
    try:
        return get_bytes(store, bucket, key, limit=limit)
    except StoreNotFoundError:
        raise DamagedError(f"{key} is missing from the store; put it back, or publish it again") from None
    except StoreTooLargeError as error:
        raise DamagedError(error.cause) from None


def extend_chain(key: str, seq: int, head: str | None, record: Record) -> str:
    """The chain's new head. Raises DamagedError where ``record`` does not continue it."""
    if record.seq != seq or record.previous != head:
        raise DamagedError(f"{key}: record {seq} does not continue the chain of those before it")
    return record.digest()
