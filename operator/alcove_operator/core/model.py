"""What the core is told: views and facts. All frozen, all plain data. What it answers is in :mod:`.actions`.

Views are snapshots of API objects, from a cache that may lag behind. Facts are what the wiring learnt by I/O,
kept in memory only: they may be lost at any time, and the core then asks for them again. What must outlive a
crash is in ``Submission.status``, in TeamUsages, or in the names of objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Literal, NamedTuple

from alcove_api.competition import CompetitionSpec, CompetitionStatus
from alcove_api.dataset import VolumeClaim
from alcove_api.frameworks import Framework
from alcove_api.phase import Phase
from alcove_api.run_documents import RecorderReport, Verdict
from alcove_api.schemes import Task
from alcove_api.score_documents import LiveCurve, ScoreResult
from alcove_api.submission import Original, RunStatus, SubmissionSpec, SubmissionStatus
from alcove_api.team_usage import TeamUsageStatus
from alcove_api.uploads import UploadPermit

Payer = Literal["", "Participant", "Platform", "Organizer"]


@dataclass(frozen=True)
class SubmissionView:
    uid: str
    """By which store, Jobs and counts know it: the one that it had first (:mod:`alcove_api.origin`)."""
    namespace: str
    """Also the team's name, unless it is the competition's: see :attr:`team`."""
    name: str
    generation: int
    resource_version: str
    created_at: datetime
    deleting: bool
    finalizers: tuple[str, ...]
    spec: SubmissionSpec | None
    """None where it does not validate; ``invalid`` then says why."""
    status: SubmissionStatus
    """Empty where it does not validate, which must never be taken for that of a new Submission."""
    invalid: str = ""
    unreadable: str = ""
    """What is wrong with a status that does not validate."""
    chosen: bool = False
    """Whether it carries the label by which its team marks what is to count."""
    object_uid: str = ""
    """By which this cluster's API server knows it."""

    @cached_property
    def of_organizer(self) -> bool:
        """Whether it is in the competition's namespace, where teams can read nothing: a baseline or a rerun."""
        return self.spec is not None and self.namespace == self.spec.competition.namespace

    @cached_property
    def original(self) -> Original | None:
        """What it runs again, or shows the result of."""
        return self.spec.rerun_of if self.spec else None

    @cached_property
    def shows_rerun(self) -> bool:
        """Whether it is never run: it shows a team, in its own namespace, what became of a rerun."""
        return self.original is not None and not self.of_organizer

    @cached_property
    def team(self) -> str:
        """Namespace of the team whose it is; the competition's own for a baseline."""
        return self.original.team if self.original else self.namespace

    @property
    def baseline(self) -> str:
        """Name of the baseline that it is, or runs again; "" of a team's."""
        if not self.of_organizer or self.team != self.namespace:
            return ""
        return self.original.submission if self.original else self.name


@dataclass(frozen=True)
class CompetitionView:
    namespace: str
    name: str
    uid: str
    """By which the store knows it: the one that it had first (:mod:`alcove_api.origin`)."""
    spec: CompetitionSpec
    status: CompetitionStatus
    usage: Mapping[str, TeamUsageStatus] = field(default_factory=dict)
    """By team, of those teams that whoever made this view asks for."""
    object_uid: str = ""
    """By which this cluster's API server knows it."""
    prune_request: str = ""
    """The last request to apply its retention now: see :data:`alcove_api.competition.PRUNE`."""

    def usage_of(self, team: str) -> TeamUsageStatus:
        return self.usage.get(team, TeamUsageStatus())

    def phase(self, name: str) -> Phase | None:
        return next((p for p in self.spec.phases if p.name == name), None)


@dataclass(frozen=True)
class DatasetView:
    name: str
    alias: str
    data_sha256: str
    solution_sha256: str
    ready: bool | None
    """None until it has been checked."""
    reason: str = ""
    n_test: int = 0
    n_labels: int = 0
    task: Task | None = None
    volume_claim: VolumeClaim | None = None
    """Where its input lies on a volume; None where each run downloads it."""
    target: float | None = None
    """Score that a prediction has to reach, for ranking performance-profile."""


