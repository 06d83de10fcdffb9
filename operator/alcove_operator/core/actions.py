"""What the core answers: actions, and a decision. All frozen, all plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from alcove_api.dataset import VolumeClaim
from alcove_api.frameworks import Framework
from alcove_api.phase import Resources
from alcove_api.run_documents import RunConfig, Verdict
from alcove_api.score_documents import ScoreRequest
from alcove_api.submission import SubmissionStatus


@dataclass(frozen=True)
class AddFinalizer:
    key: str = "finalizer/add"


@dataclass(frozen=True)
class RemoveFinalizer:
    key: str = "finalizer/remove"


@dataclass(frozen=True)
class AdmitCode:
    """Check the code and copy it to ``code/<sha256>``; answer in ``Facts.code``, with a permit to upload a bundle that
    is not there. Not asked for an image."""

    limit_bytes: int
    most_permits: int
    """Bundles that the team may have permits for at a time."""
    key: str = "code"


@dataclass(frozen=True)
class DropCode:
    """Delete the ConfigMap of a rejected Submission, if that owns it; answer in ``Facts.code_dropped_at``. One that
    somebody made by other means is left alone."""

    config_map: str
    submission_uid: str
    key: str = "code/drop"


@dataclass(frozen=True)
class CountUsage:
    """Apply ``usage.count_submission`` to the team's TeamUsage and write it with its resourceVersion; repeat on
    conflict. Success shows in it; a refusal goes to ``Facts.usage_refused``."""

    team: str
    phase: str
    submission_uid: str
    key: str = "usage/count"


@dataclass(frozen=True)
class SettleUsage:
    """Apply ``usage.settle_submission`` likewise; success goes to ``Facts.settled``. No Competition: success."""

    team: str
    phase: str
    submission_uid: str
    compute_seconds: float
    refund: bool
    admitted_at: datetime
    key: str = "usage/settle"


@dataclass(frozen=True)
class CreateRun:
    """Create the Job of one attempt. 409 is success once the full UID in the label is found the same."""

    job: str
    submission_uid: str
    alias: str
    """The run's name: see :mod:`alcove_api.run_names`."""
    attempt: int
    dataset: str
    """Name of the Dataset."""
    labels: Mapping[str, str]
    config: RunConfig
    run_as: int
    """User and group of all containers, of this run alone."""
    image: str | None
    """The participant's own; None where model.py is run."""
    ingestion: str | None
    """The competition's image that runs model.py; None for the one that the operator was installed with."""
    command: tuple[str, ...]
    """Of the participant's own image; () otherwise."""
    framework: Framework
    """What the runner of our images loads before the go; chooses the image where the participant brings none."""
    resources: Resources
    allow_network: bool
    start_timeout_seconds: int
    active_deadline_seconds: int
    """Of the *pod* (template.spec), not of the Job: a wait for a free node must not count."""
    seed: int = 0
    """``ALCOVE_SEED``: all that the code can tell the repeats of a run by."""
    volume_claim: VolumeClaim | None = None
    """What is mounted as the run's input; None where it is staged."""
    local_queue: str = ""
    """Kueue's, which then starts the Job; "" where it starts at once."""

    @property
    def key(self) -> str:
        return f"run/{self.job}"


@dataclass(frozen=True)
class DeleteJob:
    """Delete with Background propagation; 404 is success."""

    job: str
    reason: str

    @property
    def key(self) -> str:
        return f"delete/{self.job}"


@dataclass(frozen=True)
class ListLive:
    """List this Submission's Jobs and pods directly; answer in ``Facts.live_jobs``."""

    submission_uid: str
    key: str = "list"


@dataclass(frozen=True)
class WriteVerdict:
    """Put ``keys.verdict``, with what the store holds of earlier attempts, only if absent; present already is success.
    Success goes to ``Facts.verdicts``."""

    verdict: Verdict

    @property
    def key(self) -> str:
        return f"verdict/{self.verdict.alias}"


@dataclass(frozen=True)
class ReadVerdict:
    """Read ``keys.verdict``; always answered in ``Facts.read_verdicts``."""

    submission_uid: str
    alias: str

    @property
    def key(self) -> str:
        return f"verdict/{self.alias}/read"


@dataclass(frozen=True)
class StartScoring:
    """Create the scorer's Job. 409 is success once the full UID is found the same.

    With the label ``names.AGAIN`` it may be left for later, where many submissions are scored again at a time.
    """

    job: str
    labels: Mapping[str, str]
    request: ScoreRequest

    @property
    def key(self) -> str:
        return f"score/{self.job}"


@dataclass(frozen=True)
class ReadCurve:
    """Read ``keys.live_curve``; answer in ``Facts.curve``, where there is one, and ``Facts.curve_at``."""

    submission_uid: str
    key: str = "curve"


@dataclass(frozen=True)
class ReadScore:
    """Read ``keys.score_result`` and ``keys.score_pages``; answer in ``Facts.score`` and ``Facts.pages_sha256``."""

    submission_uid: str
    scoring_digest: str
    awaited: bool = False
    """Its scorer is at work: where there is no result yet, nothing is learnt, and not that there is none."""

    @property
    def key(self) -> str:
        return f"result/{self.scoring_digest}"


@dataclass(frozen=True)
class TeamLog:
    """Output of a run that its team may read."""

    run: str
    """Its name in the status."""
    prefix: str
    """:func:`alcove_api.keys.attempt_prefix` of the attempt."""


@dataclass(frozen=True)
class PublishReport:
    """Copy the report of this score, and the runs' output, to where the team can read it. Always answered in
    ``Facts.published``, also where there is none to copy: a page keeps no score back."""

    namespace: str
    submission_uid: str
    scoring_digest: str
    logs: tuple[TeamLog, ...] = ()

    @property
    def key(self) -> str:
        return f"report/{self.scoring_digest}"


@dataclass(frozen=True)
class ReadLogTail:
    """Read the end (about 700 bytes) of the attempt's log; always answered in ``Facts.log_tails``, by Job."""

    job: str
    prefix: str
    """:func:`alcove_api.keys.attempt_prefix` of the attempt."""

    @property
    def key(self) -> str:
        return f"log/{self.job}"


@dataclass(frozen=True)
class Emit:
    """One Event on the Submission; deduplicated by key."""

    key: str
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


Stored = WriteVerdict | ReadVerdict | ReadCurve | ReadScore | PublishReport | ReadLogTail
Action = (
    AddFinalizer | RemoveFinalizer | AdmitCode | DropCode | CountUsage | SettleUsage | CreateRun | DeleteJob | ListLive
    | StartScoring | Emit | Stored
)  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """First the status is written, then the actions are done in order; a failure stops there and is repeated.

    The status is written with the resourceVersion of the view, and on a conflict *nothing* else is done: that
    is what keeps an old view from acting. Where ``fenced``, it is written even if it is equal (a write that
    changes nothing checks the version all the same); otherwise only if it differs.
    """

    status: SubmissionStatus
    actions: tuple[Action, ...] = ()
    requeue_at: datetime | None = None
    fenced: bool = False
    coming: SubmissionStatus | None = None
    """Of a Submission that is about to be admitted, as it will be: the queue gives its runs places before the write, or
    says where they stand."""
