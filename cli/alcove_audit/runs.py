"""One run of a Submission: its verdict, its attempts, and the score that its records give."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from alcove_api import keys
from alcove_api.run_documents import Verdict
from alcove_api.run_names import alias_of
from alcove_api.score_documents import (
    NO_PREDICTIONS,
    STORE_DAMAGED,
    ScoreDataset,
    ScoredRun,
    ScoreRequest,
    ScoreResult,
)
from alcove_api.submission import PrunedParts, RunStatus
from alcove_audit.attempts import CHANGED, RESTORE, AttemptAudit, CheckedAttempt, KnownAttempt
from alcove_audit.datasets import DatasetAudit
from alcove_audit.findings import MISSING, Check
from alcove_audit.ladders import LadderAudit, ladder_run
from alcove_audit.phase_state import PhaseState
from alcove_audit.reading import EvidenceReader, ReadDocument
from alcove_audit.results import CHANGED_SCORE, find_feedback, find_rules
from alcove_operator.core.model import SubmissionView
from alcove_scorer.curves import NANO
from alcove_scorer.predictions import PredictionReader
from alcove_scorer.row_choice import choose_rows
from alcove_scorer.scored_run import score_record, summarize_run
from alcove_scorer.scoring import RunScorer

_ATTEMPT = re.compile(r"^(\d+)-([^/]+)/")
NO_SOLUTION = "there is no solution to score by"


@dataclass(frozen=True)
class AuditedSubmission:
    reader: EvidenceReader
    datasets: DatasetAudit
    ladders: LadderAudit
    state: PhaseState
    view: SubmissionView
    read: PredictionReader
    deleted: bool = False
    """Whether the object is gone, so that the store's own word is all there is."""


