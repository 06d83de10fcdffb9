"""The state machine of one run: one dataset of one Submission, in one attempt after the other.

What is durable is three fields of its status. ``attempt`` is raised before the Job is created, ``cause`` is set
once an attempt's end is decided, and a phase of :data:`OVER` says that no attempt will follow. In between::

    attempt 0 ──grant──▶ attempt n, no cause ──▶ attempt n, cause ──▶ over
                              ▲                        │ platform, attempts left, pod dead
                              └────────────────────────┘ n + 1
"""

from __future__ import annotations

from datetime import datetime, timedelta

from alcove_api.run_documents import RunConfig
from alcove_api.run_names import alias_of, repeat_of
from alcove_api.submission import RunStatus
from alcove_api.words import count_of
from alcove_operator.core import causes, names, repeats, stalled_starts
from alcove_operator.core.actions import (
    CreateRun,
    DeleteJob,
    ListLive,
)
from alcove_operator.core.model import JobView, LiveList, PodView, ReconcileSettings
from alcove_operator.core.reconcile_input import PhaseRules, ReconcileInput
from alcove_operator.core.run_ends import (
    HIDDEN,
    OVER,
    RECHECK,
    RunStep,
    build_context,
    dead_at,
    find_local_queue,
    is_dead,
    is_run_of,
    record_end,
)
from alcove_operator.core.run_results import finish_run

UNPLACED = "Waiting for a place."
"""Message of a run of which the queue has said nothing yet."""


def advance_runs(given: ReconcileInput) -> tuple[RunStep, ...]:
    """A step of each run, one after the other: together they have no more attempts than the Submission has left."""
    known = [_cancel(_adopt(run, given), given) for run in given.submission.status.runs]
    left = count_retries(len(known), given.rules.spec.max_attempts) - sum(map(_retries_of, known))
    steps = []
    for run in known:
        step = _advance_run(run, left, given)
        left -= _retries_of(step.run) - _retries_of(run)
        steps.append(step)
    return tuple(steps)


def count_retries(runs: int, max_attempts: int) -> int:
    """How many attempts of a Submission are followed by another at most, over all its ``runs`` and whatever the causes.

    Each run may have ``max_attempts``. Where there are several, a fault that hits all of them, such as that of a node,
    must be survived once; more would be one more try for whoever can bring such faults about.
    """
    return runs + max_attempts - 2


def _retries_of(run: RunStatus) -> int:
    return max(0, run.attempt - 1)


def _advance_run(run: RunStatus, retries_left: int, given: ReconcileInput) -> RunStep:
    if run.phase in OVER:
        return finish_run(run, given)
    if run.attempt == 0:
        return _queued(run, given)
    if not run.cause:
        step = _attempt(run, given)
        if not step.run.cause:
            return step
        run = step.run
    return _ended(run, retries_left, given)


def _adopt(run: RunStatus, given: ReconcileInput) -> RunStatus:
    """A Job of a later attempt than the status knows can only mean that the status was lost: go on from there."""
    latest = max((j.attempt for j in given.jobs.values() if is_run_of(j, run)), default=0)
    if latest <= run.attempt or run.phase in OVER:
        return run
    return run.replace(attempt=latest, phase="Pending", cause="", charged_to="", alc=None, curve=())


def _cancel(run: RunStatus, given: ReconcileInput) -> RunStatus:
    """As the organizer, or who deletes the Submission, wants it where the run is to be stopped and its end is not
    decided: no attempt follows."""
    decided = bool(run.cause) and run.charged_to != "Platform"
    if run.phase in OVER or decided:
        return run
    if given.submission.deleting:
        saved_counts = " What it had saved counts." if run.attempt else ""
        return _stop_run(
            run, causes.Cause("Deleted", "Participant", f"Its Submission was deleted.{saved_counts}"), given
        )
    name = (given.submission.team, given.submission.name)
    wanted = (c for c in given.rules.spec.cancelled if (c.team, c.submission) == name)
    reason = next((c.reason for c in wanted if c.dataset in (None, alias_of(run.dataset))), None)
    if reason is None:
        return run
    saved_counts = " What it had saved counts." if run.attempt else ""
    said = f"The organizer stopped it: {reason}".rstrip(".") + f".{saved_counts}"
    return _stop_run(run, causes.Cause("Cancelled", "Organizer", said), given)


