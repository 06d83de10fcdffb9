"""A whole audit: every object that a phase, or one Submission of it, was made of."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from alcove_api.run_names import alias_of
from alcove_audit.board import BoardAudit
from alcove_audit.datasets import DatasetAudit
from alcove_audit.findings import AuditReport
from alcove_audit.ladders import LadderAudit
from alcove_audit.pages import check_reports
from alcove_audit.phase_state import PhaseState
from alcove_audit.reading import EvidenceReader
from alcove_audit.runs import AuditedSubmission
from alcove_audit.source import EvidenceSource
from alcove_audit.submissions import SubmissionAudit
from alcove_scorer.parser_process import ParserProcess
from alcove_scorer.predictions import PredictionReader


@dataclass(frozen=True)
class PhaseAudit:
    """Participants' bytes are parsed by a process that has nothing, not by this one, which has the auditor's rights.

    Raises AuditError where the state of the cluster cannot be read, ParserUnavailableError where that process cannot
    be confined here, and the source's errors.
    """

    source: EvidenceSource
    state: PhaseState
    report: AuditReport

    def check_phase(self) -> None:
        with closing(ParserProcess()) as parser:
            self._check_phase(parser.read)

    def check_submission(self, namespace: str, name: str) -> None:
        """That of the state with this name, and the inputs of its runs; not the board."""
        with closing(ParserProcess()) as parser:
            self._check_submission(namespace, name, parser.read)

    def _check_phase(self, read: PredictionReader) -> None:
        reader = EvidenceReader(self.source, self.report)
        datasets, board = DatasetAudit(reader, self.state), BoardAudit(reader, self.state)
        ladders = LadderAudit(reader, self.state)
        used = {alias_of(run.dataset) for view in self.state.submission_views for run in view.status.runs}
        named = set(self.state.phase.datasets)
        for name, dataset in sorted(self.state.datasets_by_name.items()):
            if name in named or dataset.alias in used:
                datasets.check_input(dataset)
        deleted = board.read_counted()
        views = [(view, False) for view in self.state.submission_views] + [(view, True) for view in deleted]
        for view, gone in views:
            SubmissionAudit(
                AuditedSubmission(reader, datasets, ladders, self.state, view, read, gone)
            ).check()
        known = {view.uid for view in (*(v for v, _ in views), *self.state.rerun_results.values())}
        for team in sorted(self.state.teams or {view.namespace for view, _ in views}):
            check_reports(reader, team, known)
        ladders.check()
        board.check(deleted)

    def _check_submission(self, namespace: str, name: str, read: PredictionReader) -> None:
        reader = EvidenceReader(self.source, self.report)
        datasets, ladders = DatasetAudit(reader, self.state), LadderAudit(reader, self.state)
        (view,) = (v for v in self.state.submission_views if (v.namespace, v.name) == (namespace, name))
        for alias in sorted({alias_of(run.dataset) for run in view.status.runs}):
            if alias in self.state.datasets_by_alias:
                datasets.check_input(self.state.datasets_by_alias[alias])
        SubmissionAudit(AuditedSubmission(reader, datasets, ladders, self.state, view, read)).check()
        ladders.check(namespace)