@dataclass(frozen=True)
class JobView:
    name: str
    uid: str
    submission_uid: str
    role: str
    """Label ``alcove.dev/role``: run or score."""
    alias: str
    attempt: int
    """Counts from 1; of a run, or of scoring one submission by one set of settings."""
    created_at: datetime
    deleting: bool = False
    finished: Literal["", "Complete", "Failed"] = ""
    reason: str = ""
    """Of the Failed condition: BackoffLimitExceeded, DeadlineExceeded, PodFailurePolicy…"""
    message: str = ""
    finished_at: datetime | None = None
    local_queue: str = ""
    """Of Kueue; "" where the Job starts without being admitted."""
    suspended: bool = False
    """Whether it waits to be admitted, for the first time or again."""
    resumed_at: datetime | None = None
    """When it last began, as the Job controller says; None while it is suspended."""


@dataclass(frozen=True)
class ContainerView:
    name: str
    running: bool = False
    started_at: datetime | None = None
    """Of the running or the last terminated process."""
    waiting_reason: str = ""
    waiting_message: str = ""
    terminated: bool = False
    terminated_reason: str = ""
    exit_code: int = 0
    signal: int = 0
    finished_at: datetime | None = None
    restarts: int = 0
    image_id: str = ""
    """What the kubelet runs, with its digest; "" until it says so."""


@dataclass(frozen=True)
class PodView:
    name: str
    uid: str
    job: str
    """Name of its Job."""
    created_at: datetime
    phase: Literal["Pending", "Running", "Succeeded", "Failed", "Unknown"]
    node: str = ""
    reason: str = ""
    """``status.reason``: Evicted, DeadlineExceeded, NodeLost…"""
    message: str = ""
    deleted_at: datetime | None = None
    """When its deletion was asked for."""
    scheduled_at: datetime | None = None
    active_deadline_seconds: int | None = None
    unschedulable: str = ""
    """The scheduler's message while no node fits."""
    disruption: str = ""
    """Reason of a true DisruptionTarget condition."""
    disruption_at: datetime | None = None
    stage: ContainerView | None = None
    recorder: ContainerView | None = None
    main: ContainerView | None = None
    report: RecorderReport | None = None
    """The recorder container's termination message. The participant's container cannot write it."""
    termination_message: str = ""
    """Termination message of the scorer's container."""

    @property
    def terminal(self) -> bool:
        return self.phase in ("Succeeded", "Failed")


@dataclass(frozen=True)
class CodeFact:
    """Answer to :class:`~.actions.AdmitCode`: accepted with a digest, or refused. ``sha256`` is "" for an image."""

    accepted: bool
    sha256: str = ""
    bytes: int = 0
    reason: str = ""
    """One CamelCase word, of a refusal: CodeMissing, DigestMismatch, BundleTooLarge, NoModel…"""
    message: str = ""
    """What is wrong and what to do."""
    wait: bool = False
    """A refusal that may pass, such as a ConfigMap that is not there yet."""
    permit: UploadPermit | None = None
    """By which a bundle that is not there can be uploaded; None while the team has as many permits as it may."""
    looked_at: datetime | None = None
    """When a bundle was not there; None of any other answer."""


@dataclass(frozen=True)
class QuotaRefusal:
    """Answer to :class:`~.actions.CountUsage` where a limit stands against it."""

    limit: str
    """perDay, total or inFlight."""
    message: str


class QueuePlace(NamedTuple):
    position: int
    """From 1, over the whole competition; where it is told, that or fewer."""
    reason: str


@dataclass(frozen=True)
class ScoreFault:
    """Answer to :class:`~.actions.ReadScore` where there is nothing sound to read."""

    message: str