def _stop_run(run: RunStatus, cause: causes.Cause, given: ReconcileInput) -> RunStatus:
    if run.attempt == 0:
        return run.replace(
            phase="Failed", cause=cause.name, charged_to=cause.charged_to, message=cause.message
        )
    pod = given.pods.get(names.run_job(given.uid, run.dataset, run.attempt))
    return record_end(run.replace(pod_uid=pod.uid) if pod else run, cause, pod)


def _queued(run: RunStatus, given: ReconcileInput) -> RunStep:
    problem = _not_ready(run, given)
    if problem:
        return RunStep(run.replace(message=problem))
    if run.dataset in given.facts.granted:
        return _start(run, 1, "", given)
    place = given.facts.queue.get(run.dataset)
    if place is None:
        return RunStep(run.replace(message=UNPLACED))
    bound = "≤" if place.position > 2 else ""
    message = f"Place {bound}{place.position} in the queue: {place.reason}."
    return RunStep(run.replace(message=message))


def _not_ready(run: RunStatus, given: ReconcileInput) -> str:
    """Why no attempt can start; "" where one can."""
    dataset = given.dataset_of(run.dataset)
    if dataset is None:
        return "The dataset is gone. The run starts when the organizer puts it back."
    if dataset.ready is None:
        return f"The dataset {dataset.alias} is being checked."
    if not dataset.ready:
        return f"The dataset {dataset.alias} is not ready: the organizer has to repair it. {dataset.reason}"[
            :1024
        ]
    return ""


def _start(run: RunStatus, attempt: int, message: str, given: ReconcileInput) -> RunStep:
    fresh = RunStatus(
        dataset=run.dataset,
        attempt=attempt,
        phase="Pending",
        queued_at=run.queued_at,
        points_shown=run.points_shown,
        message=message,
    )
    return RunStep(fresh, (build_creation(run.dataset, attempt, given),), fenced=True)


def build_creation(alias: str, attempt: int, given: ReconcileInput) -> CreateRun:
    """The Job of one attempt, from specs alone: the same however often it is asked for. ``alias``: the run's name."""
    rules, spec, dataset = given.rules, given.submission.spec, given.dataset_of(alias)
    assert spec is not None  # by admission
    assert dataset is not None  # by :func:`_not_ready`
    phase = rules.phase
    image, status = spec.code.image, given.submission.status
    return CreateRun(
        job=names.run_job(given.uid, alias, attempt),
        submission_uid=given.uid,
        alias=alias,
        attempt=attempt,
        dataset=dataset.name,
        labels=names.run_labels(
            given.uid, given.submission.team, rules.competition.name, phase.name, alias, attempt
        ),
        config=RunConfig(
            submission_uid=given.uid,
            alias=alias,
            attempt=attempt,
            data_sha256=None if dataset.volume_claim else dataset.data_sha256,
            code_sha256=status.code_sha256 or None,
            budget_ns=phase.budget.seconds * 10**9,
            disclosed=phase.budget.disclosed,
            # Of an image's command nobody outside can tell when it has constructed: its clock starts with it.
            free_constructor_ns=0 if image else phase.compat.free_seconds * 10**9,
            n_test=dataset.n_test,
            n_labels=dataset.n_labels,
            max_bytes=rules.spec.limits.recorded_bytes,
        ),
        run_as=names.run_as(given.uid, alias, attempt),
        image=image.reference if image else None,
        ingestion=rules.spec.images.find_ingestion(spec.code.framework),
        command=image.command if image else (),
        framework=spec.code.framework,
        resources=repeats.draw_resources(phase, repeat_of(alias)),
        seed=repeats.compute_seed(phase, repeat_of(alias)),
        allow_network=rules.spec.allow_network,
        start_timeout_seconds=rules.spec.start_timeout_seconds,
        active_deadline_seconds=count_deadline_seconds(rules, given.settings),
        volume_claim=dataset.volume_claim,
        local_queue=rules.local_queue,
    )


def count_deadline_seconds(rules: PhaseRules, settings: ReconcileSettings) -> int:
    """Of the pod, in seconds from when its node takes it."""
    budget, start = rules.phase.budget.seconds, rules.spec.start_timeout_seconds
    return start + rules.phase.compat.free_seconds + budget + settings.overhead_seconds


