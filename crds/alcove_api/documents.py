"""Documents that the parts leave for each other in the object store, or hand over in an environment variable.

All are frozen. Times named ``*_ns`` in records are nanoseconds since the go; times of day are RFC 3339 in UTC.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from alcove_api.base import FrozenModel
from alcove_api.schemes import (
    BALANCED_ACCURACY,
    HACKATHON,
    BoardRanking,
    CurveShape,
    FeedbackMode,
    RankedRows,
    SchemeName,
)

SCORER_VERSION = "1"
"""Part of every scoring digest: raised whenever the same inputs would give another score."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Document(FrozenModel):
    """Base of every document: immutable, and strict about names so that a typo is an error at once."""

    def canonical(self) -> bytes:
        """The bytes that digests are taken of: sorted keys, no white space, UTF-8."""
        return json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()

    def digest(self) -> str:
        return hashlib.sha256(self.canonical()).hexdigest()


class StoreCredentials(Document):
    access_key: str
    secret_key: str
    session_token: str | None = None
    expires_at: datetime | None = None


class RunConfig(Document):
    """What ``stage`` and the recorder are told of their run (``ALCOVE_RUN``)."""

    submission_uid: str
    alias: str
    attempt: int
    data_sha256: Sha256 | None
    """None where the input is a volume claim, which needs no staging."""
    code_sha256: Sha256 | None
    """None where the submission is an image, which brings its own code."""
    budget_ns: int
    disclosed: bool = True
    n_test: int
    n_labels: int
    max_snapshots: int = 1000
    max_bytes: int = 8 << 30
    code_bytes_limit: int = 1 << 30
    """Unpacked size of a bundle at most."""


class Record(Document):
    """One prediction file as the recorder saw it. ``rec/<seq:08>.json`` holds :meth:`Document.canonical`."""

    seq: int
    name: str
    kind: Literal["npy", "predict"]
    seen_ns: int
    """When the recorder first saw the file."""
    t_ns: int
    """When the recorder held the last byte of its own copy: what the prediction is charged at."""
    sha256: Sha256 | None
    """Of the data object; None for a refusal."""
    bytes: int
    refused: str | None = None
    previous: Sha256 | None
    """Digest of the previous record's canonical bytes; None for the first."""


class End(Document):
    cause: Literal[
        "finished", "failed", "signalled", "budget", "could-not-start", "recorder-saw-eof", "unknown"
    ]
    code: int = 0
    signal: int = 0
    ended_ns: int
    """Since the go; when the last process was reaped. −1 where that is not known."""


class Manifest(Document):
    """Closes the chain of one attempt."""

    version: Literal[1] = 1
    submission_uid: str
    alias: str
    attempt: int
    pod_uid: str
    budget_ns: int
    go_at: datetime | None
    """Wall-clock time of the go, for people; None where there was none. Never used to score."""
    boot_id: str
    end: End
    overshoot_ns: int
    """How long after the budget the last process was gone; 0 where the run ended earlier."""
    records: tuple[Record, ...]
    head: Sha256 | None
    """Digest of the last record."""
    data_sha256: Sha256 | None = None
    """Of the input that the run was given; None where that lay on a volume."""
    code_sha256: Sha256 | None = None
    """Of the code that it was given; None where the submission is an image."""
    log_sha256: Sha256 | None = None
    """Of ``log.txt``; None where there is none. Where all three are None, this was sealed before they were recorded."""
    sealed_by: Literal["recorder", "scorer"] = "recorder"


class RecorderReport(Document):
    """The recorder's termination message, ≤ 4096 bytes: trusted, since the participant cannot write it."""

    go_at: datetime | None
    end: End | None
    snapshots: int
    refused: int
    overshoot_ns: int
    head: Sha256 | None
    manifest_sha256: Sha256 | None
    """None where it was stopped before it could seal."""
    oom_kills: int = 0
    flooded: bool = False
    """Whether the program did more in the output folder than it may, or used up what the recorder needs to see it
    (docs/security.md): what the recorder died of then is not the platform's fault."""
    error: str | None = None
    store_away: bool = False
    """Whether something is still not uploaded because the store refused it or did not answer at the last try. Slow is
    not away: how much there is to upload is in the participant's hands."""


class ContainerImage(Document):
    container: Literal["stage", "recorder", "main"]
    image_id: str
    """As the kubelet reports it: with the digest of what was run, whatever the pod's spec named."""


