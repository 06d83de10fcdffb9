"""The mark by which a team chooses what counts: the label ``alcove.dev/chosen`` on one of its Submissions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from alcove_api.phase import Phase
from alcove_api.submission import CHOSEN, SubmissionStatus, explain_pruned
from alcove_operator.core import boards
from alcove_operator.core import status as statuses
from alcove_operator.core.conditions import ConditionValue
from alcove_operator.core.model import Facts, SubmissionView

CONDITION = "Chosen"


def note_mark(
    submission: SubmissionView, phase: Phase | None, status: SubmissionStatus, facts: Facts, now: datetime
) -> SubmissionStatus:
    """When the mark was set, and what it leads to. ``status``: as it is to be otherwise."""
    if not submission.chosen:
        if status.chosen_at is None:
            return status
        value: ConditionValue = ("False", "NotChosen", "The mark was taken off.")
        return statuses.set_condition(status.replace(chosen_at=None), CONDITION, value, now)
    if phase is None or status.phase == "Rejected":
        return status
    if phase.counts != "chosen" or submission.of_organizer:
        said = f"The phase {phase.name} counts the {phase.counts} submission of each team"
        remedy = f"Take it off: kubectl label submission {submission.name} {CHOSEN}-"
        value = ("False", "NoChoice", f"{said}, so the mark has no effect. {remedy}"[:1024])
        return statuses.set_condition(status, CONDITION, value, now)
    if status.chosen_at is None and not _can_count(status):
        pruned = explain_pruned(status, "snapshots")
        said = f"Its predictions were {pruned}, so it cannot come to count any more"
        remedy = f"Take the mark off: kubectl label submission {submission.name} {CHOSEN}-"
        value = ("False", "Pruned", f"{said}. {remedy}"[:1024])
        return statuses.set_condition(status, CONDITION, value, now)
    if status.chosen_at is None:
        at = min(facts.marked_at or now, now)
        status = status.replace(chosen_at=at.replace(microsecond=0))
    value = ("True", "Chosen", "This is what counts, once it has a score.")
    if facts.chosen_instead:
        said = f"The team has marked {facts.chosen_instead} later, and that counts"
        remedy = f"Take the mark off here: kubectl label submission {submission.name} {CHOSEN}-"
        value = ("False", "AnotherChosen", f"{said}. {remedy}"[:1024])
    return statuses.set_condition(status, CONDITION, value, now)


def awaits_its_time(submission: SubmissionView, phase: Phase) -> bool:
    """Whether :func:`note_mark` has yet to say when a mark that counts was set."""
    status = submission.status
    due = submission.chosen and status.chosen_at is None and status.phase != "Rejected"
    return due and phase.counts == "chosen" and not submission.of_organizer and _can_count(status)


def _can_count(status: SubmissionStatus) -> bool:
    return not explain_pruned(status, "snapshots")


def find_chosen_instead(view: SubmissionView, views: Iterable[SubmissionView]) -> str:
    """Name of the Submission that the same team has marked later for the same phase; "" where there is none.

    ``views``: of the team, whatever their phases.
    """
    if view.spec is None or view.status.chosen_at is None:
        return ""
    marked = [
        other
        for other in views
        if other.spec is not None
        and (other.spec.competition, other.spec.phase) == (view.spec.competition, view.spec.phase)
        and other.chosen
        and other.status.chosen_at is not None
        and not other.shows_rerun
    ]
    newest = max(marked, key=lambda one: (one.status.chosen_at, *boards.creation_order(one)), default=view)
    return "" if newest.uid == view.uid else newest.name
