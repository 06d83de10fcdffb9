"""The leaderboard of a competition at home: the cluster's own ranking and page, from results on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alcove_api.board_documents import AggregateRequest, BoardSubmission
from alcove_api.schemes import SchemeName
from alcove_api.score_documents import SCORER_VERSION, ScoredRun, ScoreResult, Scoring
from alcove_api.score_text import format_score
from alcove_scorer.board import Board, as_document, make_board
from alcove_scorer.board_page import board_html
from alcove_scorer.curves import CurveRules
from alcove_scorer.text_tables import fold_table
from alcove_scorer.written_text import shorten_name
from alcove_toolkit.whole_files import write_whole

_DECIMALS = 4


def rank_entrants(
    runs: Mapping[str, Sequence[ScoredRun]],
    datasets: Sequence[str],
    scheme: SchemeName,
    rules: CurveRules,
    title: str,
) -> Board:
    """Ranks as a phase of a competition does.

    Args:
        runs: by name, in the order that ties are told apart by: one a dataset.
    """
    start = datetime(2000, 1, 1, tzinfo=UTC)
    request = AggregateRequest(
        competition_namespace="", competition="", phase=title, leaderboard="", datasets=tuple(datasets),
        decimals=_DECIMALS, budget_seconds=rules.budget, title="At home",
        entries=tuple(
            BoardSubmission(
                team=name, submission=name, submission_uid=name, scoring_digest="",
                created_at=start + timedelta(seconds=number),
            )
            for number, name in enumerate(runs)
        ),
    )  # fmt: skip
    results = {
        name: ScoreResult(
            submission_uid=name, scorer_version=SCORER_VERSION, scoring_digest="",
            scoring=Scoring(scheme=scheme, metric=rules.metric.name),
            t0_seconds=rules.t0, budget_seconds=rules.budget, runs=tuple(found),
        )
        for name, found in runs.items()
    }  # fmt: skip
    return make_board(request, results)


def write_board(board: Board, out: Path) -> Path:
    """``leaderboard.html`` and ``leaderboard.json`` in ``out``; returns the former. Raises OSError."""
    now = datetime.now(UTC)
    write_whole(out / "leaderboard.json", json.dumps(as_document(board, now), indent=1))
    page = out / "leaderboard.html"
    write_whole(page, board_html(board, now))
    return page


def tabulate_board(board: Board, width: int) -> list[str]:
    """Rank, name, mean rank and the ALC of each dataset; further tables hold the datasets that do not fit ``width``."""
    header = ["RANK", "NAME", "MEAN-RANK", *(alias.upper() for alias in board.request.datasets)]
    rows = [
        [
            row.place,
            shorten_name(row.submission.team, 32),
            f"{row.mean_rank:.2f}",
            *(_cell(row.runs.get(alias)) for alias in board.request.datasets),
        ]
        for row in board.rows
    ]
    tables = fold_table([header, *rows], 2, width)
    return "\n\n".join(map("\n".join, tables)).splitlines()


def _cell(run: ScoredRun | None) -> str:
    return "-" if run is None or run.alc is None else format_score(run.alc, _DECIMALS)
