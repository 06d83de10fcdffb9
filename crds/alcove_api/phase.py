"""A phase of a Competition: its datasets, budget, resources and dates, and what teams see of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from alcove_api.base import Alias, ApiModel, Name, Quantity, Time, cel
from alcove_api.compatibility import Compatibility
from alcove_api.schemes import HACKATHON, BoardRanking, CurveShape, FeedbackMode, RankedRows, SchemeName

SubmissionChoice = Literal["last", "best", "chosen"]
MAX_RUNS = 64
"""Of a Submission: datasets × repeats. Its status has room for as many."""


class Budget(ApiModel):
    seconds: Annotated[
        int,
        Field(
            ge=1,
            le=604800,
            json_schema_extra={
                "x-kubernetes-validations": [
                    cel(
                        "self == oldSelf",
                        "a phase's budget.seconds cannot be changed, since runs that had the old one would be scored "
                        "by the new: add a phase of another name",
                    )
                ]
            },
        ),
    ]
    """Time that a run has from its go, in seconds. Queueing, image pulls and staging are never charged."""
    disclosed: bool = True
    """Whether the participant's code is told the budget. False is "stopped at any time"."""


class ResourceProfile(ApiModel):
    """What differs from the phase's resources in one of several profiles."""

    gpus: Annotated[int, Field(ge=0, le=16)] | None = None
    """GPUs for the run."""
    cpu: Quantity | None = None
    """Processors of the run."""
    memory: Quantity | None = None
    """Memory of the run."""


class Resources(ApiModel):
    """What each run gets; requests and limits are equal, so that runs are alike."""

    gpus: Annotated[int, Field(ge=0, le=16)] = 1
    """GPUs for each run; 0 runs on the processor alone."""
    gpu_resource: Annotated[str, Field(max_length=63)] = "nvidia.com/gpu"
    """Extended resource that counts as a GPU."""
    cpu: Quantity = "2"
    """Processors: "2", or "500m" for half of one."""
    memory: Quantity = "8Gi"
    """Memory, /dev/shm included; more than this ends the run with OutOfMemory."""
    disk: Quantity = "10Gi"
    """Limit for what the participant writes: predictions and temporary files."""
    shared_memory: Quantity = "256Mi"
    """Size of /dev/shm, counted towards memory."""
    processes: Annotated[int, Field(ge=16, le=65536)] = 1024
    """Processes and threads at most."""
    profiles: Annotated[tuple[ResourceProfile, ...], Field(max_length=8)] = ()
    """Where there are any, each repeat gets one of them, drawn by the phase's seed and the same for all teams: the
    amounts that it names, and the rest as above. No profile is drawn twice before each was drawn once."""
    disclosed: bool = True
    """Whether teams may know what their runs get: False keeps it from the Leaderboard's rules and from messages."""


class PhaseFeedback(ApiModel):
    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "!has(self.step) || self.mode == 'ladder'",
                    "feedback.step belongs to mode ladder: take it out, or set feedback.mode to ladder",
                )
            ]
        }
    )
    mode: FeedbackMode = "live"
    """live: a rounded curve while the run goes on; final: scores once all runs have ended; ladder: once all runs have
    ended, the team's best ALC so far, which changes only where it is exceeded by more than the step; none: nothing
    before revealsAt."""
    step: Annotated[float, Field(ge=0.0001, le=0.5)] | None = None
    """Of the ladder. Without it, the step is the standard error of the difference to the best run so far."""
    decimals: Annotated[int, Field(ge=0, le=6)] = 3
    """Decimals shown. A full-precision score per snapshot would be an oracle for the hidden labels."""
    test_fraction: Annotated[float, Field(ge=0.01, le=1.0)] = 0.3
    """Part of the test set, always the same rows, that the shown points of a curve, and the ladder, are computed on.
    scoring.rankedRows says which rows decide the rank."""
    max_snapshots: Annotated[int, Field(ge=1, le=32)] = 16
    """At most so many snapshots of a run have their scores shown, live or at the end."""


class ScoringSpec(ApiModel):
    scheme: SchemeName = HACKATHON.name
    """hackathon: balanced accuracy under straight lines, t0 = 1 s; autodl: normalised AUC under steps, t0 = 60 s."""
    metric: Annotated[str, Field(max_length=63)] | None = None
    """Name of a metric; by default the scheme's."""
    t0_seconds: Annotated[float, Field(ge=0.001, le=86400)] | None = None
    """Scale of the logarithmic time axis; by default the scheme's."""
    curve: CurveShape | None = None
    """How snapshots are joined; by default the scheme's."""
    ranked_rows: RankedRows = "rest"
    """Rows of the test set that ALC, final score and rank are computed on: rest leaves out those that the phase's
    feedback shows points of, so that no point tells anything of what decides; all takes every row."""
    seed: Annotated[int, Field(ge=0, le=2147483647)] = 0
    """Chooses, with the solution's digest, which rows feedback shows. Phases with the same testFraction show the
    same rows of a dataset."""


class PhaseSource(ApiModel):
    """Where the submissions of a phase come from."""

    phase: Alias
    """Name of a phase that teams submit to."""


LogPolicy = Literal["none", "tail", "full"]