def _attempt(run: RunStatus, given: ReconcileInput) -> RunStep:
    """An attempt under way: shows how far it is, and sets ``cause`` when its end is decided.

    What the clock decides, and not the pod, is decided on a direct list made after that moment: in an old view a
    pod that has long finished still seems to be starting.
    """
    name = names.run_job(given.uid, run.dataset, run.attempt)
    job, pod = given.jobs.get(name), given.pods.get(name)
    if pod is None:
        return _without_pod(run, name, job, given)
    context = build_context(given, run)
    if run.pod_uid and run.pod_uid != pod.uid:
        # Kueue took the place away and gave it back before that was seen. A run that went on would have had two goes.
        return RunStep(record_end(run, causes.find_cause(None, context), None))
    run = run.replace(pod_uid=pod.uid)
    # A list from before this pod was seen may be from before it was there, and says nothing of it.
    live = _find_live(run, given)
    # Kueue may let a Job begin anew until it has ended, so there the pod's own end is awaited.
    if pod.terminal or (causes.has_regular_end(pod) and not find_local_queue(job, given)):
        return RunStep(record_end(run, causes.find_cause(pod, context), pod))
    if job is None and live is not None and name not in live.pods:
        return RunStep(record_end(run, causes.find_cause(None, context), pod))
    run = _progress(run, pod, given)
    stop, dead = _stop(job, pod, context, given), dead_at(pod, given.settings)
    due = _earliest([stop[1] if stop else None, dead])
    if due is None or given.now < due:
        return RunStep(run, requeue_at=due)
    look = RunStep(run, (ListLive(given.uid),), given.now + RECHECK)
    if live is None or live.at < due or name not in live.pods:
        return look
    seen = live.pods[name]
    if is_dead(seen, given.settings, given.now):
        return RunStep(record_end(run, causes.find_cause(seen, context), seen))
    stop = _stop(job, seen, context, given)
    return RunStep(record_end(run, stop[0], seen)) if stop is not None and given.now >= stop[1] else look


def _without_pod(run: RunStatus, name: str, job: JobView | None, given: ReconcileInput) -> RunStep:
    """No pod in the cache: not yet there, not yet seen, or gone. Only a direct list tells."""
    live, again = _find_live(run, given), given.now + RECHECK
    due = None
    if job is not None and job.suspended and not job.finished and not run.pod_uid:
        return RunStep(_wait_for_kueue(run, job, given))
    if run.phase == "Queued":
        run = run.replace(phase="Pending", message=_keep_reason(run))
    if job is not None and not job.finished and not run.pod_uid:
        stop = _stop(job, None, build_context(given, run), given)
        due = stop[1] if stop else None
        if due is None or given.now < due:
            return RunStep(run, requeue_at=due)
    whole_at = _all_pods_made_at(job)
    if whole_at is not None and given.now < whole_at:
        # A list made before then would be asked for again at once, and again.
        return RunStep(run, requeue_at=whole_at)
    look = RunStep(run, (ListLive(given.uid),), again)
    known_from = max((moment for moment in (due, whole_at) if moment is not None), default=None)
    if live is None or name in live.pods or (known_from is not None and live.at < known_from):
        return look
    if due is not None and stop is not None:
        return RunStep(record_end(run, stop[0], None))
    if run.pod_uid or (job is not None and job.finished):
        return RunStep(record_end(run, causes.find_cause(None, build_context(given, run)), None))
    if name in live.jobs or job is not None:
        return look
    problem = _not_ready(run, given)
    if problem:
        return RunStep(run.replace(message=problem))
    if run.dataset in given.facts.withheld:
        return RunStep(run)
    # The operator stopped between raising ``attempt`` and creating the Job.
    return RunStep(run, (build_creation(run.dataset, run.attempt, given),), again, fenced=True)


def _find_live(run: RunStatus, given: ReconcileInput) -> LiveList | None:
    live = given.facts.live
    return live if live is not None and live.tells_of(run) else None


def _all_pods_made_at(job: JobView | None) -> datetime | None:
    """When all pods that a Job ever has are made; None while that is open. Job times are in whole seconds."""
    ended = job.finished_at if job is not None else None
    return ended + timedelta(seconds=1) if ended is not None else None


def _wait_for_kueue(run: RunStatus, job: JobView, given: ReconcileInput) -> RunStatus:
    """No deadline: as in Alcove's own queue, a run waits for as long as others have the places."""
    if job.local_queue and job.local_queue != given.rules.local_queue:
        # Perhaps because nothing is admitted there any more. The Job can be let begin until it is gone: so it is
        # another attempt that takes its place.
        return record_end(run, causes.explain_dropped_queue(job.local_queue), None)
    waits = f"Waiting in the queue {job.local_queue} of Kueue."
    return run.replace(phase="Queued", message=_keep_reason(run) or waits)


def _keep_reason(run: RunStatus) -> str:
    """Why this is not the first attempt, until it runs."""
    return run.message if run.message.startswith("Attempt ") else ""


