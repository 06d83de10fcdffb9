"""Competition: phases, limits, scoring. What each team has used of it is in TeamUsages."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from alcove_api.base import GROUP, Alias, ApiModel, Column, Conditions, Kind, Name, StatusModel, Time, cel
from alcove_api.decisions import Cancellation, Exclusion, ExtraSubmissions
from alcove_api.frameworks import Framework, find_image
from alcove_api.notifications import Webhook
from alcove_api.origin import Origin
from alcove_api.phase import LogPolicy, Phase, ScoringSpec
from alcove_api.schemes import BoardRanking
from alcove_api.team_usage import TeamUsageStatus

PRUNE = f"{GROUP}/prune"
"""Annotation of a Competition: each new value has the operator apply its retention now."""


class Limits(ApiModel):
    """Limits for each team. What the platform's faults cost is not counted."""

    per_day: Annotated[int, Field(ge=1, le=1000)] = 10
    """Submissions a day (UTC)."""
    total: Annotated[int, Field(ge=1, le=10000)] = 100
    """Submissions in the whole competition."""
    parallel: Annotated[int, Field(ge=1, le=1000)] = 5
    """Runs at the same time."""
    bundle_bytes: Annotated[int, Field(ge=1024, le=1099511627776)] = 536870912
    """Size of a code bundle at most: the policy on pretrained models, in bytes."""
    shared_bytes: Annotated[int, Field(ge=0, le=1099511627776)] = 4294967296
    """Of the datasets that a team offers to others, together; each may have a quarter of it. 0: none may be offered."""
    recorded_bytes: Annotated[int, Field(ge=1048576, le=1099511627776)] = 2147483648
    """Bytes of predictions that each run may save: the file that exceeds them is refused and is the last one. The
    store keeps them."""


class Retention(ApiModel):
    """After how many days the operator deletes what nothing needs any more, counted from the end of a Submission.
    Without a number nothing of that kind is deleted. Records, scores, boards and pages always stay."""

    snapshots_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    """Predictions of Submissions that do not count: they cannot be scored again."""
    logs_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    """Output of runs of Submissions that do not count."""
    bundles_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    """Code that only Submissions have which do not count: it cannot be run again."""


class Images(ApiModel):
    ingestion: Annotated[str, Field(max_length=512)] | None = None
    """Image that runs model.py of the framework tensorflow, and of numpy where ingestionNumpy names none; by default
    those that the operator was installed with."""
    ingestion_numpy: Annotated[str, Field(max_length=512)] | None = None
    """The same for the framework numpy alone, without TensorFlow: a node has it sooner."""
    ingestion_torch: Annotated[str, Field(max_length=512)] | None = None
    """The same for the framework torch."""
    ingestion_tf1: Annotated[str, Field(max_length=512)] | None = None
    """The same for the framework tensorflow1."""
    allowed: Annotated[tuple[Annotated[str, Field(max_length=512)], ...], Field(max_length=64)] = ()
    """Prefixes of images that participants may bring. An empty list allows none."""

    def find_ingestion(self, framework: Framework) -> str | None:
        """The competition's own image for a ``model.py`` of this framework, if it has one."""
        return find_image(framework, lambda image: getattr(self, image))


class TeamTitle(ApiModel):
    namespace: Name
    """The team's namespace."""
    display_name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=40,
            pattern=r"^[^\p{Cc}\p{Cf}\p{Co}\p{Z}]+( [^\p{Cc}\p{Cf}\p{Co}\p{Z}]+)*$",
        ),
    ]
    """What boards and reports call the team. Any letters and signs, with single spaces between; nothing invisible."""


