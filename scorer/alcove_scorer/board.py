"""The leaderboard of one phase: scores to entries, the same as text, and what the page says of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from alcove_api import keys
from alcove_api.board_documents import AggregateRequest, BoardSubmission
from alcove_api.score_documents import ScoredRun, ScoreResult
from alcove_api.score_text import format_score
from alcove_api.words import write_place
from alcove_scorer.baselines import (
    BaselineRow,
    collect_baselines,
    combine_runs,
    find_compared_scores,
    split_runs,
)
from alcove_scorer.board_times import find_times, list_missing_targets
from alcove_scorer.curves import CurveRules, resolve_rules
from alcove_scorer.errors import DamagedError
from alcove_scorer.performance_profile import profile_shares, time_ratios
from alcove_scorer.rank_intervals import find_board_intervals
from alcove_scorer.ranks import Ranking, rank_participants
from alcove_scorer.repeats import DatasetRuns
from alcove_scorer.significance import Friedman, critical_difference, friedman_test, kendall_w
from alcove_scorer.text_tables import fold_table
from alcove_scorer.written_text import shorten_name
from alcove_store.errors import StoreNotFoundError

Floats = npt.NDArray[np.float64]
TABLE_CHARACTERS = 65536
"""Of ``status.table`` at most, as the API allows."""
MOST_EXCLUDED = 20
"""Of whom is left out, so many are named in ``status.table``; the page and table.json name all."""
MOST_BASELINES = 20
"""Of baselines, so many are in the Leaderboard; table.json has all."""


@dataclass(frozen=True)
class BoardRow:
    """One team: its counted submission, its runs by dataset, its place."""

    submission: BoardSubmission
    team_name: str
    """What people read: the display name, or the namespace of a team without one."""
    runs: Mapping[str, ScoredRun]
    """By alias; where a phase repeats its runs, one that stands for all."""
    spreads: Mapping[str, float | None]
    """By alias: standard deviation of the ALC over the repeats; empty where there are none."""
    rank: int
    tied: bool
    """Whether another has the same rank: then the earlier submission is listed first."""
    value: float | None
    """What the method orders by, an error rounded as scores are; None where a missing run leaves none."""
    mean_rank: float
    interval: tuple[float, float]
    ranks: Mapping[str, float]
    seconds: Mapping[str, float | None]
    """By alias: how soon the target was reached, None where it was not; empty but with ``performance-profile``."""

    @property
    def place(self) -> str:
        return write_place(self.rank, self.tied)


@dataclass(frozen=True)
class Board:
    request: AggregateRequest
    rows: tuple[BoardRow, ...]
    """Best first."""
    problems: tuple[str, ...]
    rules: CurveRules | None
    """Of the scores; None where there are none."""
    friedman: Friedman | None
    kendall_w: float | None
    cd: float | None
    baselines: tuple[BaselineRow, ...] = ()
    """By name."""


def collect_results(
    request: AggregateRequest, read: Callable[[str], bytes]
) -> tuple[dict[str, ScoreResult], dict[str, str]]:
    """The entries' results by submission UID, and what is said of those that are left out, with the reason for the log.

    ``read``: an object of the store, by key. Raises its errors, but for StoreNotFoundError.
    """
    results: dict[str, ScoreResult] = {}
    problems: dict[str, str] = {}
    for entry in request.entries:
        key = keys.score_result(entry.submission_uid, entry.scoring_digest)
        try:
            result = ScoreResult.model_validate_json(read(key))
            if (result.submission_uid, result.scoring_digest) != (entry.submission_uid, entry.scoring_digest):
                raise DamagedError("it belongs to another submission")
            results[entry.submission_uid] = result
        except (StoreNotFoundError, ValidationError, DamagedError) as error:
            what = "is missing" if isinstance(error, StoreNotFoundError) else "is damaged"
            said = f"{entry.team}/{entry.submission} is left out: its score {what}; score it again."
            problems[said] = f"{key} {what}: {error}"
    return results, problems


def make_board(
    request: AggregateRequest, results: Mapping[str, ScoreResult], problems: Sequence[str] = ()
) -> Board:
    """Ranks the entries that have a result (by submission UID); ``problems`` says why others have none."""
    known = sorted(
        (entry for entry in request.entries if entry.submission_uid in results),
        key=lambda entry: (entry.created_at, entry.submission, entry.submission_uid),
    )
    present = [entry for entry in known if not entry.baseline]
    combined = {entry.submission_uid: combine_runs(request, results[entry.submission_uid]) for entry in known}
    baselines = collect_baselines(request, known, combined)
    if not present or not request.datasets:
        return Board(request, (), tuple(problems), None, None, None, None, baselines)
    runs = [combined[entry.submission_uid] for entry in present]
    settings = _rules(results[present[0].submission_uid])
    scores = np.array(
        [[_ranked_score(by_alias, alias, request) for alias in request.datasets] for by_alias in runs]
    )
    baseline, unknown = find_compared_scores(request, baselines, settings.metric.chance)
    problems = (*problems, *unknown, *list_missing_targets(request))
    seconds = find_times(request, [split_runs(by_alias, request)[0] for by_alias in runs])
    if request.method == "performance-profile":
        scores, baseline = -seconds, profile_shares(time_ratios(seconds))
    ranking = rank_participants(scores, request.method, baseline)
    intervals = find_board_intervals(scores, request.method, baseline, ranking.rank)
    rows = [
        _row(entry, by_alias, ranking, intervals, i, request, seconds[i].tolist())
        for i, (entry, by_alias) in enumerate(zip(present, runs, strict=True))
    ]
    return Board(
        request,
        tuple(sorted(rows, key=lambda row: row.rank)),
        tuple(problems),
        settings,
        friedman_test(ranking.ranks),
        kendall_w(ranking.ranks),
        critical_difference(len(rows), len(request.datasets)),
        baselines,
    )


def _rules(result: ScoreResult) -> CurveRules:
    scoring = result.scoring
    return resolve_rules(
        result.budget_seconds, scoring.scheme, scoring.metric, result.t0_seconds, scoring.curve
    )


def _ranked_score(runs: Mapping[str, DatasetRuns], alias: str, request: AggregateRequest) -> float:
    """Mean ALC over the repeats, less its penalty; NaN where one has no score."""
    found = runs.get(alias)
    if found is None or found.run.alc is None or found.spread is None:
        return math.nan
    return found.run.alc - request.penalty * found.spread


def _row(
    entry: BoardSubmission,
    runs: Mapping[str, DatasetRuns],
    ranking: Ranking,
    intervals: Floats,
    i: int,
    request: AggregateRequest,
    seconds: Sequence[float],
) -> BoardRow:
    value = float(ranking.value[i])
    if ranking.method == "relative":
        # An error is a score by another name: it must not say more digits of it than the phase shows.
        value = round(value, request.decimals)
    return BoardRow(
        entry,
        request.display_names.get(entry.team, entry.team),
        *split_runs(runs, request),
        int(ranking.rank[i]),
        bool(ranking.tied[i]),
        None if math.isnan(value) else value,
        float(ranking.mean_rank[i]),
        (float(intervals[i, 0]), float(intervals[i, 1])),
        dict(zip(request.datasets, ranking.ranks[i].tolist(), strict=True)),
        {a: None if math.isnan(s) else round(s, 1) for a, s in zip(request.datasets, seconds, strict=True)}
        if ranking.method == "performance-profile"
        else {},
    )


def rounded_alc(row: BoardRow | BaselineRow, alias: str, decimals: int) -> float | None:
    run = row.runs.get(alias)
    return None if run is None or run.alc is None else round(run.alc, decimals)


def rounded_spread(row: BoardRow | BaselineRow, alias: str, decimals: int) -> float | None:
    """Standard deviation over the repeats; None where there are none, or one has no score."""
    spread = row.spreads.get(alias)
    return None if spread is None else round(spread, decimals)


def missing_cause(row: BoardRow | BaselineRow, alias: str) -> str:
    """Why a run has no score: a crash is not a zero."""
    run = row.runs.get(alias)
    return "no run" if run is None else run.cause or "no score"


def as_document(board: Board, updated_at: datetime) -> dict[str, object]:
    """``table.json``: every entry, rounded as the phase says."""
    request = board.request
    test = board.friedman
    return {
        "competition": request.competition,
        "phase": request.phase,
        "generation": request.generation,
        "updated_at": updated_at.isoformat(),
        "method": request.method,
        "entries": [_entry_document(row, request) for row in board.rows],
        "repeats": request.repeats,
        "baselines": [
            {
                "submission": row.name,
                "scores": [
                    {
                        "dataset": alias,
                        "alc": rounded_alc(row, alias, request.decimals),
                        "spread": rounded_spread(row, alias, request.decimals),
                        "cause": row.runs[alias].cause if alias in row.runs else "",
                    }
                    for alias in request.datasets
                ],
            }
            for row in board.baselines
        ],
        "friedman": None if test is None else test.as_document(),
        "kendall_w": board.kendall_w,
        "critical_difference": board.cd,
        "problems": list(board.problems),
        "excluded": [left.model_dump(mode="json") for left in request.excluded],
    }


def _entry_document(row: BoardRow, request: AggregateRequest) -> dict[str, object]:
    return {
        "rank": row.rank,
        "team": row.submission.team,
        "display_name": request.display_names.get(row.submission.team, ""),
        "submission": row.submission.submission,
        "submission_uid": row.submission.submission_uid,
        "value": row.value,
        "average_rank": row.mean_rank,
        "interval": list(row.interval),
        "scores": [
            {
                "dataset": alias,
                "alc": rounded_alc(row, alias, request.decimals),
                "spread": rounded_spread(row, alias, request.decimals),
                "seconds": row.seconds.get(alias),
                "rank": row.ranks[alias],
                "cause": row.runs[alias].cause if alias in row.runs else "",
            }
            for alias in request.datasets
        ],
    }


def as_text(board: Board) -> str:
    """The table, best first, in 80 columns: further tables below it hold the datasets that it has no room for.

    Fewer rows, with a last line that says so, where all would be too long.
    """
    request = board.request
    header = ["RANK", "TEAM", "SUBMISSION", "MEAN-RANK", "95%"]
    header += [shorten_name(alias.upper(), 20) for alias in request.datasets]
    rows = [
        [
            row.place,
            shorten_name(row.team_name),
            shorten_name(row.submission.submission),
            f"{row.mean_rank:.2f}",
            "{:g}-{:g}".format(*row.interval),
            *(_cell(row, alias, request.decimals) for alias in request.datasets),
        ]
        for row in board.rows[: request.top]
    ]
    baselines = [
        ["–", "(baseline)", shorten_name(row.name), "–", "–"]
        + [write_score(row, alias, request.decimals) for alias in request.datasets]
        for row in board.baselines[:MOST_BASELINES]
    ]
    excluded = "".join(f"\n{line}" for line in describe_excluded(request)[:MOST_EXCLUDED])
    if not rows and not baselines:
        return f"No entries yet.{excluded}"
    while True:
        # Every table has a row a team, so that about as many rows are too many as the text is too long.
        text = "\n\n".join(map("\n".join, fold_table([header, *rows, *baselines], 2)))
        hidden = len(board.rows) - len(rows)
        if hidden:
            text += f"\n… and {hidden} more in the store's table.json"
        text += excluded
        if len(text) <= TABLE_CHARACTERS:
            return text
        rows = rows[: min(len(rows) - 1, len(rows) * TABLE_CHARACTERS // len(text))]


def describe_excluded(request: AggregateRequest) -> list[str]:
    """Whom the organizer has left out, a sentence each, with the reason."""
    names = request.display_names
    return [
        f"Left out by the organizer: {shorten_name(names.get(left.team, left.team))}"
        f"{f', submission {shorten_name(left.submission)}' if left.submission else ''}: {left.reason}"
        for left in request.excluded
    ]


def _cell(row: BoardRow, alias: str, decimals: int) -> str:
    shown = write_score(row, alias, decimals)
    if row.seconds and rounded_alc(row, alias, decimals) is not None:
        return f"{write_seconds(row.seconds[alias])} ({row.ranks[alias]:g})"
    return shown if rounded_alc(row, alias, decimals) is None else f"{shown} ({row.ranks[alias]:g})"


def write_score(row: BoardRow | BaselineRow, alias: str, decimals: int) -> str:
    """Mean and standard deviation: "0.812±0.010", or why there is none."""
    alc, spread = rounded_alc(row, alias, decimals), rounded_spread(row, alias, decimals)
    if alc is None:
        return missing_cause(row, alias)
    return format_score(alc, decimals) + ("" if spread is None else f"±{format_score(spread, decimals)}")


def write_seconds(seconds: float | None) -> str:
    return "not reached" if seconds is None else f"{seconds:.1f} s"


def describe_order(method: str, baseline: str | None = None) -> tuple[str, str]:
    """What the method orders by, in a sentence and as a heading. ``baseline``: None for chance."""
    return {
        "copeland": ("Copeland's score", "Wins"),
        "kemeny": ("the order that disagrees least with the datasets' orders", "Place"),
        "success-rate": ("the share of others that are beaten", "Beaten"),
        "relative-difference": ("the mean relative difference to the others", "Difference"),
        "performance-profile": ("the area under the performance profile", "Area"),
        "relative": (f"mean error relative to {baseline or 'chance'}", "Error"),
    }.get(method, ("mean rank", "Mean rank"))
