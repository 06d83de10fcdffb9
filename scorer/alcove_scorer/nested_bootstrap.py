"""Datasets, runs and test examples that all could have been others: a nested bootstrap that counts nothing twice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from alcove_scorer.errors import InputError
from alcove_scorer.rank_intervals import Spread, spread_over_resamples
from alcove_scorer.ranks import combine_repeats

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Evaluate = Callable[[Floats, Ints], Floats]
"""Values by dataset, whose mean orders participants and is lower for the better: from scores (participants × datasets)
and the numbers of these datasets. A dataset may be there several times."""
_CELLS = 1 << 18
"""Scores of resampled tables that are worked on at once."""
NOISE_DRAWS = 200
"""From which the variance of runs and examples is estimated."""


@dataclass(frozen=True)
class Table:
    """What is uncertain. Higher scores are better.

    ``repeats``: participants × datasets × repeats. ``examples``: participants × datasets × resamples of test examples,
    None where no predictions are there. ``run_by_example``: which part of the variance over these resamples the runs
    have made, participants × datasets: see :func:`remove_run_by_example`.
    """

    repeats: Floats
    penalty: float
    examples: Floats | None = None
    run_by_example: Floats | None = None


def check_resampled(table: Table) -> None:
    """Raises InputError where there is nothing to draw within a dataset: neither repeats nor predictions."""
    if table.repeats.shape[2] < 2 and table.examples is None:
        raise InputError(
            "--uncertainty all: expected repeats of each run, in a column repeat, or --predictions"
        )


def resample_nested(table: Table, evaluate: Evaluate, resamples: int, seed: int) -> Spread:
    """Spread of the values: datasets are drawn, and within each its runs and its examples.

    Differences between datasets have the noise of runs and examples in them, so that drawing both counts that noise
    twice (Davison and Hinkley, Bootstrap methods and their application, 1997, section 3.8). The scores from which
    datasets are drawn therefore differ less, by what the noise adds: see :func:`remove_noise`. For mean scores no draws
    are needed: their variance is that of :func:`alcove_scorer.rank_intervals.spread_over_datasets`.

    Raises:
        InputError: there are neither repeats nor predictions.
    """
    check_resampled(table)
    table = remove_run_by_example(table)
    scores = combine_repeats(table.repeats, table.penalty)
    participants, datasets = scores.shape
    rng = np.random.default_rng(seed)
    noise = draw_noise(table, scores, np.tile(np.arange(datasets), NOISE_DRAWS), rng)
    quiet = remove_noise(scores, np.moveaxis(noise.reshape(participants, NOISE_DRAWS, datasets), 1, 0))
    values = np.empty((participants, resamples))
    for some in chunk_resamples(resamples, scores.size):
        columns = rng.integers(0, datasets, len(some) * datasets)
        found = evaluate(quiet[:, columns] + draw_noise(table, scores, columns, rng), columns)
        values[:, some] = found.reshape(participants, len(some), datasets).mean(axis=2)
    # A bootstrap of n datasets has (n − 1)/n of the variance.
    freedom = datasets - 1
    inflation = datasets / freedom if freedom else 1.0
    shown = evaluate(scores, np.arange(datasets)).mean(axis=1)
    return spread_over_resamples(shown, values, freedom, inflation)


def chunk_resamples(resamples: int, cells: int) -> Iterator[range]:
    """Numbers of the resamples, as many at once as memory has room for. ``cells``: of one resample."""
    step = max(1, _CELLS // cells)
    for start in range(0, resamples, step):
        yield range(start, min(start + step, resamples))


def remove_run_by_example(table: Table) -> Table:
    """The table with resamples of test examples that vary by what examples alone make.

    On which examples a run errs is partly its own luck: another run errs on others. That part of the variance is seen
    among runs on one test set, and among test sets of one run. It is counted with the runs, so that the variance of a
    score is the mean variance over runs of one test set plus the variance over test sets of the score that is expected
    over runs (Searle, Casella and McCulloch, Variance components, 1992, of two factors that are crossed).
    """
    if table.examples is None or table.run_by_example is None:
        return table
    centre = table.examples.mean(axis=2, keepdims=True)
    left = _share_left(table.examples.var(axis=2, ddof=1), table.run_by_example)
    return replace(table, examples=centre + (table.examples - centre) * left[:, :, None])


def estimate_run_by_example(areas: Floats, penalty: float) -> float:
    """Which part of the variance of :func:`alcove_scorer.ranks.combine_repeats` over test examples runs have made.

    By the method of moments: the mean variance of a run is that of examples plus that of run by example, and the
    variance of the mean of n runs has one n-th of the latter (Searle, Casella and McCulloch, 1992). ``penalty`` times
    the standard deviation adds the square of it, by the delta method.

    Args:
        areas: resamples × repeats, one participant's on one dataset; both more than one.
        penalty: of the standard deviation.
    """
    repeats = areas.shape[1]
    own, shared = float(areas.var(axis=0, ddof=1).mean()), float(areas.mean(axis=1).var(ddof=1))
    found: float = max(0.0, own - shared) / (repeats - 1) * (1 + penalty**2)
    return found


def draw_noise(table: Table, scores: Floats, columns: Ints, rng: np.random.Generator) -> Floats:
    """What other runs and other examples on these datasets add to the scores, participants × datasets.

    A dataset that is there twice has two draws of its own. Examples are the same for all participants.
    """
    noise = np.zeros((len(scores), len(columns)))
    repeats = table.repeats.shape[2]
    if repeats > 1:
        drawn = combine_repeats(draw_runs(table.repeats, columns, rng), table.penalty)
        # A bootstrap of n runs has (n − 1)/n of the variance.
        noise += (drawn - scores[:, columns]) * math.sqrt(repeats / (repeats - 1))
    if table.examples is not None:
        which = rng.integers(0, table.examples.shape[2], len(columns))
        noise += table.examples[:, columns, which] - table.examples[:, columns].mean(axis=2)
    return noise


def draw_runs(repeats: Floats, columns: Ints, rng: np.random.Generator) -> Floats:
    """As many runs again as there are, of each participant on each of the datasets.

    ``repeats``: participants × datasets × repeats; ``columns``: numbers of datasets. Participants × columns × repeats.
    """
    participants, datasets, n = repeats.shape
    first = (np.arange(participants)[:, None] * datasets + columns) * n
    # Repeats come first in memory, so that sums over them are sums of long rows. Small numbers are drawn sooner.
    chosen = rng.integers(0, n, (n, *first.shape), np.min_scalar_type(n - 1))
    drawn = repeats.reshape(-1).take(first + chosen)
    return np.moveaxis(drawn, 0, 2)


def remove_noise(scores: Floats, noise: Floats) -> Floats:
    """Scores whose spread over datasets, with such noise added to them, is that of the scores.

    What a dataset adds to all participants and what is left of a participant's scores are made smaller, each by the
    share of its variance that noise alone makes; of the second, participant by participant. Defined here, of the
    variance that is counted twice (Davison and Hinkley, 1997, section 3.8). So variances are as before on the mean; of
    a few participants on a few datasets, where noise can seem to make more than all of the variance, they are larger.

    Args:
        scores: participants × datasets; a participant with a missing run (NaN) keeps its scores.
        noise: draws × participants × datasets.
    """
    complete = ~np.isnan(scores).any(axis=1)
    participants, datasets = int(complete.sum()), scores.shape[1]
    if participants == 0 or datasets < 2:
        return scores
    found, drawn = scores[complete], noise[:, complete]
    means = found.mean(axis=1, keepdims=True)
    shared = found.mean(axis=0) - found.mean()
    own = found - means - shared
    drawn_shared = drawn.mean(axis=1, keepdims=True)
    # The bootstrap divides sums of squares by n, and is corrected for that as a whole.
    quiet_shared = shared * _share_left((shared**2).mean(), drawn_shared.var(axis=0).mean())
    noise_of_own = (drawn - drawn_shared).var(axis=0).mean(axis=1, keepdims=True)
    quiet_own = own * _share_left((own**2).mean(axis=1, keepdims=True), noise_of_own)
    out = scores.copy()
    out[complete] = means + quiet_shared + quiet_own
    return out


def _share_left(variance: Floats, noise: Floats) -> Floats:
    """What deviations are multiplied by, so that with the noise their variance is as before."""
    left = np.divide(noise, variance, out=np.ones(np.shape(noise)), where=variance > 0)
    found: Floats = np.sqrt(np.maximum(0.0, 1.0 - left))
    return found
