"""What a Leaderboard's status says of a board."""

from __future__ import annotations

from datetime import datetime

from alcove_api.leaderboard import (
    BaselineEntry,
    BaselineScore,
    DatasetScore,
    Entry,
    ExcludedEntry,
    LeaderboardStatus,
)
from alcove_scorer.board import MOST_BASELINES, Board, as_text, rounded_alc, rounded_spread
from alcove_scorer.written_text import count_cells, shorten_name

LEADERS_CELLS = 24
"""Of ``status.leaders`` at most, so that ``kubectl get leaderboards -o wide`` fits 80 columns."""
_NAME_CELLS = 20
"""Of a name there, beside a place such as "12="."""


def describe_leaders(board: Board) -> str:
    """The first few rows on one line, "1 red, 2 blue"; whole rows only."""
    said = ""
    for row in board.rows:
        longer = f"{said}, " if said else ""
        longer += f"{row.place} {shorten_name(row.team_name, _NAME_CELLS)}"
        if count_cells(longer) > LEADERS_CELLS and said:
            break
        said = longer
    return said


def as_status(board: Board, updated_at: datetime) -> LeaderboardStatus:
    request = board.request
    top = board.rows[: min(request.top, 100)]
    return LeaderboardStatus(
        generation=request.generation,
        updated_at=updated_at,
        teams=len(board.rows),
        leaders=describe_leaders(board),
        table=as_text(board),
        entries=tuple(
            Entry(
                rank=row.rank,
                team=row.submission.team,
                display_name=request.display_names.get(row.submission.team, ""),
                submission=row.submission.submission,
                submission_uid=row.submission.submission_uid,
                average_rank=row.mean_rank,
                rank_low=row.interval[0],
                rank_high=row.interval[1],
                scores=tuple(
                    DatasetScore(
                        dataset=alias,
                        alc=rounded_alc(row, alias, request.decimals),
                        spread=rounded_spread(row, alias, request.decimals),
                        seconds=row.seconds.get(alias),
                        rank=row.ranks[alias],
                    )
                    for alias in request.datasets
                ),
            )
            for row in top
        ),
        baselines=tuple(
            BaselineEntry(
                submission=row.name,
                scores=tuple(
                    BaselineScore(
                        dataset=alias,
                        alc=rounded_alc(row, alias, request.decimals),
                        spread=rounded_spread(row, alias, request.decimals),
                    )
                    for alias in request.datasets
                ),
            )
            for row in board.baselines[:MOST_BASELINES]
        ),
        excluded=tuple(
            ExcludedEntry(team=left.team, submission=left.submission, reason=left.reason)
            for left in request.excluded
        ),
    )