class CompetitionSpec(ApiModel):
    """Phases, limits for each team, capacity, scoring and ranking of one challenge."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "self.phases.all(p, !has(p.from) || self.phases.exists(q, q.name == p.from.phase && !has(q.from)))",
                    "phases[].from.phase must name a phase of this competition that teams submit to, one without "
                    "`from`: phases in a circle, or in a chain, have no submissions to run",
                ),
                cel(
                    "self.phases.all(p, !has(p.from) || "
                    "self.phases.all(q, has(q.from) || !sets.intersects(p.datasets, q.datasets)))",
                    "a phase with `from` may have no dataset of a phase that teams submit to: it is to be blind on "
                    "datasets that they have never run on",
                ),
                cel(
                    "self.ranking != 'performance-profile' || "
                    "self.phases.all(p, p.feedback.mode != 'ladder' || has(p.ranking))",
                    "ranking performance-profile needs whole curves, which feedback.mode ladder hides: give phases "
                    "with a ladder a ranking of their own",
                ),
                cel(
                    "!(has(self.allowNetwork) && self.allowNetwork) || !self.phases.exists(p, has(p.from))",
                    "a phase with `from` cannot be blind where allowNetwork is true: the code could tell its team what "
                    "it sees",
                ),
            ]
        }
    )
    title: Annotated[str, Field(max_length=120)] = ""
    """For people."""
    description: Annotated[str, Field(max_length=2000)] = ""
    """For people: what the challenge is about."""
    phases: Annotated[
        tuple[Phase, ...],
        Field(
            min_length=1,
            max_length=8,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ]
    """In order of time, at most 8."""
    limits: Limits = Limits()
    """Limits for each team."""
    capacity: Annotated[int, Field(ge=1, le=10000)] = 4
    """Runs of all teams at the same time; others are queued."""
    local_queue: Name | None = None
    """Name of a LocalQueue of Kueue in the competition's namespace; a phase can name another. With it, runs start when
    Kueue admits them, and the capacity is Kueue's. A run that Kueue preempts is repeated, at the platform's cost."""
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """Attempts for each run, of which all but the first are for the platform's faults. The runs of a Submission
    together are repeated (their number) + maxAttempts − 2 times at most."""
    start_timeout_seconds: Annotated[int, Field(ge=30, le=86400)] = 900
    """How long image pulls, scheduling and staging may take before an attempt counts as never started."""
    scoring: ScoringSpec = ScoringSpec()
    """How predictions become a score over time."""
    ranking: BoardRanking = "average"
    """How ranks on the datasets become one rank; average is the mean rank. performance-profile ranks by how soon
    predictions reach the targets of the Datasets."""
    teams: Annotated[
        tuple[TeamTitle, ...],
        Field(
            max_length=2000,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["namespace"]},
        ),
    ] = ()
    """Display names of teams. It admits nobody: that is the label of a namespace."""
    excluded: Annotated[tuple[Exclusion, ...], Field(max_length=200)] = ()
    """Teams and submissions that are left out of boards, each with its reason."""
    cancelled: Annotated[tuple[Cancellation, ...], Field(max_length=200)] = ()
    """Runs that are stopped for good."""
    extra_submissions: Annotated[tuple[ExtraSubmissions, ...], Field(max_length=200)] = ()
    """What single teams may submit beyond the limits: quota that is given back."""
    notifications: Annotated[
        tuple[Webhook, ...],
        Field(
            max_length=16,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    """Webhooks that are told what happens."""
    images: Images = Images()
    """Images that runs use, and may bring."""
    logs: LogPolicy = "tail"
    """What teams see of their runs' output: none; tail: its last lines, in the Submission's status; full: all of it as
    well, by `alcove logs --full`. Of a blind phase, nothing before the reveal."""
    allow_network: bool = False
    """Whether participants' code may open network sockets."""
    retention: Retention | None = None
    """What the operator deletes from the store, and when: `alcove prune --dry-run` shows it. Without it, nothing."""


class EarlierUsage(TeamUsageStatus):
    """What a team had used when the Competition's status still counted it."""

    team: Name

    @property
    def usage(self) -> TeamUsageStatus:
        return TeamUsageStatus(**{name: getattr(self, name) for name in TeamUsageStatus.model_fields})


class PhaseStatus(StatusModel):
    name: Alias
    submissions: int = 0
    running: int = 0
    queued: int = 0
    message: Annotated[str, Field(max_length=256)] = ""
    """Of a phase with `from`: whom it waits for. Of any: why its board is not made, while that is tried again."""


class RetentionStatus(StatusModel):
    request: Annotated[str, Field(max_length=64)] = ""
    """The last value of the annotation alcove.dev/prune that was answered."""
    at: Time | None = None
    """When the operator last looked through the store."""
    objects: int = 0
    """Deleted by retention since the Competition was made, with their versions."""
    bytes: int = 0
    """The same in bytes."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """What the last look led to, as a sentence."""


class CompetitionStatus(StatusModel):
    observed_generation: int | None = None
    conditions: Conditions = ()
    phases: Annotated[
        tuple[PhaseStatus, ...],
        Field(
            max_length=8,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    usage: Annotated[
        tuple[EarlierUsage, ...],
        Field(
            max_length=2000,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["team"]},
        ),
    ] = ()
    """Of earlier releases: the operator moves it into TeamUsages."""
    running: int = 0
    queued: int = 0
    summary: Annotated[str, Field(max_length=1024)] = ""
    """The phases and which of them take submissions, for printing: "practice, final (from 1 Dec)"."""
    retention: RetentionStatus | None = None
    """What retention has deleted; absent while it has deleted nothing and was not asked to."""
    origin: Origin | None = None
    """What it was where it was made, if `alcove restore` made it here."""


COMPETITION = Kind(
    name="Competition",
    plural="competitions",
    short_names=("comp",),
    spec=CompetitionSpec,
    status=CompetitionStatus,
    description="A challenge: its phases, limits and scoring. Runs of its submissions live in its namespace.",
    columns=(
        # In 80 columns, and 160 with -o wide but for its last, a sentence.
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Running", ".status.running", "integer"),
        Column("Queued", ".status.queued", "integer"),
        Column("Age", ".metadata.creationTimestamp", "date"),
        Column("Phases", ".status.summary"),
        Column("Capacity", ".spec.capacity", "integer", priority=1),
        Column("Reason", ".status.conditions[?(@.type=='Ready')].reason", priority=1),
        Column("Message", ".status.conditions[?(@.type=='Ready')].message", priority=1),
    ),
)
