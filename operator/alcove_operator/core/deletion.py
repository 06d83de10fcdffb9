"""The end of a Submission that is deleted: everything stops at once, and what was counted stays counted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from alcove_operator.core import names, run_ends, usage
from alcove_operator.core import status as statuses
from alcove_operator.core.actions import Action, Decision, DeleteJob, ListLive, RemoveFinalizer
from alcove_operator.core.conditions import find_condition
from alcove_operator.core.model import (
    CompetitionView,
    Facts,
    JobView,
    PodView,
    ReconcileSettings,
    SubmissionView,
)
from alcove_operator.core.reconcile_input import PhaseRules, find_rules

_HOPELESS = ("ScoringFailed", "ScoringTriedAgain", "ResultMissing", "DatasetMissing", "DatasetNotReady")
"""Reasons of the condition Scored."""


def must_be_scored(submission: SubmissionView, rules: PhaseRules | None) -> bool:
    """Whether it is ended, scored and counted before it goes: what was begun stands, or a team that watches a live
    curve could choose by deleting. Not where nothing can be scored for now: that holds no object up."""
    status = submission.status
    if rules is None or rules.phase.deleted_submissions != "stand" or status.phase in ("", *statuses.ENDED):
        return False
    scored = find_condition(status.conditions, statuses.SCORED)
    hopeless = scored is not None and scored.reason in _HOPELESS
    begun = any(run.attempt for run in status.runs)
    return begun and not hopeless and names.FINALIZER in submission.finalizers


def advance_deletion(
    submission: SubmissionView,
    competition: CompetitionView | None,
    jobs: Mapping[str, JobView],
    pods: Mapping[str, PodView],
    facts: Facts,
    settings: ReconcileSettings,
    now: datetime,
) -> Decision:
    """Lets go when a direct list finds nothing alive and the counts are settled; ``jobs``, ``pods`` by Job."""
    live = facts.live
    if live is not None and not all(map(live.tells_of, submission.status.runs)):
        live = None
    if names.FINALIZER not in submission.finalizers:
        return Decision(submission.status)
    going = {name: job.deleting for name, job in jobs.items()}
    if live is not None:
        going = {**dict.fromkeys(live.jobs, False), **going}
    actions: list[Action] = [DeleteJob(name, "cancelled") for name, gone in going.items() if not gone]
    gone_for_good = competition is None and not facts.competition_unreadable
    settled = facts.settled or gone_for_good or submission.spec is None
    if not settled and competition is not None:
        rules = find_rules(submission, competition)
        actions.append(usage.build_settlement(submission, rules, now, facts.score))
    dead = {name for name, pod in pods.items() if run_ends.is_dead(pod, settings, now)}
    seen = live is None or bool(live.jobs) or bool(live.pods.keys() - dead) or bool(jobs)
    if seen or pods.keys() - dead or not settled:
        look = (ListLive(submission.uid),) if not jobs else ()
        return Decision(submission.status, (*actions, *look), now + run_ends.RECHECK)
    return Decision(submission.status, (RemoveFinalizer(),))
