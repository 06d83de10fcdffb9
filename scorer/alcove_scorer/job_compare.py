"""The compare job: how ranks move between two sets of scores. It prints them, for one who may read its log, and writes
nothing.
"""

from __future__ import annotations

from alcove_api.board_documents import AggregateRequest
from alcove_api.comparison import ComparedBoard, ComparedScore, ComparedTeam, CompareRequest, Comparison
from alcove_api.exit_statuses import ScorerExit
from alcove_scorer import jobs
from alcove_scorer.board import Board, BoardRow, missing_cause
from alcove_scorer.job_aggregate import STORE_RETRIES, read_board
from alcove_store.client import connect


def run() -> int:
    config = jobs.store_config()
    request = jobs.read_mounted_request(CompareRequest)
    store = connect(config, retries=STORE_RETRIES)
    found = []
    for old in request.boards:
        new = with_digests(old, request.digests)
        boards = read_board(old, store, config.bucket), read_board(new, store, config.bucket)
        found.append(compare_boards(*boards))
    print(Comparison(boards=tuple(found)).canonical().decode(), flush=True)
    return ScorerExit.DONE


def with_digests(board: AggregateRequest, digests: dict[str, str]) -> AggregateRequest:
    entries = (e.replace(scoring_digest=digests[e.submission_uid]) for e in board.entries)
    return board.replace(entries=tuple(entries))


def compare_boards(old: Board, new: Board) -> ComparedBoard:
    """Every team that has a score of either kind."""
    before = {row.submission.submission_uid: row for row in old.rows}
    after = {row.submission.submission_uid: row for row in new.rows}
    pairs = [(before.get(uid), after.get(uid)) for uid in after | before]
    request = new.request
    teams = [_team(earlier, later, request) for earlier, later in pairs]
    last = len(teams) + 1
    return ComparedBoard(
        phase=request.phase,
        decimals=request.decimals,
        datasets=request.datasets,
        teams=tuple(sorted(teams, key=lambda t: (t.new_rank or last, t.old_rank or last))),
        problems=new.problems,
    )


def _team(old: BoardRow | None, new: BoardRow | None, request: AggregateRequest) -> ComparedTeam:
    row = new or old
    assert row is not None
    return ComparedTeam(
        team=row.submission.team,
        display_name=request.display_names.get(row.submission.team, ""),
        submission=row.submission.submission,
        submission_uid=row.submission.submission_uid,
        old_rank=old.rank if old else None,
        new_rank=new.rank if new else None,
        old_mean_rank=old.mean_rank if old else None,
        new_mean_rank=new.mean_rank if new else None,
        scores=tuple(
            ComparedScore(
                dataset=alias,
                old=_alc(old, alias),
                new=_alc(new, alias),
                old_cause=_cause(old, alias),
                new_cause=_cause(new, alias),
            )
            for alias in request.datasets
        ),
    )


def _alc(row: BoardRow | None, alias: str) -> float | None:
    run = row.runs.get(alias) if row else None
    return run.alc if run else None


def _cause(row: BoardRow | None, alias: str) -> str:
    if row is None:
        return "no score"
    return missing_cause(row, alias) if _alc(row, alias) is None else ""
