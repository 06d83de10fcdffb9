"""How ranks move, as a table for people and as a document for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alcove_api.comparison import ComparedBoard, ComparedTeam, Comparison
from alcove_api.competition import ScoringSpec

NOTHING = "–"
WIDTH = 120
"""Of a terminal that most people have, in columns."""


def as_text(comparison: Comparison) -> str:
    """A table for each phase, best new rank first; what stays is printed once."""
    return "\n\n".join(_board(board) for board in comparison.boards)


def _board(board: ComparedBoard) -> str:
    moved = sum(team.old_rank != team.new_rank for team in board.teams)
    header = ["TEAM", "SUBMISSION", "RANK", "MEAN-RANK", *(alias.upper() for alias in board.datasets)]
    lines = _aligned([header, *(_row(team, board.decimals) for team in board.teams)])
    if max(map(len, lines)) > WIDTH:
        lines = _tall(board)
    title = f"{board.phase}: {moved} of {format_count(len(board.teams), 'team')} would have another rank."
    return "\n".join([title, *lines, *board.problems])


def _tall(board: ComparedBoard) -> list[str]:
    """A row a dataset, for more datasets than a line has room for."""
    rows = [["TEAM", "SUBMISSION", "RANK", "MEAN-RANK", "DATASET", "ALC"]]
    for team in board.teams:
        about = _row(team, board.decimals)
        for number, (alias, score) in enumerate(zip(board.datasets, about[4:], strict=True)):
            rows.append([*(about[:4] if number == 0 else [""] * 4), alias, score])
    return _aligned(rows)


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(team: ComparedTeam, decimals: int) -> list[str]:
    return [
        team.team,
        team.submission,
        format_change(_whole(team.old_rank), _whole(team.new_rank)),
        format_change(_number(team.old_mean_rank, 2), _number(team.new_mean_rank, 2)),
        *(
            format_change(s.old_cause or _number(s.old, decimals), s.new_cause or _number(s.new, decimals))
            for s in team.scores
        ),
    ]


def format_change(old: str, new: str) -> str:
    return new if old == new else f"{old} → {new}"


def _whole(value: int | None) -> str:
    return NOTHING if value is None else str(value)


def _number(value: float | None, decimals: int) -> str:
    return NOTHING if value is None else f"{value:.{decimals}f}"


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


def format_count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def describe_scoring(spec: ScoringSpec) -> str:
    """One line: the scheme, and what is not its own."""
    more = {"metric": spec.metric, "t0": spec.t0_seconds, "curve": spec.curve}
    said = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in more.items()
        if value
    ]
    return ", ".join([spec.scheme, *said])
