"""How an attempt ended, as its run's status says it; and what a step of a run is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from alcove_api.phase import Phase
from alcove_api.run_names import repeat_of
from alcove_api.score_documents import NO_PREDICTIONS, NORMAL_ENDS
from alcove_api.submission import RunStatus
from alcove_operator.core import causes, names, repeats
from alcove_operator.core.actions import Action
from alcove_operator.core.model import JobView, PodView, ReconcileSettings
from alcove_operator.core.reconcile_input import ReconcileInput

OVER = frozenset({"Scoring", "Done", "Failed"})
HIDDEN = "Nothing is shown before the reveal."
"""Message of a run whose phase is blind."""
RECHECK = timedelta(seconds=5)
"""How soon to look again where no event will tell."""


@dataclass(frozen=True)
class RunStep:
    run: RunStatus
    actions: tuple[Action, ...] = ()
    requeue_at: datetime | None = None
    fenced: bool = False


def no_predictions(refused: int, first: str = "") -> causes.Cause:
    """Of a run that ended well. ``refused``: of its files; ``first``: why the first of them was."""
    told = describe_refusals(refused, first)
    said = told or "It saved no prediction: write .npy or .predict files to $ALCOVE_OUT."
    return causes.Cause(NO_PREDICTIONS, "Participant", said)


def describe_refusals(refused: int, first: str = "") -> str:
    """Where every file was refused; empty where there was none."""
    if not refused:
        return ""
    if refused == 1:
        return f"The one file that it saved was refused{f': {first}' if first else ''}."
    return f"All {refused} files that it saved were refused{f', the first: {first}' if first else ''}."


def record_end(run: RunStatus, cause: causes.Cause, pod: PodView | None) -> RunStatus:
    """``cause`` and what the recorder reported. The phase stays until the pod is known to be dead."""
    report = pod.report if pod else None
    # Where the kubelet forgot when main began, and the recorder says nothing, what was seen before stands.
    seen_start = run.started_at if report is None else None
    if report is not None and report.snapshots == 0 and cause.name in NORMAL_ENDS:
        cause = no_predictions(report.refused)
    update: dict[str, object] = {
        "cause": cause.name,
        "charged_to": cause.charged_to,
        "message": cause.message,
        "ended_at": ended_at(pod),
        **asdict(find_start_times(pod)),
        "started_at": started_at(pod) or seen_start,
    }
    if report is not None:
        update["snapshots"] = report.snapshots
        update["head"] = report.head or ""
        if report.free_ns is not None:
            update["free_seconds"] = round(report.free_ns / 1e9, 3)
        update["overshoot_ms"] = round(report.overshoot_ns / 1e6, 3) if report.end else None
    if pod is not None and not causes.got_go(pod, may_have_started(run)) and seen_start is None:
        # Nothing was recorded, so there is nothing of this pod's to score.
        update["pod_uid"] = ""
    return run.replace(**update)


@dataclass(frozen=True)
class StartTimes:
    """What happened before the go; None where nobody said it."""

    pulled_at: datetime | None = None
    """A node was found, and staging began."""
    staged_at: datetime | None = None
    launched_at: datetime | None = None
    """Main had begun, and all was staged."""


def find_start_times(pod: PodView | None) -> StartTimes:
    """By the recorder's word on staging, or of a pod of an earlier release the kubelet's on its container `stage`."""
    if pod is None:
        return StartTimes()
    staging = pod.report.staging if pod.report else None
    began = pod.main.started_at if pod.main else None
    if staging is None:
        stage = pod.stage
        return StartTimes(stage.started_at if stage else None, stage.finished_at if stage else None, began)
    # Main does not wait for staging, and the kubelet says when it began in whole seconds.
    launched = max(began, staging.ended_at) if began and staging.ended_at else began
    return StartTimes(staging.began_at, staging.ended_at, launched)


def may_have_started(run: RunStatus) -> bool:
    """Whether main was seen to run. A blind phase does not keep that, so there it may have been."""
    return run.started_at is not None or run.message == HIDDEN


def dead_at(pod: PodView, settings: ReconcileSettings) -> datetime | None:
    """When the pod can no longer be running, even where its node cannot be asked; None while it is not placed.

    The node itself ends the pod at its deadline, and the supervisor has ended the participant's processes before.
    """
    if pod.scheduled_at is None or pod.active_deadline_seconds is None:
        return None
    return pod.scheduled_at + timedelta(seconds=pod.active_deadline_seconds + settings.grace_seconds)


def is_dead(pod: PodView, settings: ReconcileSettings, now: datetime) -> bool:
    at = dead_at(pod, settings)
    return pod.terminal or causes.has_regular_end(pod) or (at is not None and now >= at)


def started_at(pod: PodView | None) -> datetime | None:
    if pod is None:
        return None
    if pod.report is not None:
        return pod.report.go_at
    return pod.main.started_at if pod.main else None


def ended_at(pod: PodView | None) -> datetime | None:
    if pod is None:
        return None
    report = pod.report
    if (
        report is not None
        and report.go_at is not None
        and report.end is not None
        and report.end.ended_ns >= 0
    ):
        return report.go_at + timedelta(microseconds=report.end.ended_ns // 1000)
    return pod.main.finished_at if pod.main else None


def build_context(given: ReconcileInput, run: RunStatus) -> causes.Context:
    spec, facts = given.submission.spec, given.facts
    job = given.jobs.get(names.run_job(given.uid, run.dataset, run.attempt))
    own = spec is not None and spec.code.image is not None
    return causes.Context(
        own_image=own,
        lost_nodes=facts.lost_nodes,
        pressed_since=facts.pressed_since,
        store_away=facts.store_away,
        local_queue=find_local_queue(job, given),
        memory=describe_memory(given.rules.phase, run.dataset),
        budget_seconds=given.rules.phase.budget.seconds,
        disclosed=given.rules.phase.resources.disclosed,
        started=may_have_started(run),
    )


def find_local_queue(job: JobView | None, given: ReconcileInput) -> str:
    """Kueue's, that admits the Job of an attempt; "" where none does. ``job``: None where it is not seen, or gone."""
    return job.local_queue if job is not None else given.rules.local_queue


def describe_memory(phase: Phase, run: str) -> str:
    """How much the run had; "" where teams may not know it."""
    return str(repeats.draw_resources(phase, repeat_of(run)).memory) if phase.resources.disclosed else ""


def is_run_of(job: JobView, run: RunStatus) -> bool:
    return job.role == names.RUN and job.alias == run.dataset
