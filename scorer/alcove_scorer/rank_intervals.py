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

from alcove_scorer.ranks import Method, dataset_ranks, dataset_values

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
CONFIDENCE = 0.95
FEWEST_DATASETS = 5
"""With fewer, no two participants are told apart: even if one is better on all four, that is a chance of one in
eight."""
FEWEST_FOR_TWO = 6
"""The same of two participants, who have no others to learn the variance from: with five datasets, 93 % is covered."""
OTHER_DATASETS = "With other datasets of the same kind"
MOST_NAMED = 8
"""Participants in a sentence."""
MOST_PARTICIPANTS, MOST_DATASETS, TABLES = 20, 50, 4000
"""Size and number of the tables of :func:`widen_for_ranks`; larger tables are taken as of this size."""
_OF_RANKS: frozenset[Method] = frozenset(("average", "mean-minus-std", "success-rate"))
_CELLS = 1 << 18
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


def find_board_intervals(scores: Floats, method: Method, baseline: Floats | None, ranks: Ints) -> Floats:
    """Possible ranks, participants × (low, high), with other datasets of the same kind.

    ``scores``, ``method`` and ``baseline`` as for :func:`alcove_scorer.ranks.rank_participants`, which gave ``ranks``.
    """
    if not enough_datasets(*scores.shape):
        return np.tile(np.array([1.0, len(scores)]), (len(scores), 1))
    values = dataset_values(scores, method, baseline)
    if values is None:
        return find_copeland_intervals(dataset_ranks(scores), ranks)
    widening = find_widening(scores, method)
    return find_rank_intervals(spread_over_datasets(values), ranks, widening)


def find_widening(scores: Floats, method: Method) -> float:
    """Of critical values for what the method orders by. ``scores``: participants × datasets."""
    participants, datasets = scores.shape
    return widen_for_ranks(participants, datasets) if method in _OF_RANKS and participants > 1 else 1.0


def spread_over_resamples(
    values: Floats, resampled: Floats, freedom: float, inflation: float = 1.0
) -> Spread:
    """Of values over the resamples of a bootstrap (Efron, Bootstrap methods: another look at the jackknife, 1979).

    Args:
        values: of the participants, lower is better.
        resampled: participants × resamples.
        freedom: of the units that were resampled.
        inflation: of variances; a bootstrap of n units gives (n − 1)/n of the variance.
    """
    deviations = resampled - resampled.mean(axis=1, keepdims=True)
    return Spread(values, deviations * math.sqrt(inflation / (resampled.shape[1] - 1)), freedom)


def find_value_intervals(values: Floats, errors: Floats, freedom: Floats | float) -> Floats:
    """Student's intervals (The probable error of a mean, 1908), participants × (low, high); without bounds where
    nothing is known of the errors.

    ``freedom``: degrees of freedom of the errors, of all or one for each; infinite where they are as good as known,
    below 1 where nothing is known of them.
    """
    from scipy import special  # two tenths of a second to load, which not every board needs

    level = (1 + CONFIDENCE) / 2
    critical = np.where(
        np.isinf(freedom), special.ndtri(level), special.stdtrit(np.maximum(freedom, 1), level)
    )
    reach = np.where(np.asarray(freedom) < 1, np.inf, errors * critical)
    return np.column_stack((values - reach, values + reach))


