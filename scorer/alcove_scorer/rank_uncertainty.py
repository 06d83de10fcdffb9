"""What ranks and mean scores of a table would be with other datasets, other runs or other test examples."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from alcove_scorer.errors import InputError
from alcove_scorer.nested_bootstrap import (
    NOISE_DRAWS,
    Evaluate,
    Table,
    check_resampled,
    chunk_resamples,
    draw_runs,
    remove_run_by_example,
    resample_nested,
)
from alcove_scorer.rank_intervals import (
    CONFIDENCE,
    OTHER_DATASETS,
    Spread,
    enough_datasets,
    find_board_intervals,
    find_rank_intervals,
    find_value_intervals,
    find_widening,
    spread_over_datasets,
    spread_over_resamples,
)
from alcove_scorer.ranks import Ranking, combine_repeats, dataset_values

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Source = Literal["datasets", "runs", "examples", "all"]
SOURCES: tuple[Source, ...] = get_args(Source)
CONDITIONS: dict[Source, str] = {
    "datasets": OTHER_DATASETS,
    "runs": "With every run repeated on these datasets",
    "examples": "With other test examples of these datasets",
    "all": OTHER_DATASETS,
}


@dataclass(frozen=True)
class Uncertainty:
    source: Source
    ranks: Floats
    """Participants × (low, high)."""
    means: Floats
    """Participants × (mean score, low, high); without bounds where nothing is known, NaN where a run is missing."""
    shares: dict[str, float] | None = None
    """Of ``all``: which share of the mean scores' variance comes from runs, from examples, and from datasets."""


FindBaseline = Callable[[Floats, Ints], Floats | None]
"""What the method compares with, from scores (participants × datasets) and the numbers of these datasets."""


def measure_uncertainty(
    table: Table,
    source: Source,
    ranking: Ranking,
    find_baseline: FindBaseline,
    resamples: int,
    seed: int,
) -> Uncertainty:
    """Intervals of 95 % of the ranks and of the mean scores.

    Args:
        table: the scores.
        source: what else could have been; ``all`` also says which share each source has.
        ranking: of the table.
        find_baseline: for the ranking's method.
        resamples: of the bootstrap.
        seed: of its draws.

    Raises:
        InputError: there are no repeats, or no predictions, to resample.
    """
    scores = combine_repeats(table.repeats, table.penalty)
    datasets = np.arange(scores.shape[1])

    def evaluate(drawn: Floats, columns: Ints) -> Floats:
        values = dataset_values(drawn, ranking.method, find_baseline(drawn, columns))
        if values is None:
            raise InputError(
                f"--uncertainty {source}: expected another method than {ranking.method}, whose score is no mean"
            )
        return values

    means: Spread = spread_over_datasets(scores)
    freedom: Floats | float = means.freedom
    if source == "all":
        check_resampled(table)
    # Copeland's score is no mean, and few datasets tell nothing: these intervals are those of datasets alone.
    nested = source == "all" and ranking.method != "copeland" and enough_datasets(*scores.shape)
    if nested:
        values = resample_nested(table, evaluate, resamples, seed)
        ranks = find_rank_intervals(values, ranking.rank, find_widening(scores, ranking.method))
    elif source in ("datasets", "all"):
        ranks = find_board_intervals(scores, ranking.method, find_baseline(scores, datasets), ranking.rank)
    else:
        values, means = _over_draws(scores, *_draw(table, source, resamples, seed), evaluate)
        ranks = find_rank_intervals(values, ranking.rank)
        freedom = count_freedom_of_runs(table.repeats) if source == "runs" else means.freedom
    intervals = find_value_intervals(means.values, means.errors, freedom)
    return Uncertainty(
        source,
        ranks,
        np.column_stack((means.values, intervals)),
        _share_variance(table, means, min(resamples, NOISE_DRAWS), seed) if source == "all" else None,
    )


def _over_draws(
    scores: Floats,
    drawn: Floats,
    freedom: float,
    evaluate: Evaluate,
) -> tuple[Spread, Spread]:
    """``drawn``: resamples × participants × datasets."""
    datasets = np.arange(scores.shape[1])
    moved = shrink_scores(scores, drawn.var(axis=0, ddof=1)) - scores
    values = np.empty((len(scores), len(drawn)))
    for some in chunk_resamples(len(drawn), scores.size):
        columns = np.moveaxis(drawn[some] + moved, 0, 1).reshape(len(scores), -1)
        found = evaluate(columns, np.tile(datasets, len(some)))
        values[:, some] = found.reshape(len(scores), len(some), -1).mean(axis=2)
    return (
        spread_over_resamples(evaluate(scores, datasets).mean(axis=1), values, freedom),
        spread_over_resamples(scores.mean(axis=1), drawn.mean(axis=2).T, freedom),
    )


