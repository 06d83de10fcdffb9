"""The whole of the operator's judgement on one Submission: from what is seen to what is to be done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from alcove_crds.submission import SubmissionStatus

from alcove_operator.core import admission, names, runs, scoring, usage
from alcove_operator.core import status as statuses
from alcove_operator.core.model import (
    Action,
    AddFinalizer,
    CompetitionView,
    DatasetView,
    DeleteJob,
    Facts,
    JobView,
    ListLive,
    Outcome,
    PodView,
    RemoveFinalizer,
    Settings,
    SettleUsage,
    SubmissionView,
)
from alcove_operator.core.world import World, datasets_by_alias, pods_by_job, rules_of


def reconcile(
    submission: SubmissionView,
    competition: CompetitionView | None,
    datasets: Mapping[str, DatasetView],
    jobs: Iterable[JobView],
    pods: Iterable[PodView],
    facts: Facts,
    settings: Settings,
    now: datetime,
) -> Outcome:
    """What the status is to be, what is to be done, and when to look again though nothing happens.

    Args:
        submission: the one that this is about.
        competition: the one that its spec names; None where there is none.
        datasets: of the competition's namespace, by name.
        jobs: that carry this Submission's UID in their label.
        pods: of those Jobs.
        facts: what is known beyond the API; less is never wrong, only slower.
        settings: what the operator was installed with.
        now: the time of day.
    """
    rules = rules_of(submission, competition)
    world = World(
        submission,
        rules,
        datasets_by_alias(rules, datasets),
        {job.name: job for job in jobs if job.submission_uid == submission.uid},
        pods_by_job(submission, pods),
        facts,
        settings,
        now,
    )
    if submission.deleting:
        return _cancel(world, competition)
    old = submission.status
    if names.FINALIZER not in submission.finalizers:
        return Outcome(old, (AddFinalizer(),))
    if old.phase == "Rejected":
        return Outcome(old, _settle(world, competition))
    if old.admitted_at is None:
        outcome = admission.step(submission, competition, datasets, facts, settings, now)
        return _finished(submission, outcome.status, outcome)
    outcome = _run(world)
    status = statuses.redacted(outcome.status, rules.phase if rules else None, now)
    actions = (*outcome.actions, *_settle(world, competition))
    return _finished(submission, status, replace(outcome, actions=actions))


def _run(world: World) -> Outcome:
    steps = [runs.step(run, world) for run in world.submission.status.runs]
    status = world.submission.status.model_copy(update={"runs": tuple(step.run for step in steps)})
    actions = [action for step in steps for action in step.actions]
    wakeups = [step.requeue_at for step in steps]
    if world.rules is not None:
        scored = scoring.step(status, world, world.rules)
        status, actions = scored.status, [*actions, *scored.actions]
        reveal = world.rules.phase.reveals_at
        wakeups += [scored.requeue_at, reveal if reveal is not None and world.now < reveal else None]
    due = min((moment for moment in wakeups if moment is not None), default=None)
    fenced = any(step.fenced for step in steps)
    return Outcome(statuses.summarized(status), _once(actions), due, fenced)


def _settle(world: World, competition: CompetitionView | None) -> tuple[Action, ...]:
    """Only once the status *in the cluster* says that it has ended: what is settled can't be undone."""
    submission = world.submission
    if competition is None or submission.status.phase not in statuses.ENDED:
        return ()
    if not usage.counted(competition.status, submission.namespace, submission.uid):
        return ()
    return (settlement(world),)


def settlement(world: World) -> SettleUsage:
    """What its runs cost the team, and whether the platform owes it the place in the quota."""
    submission, rules, status = world.submission, world.rules, world.submission.status
    failed = {run.charged_to for run in status.runs if run.phase == "Failed"}
    compute = 0.0
    if rules is not None:
        phase, hidden = rules.phase, statuses.blind(rules.phase, world.now)
        compute = usage.compute_seconds(status.runs, phase.resources, phase.budget.seconds, world.now, hidden)
    return SettleUsage(
        team=submission.namespace,
        submission_uid=submission.uid,
        compute_seconds=round(compute, 3),
        refund=failed == {"Platform"} or status.admitted_at is None,
        admitted_at=status.admitted_at or world.now,
    )


def _cancel(world: World, competition: CompetitionView | None) -> Outcome:
    """Stops everything at once; lets go when a direct list finds nothing alive and the counts are settled."""
    submission, live = world.submission, world.facts.live
    if names.FINALIZER not in submission.finalizers:
        return Outcome(submission.status)
    going = {name: job.deleting for name, job in world.jobs.items()}
    if live is not None:
        going = {**dict.fromkeys(live.jobs, False), **going}
    actions: list[Action] = [DeleteJob(name, "cancelled") for name, gone in going.items() if not gone]
    settled = world.facts.settled or competition is None or submission.spec is None
    if not settled:
        actions.append(settlement(world))
    dead = {name for name, pod in world.pods.items() if runs.is_dead(pod, world)}
    seen = live is None or bool(live.jobs) or bool(live.pods - dead) or bool(world.jobs.keys())
    if seen or world.pods.keys() - dead or not settled:
        look = (ListLive(submission.uid),) if not world.jobs else ()
        return Outcome(submission.status, (*actions, *look), world.now + runs.RECHECK)
    return Outcome(submission.status, (RemoveFinalizer(),))


def _finished(submission: SubmissionView, status: SubmissionStatus, outcome: Outcome) -> Outcome:
    """The status in the form in which the API server gives it back, and the Events of the change."""
    seen = status.model_copy(update={"observed_generation": submission.generation})
    normal = statuses.normalized(seen)
    events = statuses.events(submission.status, normal)
    return replace(outcome, status=normal, actions=(*outcome.actions, *events))


def _once(actions: Iterable[Action]) -> tuple[Action, ...]:
    return tuple({action.key: action for action in actions}.values())
