"""The gauges of one competition, made from what the operator knows of the cluster: phases, boards, curves, teams.

They are made whole at each turn, so what is gone has no series. Of a blind phase there is only what its organizer has
written (its times, what it lacks), and nothing that a Submission or a run could move. Of each phase the leading
:data:`TEAMS` have series, and of a curve at most :data:`POINTS` points: no label grows with what participants make.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Literal

from alcove_api.leaderboard import LeaderboardStatus
from alcove_api.phase import Phase
from alcove_operator.core import boards, usage
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.core.picks import VIEWS_A_TURN
from alcove_operator.core.reconcile_input import is_blind
from alcove_operator.core.team_totals import (
    EndedTotals,
    count_submission,
    has_curve,
    list_open_runs,
    state_of,
)
from alcove_operator.index import Index
from alcove_operator.preparation import PROBLEM_KINDS, Problem, find_problems

TEAMS = 50
POINTS = 32
_COMPETITION, _PHASE = ("competition",), ("competition", "phase")
_TEAM = (*_PHASE, "team")
_DATASET = (*_TEAM, "dataset")

GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "alcove_capacity_runs": ("Runs of all teams that may go on at the same time.", _COMPETITION),
    "alcove_quota_limit_submissions": (
        "Submissions that a team may make, extraSubmissions among them; window: day (UTC) or total.",
        (*_COMPETITION, "team", "window"),
    ),
    "alcove_quota_used_submissions": (
        "Submissions that count against the quota, of phases that are not blind; window: day (UTC) or total.",
        (*_COMPETITION, "team", "window"),
    ),
    "alcove_phase_open": ("Whether the phase takes Submissions (1) or not (0).", _PHASE),
    "alcove_phase_opens_timestamp_seconds": ("When the phase opens, where it says so; Unix time.", _PHASE),
    "alcove_phase_closes_timestamp_seconds": ("When the phase closes, where it says so; Unix time.", _PHASE),
    "alcove_phase_budget_seconds": ("Time that a run has from its go, where teams may know it.", _PHASE),
    "alcove_phase_problems": (
        "What the phase lacks before it can take Submissions: `alcove preflight` names each.",
        (*_PHASE, "kind"),
    ),
    "alcove_dataset_ready": (
        "Whether the dataset has been checked and found sound (1) or not (0).",
        (*_PHASE, "dataset"),
    ),
    "alcove_runs_running": ("Runs under way.", _PHASE),
    "alcove_runs_queued": ("Runs that wait, for a place or for a node.", _PHASE),
    "alcove_board_teams": ("Teams on the board.", _PHASE),
    "alcove_board_updated_timestamp_seconds": ("When the board was last made; Unix time.", _PHASE),
    "alcove_rank": ("Rank of each team; 1 is best.", _TEAM),
    "alcove_mean_rank": ("Mean of a team's ranks on the datasets.", _TEAM),
    "alcove_rank_interval": (
        "Best (bound low) and worst (bound high) rank with other datasets of the kind, at 95 % confidence.",
        (*_TEAM, "bound"),
    ),
    "alcove_dataset_rank": ("Rank of each team on one dataset.", _DATASET),
    "alcove_alc": ("Area under the learning curve of the counted Submission.", _DATASET),
    "alcove_baseline_alc": (
        "Area under the learning curve of the organizer's baselines.",
        (*_PHASE, "baseline", "dataset"),
    ),
    "alcove_submissions": ("Submissions of each team that exist.", _TEAM),
    "alcove_team_submissions": (
        "Submissions of each team that exist; state: the phase of their status, Waiting where it has none yet.",
        (*_TEAM, "state"),
    ),
    "alcove_team_runs": (
        "Runs of each team that are under way; state: queued or running.",
        (*_TEAM, "state"),
    ),
    "alcove_team_queue_place": (
        "First place in the queue of a team that waits, phases that are not blind counted.",
        _TEAM,
    ),
    "alcove_team_runs_ended": (
        "Runs of each team's Submissions that have ended, by cause and by who bears it.",
        (*_TEAM, "cause", "charged_to"),
    ),
    "alcove_team_time_seconds": (
        "Where the time of each team's Submissions went; step: wait (from the queue to the go), learn, score.",
        (*_TEAM, "step"),
    ),
    "alcove_curve_score": (
        "Learning curve of the newest Submission that has one, as the phase's feedback shows it: score.",
        (*_DATASET, "point"),
    ),
    "alcove_curve_seconds": ("The same points: time since the go.", (*_DATASET, "point")),
}
"""Help and labels of each, by name."""

Series = Mapping[str, Mapping[tuple[str, ...], float]]
"""Values by name of the gauge, and by the labels' values in the order of :data:`GAUGES`."""


@dataclass
class _Builder:
    values: defaultdict[str, dict[tuple[str, ...], float]] = field(default_factory=lambda: defaultdict(dict))

    def set(self, name: str, labels: tuple[str, ...], value: float | None) -> None:
        if value is not None:
            self.values[name][labels] = value


