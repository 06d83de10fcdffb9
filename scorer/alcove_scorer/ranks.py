"""Ranks of participants over datasets.

Scores are matrices of participants × datasets, higher is better, NaN where a run is missing. Participants are
in the order of their submission: those of equal value share a rank, and are listed in that order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from alcove_api.schemes import BoardRanking
from alcove_scorer.errors import InputError
from alcove_scorer.kemeny import find_kemeny_order

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
OtherRanking = Literal["kemeny", "success-rate", "relative-difference"]
"""What only `alcove rank` makes."""
Method = BoardRanking | OtherRanking
METHODS: tuple[Method, ...] = (*get_args(BoardRanking), *get_args(OtherRanking))
_CELLS = 1 << 22
"""Elements of working memory at most in one step of the pairwise comparisons."""


@dataclass(frozen=True)
class Ranking:
    """``ranks``: participants × datasets, 1 is best, ties share the average. ``rank``: overall, one more than how many
    are better, so that ties share the best of their places (1, 1, 3).

    ``value``: what the overall rank orders by, a value a participant: the mean rank (lower is better),
    Copeland's score (higher), the mean relative error (lower; NaN where a run is missing), the place in Kemeny's order
    (lower), the share of others that are beaten, the mean relative difference to them, or the score of the performance
    profile (all higher).
    """

    method: Method
    ranks: Floats
    value: Floats
    rank: Ints

    @property
    def order(self) -> list[int]:
        """Numbers of the participants, best first; of those that share a rank, the earlier submission first."""
        found: list[int] = np.argsort(self.rank, kind="stable").tolist()
        return found

    @cached_property
    def tied(self) -> npt.NDArray[np.bool_]:
        """Which participants share their rank with another."""
        _, inverse, counts = np.unique(self.rank, return_inverse=True, return_counts=True)
        shared: npt.NDArray[np.bool_] = counts[inverse] > 1
        return shared

    @cached_property
    def mean_rank(self) -> Floats:
        mean: Floats = self.ranks.mean(axis=1)
        return mean


def dataset_ranks(scores: Floats) -> Floats:
    """Ranks on each dataset: 1 is the highest score, ties share the average, the missing share the last
    ranks.
    """
    return rank_values(np.where(np.isnan(scores), np.inf, -scores).T).T


def rank_values(values: npt.NDArray[Any], ties: Literal["average", "min", "max"] = "average") -> Floats:
    """Ranks along the last axis: 1 is the lowest value; equal ones share the average, least or largest of their places.

    As ``scipy.stats.rankdata`` does, but that module takes half a second to load, for which every board would wait.
    """
    columns = np.ascontiguousarray(values)
    order = columns.argsort(axis=-1)
    ordered = np.take_along_axis(columns, order, axis=-1)
    places = np.broadcast_to(np.arange(1.0, columns.shape[-1] + 1), columns.shape)
    tied = ordered[..., 1:] == ordered[..., :-1]
    if tied.any():
        no = np.zeros((*columns.shape[:-1], 1), np.bool_)
        least = np.maximum.accumulate(np.where(np.concatenate((no, tied), -1), 0, places), axis=-1)
        ends = np.where(np.concatenate((tied, no), -1), np.inf, places)[..., ::-1]
        largest = np.minimum.accumulate(ends, axis=-1)[..., ::-1]
        places = {"average": (least + largest) / 2, "min": least, "max": largest}[ties]
    ranks = np.empty(columns.shape)
    np.put_along_axis(ranks, order, places, axis=-1)
    return ranks


def combine_repeats(scores: npt.NDArray[np.float64], penalty: float) -> Floats:
    """Scores (… × repeats, such as participants × datasets × repeats) to mean − penalty·std over the repeats.

    The standard deviation is the population's (divided by the number of repeats): it says how much these runs differ,
    and one run alone has none. A missing repeat makes the cell missing, so a participant with fewer repeats than
    others is ranked as if the run had failed: leaving it out would let a crash raise the score. Defined here.
    """
    combined: Floats = scores.mean(axis=-1)
    if penalty:
        combined -= penalty * scores.std(axis=-1)
    return combined


def relative_errors(scores: Floats, baseline: Floats, best: float = 1.0) -> Floats:
    """(best − score) / (best − baseline) by cell; ``baseline`` has a score a dataset, each below ``best``.

    Defined here: 0 is the best score, 1 the baseline's, more is worse than the baseline.
    """
    return (best - scores) / (best - baseline)


def rank_participants(scores: Floats, method: Method = "average", baseline: Floats | None = None) -> Ranking:
    """Ranks participants: ``average`` by the mean of their ranks, which orders as Borda's count does (Mémoire sur les
    élections au scrutin, 1781; means of ranks: Friedman, 1937). ``mean-minus-std`` ranks as ``average`` does, on scores
    that went through :func:`combine_repeats`.

    Args:
        scores: for ``performance-profile`` negated seconds.
        baseline: what ``relative`` needs, a score a dataset; for ``performance-profile`` the shares of
            :func:`alcove_scorer.performance_profile.profile_shares`, a matrix like ``scores``.

    Raises:
        InputError: the matrix is empty, or the baseline is missing.
    """
    if scores.ndim != 2 or 0 in scores.shape:
        raise InputError("expected at least one participant and one dataset")
    ranks = dataset_ranks(scores)
    key, value = _order(scores, ranks, method, baseline)
    return Ranking(method, ranks, value, rank_values(key, "min").astype(np.int64))


Ordering = tuple[npt.NDArray[Any], Floats]
"""Keys, lower is better, and values, one a participant each."""


def _order(scores: Floats, ranks: Floats, method: Method, baseline: Floats | None) -> Ordering:
    if method == "copeland":
        return _order_by_wins(ranks)
    if method == "relative":
        if baseline is None:
            raise InputError("method relative: expected a baseline to compare with")
        return _order_by_errors(relative_errors(scores, baseline))
    if method == "performance-profile":
        if baseline is None:
            raise InputError("method performance-profile: expected the shares of its score")
        return _order_by_shares(baseline)
    if method == "kemeny":
        places = np.empty(len(ranks))
        places[find_kemeny_order(ranks).order] = np.arange(1, len(ranks) + 1)
        return places, places
    if method in ("success-rate", "relative-difference"):
        values = dataset_values(scores, method)
        assert values is not None
        return _order_by_shares(-values)
    # Twice an average rank is whole, and so are their sums: equal means are equal exactly.
    sums = np.rint(2 * ranks).sum(axis=1)
    return sums.astype(np.int64), sums / (2 * ranks.shape[1])


def _order_by_wins(ranks: Floats) -> Ordering:
    """Copeland's score: pairwise wins, ties half; a pair is won on the majority of datasets (Copeland, A "reasonable"
    social welfare function, 1951)."""
    step, totals = max(1, _CELLS // ranks.size), np.empty(len(ranks))
    for start in range(0, len(ranks), step):
        rows = slice(start, start + step)
        margin = np.sign(np.sign(ranks[None, :, :] - ranks[rows, None, :]).sum(axis=2))
        # A participant ties with itself: that half is taken off.
        totals[rows] = ((margin + 1) / 2).sum(axis=1) - 0.5
    return -totals, totals


def _order_by_shares(shares: Floats) -> Ordering:
    mean = shares.mean(axis=1)
    # Sums of the same shares in another order differ in their last bits: these are ties.
    return np.rint((1.0 - mean) * 1e11).astype(np.int64), np.round(mean, 11)


def _order_by_errors(errors: Floats) -> Ordering:
    missing = np.isnan(errors)
    gone, total = missing.sum(axis=1), np.where(missing, 0.0, errors).sum(axis=1)
    # Sums of the same errors in another order differ in their last bits: these are ties.
    mean = np.round(total / np.maximum(1, errors.shape[1] - gone), 11)
    # A mean over fewer datasets is no better than any over more: first by the number missing, then by error.
    order = np.lexsort((mean, gone))
    pairs = np.column_stack((gone[order], mean[order]))
    keys = np.empty(len(errors), np.int64)
    keys[order] = np.cumsum(np.append(False, np.any(pairs[1:] != pairs[:-1], axis=1)))
    return keys, np.where(gone > 0, np.nan, mean)


def compute_values(scores: Floats, method: Method, baseline: Floats | None = None) -> Floats:
    """What the method orders by, a value a participant, so turned that lower is better; missing runs are filled as
    :func:`dataset_values` does."""
    values = dataset_values(scores, method, baseline)
    if values is not None:
        mean: Floats = values.mean(axis=1)
        return mean
    ranks = dataset_ranks(scores)
    _, counted = _order(scores, ranks, method, baseline)
    return counted if method == "kemeny" else -counted


def dataset_values(scores: Floats, method: Method, baseline: Floats | None = None) -> Floats | None:
    """Values by dataset whose mean the method orders by, so turned that lower is better; None where there are none.

    A missing run of ``relative`` has the largest error of its dataset.
    """
    if method in ("copeland", "kemeny"):
        return None
    if method == "performance-profile":
        return None if baseline is None else -baseline
    if method == "success-rate":
        return -_shares_beaten(scores)
    if method == "relative-difference":
        return -_relative_differences(scores)
    if method != "relative" or baseline is None:
        return dataset_ranks(scores)
    errors = relative_errors(scores, baseline)
    worst = np.max(np.where(np.isnan(errors), -np.inf, errors), axis=0)
    return np.where(np.isnan(errors), np.where(np.isfinite(worst), worst, 1.0), errors)


def _shares_beaten(scores: Floats) -> Floats:
    """Of the others on each dataset, the share with a lower score, or none (Pavao, Vaccaro and Guyon, Judging
    competitions and benchmarks: a candidate election approach, 2021)."""
    # With ties at the largest rank, whoever has a larger one is beaten.
    filled = np.where(np.isnan(scores), -np.inf, scores)
    beaten: Floats = len(scores) - rank_values(-filled.T, "max").T
    return beaten / max(1, len(scores) - 1)


def _relative_differences(scores: Floats) -> Floats:
    """On each dataset, the mean over the others of (own − other) / (own + other); a missing run has 0 (Pavao et al.,
    2021). Scores are at least 0."""
    filled = np.nan_to_num(scores)
    found = np.empty_like(filled)
    for i, row in enumerate(filled):
        both = filled + row
        found[i] = np.divide(row - filled, both, out=np.zeros_like(both), where=both != 0).sum(axis=0)
    return found / max(1, len(scores) - 1)
