"""How sure ranks and mean scores are: confidence intervals that hold what they promise (bench/calibration).

What is uncertain has a spread: other datasets, other runs or other test examples would have given other values. From
the spread of the values follows which participants are surely apart, and from that each one's possible ranks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import special

from alcove_scorer.ranks import Method, dataset_ranks, dataset_values

Floats = npt.NDArray[np.float64]
CONFIDENCE = 0.95
FEWEST_DATASETS = 5
"""With fewer, no two participants are told apart: even if one is better on all four, that is a chance of one in
eight."""
FEWEST_FOR_TWO = 6
"""The same of two participants, who have no others to learn the variance from: with five datasets, 93 % is covered."""
OTHER_DATASETS = "With other datasets of the same kind"
MOST_NAMED = 8
"""Participants in a sentence."""
_CELLS = 1 << 21
"""Elements of working memory at most in one step of the pairwise comparisons."""


@dataclass(frozen=True)
class Spread:
    """Of a value a participant; lower is better.

    ``deviations``: participants × any number; their products are the covariances of ``values``. ``freedom``: degrees
    of freedom of these; infinite where they are as good as known, below 1 where nothing is known of them.
    """

    values: Floats
    deviations: Floats
    freedom: float

    @property
    def errors(self) -> Floats:
        """Standard errors of the values."""
        found: Floats = np.sqrt((self.deviations**2).sum(axis=1))
        return found


def spread_over_datasets(values: Floats) -> Spread:
    """Of mean values, with other datasets of the same kind. ``values``: participants × datasets, lower is better.

    Where runs are repeated or test sets small, what that adds to the spread is in it (Davison and Hinkley, Bootstrap
    methods and their application, 1997, section 3.8).
    """
    n, mean = values.shape[1], values.mean(axis=1)
    if n < 2:
        return Spread(mean, np.zeros((len(mean), 1)), 0)
    return Spread(mean, (values - mean[:, None]) / math.sqrt(n * (n - 1)), n - 1)


def _fewest(participants: int) -> int:
    return FEWEST_FOR_TWO if participants == 2 else FEWEST_DATASETS


def enough_datasets(participants: int, datasets: int) -> bool:
    """Whether so many could tell places apart."""
    return datasets >= _fewest(participants)


def find_board_intervals(
    scores: Floats, method: Method, baseline: Floats | None, ranks: npt.NDArray[np.int64]
) -> Floats:
    """Possible ranks, participants × (low, high), with other datasets of the same kind.

    ``scores``, ``method`` and ``baseline`` as for :func:`alcove_scorer.ranks.rank_participants`, which gave ``ranks``.
    """
    if not enough_datasets(*scores.shape):
        return np.tile(np.array([1.0, len(scores)]), (len(scores), 1))
    values = dataset_values(scores, method, baseline)
    if values is None:
        return find_copeland_intervals(dataset_ranks(scores), ranks)
    return find_rank_intervals(spread_over_datasets(values), ranks)


def spread_over_resamples(
    values: Floats, resampled: Floats, freedom: float, inflation: float = 1.0
) -> Spread:
    """Of values over the resamples of a bootstrap.

    Args:
        values: of the participants, lower is better.
        resampled: participants × resamples.
        freedom: of the units that were resampled.
        inflation: of variances; a bootstrap of n units gives (n − 1)/n of the variance.
    """
    deviations = resampled - resampled.mean(axis=1, keepdims=True)
    return Spread(values, deviations * math.sqrt(inflation / (resampled.shape[1] - 1)), freedom)


def find_value_intervals(values: Floats, errors: Floats, freedom: float) -> Floats:
    """Student's intervals, participants × (low, high); without bounds where nothing is known of the errors."""
    if freedom < 1:
        return np.column_stack((np.full(len(values), -np.inf), np.full(len(values), np.inf)))
    reach = errors * (
        special.ndtri((1 + CONFIDENCE) / 2)
        if math.isinf(freedom)
        else special.stdtrit(freedom, (1 + CONFIDENCE) / 2)
    )
    return np.column_stack((values - reach, values + reach))