async def build_series(
    competition: CompetitionView,
    index: Index,
    queue: Mapping[str, int],
    now: datetime,
    ended: EndedTotals | None = None,
) -> Series:
    """All gauges of ``competition`` at the time ``now``.

    Others go on between two teams.

    Args:
        competition: the one whose gauges these are.
        index: what is known of the cluster.
        queue: of each Submission that waits for a place, by UID, its first place in the queue of all phases.
        now: the time of day.
        ended: the sums of the look before; everything is counted anew without them.
    """
    out, competition = _Builder(), index.with_usage(competition)
    ref = (competition.namespace, competition.name)
    ended = ended or EndedTotals()
    everything = [index.submissions_in_phase(*ref, phase.name) for phase in competition.spec.phases]
    # Of the same moment: who ends in between would be in neither.
    opened = [view for view in index.open_submissions_of(*ref) if not view.shows_rerun]
    await _renew(ended, chain.from_iterable(everything), now)
    problems = list(find_problems(competition, index))
    name = competition.name
    out.set("alcove_capacity_runs", (name,), competition.spec.capacity)
    blind = {phase.name for phase in competition.spec.phases if is_blind(phase, now)}
    shown: dict[str, None] = {}
    for phase in competition.spec.phases:
        _phase(out, competition, phase, problems, now)
        if phase.name in blind:
            continue
        await asyncio.sleep(0)
        record = index.leaderboards.get((competition.namespace, phase.name))
        own = record is not None and record.competition == name
        board = record.status if record is not None and own else LeaderboardStatus()
        under_way = _of_phase(opened, phase)
        teams = leading_teams(
            board,
            {*ended.list_teams(phase.name), *(view.team for view in under_way if not view.baseline)},
            index.submissions_in_phase(*ref, phase.name),
        )
        _datasets(out, competition, phase, index)
        _board(out, (name, phase.name), board, teams)
        _runs(out, (name, phase.name), under_way)
        for team, own_views in _by_team(under_way, teams).items():
            await asyncio.sleep(0)
            _team(out, (name, phase.name, team), own_views, ended, now)
        shown |= dict.fromkeys(teams)
    _queue(out, name, [view for view in opened if view.spec and view.spec.phase not in blind], queue)
    _quota(out, competition, blind, list(shown)[:TEAMS], now)
    return out.values


async def _renew(ended: EndedTotals, views: Iterable[SubmissionView], now: datetime) -> None:
    """Others go on between a few hundred: at the first look it is all that was ever submitted."""
    came, went = ended.take(views)
    signed: tuple[tuple[Literal[1, -1], list[SubmissionView]], ...] = ((-1, went), (1, came))
    for sign, changed in signed:
        for begin in range(0, len(changed), VIEWS_A_TURN):
            ended.add(changed[begin : begin + VIEWS_A_TURN], sign, now)
            await asyncio.sleep(0)


def _of_phase(views: Iterable[SubmissionView], phase: Phase) -> list[SubmissionView]:
    return [view for view in views if view.spec is not None and view.spec.phase == phase.name]


def leading_teams(board: LeaderboardStatus, teams: set[str], views: Iterable[SubmissionView]) -> list[str]:
    """At most :data:`TEAMS`: those on the board by rank, then the others by their first Submission.

    Args:
        board: of the phase.
        teams: those with Submissions in the phase.
        views: the Submissions, baselines among them.
    """
    ranked = dict.fromkeys(entry.team for entry in board.entries)
    others = teams - ranked.keys()
    if others and len(ranked) < TEAMS:
        rest = [view for view in views if view.team in others and not view.baseline]
        ranked |= dict.fromkeys(view.team for view in sorted(rest, key=boards.creation_order))
    return list(ranked)[:TEAMS]


def is_open(phase: Phase, now: datetime) -> bool:
    """Whether the phase takes Submissions."""
    opened = phase.opens_at is None or phase.opens_at <= now
    return phase.from_ is None and opened and (phase.closes_at is None or now < phase.closes_at)


def _phase(
    out: _Builder, competition: CompetitionView, phase: Phase, problems: list[Problem], now: datetime
) -> None:
    labels = (competition.name, phase.name)
    out.set("alcove_phase_open", labels, is_open(phase, now))
    if phase.opens_at is not None:
        out.set("alcove_phase_opens_timestamp_seconds", labels, phase.opens_at.timestamp())
    if phase.closes_at is not None:
        out.set("alcove_phase_closes_timestamp_seconds", labels, phase.closes_at.timestamp())
    if phase.budget.disclosed:
        out.set("alcove_phase_budget_seconds", labels, phase.budget.seconds)
    lacking = Counter(problem.kind for problem in problems if problem.phase == phase.name)
    for kind in PROBLEM_KINDS:
        out.set("alcove_phase_problems", (*labels, kind), lacking[kind])


