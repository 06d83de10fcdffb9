"""Follows the runs of one submission in the store and scores every snapshot once, as it comes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from alcove_api import keys
from alcove_api.run_documents import Manifest, Record, Verdict
from alcove_api.score_documents import STORE_DAMAGED, LiveRun, ScoreDataset, ScoredRun, ScoreRequest
from alcove_scorer import jobs
from alcove_scorer.curves import CurveRules
from alcove_scorer.disclosure import ShownCurve, limit_curve
from alcove_scorer.errors import DamagedError
from alcove_scorer.ladder_store import raise_stored_best
from alcove_scorer.metrics import Solution
from alcove_scorer.predictions import PredictionReader, read_prediction
from alcove_scorer.row_choice import choose_rows
from alcove_scorer.scored_run import score_record, summarize_run, to_curve
from alcove_scorer.scoring import RunScorer
from alcove_scorer.store import Attempt, RunRecords, extend_chain

BURST_SECONDS = 0.5
"""For which one dataset's backlog is scored before what is new is shown, and others have their turn."""


@dataclass
class AttemptReader:
    """One attempt, read as far as it goes. A failed read changes nothing, so it can be tried again."""

    runs: RunRecords
    attempt: Attempt
    prefix: str
    scorer: RunScorer
    records: list[Record] = field(default_factory=list)
    head: str | None = None
    manifest: tuple[Manifest, str] | None = None
    """And the digest of its bytes: read already."""

    def advance(self, verdict: Verdict | None = None) -> bool:
        """Reads and scores what has come, for ``BURST_SECONDS``; says whether that was all.

        Once there is a ``verdict`` nothing more comes. Raises DamagedError, or the store's errors.
        """
        until = time.monotonic() + BURST_SECONDS
        for record in self._ahead(verdict):
            self.feed(record)
            if time.monotonic() >= until:
                return False
        return True

    def _ahead(self, verdict: Verdict | None) -> Iterator[Record]:
        """Of a manifest that ends with what the recorder reported last: it proves all records, and is one object."""
        if verdict is not None and verdict.head is not None:
            self.manifest = self.manifest or self.runs.manifest(self.prefix)
            if self.manifest is not None and self.manifest[0].head == verdict.head:
                return iter(self.manifest[0].records[len(self.records) :])
        return self.runs.records(self.prefix, len(self.records))

    def feed(self, record: Record) -> None:
        head = extend_chain(self.prefix, len(self.records), self.head, record)
        score_record(self.scorer, record, lambda: self.runs.snapshot(self.prefix, record))
        self.records.append(record)
        self.head = head

    def close(self, verdict: Verdict) -> str:
        """Once all records were read: checks them against the manifest, or seals one. Returns the manifest's digest."""
        found = self.manifest or self.runs.manifest(self.prefix)
        if found is None:
            self._check_head(verdict, sealed=False)
            return self.runs.seal(verdict, self.prefix, self.scorer.rules.budget, tuple(self.records))
        manifest, digest = found
        if list(manifest.records[: len(self.records)]) != self.records:
            raise DamagedError(f"{keys.manifest(self.prefix)} does not list the records that lie beside it")
        for record in manifest.records[len(self.records) :]:
            self.feed(record)
        self._check_head(verdict, manifest.sealed_by == "recorder")
        return digest

    def _check_head(self, verdict: Verdict, sealed: bool) -> None:
        """A recorder that could not seal may have saved more than it had time to report."""
        known = self.records[-1:] if sealed else self.records
        if verdict.head is not None and verdict.head not in (record.digest() for record in known):
            raise DamagedError(
                f"{self.prefix}: its records do not end with the one that the recorder reported last"
            )


@dataclass
class RunFollower:
    """One dataset of the submission: the newest attempt while it is live, the verdict's at the end."""

    runs: RunRecords
    request: ScoreRequest
    dataset: ScoreDataset
    rules: CurveRules
    solution: Solution
    read: PredictionReader = read_prediction
    readers: dict[Attempt, AttemptReader] = field(default_factory=dict)
    newest: AttemptReader | None = None
    verdict: Verdict | None = None
    verdict_sha256: str = ""
    result: ScoredRun | None = None

    def advance(self) -> bool:
        """One round, of not much more than ``BURST_SECONDS``; says whether it took in all that is there.

        Sets ``result`` once the verdict is there and everything has been scored.
        """
        if self.result is not None:
            return True
        attempts, decided = self.runs.attempts(self.dataset.alias)
        if decided:
            try:
                if self.verdict is None:
                    self.verdict, self.verdict_sha256 = self.runs.verdict(self.dataset.alias)
                return self._close(self.verdict)
            except DamagedError as error:
                self.newest = None
                self.result = self._damaged(str(error))
        elif attempts:
            self.newest = self._reader(attempts[-1])
            # Whether this attempt is scored at all, and damage matters, is for the verdict to say.
            with suppress(DamagedError):
                return self.newest.advance()
        return True

    def _reader(self, attempt: Attempt) -> AttemptReader:
        if attempt not in self.readers:
            sha256, request = self.dataset.solution_sha256, self.request
            rows = choose_rows(sha256, self.solution, request.feedback, request.scoring)
            scorer = RunScorer(self.rules, self.solution, rows, self.read)
            self.readers[attempt] = AttemptReader(
                self.runs, attempt, self.runs.prefix(self.dataset.alias, attempt), scorer
            )
        return self.readers[attempt]

    def _close(self, verdict: Verdict) -> bool:
        if verdict.attempt is None or verdict.pod_uid is None:
            self.result = self._scored(verdict, None, None)
            return True
        self.newest = reader = self._reader(Attempt(verdict.attempt, verdict.pod_uid))
        if not reader.advance(verdict):
            return False
        self.result = self._scored(verdict, reader, reader.close(verdict))
        return True

    def _damaged(self, message: str) -> ScoredRun:
        """Of this dataset alone: the others are scored."""
        jobs.log_line(message)
        return ScoredRun(
            alias=self.dataset.alias,
            dataset=self.dataset.name,
            attempt=self.verdict.attempt if self.verdict else None,
            cause=STORE_DAMAGED,
            alc=None,
            final_score=None,
            snapshots=0,
            points=(),
            refused=(),
            manifest_sha256=None,
            message=message,
            verdict_sha256=self.verdict_sha256 or None,
            solution_sha256=self.dataset.solution_sha256,
        )

    def _scored(self, verdict: Verdict, reader: AttemptReader | None, manifest: str | None) -> ScoredRun:
        records, outcome = (reader.records, reader.scorer.outcome()) if reader else ([], None)
        run = summarize_run(self.dataset, verdict, self.verdict_sha256, records, outcome, manifest)
        if reader is None or run.alc is None or self.request.feedback.mode != "ladder":
            return run
        shown = reader.scorer.rows.shown
        rows = len(self.solution if shown is None else shown)
        scores = reader.scorer.ladder_scores()
        return run.replace(ladder=raise_stored_best(self.runs, self.request, run.alias, *scores, rows))

    def live(self) -> LiveRun:
        """What the phase's feedback lets people see now."""
        reader, seen = self.newest, ShownCurve((), None, 0)
        if reader is not None:
            feedback = self.request.feedback
            seen = limit_curve(
                reader.scorer.preview_points, self.rules, feedback.decimals, feedback.max_snapshots
            )
        return LiveRun(
            alias=self.dataset.alias,
            attempt=reader.attempt.number if reader else 0,
            snapshots=sum(record.sha256 is not None for record in reader.records) if reader else 0,
            alc=seen.alc,
            curve=to_curve(seen.points),
            points_shown=seen.chosen,
        )
