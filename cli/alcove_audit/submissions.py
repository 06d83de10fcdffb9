"""One Submission: code, verdicts, attempts, scores and pages, each against what the others and the status say of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pydantic import ValidationError

from alcove_api import keys
from alcove_api.score_documents import ScoreRequest, ScoreResult
from alcove_api.submission import explain_pruned
from alcove_audit.findings import Check, describe
from alcove_audit.pages import PagesAudit
from alcove_audit.reading import ReadDocument
from alcove_audit.results import CHANGED_SCORE, check_settings
from alcove_audit.runs import AuditedSubmission, RunAudit
from alcove_operator.core import scoring, shown_scores

CHANGED_STATUS = (
    "The status was changed by something else than the operator. Nothing more of the Submission was checked."
)
_RESULT = re.compile(r"^[0-9a-f]{16}\.json$")


@dataclass
class SubmissionAudit:
    subject: AuditedSubmission
    audits: dict[str, RunAudit] = field(default_factory=dict)
    """By alias; those that have been made."""

    def __post_init__(self) -> None:
        self.reader, self.state, self.view = self.subject.reader, self.subject.state, self.subject.view

    @property
    def name(self) -> str:
        return f"Submission {self.view.namespace}/{self.view.name}"

    def check(self) -> None:
        try:
            asked = scoring.build_request(self.view, self.state.rules, self.state.datasets_by_alias)
        except ValidationError as error:
            # Of a file that somebody changed: the operator writes nothing that cannot be asked.
            first = error.errors()[0]
            found = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            self.reader.report.differ(
                Check.SCORE, self.name, "a status by which scores can be asked for", found, CHANGED_STATUS
            )
            return
        if isinstance(asked, str):
            self.reader.report.leave_out(Check.SCORE, "a Dataset is gone, so its settings are not known")
            return
        result = self._read_result(asked)
        runs = {run.alias: run for run in result.document.runs} if result else {}
        listed = self.reader.source.list_sizes(f"runs/{self.view.uid}/")
        accounted: set[str] = set()
        for dataset, run in zip(asked.datasets, self.view.status.runs, strict=True):
            audit = RunAudit(self.subject, asked, dataset, run, runs.get(dataset.alias), result)
            accounted |= audit.check(listed)
            self.audits[dataset.alias] = audit
        self.reader.nothing_else(set(listed), accounted)
        self._check_code()
        self._check_shown(result)
        self._check_score_folder(asked, result)

    def _check_code(self) -> None:
        digest, spec, report = self.view.status.code_sha256, self.view.spec, self.reader.report
        manifests = [a.checked.manifest for a in self.audits.values() if a.checked and a.checked.manifest]
        if self.subject.deleted:
            digest = next((m.document.code_sha256 for m in manifests if m.document.code_sha256), None) or ""
        if spec is not None and spec.code.bundle is not None and digest:
            meaning = "Other code was admitted than the team handed in."
            report.compare(
                Check.CODE, self.name, "status.codeSha256", spec.code.bundle.sha256, digest, meaning
            )
        pruned = explain_pruned(self.view.status, "bundle")
        if digest and pruned and not self.reader.source.list_sizes(keys.code(digest)):
            report.leave_out(Check.CODE, pruned)
        elif digest:
            meaning = "The admitted code was changed: runs from then on had other code than the team's."
            self.reader.digest(Check.CODE, keys.code(digest), digest, None, meaning)
        elif spec is not None and spec.code.image is None:
            report.leave_out(Check.CODE, "no code was admitted yet")

    def _read_result(self, asked: ScoreRequest) -> ReadDocument[ScoreResult] | None:
        """The score that the status names; None where there is none, or it cannot be read."""
        status, report = self.view.status, self.reader.report
        if not status.scoring_digest:
            report.leave_out(Check.RESULT, "not scored yet")
            return None
        key = keys.score_result(self.view.uid, status.scoring_digest)
        found = self.reader.document(Check.RESULT, ScoreResult, key, CHANGED_SCORE)
        if found is None:
            return None
        if status.score_sha256:
            # An operator newer than the file digests it with the fields that the file is older than.
            if status.score_sha256 in (found.sha256, found.document.digest()):
                report.hold(Check.RESULT)
            else:
                expected = describe("sha256 (status.scoreSha256)", status.score_sha256)
                report.differ(Check.RESULT, key, expected, describe("sha256", found.sha256), CHANGED_SCORE)
        else:
            report.leave_out(Check.RESULT, "no digest in the status")
        meaning = (
            "Settings or a solution are others since. The operator scores again; look at its conditions."
        )
        report.compare(
            Check.RESULT, self.name, "scoring digest", asked.scoring_digest(), status.scoring_digest, meaning
        )
        check_settings(self.reader, key, asked, found.document, status.scoring_digest)
        return found

    def _check_shown(self, result: ReadDocument[ScoreResult] | None) -> None:
        """What the status shows of the scores, where it shows them."""
        if result is None or self.subject.deleted or scoring.is_held_back(self.view.status):
            return
        found = {run.alias: run.hide_behind_ladder() for run in result.document.runs}
        meaning = "The status, which people read, shows another score than the store has."
        for run in self.view.status.runs:
            scored = found.get(run.dataset)
            if scored is None:
                continue
            wanted = shown_scores.scores_to_show(scored, result.document, self.state.phase.feedback)
            for name, value in wanted.items():
                where = f"runs[{run.dataset}].{name}"
                self.reader.report.compare(Check.SHOWN, self.name, where, value, getattr(run, name), meaning)

    def _check_score_folder(self, asked: ScoreRequest, result: ReadDocument[ScoreResult] | None) -> None:
        """Pages by their digests; results by other settings by themselves; nothing else."""
        prefix, digest = f"scores/{self.view.uid}/", self.view.status.scoring_digest
        listed = self.reader.source.list_sizes(prefix)
        results = {key for key in listed if _RESULT.match(key.removeprefix(prefix))}
        pages = self._pages_audit(result).check(set(listed))
        earlier = {
            keys.score_result(self.view.uid, one.scoring_digest): one.score_sha256
            for one in self.view.status.earlier_scores
        }
        for key in sorted((results | earlier.keys()) - {keys.score_result(self.view.uid, digest)}):
            self._check_older(key, asked, earlier.get(key))
        self.reader.nothing_else(set(listed), results | pages)

    def _pages_audit(self, result: ReadDocument[ScoreResult] | None) -> PagesAudit:
        view = self.view
        shown_as = self.state.rerun_results.get((view.team, view.name)) if view.of_organizer else None
        return PagesAudit(self.reader, view, result, shown_as, self.subject.deleted)

    def _check_older(self, key: str, asked: ScoreRequest, sha256: str | None) -> None:
        """A result by other settings or solutions: its name, that its settings make that name, and its scores.

        ``sha256``: as the status has it, which remembers those that it showed.
        """
        found = self.reader.document(Check.RESULT, ScoreResult, key, CHANGED_SCORE, sha256)
        if found is None:
            return
        digest = key.rpartition("/")[2].removesuffix(".json")
        solutions = {run.alias: run.solution_sha256 for run in found.document.runs}
        if None in solutions.values():
            self.reader.report.leave_out(Check.SCORE, "an earlier result, whose solutions were not recorded")
            return
        datasets = tuple(
            dataset.replace(solution_sha256=solutions.get(dataset.alias, dataset.solution_sha256))
            for dataset in asked.datasets
        )
        check_settings(self.reader, key, asked.replace(datasets=datasets), found.document, digest)
        for run in found.document.runs:
            if run.alias in self.audits:
                self.audits[run.alias].check_earlier(run, found)