@dataclass(frozen=True)
class LiveList:
    """What a direct list (not the cache) found of one Submission."""

    jobs: frozenset[str]
    pods: Mapping[str, PodView]
    """By name of the Job, ended ones too."""
    at: datetime
    """When the list was asked for."""
    runs: tuple[RunStatus, ...]
    """What the status said then."""

    def tells_of(self, run: RunStatus) -> bool:
        """Whether it was asked for after the operator knew the run as it is now. Another operator may have created a
        Job since, or seen a pod: of that, a list from before says "not there"."""
        known = (run.dataset, run.attempt, run.pod_uid, run.cause)
        return known in {(r.dataset, r.attempt, r.pod_uid, r.cause) for r in self.runs}


@dataclass(frozen=True)
class ReconcileSettings:
    """Patience of the operator; constant while it runs."""

    unschedulable_seconds: int = 86400
    """How long a pod may wait for a free node before that counts as a fault of the platform."""
    overhead_seconds: int = 240
    """For what is in neither the start timeout nor the budget: loading libraries before the go; kill, last copy
    and seal after the end."""
    grace_seconds: int = 60
    """After its deadline, an unreachable pod is taken for dead this much later."""
    waiting_seconds: int = 60
    """How long a Submission waits for a Competition, a label or a ConfigMap that may come a moment later."""
    frameworks: tuple[Framework, ...] = ("tensorflow", "numpy")
    """Those that an image was installed for."""


@dataclass(frozen=True)
class Facts:
    """Everything defaults to "not known"; the core asks by an action for what it needs."""

    team_member: bool | None = None
    """Whether the Submission's namespace carries the label of its competition; None where it cannot be looked at."""
    code: CodeFact | None = None
    code_asked_at: datetime | None = None
    """When :class:`~.actions.AdmitCode` was asked for first."""
    code_dropped_at: datetime | None = None
    """When no ConfigMap of the rejected Submission's own was left."""
    usage_refused: QuotaRefusal | None = None
    granted: frozenset[str] = frozenset()
    """Aliases that the queue gave a place to (see :mod:`alcove_operator.core.capacity`)."""
    withheld: frozenset[str] = frozenset()
    """Aliases that hold a place and may not begin another attempt yet, since more hold places than there are."""
    queue_asked_at: datetime | None = None
    """When the queue was told first that the Submission is about to be admitted."""
    queue: Mapping[str, QueuePlace] = field(default_factory=lambda: MappingProxyType({}))
    """By alias."""
    verdicts: frozenset[str] = frozenset()
    """Aliases whose verdict is known to be in the store."""
    read_verdicts: Mapping[str, Verdict | None] = field(default_factory=lambda: MappingProxyType({}))
    """By alias, as they are in the store; None where there is none that can be read."""
    settled: bool = False
    """Whether :class:`~.actions.SettleUsage` has succeeded."""
    live: LiveList | None = None
    """Answer to :class:`~.actions.ListLive`. The wiring forgets it whenever it creates a Job for this Submission."""
    store_away: bool = False
    """Whether the operator itself could not reach the store at some time during the last attempt."""
    curve: LiveCurve | None = None
    curve_at: datetime | None = None
    """When the curve was last looked for, or a new one written to the status."""
    score: ScoreResult | ScoreFault | None = None
    pages_sha256: str = ""
    """Digest of the list of pages that lie beside ``score``; "" where there is none."""
    published: str = ""
    """Digest of the score whose report is where the team can read it."""
    log_tails: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """By Job name; "" where there was no output, or none could be read."""
    lost_nodes: frozenset[str] = frozenset()
    """Nodes that are NotReady, or gone."""
    pressed_since: Mapping[str, datetime] = field(default_factory=lambda: MappingProxyType({}))
    """By node of a pod that was evicted: see :class:`~.causes.Context`."""
    chosen_instead: str = ""
    """Name of another Submission that the team has marked later for the same phase."""
    marked_at: datetime | None = None
    """When the mark was set, where it may have been there before it was seen; None: it was seen at once."""
    competition_unreadable: bool = False
    """Whether the Competition that the spec names is there, but the operator cannot read it."""
