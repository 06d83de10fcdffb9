"""What is counted of each team's Submissions. Of those that have ended the sums are kept from look to look."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from alcove_api.submission import RunStatus
from alcove_operator.core.conditions import find_condition
from alcove_operator.core.model import SubmissionView
from alcove_operator.core.picks import ViewChanges
from alcove_operator.core.run_ends import OVER
from alcove_operator.core.status import ENDED, SCORED

MICROSECOND = timedelta(microseconds=1)
What = tuple[Literal["submissions", "runs", "ended", "time"], str, str]
"""("submissions", phase of the status, ""), ("runs", "queued" or "running", ""), ("ended", cause, who bears it),
("time", "wait" or "learn" or "score", "")."""
Totals = Counter[What]
"""Submissions, runs, or microseconds; whole numbers, so that what is taken off again leaves nothing behind."""
Group = tuple[str, str]
"""Phase and team."""


def count_submission(view: SubmissionView, now: datetime) -> Totals:
    """What one Submission adds to the totals of its team; of one that has ended ``now`` changes nothing."""
    found: Totals = Counter({("submissions", view.status.phase or "Waiting", ""): 1})
    for run in view.status.runs:
        if run.phase in OVER:
            found["ended", run.cause, run.charged_to or "nobody"] += 1
    for run in list_open_runs(view):
        found["runs", state_of(run), ""] += 1
    _add_time(found, view, now)
    return found


def list_open_runs(view: SubmissionView) -> list[RunStatus]:
    return [] if view.status.phase in ENDED else [run for run in view.status.runs if run.phase not in OVER]


def state_of(run: RunStatus) -> str:
    return "queued" if run.phase == "Queued" else "running"


def has_curve(view: SubmissionView) -> bool:
    return any(run.curve for run in view.status.runs)


def _add_time(found: Totals, view: SubmissionView, now: datetime) -> None:
    """By step; what goes on is counted until ``now``."""
    for run in view.status.runs:
        queued, go, end = run.queued_at, run.started_at, run.ended_at
        waiting = run.phase not in OVER and view.status.phase not in ENDED
        if queued is not None and (go is not None or waiting):
            found["time", "wait", ""] += _span(queued, go or now)
        if go is not None and (end is not None or waiting):
            found["time", "learn", ""] += _span(go, end or now)
    scored = find_condition(view.status.conditions, SCORED)
    ends = [run.ended_at for run in view.status.runs if run.ended_at is not None]
    if scored is not None and scored.status == "True" and ends and scored.last_transition_time:
        found["time", "score", ""] += _span(max(ends), scored.last_transition_time)


def _span(begin: datetime, end: datetime) -> int:
    """Microseconds; 0 where the two came in the other order, by the clocks of two machines."""
    return max(0, (end - begin) // MICROSECOND)


@dataclass
class EndedTotals:
    """Of one competition. What teams have under way is counted anew each time."""

    _changes: ViewChanges = field(default_factory=ViewChanges)
    _sums: defaultdict[Group, Totals] = field(default_factory=lambda: defaultdict(Counter))
    _curved: defaultdict[Group, dict[int, SubmissionView]] = field(default_factory=lambda: defaultdict(dict))
    """Those that have curves, by identity."""

    def take(self, views: Iterable[SubmissionView]) -> tuple[list[SubmissionView], list[SubmissionView]]:
        """Those that are to be added, and those to be taken off, among all ``views`` of the competition."""
        came, went = self._changes.take(views)
        return [view for view in came if _is_summed(view)], [view for view in went if _is_summed(view)]

    def add(self, views: Collection[SubmissionView], sign: Literal[1, -1], now: datetime) -> None:
        """Adds them, or takes them off."""
        for view in views:
            group = _group(view)
            sums = self._sums[group]
            for what, number in count_submission(view, now).items():
                sums[what] += sign * number
                if not sums[what]:
                    del sums[what]
            if sign < 0:
                self._curved[group].pop(id(view), None)
            elif has_curve(view):
                self._curved[group][id(view)] = view

    def of(self, phase: str, team: str) -> Totals:
        return Counter(self._sums.get((phase, team), {}))

    def list_teams(self, phase: str) -> set[str]:
        """Those with Submissions in the phase that have ended."""
        return {team for (of, team), sums in self._sums.items() if of == phase and sums}

    def curved(self, phase: str, team: str) -> list[SubmissionView]:
        """Those of the team that have curves."""
        return list(self._curved.get((phase, team), {}).values())


def _is_summed(view: SubmissionView) -> bool:
    return view.status.phase in ENDED and not view.baseline


def _group(view: SubmissionView) -> Group:
    return (view.spec.phase if view.spec else "", view.team)
