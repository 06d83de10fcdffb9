"""How ranks move, as a table for people and as a document for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from alcove_api.comparison import ComparedBoard, ComparedTeam, Comparison
from alcove_api.phase import ScoringSpec
from alcove_api.score_text import format_score
from alcove_api.words import count_of, write_place
from alcove_scorer.text_tables import fold_table
from alcove_scorer.written_text import shorten_name

NOTHING = "–"


def as_text(comparison: Comparison) -> str:
    """A table for each phase, best new rank first; what stays is printed once."""
    return "\n\n".join(_board(board) for board in comparison.boards)


def _board(board: ComparedBoard) -> str:
    moved = sum(team.old_rank != team.new_rank for team in board.teams)
    old = Counter(team.old_rank for team in board.teams)
    new = Counter(team.new_rank for team in board.teams)
    header = ["TEAM", "SUBMISSION", "RANK", "MEAN-RANK"]
    header += [shorten_name(alias.upper(), 20) for alias in board.datasets]
    rows = [_row(team, board.decimals, old, new) for team in board.teams]
    title = f"{board.phase}: {moved} of {count_of(len(board.teams), 'team')} would have another rank."
    tables = "\n\n".join(map("\n".join, fold_table([header, *rows], 2)))
    return "\n".join([title, tables, *board.problems])


def _row(team: ComparedTeam, decimals: int, old: Counter[int | None], new: Counter[int | None]) -> list[str]:
    """``old``, ``new``: how many teams have a rank."""
    return [
        shorten_name(team.display_name or team.team),
        shorten_name(team.submission),
        format_change(_place(team.old_rank, old), _place(team.new_rank, new)),
        format_change(_number(team.old_mean_rank, 2), _number(team.new_mean_rank, 2)),
        *(
            format_change(s.old_cause or _number(s.old, decimals), s.new_cause or _number(s.new, decimals))
            for s in team.scores
        ),
    ]


def format_change(old: str, new: str) -> str:
    return new if old == new else f"{old} → {new}"


def _place(rank: int | None, sharing: Counter[int | None]) -> str:
    return NOTHING if rank is None else write_place(rank, sharing[rank] > 1)


def _number(value: float | None, decimals: int) -> str:
    return NOTHING if value is None else format_score(value, decimals)


def as_document(
    competition: str, old: ScoringSpec, new: ScoringSpec, comparison: Comparison, again: Sequence[str]
) -> dict[str, Any]:
    """Scores at full precision. ``again``: submissions (namespace/name) whose score would be another."""
    return {
        "competition": competition,
        "old_scoring": old.model_dump(mode="json", by_alias=False),
        "new_scoring": new.model_dump(mode="json", by_alias=False),
        "changes": bool(again) or old != new,
        "scored_again": list(again),
        "phases": [board.model_dump(mode="json") for board in comparison.boards],
    }


def describe_scoring(spec: ScoringSpec) -> str:
    """One line: the scheme, and what is not its own."""
    more = {"metric": spec.metric, "t0": spec.t0_seconds, "curve": spec.curve}
    said = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in more.items()
        if value
    ]
    return ", ".join([spec.scheme, *said])
