"""The inputs and solutions that a phase's scores are of, by their digests."""

from __future__ import annotations

from dataclasses import dataclass, field

from alcove_api import keys
from alcove_api.documents import DatasetManifest
from alcove_api.score_documents import ScoreDataset
from alcove_audit.findings import MISSING, Check, describe
from alcove_audit.phase_state import PhaseState
from alcove_audit.reading import EvidenceReader
from alcove_operator.core.model import DatasetView
from alcove_scorer.errors import DamagedError
from alcove_scorer.metrics import Metric, Solution, predicts_numbers
from alcove_scorer.store import check_solution

_INPUT = "The published input was changed: runs from then on had another one. Publish it again."
_SOLUTION = "Scores that are made from it are wrong. Publish the solution again, and score again."


@dataclass
class DatasetAudit:
    reader: EvidenceReader
    state: PhaseState
    _solutions: dict[tuple[str, int, int, bool], Solution | None] = field(default_factory=dict)

    def check_input(self, view: DatasetView) -> None:
        """The manifest by its digest, then each file that it lists, and that there are no others."""
        digest, report = view.data_sha256, self.reader.report
        on_volume = view.volume_claim is not None
        key = keys.volume_manifest(digest) if on_volume else keys.dataset_manifest(digest)
        found = self.reader.document(Check.INPUT, DatasetManifest, key, _INPUT, digest)
        if found is None:
            return
        manifest = found.document
        shape = f"{manifest.n_test} × {manifest.n_labels}"
        meaning = "The Dataset's status was changed: scores are made by its numbers."
        wanted = f"{view.n_test} × {view.n_labels}"
        report.compare(Check.INPUT, f"Dataset {view.name}", "n_test × n_labels", shape, wanted, meaning)
        if on_volume:
            report.leave_out(Check.INPUT, "files on a volume are not in the store", len(manifest.files))
        elif not self.reader.source.inputs:
            report.leave_out(Check.INPUT, "files were left out, as asked", len(manifest.files))
        else:
            for file in manifest.files:
                name = keys.dataset_file(digest, file.path)
                self.reader.digest(Check.INPUT, name, file.sha256, file.bytes, _INPUT)
            known = {keys.dataset_file(digest, file.path) for file in manifest.files}
            known |= {keys.dataset_manifest(digest), keys.volume_manifest(digest)}
            self.reader.nothing_else(set(self.reader.source.list_sizes(f"data/{digest}/")), known)

    def solution(self, dataset: ScoreDataset, metric: Metric) -> Solution | None:
        """None where it cannot be had here, or is not what it must be; that is said once."""
        asked = (dataset.solution_sha256, dataset.n_test, dataset.n_labels, predicts_numbers(metric))
        if asked not in self._solutions:
            self._solutions[asked] = self._read(dataset, metric)
        return self._solutions[asked]

    def _read(self, dataset: ScoreDataset, metric: Metric) -> Solution | None:
        key, report = keys.solution(dataset.solution_sha256), self.reader.report
        if not self.reader.source.solutions:
            report.leave_out(Check.SOLUTION, "this archive has no solutions")
            return None
        data = self.reader.fetch(key)
        used = {view.solution_sha256 for view in self.state.datasets_by_name.values()}
        if data is None and dataset.solution_sha256 not in used:
            report.leave_out(Check.SOLUTION, "one that no Dataset names any more is not there")
            return None
        if data is None:
            wanted = describe("sha256", dataset.solution_sha256)
            report.differ(Check.SOLUTION, key, wanted, MISSING, _SOLUTION)
            return None
        try:
            solution = check_solution(data, dataset, metric)
        except DamagedError as error:
            wanted = describe("sha256", dataset.solution_sha256)
            report.differ(Check.SOLUTION, key, wanted, error.cause, _SOLUTION)
            return None
        report.hold(Check.SOLUTION)
        return solution