@dataclass
class RunAudit:
    subject: AuditedSubmission
    asked: ScoreRequest
    dataset: ScoreDataset
    status: RunStatus
    stored: ScoredRun | None
    result: ReadDocument[ScoreResult] | None
    verdict: ReadDocument[Verdict] | None = None
    checked: CheckedAttempt | None = None
    """Of the scored attempt; None where none is."""

    def __post_init__(self) -> None:
        self.reader = self.subject.reader
        self.uid, self.alias = self.subject.view.uid, self.dataset.alias

    def check(self, listed: Mapping[str, int]) -> set[str]:
        """``listed``: sizes of all objects of the Submission's runs. Returns the keys that belong to this one."""
        prefix = keys.run_prefix(self.uid, self.alias)
        mine = {key: size for key, size in listed.items() if key.startswith(prefix)}
        key = keys.verdict(self.uid, self.alias)
        if key not in mine and self.stored is None and self.status.phase not in ("Done", "Failed"):
            self.reader.report.leave_out(Check.VERDICT, "the run is not over yet")
            return set(mine)
        recorded = self.stored.verdict_sha256 if self.stored else None
        self.verdict = self.reader.document(Check.VERDICT, Verdict, key, f"{CHANGED} {RESTORE}", recorded)
        if self.verdict is not None:
            self._check_verdict(key, self.verdict.document)
        scored = self._scored_attempt()
        accounted = {key} | self._check_repeated(mine, scored)
        if scored is not None:
            inside = _inside(mine, scored)
            scorer = self._scorer(self.stored, self.result)
            self.checked = AttemptAudit(self.reader, scored, inside).check(scorer)
            accounted |= set(inside)
            self._compare(self.stored, self.result, scorer)
        elif self.verdict is not None:
            self._compare(self.stored, self.result, None)
        return accounted

    def check_earlier(self, stored: ScoredRun, result: ReadDocument[ScoreResult]) -> None:
        """A score by other settings, from the same records; what they are has been checked."""
        scorer = self._scorer(stored, result)
        if self.checked is not None and self.checked.whole and scorer is not None:
            for record in self.checked.records:
                key = keys.snapshot(self.checked.prefix, record.seq)
                score_record(scorer, record, partial(self.reader.pieces, key))
        self._compare(stored, result, scorer)

    def _check_repeated(self, mine: Mapping[str, int], scored: KnownAttempt | None) -> set[str]:
        """Attempts before the last: nothing is made of them, but the verdict says what each left."""
        repeated = self.verdict.document.repeated if self.verdict else None
        if repeated is None:
            return self._check_unlisted(mine, scored)
        accounted: set[str] = set()
        for one in repeated:
            attempt = KnownAttempt(
                self.uid,
                self.alias,
                one.attempt,
                one.pod_uid,
                self._budget_ns(),
                manifest_sha256=one.manifest_sha256,
                repeated=one,
                pruned=self._pruned(),
            )
            inside = _inside(mine, attempt)
            if inside:
                AttemptAudit(self.reader, attempt, inside, sealed=False).check(None)
            else:
                self.reader.report.differ(
                    Check.RECORD, attempt.prefix, "what an attempt left that was repeated", MISSING, CHANGED
                )
            accounted |= set(inside)
        return accounted

    def _check_unlisted(self, mine: Mapping[str, int], scored: KnownAttempt | None) -> set[str]:
        """Of a verdict that does not say what there was: each attempt must agree with itself."""
        accounted: set[str] = set()
        prefix = keys.run_prefix(self.uid, self.alias)
        found = {_attempt_of(key, prefix) for key in mine}
        last = scored.attempt if scored else self.status.attempt
        for number, pod_uid in sorted(attempt for attempt in found if attempt is not None):
            attempt = KnownAttempt(
                self.uid, self.alias, number, pod_uid, self._budget_ns(), pruned=self._pruned()
            )
            if number < last:
                inside = _inside(mine, attempt)
                AttemptAudit(self.reader, attempt, inside, sealed=False).check(None)
                self.reader.report.leave_out(Check.RECORD, "which attempts were repeated was not recorded")
                accounted |= set(inside)
        return accounted

    def _pruned(self) -> PrunedParts:
        return self.subject.view.status.pruned or PrunedParts()

    def _budget_ns(self) -> int:
        seconds = self.result.document.budget_seconds if self.result else self.asked.budget_seconds
        return round(seconds * NANO)

    def _check_verdict(self, key: str, verdict: Verdict) -> None:
        """Against the status, which is outside the store."""
        report, run = self.reader.report, self.status
        wanted: dict[str, object] = {"submission_uid": self.uid, "alias": self.alias}
        if not self.subject.deleted:
            wanted |= {"attempt": run.attempt if run.pod_uid else None, "pod_uid": run.pod_uid or None}
            if run.cause not in (NO_PREDICTIONS, STORE_DAMAGED, ""):
                wanted["cause"] = run.cause
        for name, value in wanted.items():
            found = getattr(verdict, name)
            report.compare(Check.VERDICT, key, name, value, found, f"{CHANGED} {RESTORE}")
        self._check_images(key, verdict)

    def _check_images(self, key: str, verdict: Verdict) -> None:
        """Of a team's own image, that it was the one that they named."""
        report, spec = self.reader.report, self.subject.view.spec
        if not verdict.images:
            if verdict.attempt is not None:
                report.leave_out(Check.IMAGE, "not recorded")
            return
        report.hold(Check.IMAGE, len(verdict.images))
        own = spec.code.image if spec else None
        ran = next((i.image_id for i in verdict.images if i.container == "main"), None)
        if own is not None and ran is not None:
            wanted = own.reference.partition("@")[2]
            meaning = (
                "Another image was run than the team named; or that was a list, and this is the node's of it."
            )
            found = ran.rpartition("@")[2]
            report.compare(Check.IMAGE, key, "digest of main's image", wanted, found, meaning)

    def _scored_attempt(self) -> KnownAttempt | None:
        """By the status, which is outside the store; by the verdict where that does not say."""
        verdict = self.verdict.document if self.verdict else None
        number, pod_uid = self.status.attempt, self.status.pod_uid
        if not pod_uid and verdict is not None:
            number, pod_uid = verdict.attempt or 0, verdict.pod_uid or ""
        if not number or not pod_uid:
            return None
        view, dataset = self.subject.view, self.subject.state.datasets_by_alias[alias_of(self.alias)]
        staged = {"data_sha256": None if dataset.volume_claim else dataset.data_sha256}
        if not self.subject.deleted:
            staged["code_sha256"] = view.status.code_sha256 or None
        return KnownAttempt(
            self.uid,
            self.alias,
            number,
            pod_uid,
            self._budget_ns(),
            head=self.status.head or None,
            head_commitment=self.status.head_commitment,
            solution_sha256=(self.stored.solution_sha256 if self.stored else None) or dataset.solution_sha256,
            verdict_head=verdict.head if verdict else None,
            manifest_sha256=self.stored.manifest_sha256 if self.stored else None,
            staged=staged,
            pruned=self._pruned(),
        )

    def _scorer(self, stored: ScoredRun | None, result: ReadDocument[ScoreResult] | None) -> RunScorer | None:
        if stored is None or result is None:
            return None
        rules, dataset = find_rules(result.document), self._dataset_of(stored)
        feedback = find_feedback(self.asked, result.document)
        solution = None if rules is None else self.subject.datasets.solution(dataset, rules.metric)
        if rules is None or solution is None:
            return None
        rows = choose_rows(dataset.solution_sha256, solution, feedback, result.document.scoring)
        return RunScorer(rules, solution, rows, self.subject.read)

    def _dataset_of(self, stored: ScoredRun) -> ScoreDataset:
        """With the solution that the score names."""
        return self.dataset.replace(solution_sha256=stored.solution_sha256 or self.dataset.solution_sha256)

    def _compare(
        self,
        stored: ScoredRun | None,
        result: ReadDocument[ScoreResult] | None,
        scorer: RunScorer | None,
    ) -> None:
        """The stored score of this run with the one that its records give; ``scorer``: which they were fed to."""
        report, checked = self.reader.report, self.checked
        if stored is None or result is None:
            return
        key = keys.score_result(self.uid, result.document.scoring_digest)
        if stored.ladder is not None:
            asked = self.asked.replace(feedback=find_feedback(self.asked, result.document))
            whole = scorer if checked is not None and checked.whole else None
            ladder_id, run = ladder_run(key, stored.ladder, asked, whole, self.alias)
            self.subject.ladders.add(self.uid, ladder_id, run)
        if checked is not None and checked.pruned:
            report.leave_out(Check.SCORE, checked.pruned)
            return
        if self.verdict is None or (checked is not None and not checked.whole):
            report.leave_out(Check.SCORE, "what it is made of was changed")
            return
        if checked is not None and scorer is None:
            report.leave_out(Check.SCORE, NO_SOLUTION)
            return
        again = summarize_run(
            self._dataset_of(stored),
            self.verdict.document,
            self.verdict.sha256,
            checked.records if checked else (),
            scorer.outcome() if checked and scorer else None,
            checked.manifest.sha256 if checked and checked.manifest else None,
        )
        # The Ladder's value depends on the team's other runs too: it is looked at when all are known.
        again = again.replace(ladder=stored.ladder)
        for name in ScoredRun.model_fields:
            wanted, found = getattr(again, name), getattr(stored, name)
            if found or name not in ("verdict_sha256", "solution_sha256", "calibration"):
                where = f"runs[{self.alias}].{name}"
                report.compare(Check.SCORE, key, where, wanted, found, CHANGED_SCORE)


def _inside(sizes: Mapping[str, int], attempt: KnownAttempt) -> dict[str, int]:
    return {key: size for key, size in sizes.items() if key.startswith(f"{attempt.prefix}/")}


def _attempt_of(key: str, prefix: str) -> tuple[int, str] | None:
    match = _ATTEMPT.match(key.removeprefix(prefix))
    return (int(match[1]), match[2]) if match else None
