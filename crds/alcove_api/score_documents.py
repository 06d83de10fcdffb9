"""Documents of scoring: what a score Job is asked, what it leaves in the store, and what of it is shown."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

from alcove_api.documents import Document, FileEntry, Sha256
from alcove_api.schemes import HACKATHON, CurveShape, FeedbackMode, RankedRows, SchemeName

SCORER_VERSION = "1"
"""Part of every scoring digest: raised whenever the same inputs would give another score."""


class Scoring(Document):
    """Settings that a score depends on. Its digest, with those of the solutions, names the result."""

    scheme: SchemeName = HACKATHON.name
    metric: str | None = None
    """Default: the scheme's."""
    t0_seconds: float | None = None
    """Default: the scheme's."""
    curve: CurveShape | None = None
    """Default: the scheme's."""
    ranked_rows: RankedRows = "all"
    seed: int = 0
    """Chooses, with the solution's digest, the rows that feedback shows."""


class ScoreDataset(Document):
    alias: str
    name: str
    solution_sha256: Sha256
    n_test: int
    n_labels: int


class Feedback(Document):
    mode: FeedbackMode = "final"
    decimals: int = 4
    test_fraction: float = 1.0
    """Of the test set, for the points that are shown, and for the ladder."""
    max_snapshots: int = 32
    step: float | None = None
    """Of the ladder; None for the parameter-free one."""


SOLUTIONS_A_FILE = 12
"""Solutions that one set of a Job's credentials is for: their policy has 2048 characters."""


def solutions_file(number: int) -> str:
    """Of the Job that scores: the file with its credentials for :meth:`ScoreRequest.solution_groups` of that number."""
    return f"solutions-{number}.json"


class ScoreRequest(Document):
    submission_uid: str
    namespace: str
    submission: str
    competition_namespace: str = ""
    competition: str
    phase: str
    budget_seconds: float
    scoring: Scoring
    feedback: Feedback
    datasets: tuple[ScoreDataset, ...]
    code_sha256: Sha256 | None = None
    title: str = ""
    """Of the competition, for people."""
    team_name: str = ""
    """Display name of the team, if it has one."""
    show_output: bool = False
    """Whether the report may show the end of what the runs printed."""

    def solution_groups(self) -> tuple[tuple[str, ...], ...]:
        """Digests of its solutions, each once, as many together as one set of credentials is for."""
        digests = sorted({dataset.solution_sha256 for dataset in self.datasets})
        return tuple(
            tuple(digests[first : first + SOLUTIONS_A_FILE])
            for first in range(0, len(digests), SOLUTIONS_A_FILE)
        )

    def scoring_digest(self) -> str:
        """Names the result: same settings, solutions, budget and scorer version, same digest (16 hex digits)."""
        feedback = self.feedback
        material: dict[str, object] = {
            "scoring": self.scoring.model_dump(mode="json"),
            "solutions": {d.alias: d.solution_sha256 for d in self.datasets},
            "budget_seconds": self.budget_seconds,
            "scorer_version": SCORER_VERSION,
        }
        if self.scoring.ranked_rows == "rest" or feedback.mode == "ladder":
            material["test_fraction"] = feedback.test_fraction
        if feedback.mode == "ladder":
            material["ladder"] = {"step": feedback.step, "decimals": feedback.decimals}
        text = json.dumps(material, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class CurvePoint(Document):
    t: float
    """Seconds since the go."""
    score: float


class LiveRun(Document):
    alias: str
    attempt: int = 0
    """That the curve is of; 0 before the first is there."""
    snapshots: int
    alc: float | None
    curve: tuple[CurvePoint, ...]
    points_shown: int = 0
    """Scores that the curve has shown so far: its points, and those that a later one at the same time took the place
    of."""


class LiveCurve(Document):
    """Rounded and cut as the phase's feedback says; nothing in it is of full precision."""

    submission_uid: str
    updated_at: datetime
    runs: tuple[LiveRun, ...]


class Refusal(Document):
    seq: int
    name: str
    reason: str


class CalibrationBin(Document):
    """Cells (example × label) with values in one tenth of 0 to 1."""

    predicted: float
    """Their mean value."""
    observed: float
    """Share of them whose label is present."""
    cells: int


NORMAL_ENDS = frozenset({"Finished", "DeadlineReached"})
"""Causes of a run that ended as an any-time learner may."""
NO_PREDICTIONS = "NoPredictions"
"""Cause of a run that ended so, and has no valid prediction."""
STORE_DAMAGED = "StoreDamaged"
"""Cause of a run whose records in the store are missing, or are not those that were made."""


class ScoredRun(Document):
    alias: str
    dataset: str
    attempt: int | None
    cause: str
    alc: float | None
    """None where the run has no valid prediction (``NoPredictions``), was never scored, or cannot be any more
    (``STORE_DAMAGED``)."""
    final_score: float | None
    snapshots: int
    points: tuple[CurvePoint, ...]
    """On the rows that rank: what the ALC is computed from. For the organizer alone, where ``shown`` is set."""
    refused: tuple[Refusal, ...]
    manifest_sha256: Sha256 | None
    message: str = ""
    """What is wrong, where the store no longer holds what was recorded."""
    shown: tuple[CurvePoint, ...] | None = None
    """On the part of the test set that the phase's feedback shows; None where that is what ``points`` are of."""
    calibration: tuple[CalibrationBin, ...] = ()
    """Of the last prediction that was scored, on the rows of ``shown``; empty unless the metric is of probabilities."""
    ladder: float | None = None
    """The Ladder's value after this run: all that may be shown of its score. None where the phase has no Ladder, or
    the run no score."""
    verdict_sha256: Sha256 | None = None
    """Of the bytes of ``verdict.json``; like the next, None in results that are older than the field."""
    solution_sha256: Sha256 | None = None
    points_shown_before: int = 0
    """As in the verdict."""

    def points_to_show(self) -> tuple[CurvePoint, ...]:
        """What people may see of the curve, before rounding and thinning; none where the run has no score."""
        if self.alc is None:
            return ()
        return self.points if self.shown is None else self.shown

    def hide_behind_ladder(self) -> ScoredRun:
        """The run as all but the organizer may know it: with a Ladder, its value takes the place of all scores."""
        if self.ladder is None:
            return self
        return self.replace(alc=self.ladder, final_score=None, points=(), shown=None, calibration=())


class LadderBest(Document):
    """``ladders/…/<number>.json``: the best score so far of a team on a dataset. Each raise is a new object."""

    number: int
    """Counts the raises, from 0."""
    submission_uid: str
    """Whose run raised it."""
    shown: float
    """The rounded score: what people see."""
    group_scores: tuple[float, ...] = ()
    """Of the parameter-free Ladder: ALC of that run on each group of the rows that are shown."""


class ScoreResult(Document):
    submission_uid: str
    scorer_version: str
    scoring_digest: str
    scoring: Scoring
    t0_seconds: float
    budget_seconds: float
    runs: tuple[ScoredRun, ...]
    test_fraction: float = 1.0
    """Part of the test set that the runs' ``shown`` points are of."""
    scorer_image: str = ""
    """What the operator was installed with; with a digest where the chart's values name one."""


class ScorePages(Document):
    """``pages.json`` beside a result: what people are shown of it. They are made again with each result, from what the
    board shows then, so their digests are kept apart from the result, which stays the same."""

    submission_uid: str
    scoring_digest: str
    """Of the result that they show."""
    result_sha256: Sha256 | None = None
    """Digest of that result; None where they are older than the field."""
    files: tuple[FileEntry, ...]
    """``path``: the name below ``scores/<uid>/``."""