def _datasets(out: _Builder, competition: CompetitionView, phase: Phase, index: Index) -> None:
    for name in phase.datasets:
        record = index.datasets.get((competition.namespace, name))
        if record is not None:
            labels = (competition.name, phase.name, record.spec.alias)
            out.set("alcove_dataset_ready", labels, bool(record.view.ready))


def _board(out: _Builder, labels: tuple[str, str], board: LeaderboardStatus, teams: list[str]) -> None:
    out.set("alcove_board_teams", labels, board.teams)
    if board.updated_at is not None:
        out.set("alcove_board_updated_timestamp_seconds", labels, board.updated_at.timestamp())
    for baseline in board.baselines:
        for reached in baseline.scores:
            out.set("alcove_baseline_alc", (*labels, baseline.submission, reached.dataset), reached.alc)
    for entry in board.entries:
        if entry.team not in teams:
            continue
        team = (*labels, entry.team)
        out.set("alcove_rank", team, entry.rank)
        out.set("alcove_mean_rank", team, entry.average_rank)
        out.set("alcove_rank_interval", (*team, "low"), entry.rank_low)
        out.set("alcove_rank_interval", (*team, "high"), entry.rank_high)
        for score in entry.scores:
            out.set("alcove_alc", (*team, score.dataset), score.alc)
            out.set("alcove_dataset_rank", (*team, score.dataset), score.rank)


def _by_team(views: list[SubmissionView], teams: list[str]) -> dict[str, list[SubmissionView]]:
    found: dict[str, list[SubmissionView]] = {team: [] for team in teams}
    for view in views:
        if view.team in found and not view.baseline:
            found[view.team].append(view)
    return found


def _runs(out: _Builder, labels: tuple[str, str], opened: list[SubmissionView]) -> None:
    states = Counter(state_of(run) for view in opened for run in list_open_runs(view))
    out.set("alcove_runs_running", labels, states["running"])
    out.set("alcove_runs_queued", labels, states["queued"])


def _team(
    out: _Builder,
    labels: tuple[str, str, str],
    opened: list[SubmissionView],
    ended: EndedTotals,
    now: datetime,
) -> None:
    """``opened``: what the team has under way in the phase."""
    _, phase, team = labels
    totals = ended.of(phase, team)
    for view in opened:
        totals.update(count_submission(view, now))
    out.set("alcove_submissions", labels, sum(n for (kind, *_), n in totals.items() if kind == "submissions"))
    for state in ("queued", "running"):
        out.set("alcove_team_runs", (*labels, state), totals["runs", state, ""])
    for step in ("wait", "learn", "score"):
        out.set("alcove_team_time_seconds", (*labels, step), totals["time", step, ""] / 1e6)
    for (kind, first, second), number in totals.items():
        if kind == "submissions":
            out.set("alcove_team_submissions", (*labels, first), number)
        elif kind == "ended":
            out.set("alcove_team_runs_ended", (*labels, first, second), number)
    _curves(out, labels, [*ended.curved(phase, team), *filter(has_curve, opened)])


def _curves(out: _Builder, labels: tuple[str, str, str], curved: list[SubmissionView]) -> None:
    view = max(curved, key=boards.creation_order, default=None)
    for run in view.status.runs if view else ():
        for number, point in enumerate(run.curve[:POINTS]):
            where = (*labels, run.dataset, f"{number:02}")
            out.set("alcove_curve_seconds", where, point.t)
            out.set("alcove_curve_score", where, point.score)


def _queue(out: _Builder, competition: str, views: list[SubmissionView], queue: Mapping[str, int]) -> None:
    """Counted among ``views``: the place in the whole queue would move with a blind phase."""
    waiting = sorted((v for v in views if v.uid in queue and not v.baseline), key=lambda v: queue[v.uid])
    for place, view in enumerate(waiting, start=1):
        labels = (competition, view.spec.phase if view.spec else "", view.team)
        if labels in out.values["alcove_submissions"]:
            out.values["alcove_team_queue_place"].setdefault(labels, place)


def _quota(
    out: _Builder, competition: CompetitionView, blind: set[str], teams: list[str], now: datetime
) -> None:
    """As the status counts it: a Submission that was deleted has used its place."""
    today = usage.day_of(now)
    for team in teams:
        used = competition.usage_of(team)
        hidden = [phase for phase in used.phases if phase.name in blind]
        total = used.total - sum(phase.total for phase in hidden)
        of_today = (used.today if used.day == today else 0) - sum(
            phase.today for phase in hidden if phase.day == today
        )
        labels = (competition.name, team)
        out.set("alcove_quota_used_submissions", (*labels, "total"), total)
        out.set("alcove_quota_used_submissions", (*labels, "day"), of_today)
        for allowance in usage.list_allowances(used, competition.spec, team, None, now):
            window = {"perDay": "day", "total": "total"}[allowance.limit]
            out.set("alcove_quota_limit_submissions", (*labels, window), allowance.most)