def find_rank_intervals(spread: Spread, ranks: Ints, widening: float = 1.0) -> Floats:
    """Each participant's possible ranks, participants × (low, high), in whole numbers; ``ranks`` are among them.

    A participant's best possible rank is one more than the number of those who are surely better, its worst possible
    one is the number of those who are not surely worse (Mogstad, Romano, Shaikh and Wilhelm, Inference for ranks with
    applications to mobility across neighbourhoods and academic achievement across countries, 2024). Surely: so that
    the interval holds for all of the participant's comparisons at once. Of those that are surely apart no error is
    left to fear, so that the others are compared once more, as if they were all (Romano and Wolf, Stepwise multiple
    testing as formalized data snooping, 2005). Resampling ranks claims too much: equal participants differ in a sample,
    and its resamples repeat that difference.

    Of few datasets, the variance of one difference can be small by chance; it is taken half from the mean variance
    over all pairs, as moderated t-statistics do (Smyth, Linear models and empirical Bayes methods for assessing
    differential expression in microarray experiments, 2004). ``widening``: of critical values, by
    :func:`widen_for_ranks` where values are ranks.
    """
    p = len(spread.values)
    if p < 2:
        return np.ones((p, 2))
    if spread.freedom < 1:
        return np.tile(np.array([1.0, p]), (p, 1))
    variances = (spread.deviations**2).sum(axis=1)
    total = float((spread.deviations.sum(axis=0) ** 2).sum())
    pooled = max(0.0, 2 * (p * float(variances.sum()) - total) / (p * (p - 1)))
    better, worse = np.zeros(p), np.zeros(p)
    step = max(1, _CELLS // p)
    for start in range(0, p, step):
        rows = slice(start, start + step)
        # In place: of thousands of participants this takes most of the time.
        shared = spread.deviations[rows] @ spread.deviations.T
        shared *= 2
        errors = variances[rows, None] + variances[None, :]
        errors -= shared
        np.maximum(errors, 0.0, out=errors)
        errors += pooled
        errors /= 2
        np.sqrt(errors, out=errors)
        apart = spread.values[rows, None] - spread.values[None, :]
        # Sums of the same ranks in another order differ in their last bits.
        statistics = np.abs(apart)
        statistics -= 1e-9 * (1 + np.abs(spread.values[rows, None]))
        with np.errstate(divide="ignore"):
            statistics /= errors
        sure = _find_apart(statistics, p, spread.freedom, widening)
        better[rows], worse[rows] = (sure & (apart > 0)).sum(axis=1), (sure & (apart < 0)).sum(axis=1)
    return np.column_stack((np.minimum(1 + better, ranks), np.maximum(p - worse, ranks)))


def _find_apart(
    statistics: Floats, participants: int, freedom: float, widening: float
) -> npt.NDArray[np.bool_]:
    """Which comparisons (rows × participants) are sure, each row's at once; step by step, until no more are."""
    left = np.full(len(statistics), participants - 1)
    while True:
        # Rounded up, so that few critical values are computed.
        compared = np.minimum(participants - 1, 1 << np.ceil(np.log2(left)).astype(np.int64))
        beyond = np.empty(len(left))
        for count in np.unique(compared).tolist():
            beyond[compared == count] = widening * find_critical_value(count, freedom, participants)
        sure: npt.NDArray[np.bool_] = statistics > beyond[:, None]
        still = np.maximum(1, participants - 1 - sure.sum(axis=1))
        if (still >= left).all():
            return sure
        left = still


def find_copeland_intervals(places: Floats, ranks: Ints) -> Floats:
    """As :func:`find_rank_intervals`, of ranks by Copeland's score. ``places``: on each dataset, 1 is best.

    The score counts pairs that are won on most datasets, so it is no mean over datasets. Of each pair the sign test
    says whether it is surely won, at a level for all pairs at once; what is not sure could be won or lost.
    Defined here, of the sign test with its normal approximation (Dixon and Mood, The statistical sign test, 1946).
    """
    p, n = places.shape
    if p < 2:
        return np.ones((p, 2))
    beyond = find_critical_value(p * (p - 1) // 2, math.inf)
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
        more = f" and {len(first) - MOST_NAMED} more" if len(first) > MOST_NAMED else ""
        named = ", ".join(first[:MOST_NAMED]) + more
        said = f"{condition}, each of {len(first)} {who} could be the first at 95 % confidence: {named}."
    own = int((intervals[:, 0] == intervals[:, 1]).sum())
    return f"{said} {own} of {len(names)} {who} have a place that no other could have."


@cache
def find_critical_value(comparisons: int, freedom: float, participants: int = 2) -> float:
    """What the largest of so many two-sided statistics of differences to one participant is beyond in 1 of 20 cases.

    With known variances it is Dunnett's (A multiple comparison procedure for comparing several treatments with a
    control, 1955): the differences have correlations of ½, so given the one participant they are independent. With
    ``freedom`` degrees of freedom, half of a variance is the difference's own and half the mean over all pairs of
    ``participants``, of which it is one; own variances are taken as independent of each other. Of two participants it
    is Student's.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(32)
    weights = weights / weights.sum()
    own_variances, peer_variances = (
        _draw_variances(freedom, 64),
        _draw_variances(freedom * (participants - 2) if participants > 2 else 0.0, 8),
    )
    mean = (own_variances[None, :] + (participants - 2) * peer_variances[:, None]) / (participants - 1)
    scale = np.sqrt((own_variances[None, :] + mean) / 2)[:, :, None]
    low, high = 1.0, 2.0
    from scipy import special

    def covers(critical: float) -> bool:
        reach = critical * scale * math.sqrt(2)
        inside = (special.ndtr(reach + nodes) - special.ndtr(-reach + nodes)).mean(axis=1)
        return bool(np.mean((inside**comparisons) @ weights) >= CONFIDENCE)

    while not covers(high):
        low, high = high, 2 * high
    for _ in range(25):
        middle = (low + high) / 2
        low, high = (low, middle) if covers(middle) else (middle, high)
    return high


def _draw_variances(freedom: float, count: int) -> Floats:
    """Estimates of a variance of 1, at evenly spaced quantiles."""
    if freedom == 0 or math.isinf(freedom):
        return np.ones(1)
    from scipy import special

    quantiles: Floats = special.chdtri(freedom, (np.arange(count) + 0.5) / count) / freedom
    return quantiles


@cache
def widen_for_ranks(participants: int, datasets: int) -> float:
    """What critical values are multiplied by where values are ranks: few of these are far from normal.

    Defined here and simulated: the 95th percentile of the largest statistic where all are equal, so that every order on
    every dataset is as likely, over what it is of normal values.
    """
    p, datasets = min(participants, MOST_PARTICIPANTS), min(datasets, MOST_DATASETS)
    rng = np.random.default_rng(0)
    orders = rng.permuted(np.broadcast_to(np.arange(p, dtype=np.float64), (TABLES, datasets, p)), axis=2)
    means = orders.mean(axis=1)
    deviations = (orders - means[:, None]).swapaxes(1, 2) / math.sqrt(datasets * (datasets - 1))
    shared = deviations @ deviations.swapaxes(1, 2)
    variances = np.diagonal(shared, axis1=1, axis2=2)
    own = np.maximum(variances[:, :, None] + variances[:, None, :] - 2 * shared, 0.0)
    pooled = own.sum(axis=(1, 2), keepdims=True) / (p * (p - 1))
    apart = np.abs(means[:, :, None] - means[:, None, :])
    with np.errstate(divide="ignore"):
        statistics = (apart - 1e-9) / np.sqrt((own + pooled) / 2)
    beyond = float(np.quantile(statistics.max(axis=2), CONFIDENCE, method="higher"))
    return max(1.0, beyond / find_critical_value(p - 1, datasets - 1, p))