def find_rank_intervals(spread: Spread, ranks: npt.NDArray[np.int64]) -> Floats:
    """Each participant's possible ranks, participants × (low, high), in whole numbers; ``ranks`` are among them.

    A participant's best possible rank is one more than the number of those who are surely better, its worst possible
    one is the number of those who are not surely worse (Mogstad, Romano, Shaikh and Wilhelm, Inference for ranks with
    applications to mobility across neighbourhoods and academic achievement across countries, 2024). Surely: by
    Student's statistic of the difference beyond Dunnett's critical value, so that the interval holds for all of the
    participant's comparisons at once. Resampling ranks claims too much: equal participants differ in a sample, and its
    resamples repeat that difference.

    Of few datasets, the variance of one difference can be small by chance; it is taken half from the mean variance
    over all pairs, as moderated t-statistics do (Smyth, Linear models and empirical Bayes methods for assessing
    differential expression in microarray experiments, 2004).
    """
    p = len(spread.values)
    if p < 2:
        return np.ones((p, 2))
    if spread.freedom < 1:
        return np.tile(np.array([1.0, p]), (p, 1))
    beyond = dunnett_critical(p - 1, spread.freedom)
    variances = (spread.deviations**2).sum(axis=1)
    total = float((spread.deviations.sum(axis=0) ** 2).sum())
    pooled = max(0.0, 2 * (p * float(variances.sum()) - total) / (p * (p - 1)))
    better, worse = np.zeros(p), np.zeros(p)
    step = max(1, _CELLS // p)
    for start in range(0, p, step):
        rows = slice(start, start + step)
        shared = spread.deviations[rows] @ spread.deviations.T
        own = np.maximum(variances[rows, None] + variances[None, :] - 2 * shared, 0.0)
        reach = beyond * np.sqrt((own + pooled) / 2)
        apart = spread.values[rows, None] - spread.values[None, :]
        # Sums of the same ranks in another order differ in their last bits.
        slack = 1e-9 * (1 + np.abs(spread.values[rows, None]))
        better[rows] = (apart > reach + slack).sum(axis=1)
        worse[rows] = (apart < -reach - slack).sum(axis=1)
    return np.column_stack((np.minimum(1 + better, ranks), np.maximum(p - worse, ranks)))


def find_copeland_intervals(places: Floats, ranks: npt.NDArray[np.int64]) -> Floats:
    """As :func:`find_rank_intervals`, of ranks by Copeland's score. ``places``: on each dataset, 1 is best.

    The score counts pairs that are won on most datasets, so it is no mean over datasets. Of each pair the sign test
    says whether it is surely won, at a level for all pairs at once; what is not sure could be won or lost.
    """
    p, n = places.shape
    if p < 2:
        return np.ones((p, 2))
    beyond = dunnett_critical(p * (p - 1) // 2, math.inf)
    wins, losses = np.zeros(p), np.zeros(p)
    step = max(1, _CELLS // (p * n))
    for start in range(0, p, step):
        rows = slice(start, start + step)
        signs = np.sign(places[None, :, :] - places[rows, None, :])
        margin, decided = signs.sum(axis=2), (signs**2).sum(axis=2)
        sure = np.abs(margin) > beyond * np.sqrt(decided) + 1e-9
        wins[rows], losses[rows] = (sure & (margin > 0)).sum(axis=1), (sure & (margin < 0)).sum(axis=1)
    fewest, most = np.sort(wins), np.sort(p - 1 - losses)
    better = p - np.searchsorted(fewest, p - 1 - losses, side="right")
    worse = np.searchsorted(most, wins, side="left")
    return np.column_stack((np.minimum(1 + better, ranks), np.maximum(p - worse, ranks)))


def describe_places(
    names: Sequence[str],
    intervals: Floats,
    datasets: int,
    who: str = "teams",
    condition: str = OTHER_DATASETS,
) -> str:
    """Which places can be told apart, in words. ``names`` and ``intervals``: best first."""
    if len(names) < 2:
        return ""
    if not enough_datasets(len(names), datasets) and condition == OTHER_DATASETS:
        counted = "One dataset tells" if datasets == 1 else f"{datasets} datasets tell"
        return (
            f"{counted} no two places apart: with fewer than {_fewest(len(names))}, even one that is better on all of "
            "them may be so by chance."
        )
    if (intervals == [1, len(names)]).all():
        return f"{condition}, no two places can be told apart at 95 % confidence."
    first = [name for name, (low, _) in zip(names, intervals, strict=True) if low == 1]
    if len(first) == 1:
        said = f"{condition}, {first[0]} would still be the first at 95 % confidence."
    else:
        named = ", ".join(first[:MOST_NAMED]) + (", …" if len(first) > MOST_NAMED else "")
        said = f"{condition}, each of {len(first)} {who} could be the first at 95 % confidence: {named}."
    own = int((intervals[:, 0] == intervals[:, 1]).sum())
    return f"{said} {own} of {len(names)} {who} have a place that no other could have."


@cache
def dunnett_critical(comparisons: int, freedom: float) -> float:
    """Two-sided critical value of the largest of so many Student's statistics that share one of their two means.

    Dunnett, A multiple comparison procedure for comparing several treatments with a control (1955): with equal
    variances the statistics have correlations of ½, so given the shared mean and the estimate of the variance they
    are independent.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    weights = weights / weights.sum()
    quantiles = (np.arange(512) + 0.5) / 512
    scale = np.ones(1) if math.isinf(freedom) else np.sqrt(special.chdtri(freedom, quantiles) / freedom)
    low, high = 1.0, 2.0

    def covers(critical: float) -> bool:
        reach = critical * scale[:, None] * math.sqrt(2)
        inside = special.ndtr(reach + nodes) - special.ndtr(-reach + nodes)
        return bool(np.mean((inside**comparisons) @ weights) >= CONFIDENCE)

    while not covers(high):
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if covers(middle) else (middle, high)
    return high
