"""What becomes of a run that is over: its verdict, its last output, and what a reveal brings back."""

from __future__ import annotations

from dataclasses import asdict

from alcove_api import keys
from alcove_api.phase import LogPolicy
from alcove_api.run_documents import ContainerImage, Verdict
from alcove_api.submission import RunStatus
from alcove_operator.core import causes, names
from alcove_operator.core.actions import Action, DeleteJob, ReadLogTail, ReadVerdict, TeamLog, WriteVerdict
from alcove_operator.core.model import PodView, SubmissionView
from alcove_operator.core.reconcile_input import ReconcileInput
from alcove_operator.core.run_ends import (
    HIDDEN,
    OVER,
    RunStep,
    build_context,
    ended_at,
    find_start_times,
    is_run_of,
    record_end,
    started_at,
)


def finish_run(run: RunStatus, given: ReconcileInput) -> RunStep:
    """The verdict is written, then the Jobs go."""
    if given.submission.status.phase in ("Done", "Failed") or run.dataset in given.facts.verdicts:
        shown = reveal_run(run, given)
        return RunStep(shown.run, (*shown.actions, *_log_tail(run, given), *_deletions(run, given)))
    return RunStep(run, (WriteVerdict(build_verdict(run, given)), *_log_tail(run, given)), fenced=True)


def build_verdict(run: RunStatus, given: ReconcileInput) -> Verdict:
    """The last attempt's: the one that ended the run, whatever earlier ones may have recorded."""
    name = names.run_job(given.uid, run.dataset, run.attempt)
    job, pod = given.jobs.get(name), given.pods.get(name)
    scored = bool(run.pod_uid)
    # A blind phase keeps no head in the status: there the pod alone can say it.
    head = run.head or (pod.report.head if pod and pod.report else None)
    return Verdict(
        submission_uid=given.uid,
        alias=run.dataset,
        attempt=run.attempt if scored else None,
        pod_uid=run.pod_uid or None,
        phase="Failed" if run.charged_to == "Platform" or not scored else "Done",
        cause=run.cause,
        head=head if scored and head else None,
        charged_to="" if run.charged_to == "Organizer" else run.charged_to,
        queued_at=run.queued_at,
        created_at=job.created_at if job else None,
        **asdict(find_start_times(pod)),
        # The status has whole seconds; where the recorder seals nothing, this is the go of the record.
        started_at=started_at(pod) or run.started_at,
        ended_at=run.ended_at or ended_at(pod),
        message=_message_of(run, pod, given),
        images=_images_of(pod),
        points_shown_before=count_points_shown_before(run),
    )


def count_points_shown_before(run: RunStatus) -> int:
    """Scores that live curves of earlier attempts showed. Then the one under way shows none, and so has no curve."""
    return 0 if run.curve else run.points_shown


def _images_of(pod: PodView | None) -> tuple[ContainerImage, ...]:
    containers = (pod.stage, pod.recorder, pod.main) if pod else ()
    return tuple(
        ContainerImage.model_validate({"container": found.name, "image_id": found.image_id})
        for found in containers
        if found is not None and found.image_id
    )


def _message_of(run: RunStatus, pod: PodView | None, given: ReconcileInput) -> str:
    """Of a blind phase the status does not keep it: there it is found once more, by the same evidence."""
    if run.message != HIDDEN or pod is None:
        return "" if run.message == HIDDEN else run.message
    again = record_end(run, causes.find_cause(pod, build_context(given, run)), pod)
    return again.message if again.cause == run.cause else ""


def reveal_run(run: RunStatus, given: ReconcileInput) -> RunStep:
    """What a blind phase kept out of the status comes back from the verdict, which teams cannot read."""
    if given.blind or run.message != HIDDEN:
        return RunStep(run)
    if run.dataset not in given.facts.read_verdicts:
        return RunStep(run, (ReadVerdict(given.uid, run.dataset),))
    if wants_log(run, given):
        return RunStep(run)
    found = given.facts.read_verdicts[run.dataset]
    if found is None:
        return RunStep(run.replace(message=""))
    return RunStep(
        run.replace(
            message=add_tail(found.message, run, given),
            pulled_at=found.pulled_at,
            staged_at=found.staged_at,
            launched_at=found.launched_at,
            started_at=found.started_at,
            ended_at=found.ended_at,
            head=found.head or "",
        )
    )


def wants_log(run: RunStatus, given: ReconcileInput) -> bool:
    """Whether the run's last lines are to be shown, and are not known yet."""
    shown = given.rules.logs != "none" and not given.blind and bool(run.pod_uid)
    name = names.run_job(given.uid, run.dataset, run.attempt)
    ends_now = run.phase == "Scoring" or (run.phase in OVER and run.message == HIDDEN)
    return shown and ends_now and run.charged_to != "Platform" and name not in given.facts.log_tails


def add_tail(message: str, run: RunStatus, given: ReconcileInput) -> str:
    """``message`` and the end of the run's output, where the competition shows it."""
    tail = given.facts.log_tails.get(names.run_job(given.uid, run.dataset, run.attempt), "").strip()
    room = 1000 - len(message)
    if not tail or room <= 80 or run.charged_to == "Platform" or given.rules.logs == "none":
        return message
    shown = tail if len(tail) <= room else drop_cut_line(tail[-room:])
    return f"{message} Last output:\n{shown}".strip()


def drop_cut_line(text: str) -> str:
    """The end of an output without the rest of the line in which it was cut; whole where it is one line."""
    _, _, lines = text.partition("\n")
    return lines if lines.strip() else text


def list_team_logs(submission: SubmissionView, policy: LogPolicy) -> tuple[TeamLog, ...]:
    """The output of those runs whose team may read all of it, once it may read any: of the attempt that is scored,
    unless that is the platform's fault."""
    if policy != "full":
        return ()
    return tuple(
        TeamLog(run.dataset, keys.attempt_prefix(submission.uid, run.dataset, run.attempt, run.pod_uid))
        for run in submission.status.runs
        if run.pod_uid and run.charged_to != "Platform"
    )


def _log_tail(run: RunStatus, given: ReconcileInput) -> tuple[Action, ...]:
    if not wants_log(run, given):
        return ()
    prefix = keys.attempt_prefix(given.uid, run.dataset, run.attempt, run.pod_uid)
    return (ReadLogTail(names.run_job(given.uid, run.dataset, run.attempt), prefix),)


def _deletions(run: RunStatus, given: ReconcileInput) -> tuple[Action, ...]:
    return tuple(
        DeleteJob(job.name, "over") for job in given.jobs.values() if is_run_of(job, run) and not job.deleting
    )