class PhaseLimits(ApiModel):
    """Limits for each team in one phase, beside those of the competition: the lower one holds."""

    per_day: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Submissions to this phase a day (UTC)."""
    total: Annotated[int, Field(ge=1, le=10000)] | None = None
    """Submissions to this phase in all."""


class Phase(ApiModel):
    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    f"self.datasets.size() * self.repeats <= {MAX_RUNS}",
                    f"a submission has at most {MAX_RUNS} runs (datasets × repeats): lower one of them",
                ),
                cel(
                    "self.repeats == 1 || self.feedback.mode != 'ladder'",
                    "feedback.mode ladder shows one score a dataset: set repeats to 1, or another mode",
                ),
                cel(
                    "!has(self.from) || has(self.revealsAt)",
                    "a phase with `from` needs revealsAt: it is blind, and without it no score would ever be shown",
                ),
                cel(
                    "!has(self.from) || !has(self.closesAt)",
                    "nobody submits to a phase with `from`: take closesAt out",
                ),
                cel(
                    "!has(self.from) || self.counts == 'last'",
                    "a phase with `from` has one submission a team: take counts out, and set it in the other phase",
                ),
                cel(
                    "self.counts != 'best' || !has(self.revealsAt)",
                    "counts: best compares the scores that are shown, and a phase with revealsAt shows none: set "
                    "counts to last or chosen, or take revealsAt out",
                ),
                cel(
                    "!has(self.opensAt) || !has(self.revealsAt) || self.opensAt < self.revealsAt",
                    "revealsAt must be later than opensAt",
                ),
                cel(
                    "!has(self.baseline) || (has(self.ranking) && self.ranking == 'relative')",
                    "baseline is what ranking relative compares with: set this phase's ranking to it, or take it out",
                ),
                cel(
                    "self.feedback.mode != 'ladder' || !has(self.ranking) || self.ranking != 'performance-profile'",
                    "ranking performance-profile needs whole curves, which feedback.mode ladder hides: choose another "
                    "of one",
                ),
                cel(
                    "!has(self.stdPenalty) || (has(self.ranking) && self.ranking == 'mean-minus-std')",
                    "stdPenalty belongs to ranking mean-minus-std: set this phase's ranking to it, or take it out",
                ),
                cel(
                    "self.feedback.mode != 'none' || has(self.revealsAt)",
                    "feedback.mode none needs revealsAt: without it no score would ever be shown",
                ),
                cel(
                    "!has(self.opensAt) || !has(self.closesAt) || self.opensAt < self.closesAt",
                    "closesAt must be later than opensAt",
                ),
            ]
        }
    )
    name: Alias
    """Name of the phase, and of its Leaderboard."""
    datasets: Annotated[
        tuple[Name, ...],
        Field(min_length=1, max_length=64, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ]
    """Names of Datasets in the competition's namespace. One run, on one pod, for each."""
    budget: Budget
    """How long each run may learn."""
    resources: Resources = Resources()
    """What each run gets; requests and limits are equal, so that runs are alike."""
    local_queue: Name | None = None
    """A LocalQueue of Kueue for the runs of this phase alone, in place of the competition's. A phase with `from` that
    has its own shares no room in Kueue with what teams submit meanwhile."""
    compat: Compatibility = Compatibility()
    """What this phase gives to code that was written for another challenge."""
    opens_at: Time | None = None
    """Submissions are refused before this time."""
    closes_at: Time | None = None
    """Submissions are refused from this time on."""
    reveals_at: Time | None = None
    """Nothing about scores or ranks is shown before this time."""
    feedback: PhaseFeedback = PhaseFeedback()
    """What participants see of their scores, and when."""
    from_: Annotated[PhaseSource | None, Field(alias="from")] = None
    """Nobody submits to a phase with this: from opensAt on, the operator runs the counted submission of each team in
    the phase that is named here once more, on this phase's datasets. Without opensAt it does not open."""
    counts: SubmissionChoice = "last"
    """Which scored submission of a team counts: its last; its best by the scores that are shown (which invites luck:
    whoever tries more often wins more often); or the one that the team marked last with the label alcove.dev/chosen
    (without a mark, its last)."""
    repeats: Annotated[
        int,
        Field(
            ge=1,
            le=MAX_RUNS,
            json_schema_extra={
                "x-kubernetes-validations": [
                    cel(
                        "self == oldSelf",
                        "a phase's repeats cannot be changed, since submissions that ran before have others: add a "
                        "phase of another name",
                    )
                ]
            },
        ),
    ] = 1
    """Runs on each dataset. ALCOVE_SEED alone tells them apart, and a dataset's score is the mean of their ALC."""
    seed: Annotated[int, Field(ge=0, le=2147483647)] = 0
    """ALCOVE_SEED of each repeat, and what is drawn of resources.profiles, are computed from this."""
    scoring: ScoringSpec | None = None
    """How predictions become a score in this phase; by default as in the rest of the competition."""
    ranking: BoardRanking | None = None
    """How this phase ranks; by default as the rest of the competition."""
    baseline: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """Name of the organizer's Submission that ranking relative compares with; by default chance."""
    std_penalty: Annotated[float, Field(ge=0, le=10)] | None = None
    """α of ranking mean-minus-std: a dataset's score is mean − α·std over its repeats; by default 1."""
    logs: LogPolicy | None = None
    """What teams see of their runs' output in this phase; by default as in the rest of the competition."""
    limits: PhaseLimits = PhaseLimits()
    """Limits for each team in this phase, beside those of the competition."""
    deleted_submissions: Literal["stand", "withdraw"] = "stand"
    """stand: a scored Submission that its team deletes still counts, until a newer one is scored; withdraw: the one
    before it counts again, so teams may choose by deleting."""


def explain_missing_phase(competition: str, phase: str, known: Iterable[str]) -> str:
    """``known``: the phases that there are."""
    return f"{competition} has no phase {phase}. Its phases: {', '.join(known)}."