def _stop(
    job: JobView | None, pod: PodView | None, context: causes.Context, given: ReconcileInput
) -> tuple[causes.Cause, datetime] | None:
    if job is None:
        return None
    timeout = timedelta(seconds=given.rules.spec.start_timeout_seconds)
    patience = timedelta(seconds=given.settings.unschedulable_seconds)
    return stalled_starts.find_stop_cause(job, pod, context, timeout, patience)


def _progress(run: RunStatus, pod: PodView, given: ReconcileInput) -> RunStatus:
    main, message = pod.main, ""
    phase, started = "Pending", run.started_at
    if main is not None and (main.running or main.terminated):
        phase, started = "Running", main.started_at
    elif any(c is not None and (c.running or c.terminated) for c in (pod.recorder, pod.stage)):
        phase = "Staging"
    if pod.node in given.facts.lost_nodes:
        at = dead_at(pod, given.settings)
        until = f" The run is repeated after {at:%Y-%m-%dT%H:%M:%SZ} at the latest." if at else ""
        message = f"The node does not answer.{until}"
    elif pod.unschedulable:
        phase = "Queued"
        why = f": {pod.unschedulable}" if given.rules.phase.resources.disclosed else "."
        message = f"Waiting for a node since {pod.created_at:%H:%M} UTC{why}"[:1024]
    elif phase != "Running" and _keep_reason(run):
        message = _keep_reason(run)
    elif given.blind and run.message == HIDDEN:
        message = run.message
    return run.replace(phase=phase, started_at=started, message=message)


def _ended(run: RunStatus, retries_left: int, given: ReconcileInput) -> RunStep:
    """An attempt whose end is decided: see its pod dead, then try again or be over."""
    name = names.run_job(given.uid, run.dataset, run.attempt)
    job, pod = given.jobs.get(name), given.pods.get(name)
    stop = (DeleteJob(name, run.cause),) if job is not None and not job.deleting else ()
    if not _is_over(name, job, pod, _find_live(run, given), given):
        look = (ListLive(given.uid),) if pod is None or is_dead(pod, given.settings, given.now) else ()
        at = given.now + RECHECK if look else dead_at(pod, given.settings) if pod else None
        return RunStep(run, (*stop, *look), at)
    if run.charged_to != "Platform" or run.cause in causes.NOT_REPEATED:
        return finish_run(run.replace(phase=_final(run)), given)
    most = given.rules.spec.max_attempts
    if run.attempt >= most or retries_left <= 0:
        message = f"{run.message} {_explain_giving_up(run, given)}"
        return finish_run(run.replace(phase=_final(run), message=message[-1024:]), given)
    if _not_ready(run, given):
        return RunStep(run.replace(message=_not_ready(run, given)))
    if run.dataset in given.facts.withheld:
        return RunStep(run)
    why = f"Attempt {run.attempt + 1} of {most}: {run.message}"[:1024]
    started = _start(run, run.attempt + 1, why, given)
    return RunStep(started.run, (*started.actions, *stop), fenced=True)


def _is_over(
    name: str, job: JobView | None, pod: PodView | None, live: LiveList | None, given: ReconcileInput
) -> bool:
    """Whether no pod of the attempt runs, and none will. A Job whose pod was deleted makes another if Kueue admits it
    once more, so there a direct list has to show that the Job is gone."""
    settings, now = given.settings, given.now
    if pod is None:
        gone = job is None and live is not None and name not in live.jobs | live.pods.keys()
        return gone or bool(job is not None and job.finished and live and name not in live.pods)
    if not is_dead(pod, settings, now):
        return False
    ended_alone = pod.terminal and pod.deleted_at is None
    if ended_alone or (job is not None and job.finished) or not find_local_queue(job, given):
        return True
    left = live.pods.get(name) if live is not None else None
    return live is not None and name not in live.jobs and (left is None or is_dead(left, settings, now))


def _explain_giving_up(run: RunStatus, given: ReconcileInput) -> str:
    most, runs = given.rules.spec.max_attempts, len(given.submission.status.runs)
    after = count_of(run.attempt, "attempt")
    if run.attempt < most:
        after = f"the {count_retries(runs, most)} further attempts that the {runs} runs of a Submission have together"
    return f"The platform gave up after {after}. No quota is used up, unless a score of the Submission was shown."


def _final(run: RunStatus) -> str:
    """Failed at once where no pod has anything to score; else the score decides."""
    return "Scoring" if run.pod_uid else "Failed"


def _earliest(moments: list[datetime | None]) -> datetime | None:
    return min((m for m in moments if m is not None), default=None)
