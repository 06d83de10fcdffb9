"""Submission: a team's code for one phase, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from alcove_api.base import (
    GROUP,
    Alias,
    ApiModel,
    Column,
    Conditions,
    Kind,
    Name,
    RunName,
    Sha256,
    StatusModel,
    Time,
    cel,
)
from alcove_api.frameworks import Framework
from alcove_api.origin import Origin
from alcove_api.uploads import UploadPermit

CHOSEN = f"{GROUP}/chosen"
"""Label by which a team marks the Submission that is to count in a phase with ``counts: chosen``; its value is true."""


class CompetitionRef(ApiModel):
    namespace: Name
    """Namespace that the Competition is in."""
    name: Name
    """Name of the Competition."""


class ConfigMapCode(ApiModel):
    name: Annotated[str, Field(min_length=1, max_length=253)]
    """A ConfigMap beside the Submission; each of its keys becomes a file, one of them model.py."""


class BundleCode(ApiModel):
    sha256: Sha256
    """Digest of a .tar.gz, which is uploaded by the permit in the status: `alcove submit` and `alcove upload` do it."""


class ImageCode(ApiModel):
    reference: Annotated[str, Field(pattern=r"^[^\s@]+@sha256:[0-9a-f]{64}$", max_length=512)]
    """An image pinned by digest: name@sha256:…"""
    command: Annotated[tuple[Annotated[str, Field(max_length=1024)], ...], Field(min_length=1, max_length=64)]
    """Command and arguments; it reads $ALCOVE_DATA and writes predictions to $ALCOVE_OUT."""


class Code(ApiModel):
    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "[has(self.configMap), has(self.bundle), has(self.image)].filter(x, x).size() == 1",
                    "set exactly one of code.configMap, code.bundle and code.image",
                )
            ]
        }
    )
    config_map: ConfigMapCode | None = None
    """Code in a ConfigMap of the same namespace: the quick way, up to about 1 MiB."""
    bundle: BundleCode | None = None
    """Code in an uploaded .tar.gz, named by its digest."""
    image: ImageCode | None = None
    """Code in the team's own image, if the competition allows it."""
    framework: Framework = "tensorflow"
    """For model.py: what is loaded before the go, free of charge: tensorflow (2), torch, or numpy alone, which starts
    sooner; tensorflow1 runs code of the AutoDL challenge. Anything else that model.py imports is charged."""


class Original(ApiModel):
    """The Submission whose code is run once more, in a phase that takes its submissions from another."""

    team: Name
    """Namespace of the team whose it is; the competition's own for a baseline."""
    submission: Annotated[str, Field(min_length=1, max_length=253)]
    """Its name."""
    uid: Annotated[str, Field(min_length=1, max_length=64)]
    """Its UID."""


class SubmissionSpec(ApiModel):
    """A team's code and what it is for. It cannot be changed: for another try, apply a Submission of another name."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "self == oldSelf",
                    "a Submission cannot be changed, so nothing was: for another try, give it another metadata.name "
                    "and apply it again",
                ),
                cel(
                    "!has(self.rerunOf) || !has(self.code.configMap)",
                    "a rerun has the code that was admitted before: set code.bundle, or code.image",
                ),
            ]
        }
    )
    competition: CompetitionRef
    """The competition that this is for. The team is this Submission's namespace."""
    phase: Alias
    """Name of one of the competition's phases."""
    code: Code
    """Where the code is: in exactly one of configMap, bundle and image."""
    rerun_of: Original | None = None
    """Set by the operator, and by the organizer's commands, on Submissions of a phase with `from`. In the competition's
    namespace it says whose code is run; in a team's namespace, from the reveal on, whose result this shows."""


RunPhase = Literal["Queued", "Pending", "Staging", "Running", "Scoring", "Done", "Failed"]
ChargedTo = Literal["", "Participant", "Platform", "Organizer"]


class StatusCurvePoint(StatusModel):
    t: float
    """Seconds since the go."""
    score: float


class RunStatus(StatusModel):
    dataset: RunName
    """The run's name: alias of the dataset, and where a phase repeats its runs, from the second on the number of the
    repeat: digits, digits.2, digits.3."""
    attempt: int = 0
    """Counts from 1; 0 while queued for the first time."""
    pod_uid: Annotated[str, Field(max_length=36)] = ""
    """Pod of this attempt: what it recorded is what is scored."""
    phase: RunPhase = "Queued"
    cause: Annotated[str, Field(max_length=64)] = ""
    """Why it ended: Finished, DeadlineReached, ExitCode, OutOfMemory, …"""
    charged_to: ChargedTo = ""
    """Who pays for the cause. What the platform pays for is run again and uses no quota."""
    queued_at: Time | None = None
    pulled_at: Time | None = None
    """When a node had taken it, and staging began; this and the next two are known once the attempt has ended."""
    staged_at: Time | None = None
    """When data and code were in place."""
    launched_at: Time | None = None
    """When the image that runs the code was there, and its first process began."""
    started_at: Time | None = None
    """The go: the budget counts from here."""
    free_seconds: float | None = None
    """How long import and constructor ran before the go; absent where the phase charges them."""
    ended_at: Time | None = None
    snapshots: int = 0
    alc: float | None = None
    """Area under the learning curve, rounded as the phase's feedback says."""
    curve: Annotated[tuple[StatusCurvePoint, ...], Field(max_length=32)] = ()
    points_shown: int = 0
    """Scores that live curves of this run have shown, of all attempts: together no more than the phase's
    feedback.maxSnapshots."""
    message: Annotated[str, Field(max_length=1024)] = ""
    head: Annotated[str, Field(max_length=64)] = ""
    """Digest of the last record: what the store holds can be checked against it."""
    head_commitment: Annotated[str, Field(max_length=64)] = ""
    """Of a blind phase, from the run's end on: a digest of the head and the solution's digest. It fixes the head, and
    tells nothing to whoever does not have the solution."""
    overshoot_ms: float | None = None
    """How long after the budget the last of the participant's processes was gone."""