def shrink_scores(scores: Floats, variances: Floats) -> Floats:
    """Scores moved together, on each dataset by the share of their differences that noise alone would make.

    Resampled scores lie around those that were seen, so their ranks differ less than ranks of equals do, and a
    bootstrap around the scores themselves claims too much: of eight equal participants with five repeats, it covers
    82 %. Around scores that are shrunk it does not (Efron and Morris, Stein's estimation rule and its competitors,
    1973). Where noise alone makes such differences in more than one of 20 cases, they are shrunk to nothing.

    Args:
        scores: participants × datasets, NaN where a run is missing.
        variances: of each score.
    """
    from scipy import special  # two tenths of a second to load, which not every board needs

    out = scores.copy()
    for column, values in enumerate(scores.T):
        finished = ~np.isnan(values)
        if finished.sum() < 2:
            continue
        centre, spread = values[finished].mean(), values[finished].var(ddof=1)
        noise = float(variances[finished, column].mean())
        freedom = int(finished.sum()) - 1
        # Of equals, spread over noise has the distribution of χ² over its degrees of freedom.
        by_chance = float(special.chdtri(freedom, 1 - CONFIDENCE)) / freedom
        factor = 1.0 - noise / spread if spread > noise * by_chance else 0.0
        out[finished, column] = centre + factor * (values[finished] - centre)
    return out


def _draw(table: Table, source: Source, resamples: int, seed: int) -> tuple[Floats, float]:
    """Tables (resamples × participants × datasets), and the degrees of freedom of their variances."""
    if source == "examples":
        if table.examples is None:
            raise InputError(
                "--uncertainty examples: expected --predictions, a folder with every run's predictions"
            )
        return np.moveaxis(table.examples, 2, 0), math.inf
    repeats = table.repeats.shape[2]
    if repeats < 2:
        raise InputError("--uncertainty runs: expected repeats of each run, in a column repeat")
    rng = np.random.default_rng(seed)
    gone = np.isnan(table.repeats).any(axis=2)
    drawn = np.empty((resamples, *gone.shape))
    for some in chunk_resamples(resamples, table.repeats.size):
        columns = np.tile(np.arange(gone.shape[1]), len(some))
        found = combine_repeats(draw_runs(table.repeats, columns, rng), table.penalty)
        drawn[some] = np.moveaxis(found.reshape(gone.shape[0], len(some), gone.shape[1]), 1, 0)
    drawn[:, gone] = np.nan
    # A bootstrap of n runs has (n − 1)/n of the variance. Scores are put right, since ranks by them may not be: those
    # of equals vary as much as ranks can, however little scores do.
    centre = combine_repeats(table.repeats, table.penalty)
    return centre + (drawn - centre) * math.sqrt(repeats / (repeats - 1)), gone.shape[1] * (repeats - 1)


def count_freedom_of_runs(repeats: Floats) -> Floats:
    """Of the variance of each participant's mean score, whose runs may differ more on some datasets than on others.

    Satterthwaite's (An approximate distribution of estimates of variance components, 1946). ``repeats``: participants ×
    datasets × repeats.
    """
    datasets, freedom = repeats.shape[1], repeats.shape[2] - 1
    variances = repeats.var(axis=2, ddof=1)
    squares = (variances**2).sum(axis=1) / freedom
    total = variances.sum(axis=1) ** 2
    found = np.divide(total, squares, out=np.full(len(repeats), np.inf), where=squares > 0)
    bounded: Floats = np.clip(found, freedom, datasets * freedom)
    return bounded


def _share_variance(table: Table, means: Spread, resamples: int, seed: int) -> dict[str, float]:
    """The mean over participants of the variance of their mean scores, by where it comes from; sums to 1.

    Each variance is within what the next one varies over, so that none is in two shares: of runs on one test set, of
    test sets of one dataset, of datasets. See :func:`alcove_scorer.nested_bootstrap.remove_run_by_example`. Where what
    runs and examples make is estimated to be more than all there is, datasets have no share.
    """
    table = remove_run_by_example(table)
    found: dict[str, float] = {}
    if table.repeats.shape[2] > 1:
        found["runs"] = _variance(table, "runs", resamples, seed)
    if table.examples is not None:
        found["examples"] = _variance(table, "examples", resamples, seed)
    noise = sum(found.values())
    total = max(float(np.nanmean(means.errors**2)), noise)
    if not total > 0:
        return dict.fromkeys((*found, "datasets"), 0.0)
    return {name: variance / total for name, variance in (*found.items(), ("datasets", total - noise))}


def _variance(table: Table, source: Source, resamples: int, seed: int) -> float:
    drawn, _ = _draw(table, source, resamples, seed)
    return float(np.nanmean(drawn.mean(axis=2).var(axis=0, ddof=1)))
