"""The whole of the operator's judgement on one Submission: from what is seen to what is to be done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from alcove_api.submission import SubmissionStatus
from alcove_operator.core import admission, choice, deletion, names, runs, scoring, usage
from alcove_operator.core import status as statuses
from alcove_operator.core.actions import Action, AddFinalizer, Decision, Emit, ReadScore
from alcove_operator.core.model import (
    CompetitionView,
    DatasetView,
    Facts,
    JobView,
    PodView,
    ReconcileSettings,
    SubmissionView,
)
from alcove_operator.core.reconcile_input import (
    PhaseRules,
    ReconcileInput,
    datasets_by_alias,
    find_rules,
    is_blind,
    pods_by_job,
)

PLACES_AWAITED = timedelta(seconds=1)
"""At most, of a Submission that could be admitted."""


def reconcile(
    submission: SubmissionView,
    competition: CompetitionView | None,
    datasets: Mapping[str, DatasetView],
    jobs: Iterable[JobView],
    pods: Iterable[PodView],
    facts: Facts,
    settings: ReconcileSettings,
    now: datetime,
) -> Decision:
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
    if submission.unreadable:
        return Decision(submission.status, (_left_alone(submission),))
    mine = {job.name: job for job in jobs if job.submission_uid == submission.uid}
    theirs = pods_by_job(submission, pods)
    old = submission.status
    if submission.deleting and not deletion.must_be_scored(submission, find_rules(submission, competition)):
        return deletion.advance_deletion(submission, competition, mine, theirs, facts, settings, now)
    if old.admitted_at is not None and names.FINALIZER not in submission.finalizers:
        return Decision(old, (AddFinalizer(),))
    rules = find_rules(submission, competition)
    settle = _settle(submission, competition, rules, facts, now)
    if old.phase == "Rejected":
        dropped = admission.drop_code(submission, facts, settings, now)
        return replace(dropped, actions=(*dropped.actions, *settle))
    seen = replace(submission, status=old.replace(observed_generation=submission.generation))
    if old.admitted_at is None:
        admitted = admission.advance_admission(seen, competition, datasets, facts, settings, now)
        if admitted.status == seen.status:
            # Nothing is said by it, so that it is no write.
            admitted = replace(admitted, status=old)
        if admitted.status.admitted_at is None:
            return _finished(submission, admitted)
        # What its runs wait for is said in the same write.
        seen = replace(seen, status=admitted.status)
    if rules is None:
        # Nothing is judged without rules; what runs goes on, and is judged when they are back.
        missing = "CompetitionUnreadable" if facts.competition_unreadable else "CompetitionMissing"
        return Decision(old.replace(cause=old.cause if old.phase in statuses.ENDED else missing), settle)
    by_alias = datasets_by_alias(rules, datasets)
    decision = _run(ReconcileInput(seen, rules, by_alias, mine, theirs, facts, settings, now))
    marked = choice.note_mark(submission, rules.phase, decision.status, facts, now)
    if old.admitted_at is None and (until := _await_places(marked, facts, now)) is not None:
        return Decision(old, requeue_at=until, coming=marked)
    return _finished(submission, replace(decision, status=marked, actions=(*decision.actions, *settle)))


def _await_places(status: SubmissionStatus, facts: Facts, now: datetime) -> datetime | None:
    """Until when a Submission waits to be admitted, so that one write says what the queue says of its runs, too."""
    until = (facts.queue_asked_at or now) + PLACES_AWAITED
    unplaced = any(run.message == runs.UNPLACED for run in status.runs)
    return until if unplaced and now < until else None


def _left_alone(submission: SubmissionView) -> Emit:
    """What it has been through is not known: judged as new, it would be admitted, counted and run once more."""
    return Emit(
        "event/status-unreadable",
        "Warning",
        "StatusUnreadable",
        f"The operator cannot read this Submission's status ({submission.unreadable[:500]}), so it leaves the "
        "Submission alone, runs and deletion included. The organizer can install the version of the operator that "
        "wrote the status, or correct it: kubectl edit --subresource=status.",
    )


def _run(given: ReconcileInput) -> Decision:
    steps = runs.advance_runs(given)
    status = given.submission.status.replace(runs=tuple(step.run for step in steps))
    actions = [action for step in steps for action in step.actions]
    scored = scoring.advance_scoring(status, given)
    reveal = given.rules.phase.reveals_at if given.blind else None
    wakeups = [*(step.requeue_at for step in steps), scored.requeue_at, reveal]
    due = min((moment for moment in wakeups if moment is not None), default=None)
    status = statuses.redact(scored.status, given.datasets) if given.blind else scored.status
    status = statuses.summarize(status, given.blind)
    status = statuses.write_tables(status, given.rules.phase.feedback.decimals)
    return Decision(status, _once([*actions, *scored.actions]), due, any(step.fenced for step in steps))


def _settle(
    submission: SubmissionView,
    competition: CompetitionView | None,
    rules: PhaseRules | None,
    facts: Facts,
    now: datetime,
) -> tuple[Action, ...]:
    """Only once the status *in the cluster* says that it has ended: what is settled can't be undone."""
    if competition is None or submission.status.phase not in statuses.ENDED:
        return ()
    if not usage.is_counted(competition.usage_of(submission.namespace), submission.uid):
        return ()
    blind, status = rules is not None and is_blind(rules.phase, now), submission.status
    if blind and facts.score is None and status.scoring_digest and usage.is_place_owed(status.runs):
        return (ReadScore(submission.uid, status.scoring_digest),)
    return (usage.build_settlement(submission, rules, now, facts.score),)


def _finished(submission: SubmissionView, decision: Decision) -> Decision:
    """The status in the form in which the API server gives it back, and the Events of the change."""
    normal = statuses.normalize(decision.status)
    events = statuses.list_events(submission.status, normal)
    return replace(decision, status=normal, actions=(*decision.actions, *events))


def _once(actions: Iterable[Action]) -> tuple[Action, ...]:
    return tuple({action.key: action for action in actions}.values())
