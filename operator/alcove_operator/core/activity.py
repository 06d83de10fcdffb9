"""What everyone may see of a phase's runs: which go on, and which wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from alcove_api.board_documents import ActiveRun, PhaseActivity, WaitingRun
from alcove_api.score_documents import CurvePoint
from alcove_api.submission import RunStatus
from alcove_operator.core.boards import is_excluded
from alcove_operator.core.model import SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules, is_blind
from alcove_operator.core.run_ends import OVER
from alcove_operator.core.status import ENDED

MAX_LISTED = 50
"""Runs that are listed of a phase, of those that go on and of those that wait."""
CURVES, POINTS = 12, 16
"""Listed runs that have a curve, and points of each at most."""


def list_activity(
    rules: PhaseRules, submissions: Sequence[SubmissionView], now: datetime
) -> PhaseActivity | None:
    """None of a blind phase: not even that something runs may be seen. Without runs for the organizer's repeats, and
    without teams that are left out of the board."""
    if is_blind(rules.phase, now):
        return None
    titles = {title.namespace: title.display_name for title in rules.spec.teams}
    running: list[ActiveRun] = []
    waiting: list[tuple[datetime, WaitingRun]] = []
    for view in submissions:
        if view.spec is None or view.spec.phase != rules.phase.name or view.status.phase in ENDED:
            continue
        if view.original is not None or view.deleting or is_excluded(rules, view):
            continue
        for run in view.status.runs:
            if run.phase in OVER:
                continue
            name = titles.get(view.namespace, view.namespace)
            if run.attempt == 0:
                waits = WaitingRun(team=name, submission=view.name, dataset=run.dataset)
                waiting.append((run.queued_at or view.created_at, waits))
                continue
            curve = _choose_points(run) if rules.phase.feedback.mode == "live" else ()
            running.append(
                ActiveRun(
                    team=name,
                    submission=view.name,
                    dataset=run.dataset,
                    started_at=run.started_at,
                    curve=curve,
                )
            )
    # Those that started first on top; those that have not started yet at the end.
    running.sort(key=lambda run: (run.started_at is None, run.started_at or now, run.team, run.dataset))
    listed = [*running[:CURVES], *(run.replace(curve=()) for run in running[CURVES:MAX_LISTED])]
    waiting.sort(key=lambda waits: (waits[0], waits[1].team, waits[1].submission, waits[1].dataset))
    queue = tuple(waits for _, waits in waiting[:MAX_LISTED])
    more = max(0, len(running) - MAX_LISTED)
    return PhaseActivity(running=tuple(listed), more=more, waiting=len(waiting), queue=queue)


def _choose_points(run: RunStatus) -> tuple[CurvePoint, ...]:
    """At most :data:`POINTS` of those that its team sees: evenly chosen, the first and the last among them."""
    points, last = run.curve, len(run.curve) - 1
    if len(points) <= POINTS:
        chosen = list(range(len(points)))
    else:
        chosen = [round(place * last / (POINTS - 1)) for place in range(POINTS)]
    return tuple(CurvePoint(t=points[i].t, score=points[i].score) for i in chosen)


def without_curves(activity: PhaseActivity) -> PhaseActivity:
    return activity.replace(running=tuple(run.replace(curve=()) for run in activity.running))
