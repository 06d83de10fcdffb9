"""Which rows of a test set are shown, and which rank."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alcove_api.score_documents import Feedback, Scoring
from alcove_scorer.metrics import Solution, find_scored_columns

Rows = npt.NDArray[np.int64]
MOST_GROUPS = 30
"""Of the parameter-free Ladder: a standard error from 30 values is within about 13 % of the true one."""
STRATA = 20
"""Of the rows of a regression, by the size of what is to be predicted."""


@dataclass(frozen=True)
class RowChoice:
    """Rows of the test set, in order; None for all of them."""

    shown: Rows | None
    """That shown points, and the Ladder, are computed on."""
    ranked: Rows | None
    """That ALC, final score and rank are computed on."""
    groups: tuple[Rows, ...] = ()
    """Parts of ``shown`` for the parameter-free Ladder; each can be scored."""


ALL_ROWS = RowChoice(None, None)


def choose_rows(solution_sha256: str, solution: Solution, feedback: Feedback, scoring: Scoring) -> RowChoice:
    """The rows of one dataset: the same in every run of a phase.

    All rows rank where asked for, and where the rest could not be scored as the whole can: a label that has both
    classes in the whole would have one only. The Ladder uses all rows where those to be shown could not be scored.
    """
    order = order_shown_rows(solution_sha256, scoring.seed, solution, feedback.test_fraction)
    if order is None:
        shown = ranked = None
    else:
        shown = np.sort(order)
        rest = np.delete(np.arange(len(solution)), shown)
        ranked = rest if scoring.ranked_rows == "rest" and _scores_alike(solution, rest) else None
    if feedback.mode != "ladder":
        return RowChoice(shown, ranked)
    if order is None or not find_scored_columns(solution[order]).any():
        shown, order = None, np.arange(len(solution))
    return RowChoice(shown, ranked, () if feedback.step is not None else split_groups(solution, order))


def order_shown_rows(solution_sha256: str, seed: int, solution: Solution, fraction: float) -> Rows | None:
    """Rows that are shown, those with the same labels together; None for all rows.

    Stratified: rows with the same labels (of a regression: with about the same numbers) are together in the order that
    every 1/fraction-th row is taken of, so each combination of labels keeps its share, to one row.

    Args:
        solution_sha256: digest of the solution. It is as secret as the solution is, so nobody who knows the seed alone
            can tell which rows are shown.
        seed: the organizer's; with the digest it orders the rows of one combination.
        solution: n_test × n_labels, or × targets.
        fraction: of the rows; what is taken is the next smaller whole number of rows, and at least one.
    """
    n_test = len(solution)
    count = max(1, math.floor(fraction * n_test + 1e-9))
    if count >= n_test:
        return None
    # The raw stream of PCG64 is promised to stay the same over NumPy's versions.
    keys = np.random.PCG64(int(solution_sha256, 16) + seed).random_raw(n_test)
    order = np.lexsort((keys, _stratify(solution)))
    places = (2 * np.arange(count) + 1) * n_test // (2 * count)
    return order[places]


def split_groups(solution: Solution, order: Rows) -> tuple[Rows, ...]:
    """Deals out rows that are sorted by their labels to the most groups, at most ``MOST_GROUPS``, that can be scored.

    Empty where not even two can.
    """
    if len(order) == len(solution):
        order = np.argsort(_stratify(solution), kind="stable")
    for count in range(min(MOST_GROUPS, len(order)), 1, -1):
        groups = tuple(np.sort(order[start::count]) for start in range(count))
        if all(find_scored_columns(solution[rows]).any() for rows in groups):
            return groups
    return ()


def _stratify(solution: Solution) -> Rows:
    """Number of each row's stratum: rows with the same labels; or, of numbers, with targets of about the same size.

    By the mean over targets of a row's rank, in ``STRATA`` parts of the same number of rows.
    """
    if solution.dtype == np.bool_:
        _, stratum = np.unique(solution, axis=0, return_inverse=True)
        return stratum.reshape(-1)
    ranks = np.stack([np.unique(column, return_inverse=True)[1] for column in solution.T], axis=1)
    order = np.argsort(ranks.mean(axis=1), kind="stable")
    stratum = np.empty(len(solution), np.int64)
    stratum[order] = np.arange(len(solution)) * STRATA // len(solution)
    return stratum


def _scores_alike(solution: Solution, rows: Rows) -> bool:
    return bool(np.array_equal(find_scored_columns(solution), find_scored_columns(solution[rows])))