class Verdict(Document):
    """The operator's word on one dataset of one submission, once no attempt will follow."""

    submission_uid: str
    alias: str
    attempt: int | None
    """The one attempt that is scored; None where no pod ever recorded anything."""
    pod_uid: str | None
    phase: Literal["Done", "Failed"]
    cause: str
    charged_to: Literal["", "Participant", "Platform"]
    head: Sha256 | None = None
    """Of the recorder's report, kept outside the store: the records there must hold it. None where it is not known."""
    queued_at: datetime | None = None
    """When the submission was admitted."""
    created_at: datetime | None = None
    """When the Job of this attempt was made: the queue, and earlier attempts, end here."""
    pulled_at: datetime | None = None
    """When ``stage`` began: a node was found, the platform's images are there. Like the two next, in whole seconds."""
    staged_at: datetime | None = None
    """When ``stage`` had ended."""
    launched_at: datetime | None = None
    """When the participant's container began: its image is there."""
    started_at: datetime | None = None
    """The go."""
    ended_at: datetime | None = None
    message: str = ""
    """What the cause means in this case, for people."""
    images: tuple[ContainerImage, ...] = ()
    """Of this attempt's pod; empty where it is gone, or the kubelet has not reported them."""
    points_shown_before: int = 0
    """Scores that earlier attempts' live curves showed: as many fewer are shown of this one."""


class FileEntry(Document):
    path: str
    bytes: int
    sha256: Sha256


class DatasetManifest(Document):
    """``data/<sha256>/manifest.json``; the digest in the key is that of exactly these bytes."""

    version: Literal[1] = 1
    name: str
    domain: str
    n_train: int
    n_test: int
    n_labels: int
    labels: tuple[str, ...]
    files: tuple[FileEntry, ...]


class DatasetVersion(Document):
    """``data/names/<name>/<data digest>.json``: what ``push`` wrote under a name, and ``pull`` finds."""

    name: str
    data_sha256: Sha256
    solution_sha256: Sha256 | None = None
    domain: str
    n_train: int
    n_test: int
    bytes: int


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
        return self.replace(alc=self.ladder, final_score=None, points=(), shown=None)


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
    files: tuple[FileEntry, ...]
    """``path``: the name below ``scores/<uid>/``."""


class BoardSubmission(Document):
    team: str
    submission: str
    submission_uid: str
    created_at: datetime
    scoring_digest: str


class CountedSubmission(BoardSubmission):
    """The last scored Submission of a team in a phase, with what is needed to rank it once it is deleted."""

    datasets: tuple[str, ...]
    """Aliases of its runs."""
    score_sha256: str = ""
    """Digest of its score file, as in its status; "" where that is not shown yet."""


class CountedSubmissions(Document):
    """``counted.json`` of a phase: what has counted stays counted, though teams delete their Submissions."""

    competition_uid: str
    """Of another Competition of the same name, nothing counts."""
    entries: tuple[CountedSubmission, ...] = ()
    """One a team."""


class AggregateRequest(Document):
    competition_namespace: str
    competition: str
    phase: str
    leaderboard: str
    """Name of the Leaderboard object."""
    datasets: tuple[str, ...]
    """Aliases, in the phase's order."""
    method: BoardRanking = "average"
    decimals: int = 4
    max_snapshots: int = 32
    """Points of a curve that are shown, as in the phase's feedback."""
    top: int = 100
    budget_seconds: float
    entries: tuple[BoardSubmission, ...]
    title: str = ""
    """Of the competition, for people."""
    display_names: dict[str, str] = Field(default_factory=dict)
    """Of those teams of the entries that have one, by namespace."""
    generation: int = 0
    """Grows with each request of a phase; written to the status so that an older board never replaces a newer."""


class BoardCurve(Document):
    """A team's learning curve on one dataset, rounded and cut as the phase's feedback says."""

    team: str
    """Digest, so that a team can tell its own; no name."""
    scoring_digest: str
    """Curves of other settings cannot be compared."""
    alias: str
    points: tuple[CurvePoint, ...]


class BoardCurves(Document):
    """``curves.json`` of a board: what the reports of other submissions draw in grey."""

    generation: int
    updated_at: datetime
    curves: tuple[BoardCurve, ...]


class PastRanks(Document):
    generation: int
    at: datetime
    teams: tuple[str, ...]
    """In the order of their ranks, the first of them the leader."""


class TeamColour(Document):
    team: str
    number: int
    """Of the colour, from 0."""


class BoardHistory(Document):
    """``history.json`` of a board: the leading teams of earlier boards, oldest first."""

    boards: tuple[PastRanks, ...] = ()
    colours: tuple[TeamColour, ...] = ()
    """Of the teams that lead this board or led earlier ones; who led last comes last."""


class CheckRequest(Document):
    dataset: str
    data_sha256: Sha256
    solution_sha256: Sha256
    metric: str = BALANCED_ACCURACY
    on_volume: bool = False
    """Whether the input lies on a volume that is mounted at ``/alcove/data``, its manifest alone being in the store."""


class CheckResult(Document):
    """Termination message of the check, ≤ 4096 bytes."""

    ok: bool
    problems: tuple[str, ...] = ()
    """Sentences: what is wrong, where, what to do. At most 8, each at most 300 characters."""
    warnings: tuple[str, ...] = ()
    """What an organizer should know, though the dataset can be used. At most 6, each at most 300 characters."""
    domain: str = ""
    n_train: int = 0
    n_test: int = 0
    n_labels: int = 0
    bytes: int = 0
    chance_score: float | None = None
    """Of a prediction that knows nothing."""
    linear_score: float | None = None
    """Of a linear model on coarse features, fitted to train."""