EARLIER_SCORES = 16
"""Of a Submission, that its status remembers."""


class EarlierScore(StatusModel):
    """A score by settings, or a solution, that the organizer has changed since."""

    scoring_digest: Annotated[str, Field(max_length=64)]
    score_sha256: Annotated[str, Field(max_length=64)]


class PrunedParts(StatusModel):
    """When the competition's retention had what deleted."""

    snapshots: Time | None = None
    """The predictions."""
    logs: Time | None = None
    """The output of the runs."""
    bundle: Time | None = None
    """The code."""

    def explain(self, part: str) -> str:
        """The end of a sentence about ``snapshots``, ``logs`` or ``bundle``; "" where it was not deleted."""
        at: datetime | None = getattr(self, part)
        return f"deleted by the competition's retention on {at:%Y-%m-%d}" if at is not None else ""


def explain_pruned(status: SubmissionStatus, part: str) -> str:
    """:meth:`PrunedParts.explain` of a Submission."""
    return status.pruned.explain(part) if status.pruned is not None else ""


class SubmissionStatus(StatusModel):
    observed_generation: int | None = None
    phase: Literal["", "Queued", "Running", "Scoring", "Done", "Failed", "Rejected"] = ""
    conditions: Conditions = ()
    upload: UploadPermit | None = None
    """Permit to upload the bundle that the spec names, while the Submission waits for it."""
    code_sha256: Annotated[str, Field(max_length=64)] = ""
    admitted_at: Time | None = None
    progress: Annotated[str, Field(max_length=32)] = ""
    """Runs that have ended, of all: "3/5"."""
    scores: Annotated[str, Field(max_length=1024)] = ""
    """ALC by dataset where there are several, for printing: "digits 0.81, news 0.55"."""
    score: Annotated[str, Field(max_length=16)] = ""
    """Mean ALC over the datasets that have one, for printing."""
    place: Annotated[str, Field(max_length=16)] = ""
    """The rank of how many teams in this phase, for printing: "2/14", or "2=/14" where another team shares it;
    "excluded" where the organizer left it out."""
    excluded: Annotated[str, Field(max_length=200)] = ""
    """Why the organizer has left it out of the board; empty where it is not left out."""
    quota: Annotated[str, Field(max_length=128)] = ""
    """What the team had used of its limits when it was admitted, this Submission included."""
    message: Annotated[str, Field(max_length=256)] = ""
    """The cause as a sentence, short enough for a line of a table."""
    overview: Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(max_length=64)] = ()
    """One line a run, the dataset first: `kubectl describe` sorts fields by name, so the rest of a run is scattered."""
    rank: int | None = None
    """Rank of the team, if this is its counted submission."""
    average_rank: float | None = None
    counted: bool = False
    """Whether this is the team's submission that counts in its phase."""
    chosen_at: Time | None = None
    """When the operator saw the label alcove.dev/chosen; of several that a team has marked, the last counts."""
    cause: Annotated[str, Field(max_length=128)] = ""
    """The worst cause among its runs, or why it waits or was rejected: a word, or a place in the queue."""
    scoring_digest: Annotated[str, Field(max_length=64)] = ""
    score_sha256: Annotated[str, Field(max_length=64)] = ""
    """Digest of the score file in the store: what the store holds can be checked against it. It has those of the
    solutions in it, so nobody without them can try which score it is of."""
    pages_sha256: Annotated[str, Field(max_length=64)] = ""
    """Digest of the list of pages that are made of the score; the same holds for it."""
    earlier_scores: Annotated[tuple[EarlierScore, ...], Field(max_length=EARLIER_SCORES)] = ()
    """The last of those that were shown, or held back, before: oldest first."""
    pruned: PrunedParts | None = None
    """What is no longer in the store, by the competition's retention."""
    runs: Annotated[
        tuple[RunStatus, ...],
        Field(
            max_length=64,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["dataset"]},
        ),
    ] = ()
    origin: Origin | None = None
    """What it was where it was made, if `alcove restore` made it here."""


SUBMISSION = Kind(
    name="Submission",
    plural="submissions",
    short_names=("sub", "subs"),
    spec=SubmissionSpec,
    status=SubmissionStatus,
    description="A team's code for one phase of a competition. The team is the namespace.",
    columns=(
        # In 80 columns, and 160 with -o wide; the last one is the one of most unequal length.
        Column("Phase", ".spec.phase"),
        Column("State", ".status.phase"),
        Column("Runs", ".status.progress"),
        Column("Score", ".status.score"),
        Column(
            "Rank",
            ".status.place",
            description="Of the submission that counts; the others of the team have none.",
        ),
        Column("Age", ".metadata.creationTimestamp", "date"),
        Column("Cause", ".status.cause"),
        Column("Scores", ".status.scores", priority=1),
        Column("Message", ".status.message", priority=1),
    ),
)
