"""Waits until the operator has scored everything again and the boards show it, and says how far it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from alcove_api.comparison import ComparedBoard, Comparison
from alcove_api.leaderboard import LeaderboardStatus
from alcove_cli.errors import FailedError
from alcove_cli.rescore_plan import RescorePlan, is_scored_by
from alcove_kube.resources import COMPETITIONS, JOBS, LEADERBOARDS, SUBMISSIONS
from alcove_operator.api import Api
from alcove_operator.config import OperatorSettings
from alcove_operator.core import names, parse_objects, scoring_retries
from alcove_operator.core.model import CompetitionView, JobView, SubmissionView
from alcove_operator.core.reconcile_input import is_blind

POLL_SECONDS = 1.0
Ref = tuple[str, str]


async def read_submissions(api: Api, ref: Ref, settings: OperatorSettings) -> list[SubmissionView]:
    """Of this competition, in all namespaces that the operator watches; not what only shows a rerun to its team."""
    listed = await asyncio.gather(
        *(api.find_all(SUBMISSIONS, namespace) for namespace in {*settings.watched, ref[0]})
    )
    views = [parse_objects.submission_view(raw) for found in listed for raw in found]
    return [
        v
        for v in views
        if v.spec and not v.shows_rerun and (v.spec.competition.namespace, v.spec.competition.name) == ref
    ]


async def score_jobs(api: Api, ref: Ref) -> list[JobView]:
    """The operator's own."""
    selector = f"{names.ROLE}={names.SCORE},{names.COMPETITION}={ref[1]}"
    return [parse_objects.job_view(raw) for raw in await api.find_all(JOBS, ref[0], selector)]


async def wait_until_shown(
    api: Api,
    settings: OperatorSettings,
    competition: CompetitionView,
    planned: RescorePlan,
    comparison: Comparison,
    timeout: float,
    say: Callable[[str], None],
) -> None:
    """Raises FailedError where some cannot be scored, where the settings are others again, or after ``timeout``
    seconds; the operator goes on then.
    """
    ref, started, said = (competition.namespace, competition.name), time.monotonic(), ""
    while True:
        found = await api.find(COMPETITIONS, *ref)
        if found is None or not is_scored_by(parse_objects.competition_view(found), planned):
            raise FailedError(
                "Somebody else changed the Competition's scoring, or deleted it. What it says now is what counts."
            )
        views = {view.uid: view for view in await read_submissions(api, ref, settings)}
        left = [v for old in planned.again if (v := views.get(old.uid)) and _is_old(v, planned.wanted)]
        jobs = await score_jobs(api, ref) if left else []
        failed = [
            v
            for v in left
            if scoring_retries.is_given_up(scoring_retries.newest_job(jobs, v.uid, planned.wanted[v.uid]))
        ]
        boards = await _boards(api, competition, comparison) if not left else []
        if left and len(failed) == len(left):
            which = ", ".join(f"{v.namespace}/{v.name}" for v in failed)
            raise FailedError(
                f"The operator could not score {which}: they are left out of the board until they are. "
                f"kubectl get jobs -n {ref[0]} -l {names.ROLE}={names.SCORE} names the Jobs that failed."
            )
        if not left and not boards:
            say("Every submission and every Leaderboard shows it.")
            return
        doing = (
            f"  {len(planned.again) - len(left)} of {len(planned.again)} submissions show their new score"
            if left
            else f"  waiting for the Leaderboard {', '.join(boards)}"
        )
        if doing != said:
            say(doing)
            said = doing
        if time.monotonic() - started > timeout:
            raise FailedError(
                f"After {timeout:g} s not all is shown yet:{doing}. The operator goes on by itself; nothing is lost."
            )
        await asyncio.sleep(POLL_SECONDS)


def _is_old(view: SubmissionView, wanted: Mapping[str, str]) -> bool:
    return not view.deleting and view.status.scoring_digest != wanted[view.uid]


async def _boards(api: Api, competition: CompetitionView, comparison: Comparison) -> list[str]:
    """Those that do not show the new scores yet; a blind phase's shows nothing before its reveal."""
    now = datetime.now(UTC)
    phases = {p.name for p in competition.spec.phases if not is_blind(p, now)}
    waiting = []
    for board in comparison.boards:
        found = await api.find(LEADERBOARDS, competition.namespace, board.phase)
        if board.phase in phases and found is not None:
            status = LeaderboardStatus.model_validate(found.get("status") or {})
            if not shows_new_scores(status, board):
                waiting.append(board.phase)
    return waiting


def shows_new_scores(status: LeaderboardStatus, board: ComparedBoard) -> bool:
    """Whether these are the scores of ``board`` and, unless others have joined or left since, its ranks."""
    wanted = {team.submission_uid: team for team in board.teams if team.new_rank is not None}
    entries = {entry.submission_uid: entry for entry in status.entries}
    if not entries.keys() & wanted.keys() and wanted:
        return False
    for uid in entries.keys() & wanted.keys():
        scores = {s.dataset: s.new for s in wanted[uid].scores}
        if any(_rounded(scores.get(s.dataset), board.decimals) != s.alc for s in entries[uid].scores):
            return False
    if status.teams != len(wanted) or entries.keys() - wanted.keys():
        return True
    return all(entry.rank == wanted[uid].new_rank for uid, entry in entries.items())


def _rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)
