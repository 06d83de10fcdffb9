"""Do intervals of 95 % hold what they promise? Competitions whose true order is known, as many as are asked for.

    python -m bench.calibration [datasets] [sources] [all] [narrow] [--competitions 2000] [--quick]

Prints tables in Markdown, all of them or those that are named: how often the intervals that `alcove rank` gives cover
what is true, and how wide they are. Beside them stand the percentile bootstrap of ranks, the nested bootstrap that
counts noise twice, and what narrower intervals would cover. Each row has draws of its own, so that tables made apart
have the numbers of tables made together.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from alcove_scorer.example_bootstrap import draw_examples
from alcove_scorer.metrics import BalancedAccuracy
from alcove_scorer.nested_bootstrap import Table, draw_runs
from alcove_scorer.rank_intervals import (
    Spread,
    find_rank_intervals,
    find_value_intervals,
    spread_over_datasets,
    spread_over_resamples,
    widen_for_ranks,
)
from alcove_scorer.rank_uncertainty import Source, measure_uncertainty
from alcove_scorer.ranks import Method, compute_values, dataset_ranks, rank_participants
from alcove_scorer.resampled_scores import find_resampled_scorer

Floats = npt.NDArray[np.float64]
COMPETITIONS = 2000
"""Of each kind."""
OUTLIER = 6
"""How many times as large the noise on one dataset is, where there is an outlier."""


@dataclass(frozen=True)
class World:
    """Scores are quality + what a dataset adds to all + noise, normal of standard deviation 1 unless said otherwise."""

    name: str
    quality: Callable[[int], Floats]
    outlier: bool = False
    """Whether on one dataset, any of them, the noise is :data:`OUTLIER` times as large."""
    unequal: bool = False
    """Whether the noise of every second participant is four times as large."""
    heavy: bool = False
    """Whether the noise is Student's with three degrees of freedom."""
    rounded: bool = False
    """Whether scores are rounded to whole numbers, so that many are tied."""

    def seed(self, *sizes: int) -> list[int]:
        """Another one for each world. Methods and widths of intervals are compared on the same competitions."""
        return [*sizes, *self.name.encode()]


WORLDS = (
    World("all equal", np.zeros),
    World("two groups of equals", lambda p: np.where(np.arange(p) < p // 2, 1.0, 0.0)),
    World("near ties", lambda p: np.linspace(1, 0, p)),
    World("far apart", lambda p: -np.arange(p, dtype=np.float64)),
    World("near ties, one outlier dataset", lambda p: np.linspace(1, 0, p), outlier=True),
    World("all equal, unequal variances", np.zeros, unequal=True),
    World("all equal, heavy tails", np.zeros, heavy=True),
    World("all equal, rounded with ties", np.zeros, rounded=True),
)
WITHIN_DATASETS = tuple(
    world for world in WORLDS if world.name in ("all equal", "near ties", "near ties, one outlier dataset")
)
"""For runs and examples."""
SIZES = ((2, 5), (5, 5), (20, 5), (5, 10), (20, 10), (5, 20), (20, 20), (100, 20), (20, 50))


@dataclass
class Coverage:
    ranks: float = 0.0
    width: float = 0.0
    """Places of an interval, of all."""
    means: float = 0.0
    competitions: int = 0
    squared_ranks: float = 0.0
    """Sum over competitions of the squared share of ranks that are covered, for the standard error."""
    by_participant: npt.NDArray[np.int64] | int = 0
    """In how many competitions the rank of each participant is covered."""

    def add(self, found: Floats, truth: Floats, means: Floats, quality: Floats) -> None:
        each = (found[:, 0] <= truth[:, 0]) & (found[:, 1] >= truth[:, 1])
        covered = float(each.mean())
        self.by_participant = self.by_participant + each
        self.ranks += covered
        self.squared_ranks += covered**2
        self.width += float((found[:, 1] - found[:, 0] + 1).mean()) / len(found)
        self.means += float(((means[:, 1] <= quality) & (means[:, 2] >= quality)).mean())
        self.competitions += 1

    def columns(self) -> str:
        n = max(1, self.competitions)
        return (
            f"{100 * self.ranks / n:.1f} % ± {100 * self.error:.1f} | "
            f"{100 * float(np.min(self.by_participant)) / n:.1f} % | {100 * self.width / n:.0f} % | "
            f"{100 * self.means / n:.1f} % | {n:,}"
        )

    @property
    def error(self) -> float:
        """Standard error of the share of ranks that are covered, competitions being independent."""
        n = max(1, self.competitions)
        return math.sqrt(max(0.0, self.squared_ranks / n - (self.ranks / n) ** 2) / max(1, n - 1))


def true_ranks(quality: Floats) -> Floats:
    """The first and the last rank that equals share."""
    low, high = (rankdata(-np.round(quality, 9), how) for how in ("min", "max"))
    return np.column_stack((low, high))


def draw_scores(world: World, quality: Floats, datasets: int, rng: np.random.Generator) -> Floats:
    size = (len(quality), datasets)
    noise = rng.standard_t(3, size) if world.heavy else rng.normal(size=size)
    if world.unequal:
        noise[::2] *= 4
    if world.outlier:
        noise[:, rng.integers(datasets)] *= OUTLIER
    scores: Floats = quality[:, None] + rng.normal(size=datasets) + noise
    return np.round(scores) if world.rounded else scores


def measure(
    repeats: Floats,
    source: Source,
    method: Method = "average",
    examples: Floats | None = None,
    resamples: int = 300,
) -> tuple[Floats, Floats]:
    scores = repeats.mean(axis=2)
    chance = np.full(scores.shape[1], -100.0)

    ranking = rank_participants(scores, method, chance)
    found = measure_uncertainty(
        Table(repeats, 0.0, examples), source, ranking, lambda *_: chance, resamples, 0
    )
    return found.ranks, found.means


def over_datasets(
    world: World, participants: int, datasets: int, competitions: int, method: Method = "average"
) -> Coverage:
    rng, coverage = np.random.default_rng(world.seed(participants, datasets)), Coverage()
    quality = world.quality(participants)
    truth = true_ranks(quality)
    for _ in range(competitions):
        scores = draw_scores(world, quality, datasets, rng)
        coverage.add(*_with_truth(measure(scores[:, :, None], "datasets", method), truth, quality))
    return coverage


def _with_truth(
    found: tuple[Floats, Floats], truth: Floats, quality: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    return found[0], truth, found[1], quality


def percentile_bootstrap(world: World, participants: int, datasets: int, competitions: int) -> Coverage:
    """Ranks of resampled tables, from the 2.5th percentile to the 97.5th; equals have the ranks that they share."""
    rng, coverage = np.random.default_rng(world.seed(participants, datasets)), Coverage()
    quality = world.quality(participants)
    truth, nothing = true_ranks(quality), np.zeros((participants, 3))
    for _ in range(competitions):
        ranks = rankdata(-draw_scores(world, quality, datasets, rng), axis=0)
        drawn = rng.integers(0, datasets, (200, datasets))
        sums = ranks[:, drawn].sum(axis=2)
        low, high = (rankdata(sums, how, axis=0) for how in ("min", "max"))
        ends = np.sort(low, axis=1)[:, 4], np.sort(high, axis=1)[:, 195]
        coverage.add(np.column_stack(ends), truth, nothing, quality)
    return coverage


def over_all(
    world: World, participants: int, datasets: int, run_noise: float, competitions: int
) -> tuple[Coverage, Coverage]:
    """Datasets and runs differ, three repeats; beside the nested bootstrap that counts the noise of runs twice."""
    seed = [*world.seed(participants, datasets), round(10 * run_noise)]
    rng, ours, twice = np.random.default_rng(seed), Coverage(), Coverage()
    quality = world.quality(participants)
    truth = true_ranks(quality)
    for _ in range(competitions):
        expected = draw_scores(world, quality, datasets, rng)
        repeats = expected[:, :, None] + rng.normal(0, run_noise, (participants, datasets, 3))
        ours.add(*_with_truth(measure(repeats, "all"), truth, quality))
        twice.add(*_with_truth(nest_literally(repeats, rng), truth, quality))
    return ours, twice


def nest_literally(repeats: Floats, rng: np.random.Generator, resamples: int = 300) -> tuple[Floats, Floats]:
    """Datasets are drawn from the scores as they are, and runs within them."""
    datasets = repeats.shape[1]
    flat = draw_runs(repeats, rng.integers(0, datasets, resamples * datasets), rng).mean(axis=2)
    drawn, ranks = (found.reshape(-1, resamples, datasets) for found in (flat, dataset_ranks(flat)))
    scores = repeats.mean(axis=2)
    inflation = datasets / (datasets - 1)
    of_values, of_means = (
        spread_over_resamples(values, resampled.mean(axis=2), datasets - 1, inflation)
        for values, resampled in (
            (compute_values(scores, "average"), ranks),
            (scores.mean(axis=1), drawn),
        )
    )
    intervals = find_value_intervals(of_means.values, of_means.errors, of_means.freedom)
    return (
        find_rank_intervals(of_values, rank_participants(scores).rank),
        np.column_stack((of_means.values, intervals)),
    )


def over_runs(world: World, participants: int, datasets: int, repeats: int, competitions: int) -> Coverage:
    """The datasets stay; runs differ. What is true: the order of the expected scores on these datasets."""
    rng, coverage = np.random.default_rng(world.seed(participants, datasets, repeats)), Coverage()
    quality = world.quality(participants)
    for _ in range(competitions):
        expected = rng.normal(size=datasets) + np.zeros((participants, 1))
        if quality.any():
            expected = draw_scores(WORLDS[0], quality, datasets, rng)
        values = compute_values(expected, "average")
        noise = rng.normal(0, 0.5, (participants, datasets, repeats))
        if world.outlier:
            noise[:, rng.integers(datasets)] *= OUTLIER
        found = measure(expected[:, :, None] + noise, "runs")
        coverage.add(*_with_truth(found, true_ranks(-values), expected.mean(axis=1)))
    return coverage


def over_examples(
    world: World, participants: int, datasets: int, examples: int, competitions: int
) -> Coverage:
    """The datasets stay; test examples differ. What is true: the order of the accuracies on these datasets.

    An outlier has a tenth of the examples. A run has one prediction, at the start.
    """
    rng, coverage = np.random.default_rng(world.seed(participants, datasets, examples)), Coverage()
    metric, quality = BalancedAccuracy(), world.quality(participants)
    for _ in range(competitions):
        accuracy = np.full((participants, datasets), 0.75)
        if quality.any():
            accuracy = np.clip(rng.normal(0.7 + quality[:, None] / 10, 0.03, accuracy.shape), 0, 1)
        drawn, scores = np.empty((participants, datasets, 200)), np.empty((participants, datasets))
        few = int(rng.integers(datasets)) if world.outlier else -1
        for j in range(datasets):
            size = examples // 10 if j == few else examples
            solution = rng.permutation(np.arange(size) % 2 == 0)[:, None]
            score = find_resampled_scorer(
                metric, solution, draw_examples(size, 200, int(rng.integers(1 << 30)))
            )
            assert score is not None
            for i in range(participants):
                prediction = solution ^ (rng.random((size, 1)) > accuracy[i, j])
                drawn[i, j] = score(iter([prediction]))
                scores[i, j] = metric.score(solution, prediction)
        found = measure(scores[:, :, None], "examples", examples=drawn)
        values = compute_values(accuracy, "average")
        coverage.add(*_with_truth(found, true_ranks(-values), accuracy.mean(axis=1)))
    return coverage


def rows(competitions: int) -> Iterator[str]:
    yield (
        "| what else could have been | participants × datasets | true order | ranks covered ± standard error | "
        "least covered participant | width | means covered | competitions | percentile bootstrap |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for participants, datasets in SIZES:
        for world in WORLDS:
            found = over_datasets(world, participants, datasets, competitions)
            old = percentile_bootstrap(world, participants, datasets, competitions)
            share = f"{100 * old.ranks / old.competitions:.1f} %"
            yield f"| datasets | {participants} × {datasets} | {world.name} | {found.columns()} | {share} |"
    for method in ("copeland", "relative"):
        for world in (WORLDS[0], WORLDS[2], *(world for world in WORLDS if world.unequal)):
            found = over_datasets(world, 10, 20, competitions, method)
            yield f"| datasets, method {method} | 10 × 20 | {world.name} | {found.columns()} | – |"


def nested_rows(competitions: int) -> Iterator[str]:
    yield (
        "| participants × datasets | true order | noise of a run | ranks covered ± standard error | "
        "least covered participant | width | means covered | competitions | "
        "literally: ranks covered ± standard error | least covered participant | width | means covered | competitions |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    for participants, datasets in ((8, 5), (8, 10), (20, 20)):
        for world in WITHIN_DATASETS:
            for noise in (0.5, 2.0):
                ours, twice = over_all(world, participants, datasets, noise, competitions)
                yield (
                    f"| {participants} × {datasets} | {world.name} | {noise:g} | {ours.columns()} | "
                    f"{twice.columns()} |"
                )


def narrow_rows(competitions: int) -> Iterator[str]:
    """What other intervals of ranks would cover: no factor suits ties and near ties, nor do known variances."""
    worlds = tuple(world for world in WORLDS if world.name in ("all equal", "near ties", "far apart"))
    yield (
        "| critical values | " + " | ".join(f"{world.name}: ranks covered | width" for world in worlds) + " |"
    )
    yield "|---|" + "---|---|" * len(worlds)
    yield f"| as they are, variances known | {' | '.join(_with_known_variances(w, competitions) for w in worlds)} |"
    for factor in (1.0, 0.8, 0.6, 0.4, 0.2, 0.0):
        columns = (_with_narrow_intervals(world, factor, competitions) for world in worlds)
        yield f"| times {factor:g} | {' | '.join(columns)} |"


def _with_known_variances(world: World, competitions: int, participants: int = 20, datasets: int = 20) -> str:
    """Of ranks by mean scores, of which each is known to have the variance 1/datasets."""
    errors = np.eye(participants) / np.sqrt(datasets)

    def find(scores: Floats) -> Floats:
        values = -scores.mean(axis=1)
        return find_rank_intervals(Spread(values, errors, math.inf), rankdata(values, "min").astype(np.int64))

    return _cover_ranks(world, find, competitions, participants, datasets)


def _with_narrow_intervals(
    world: World, factor: float, competitions: int, participants: int = 20, datasets: int = 20
) -> str:
    widening = factor * widen_for_ranks(participants, datasets)

    def find(scores: Floats) -> Floats:
        ranking = rank_participants(scores)
        return find_rank_intervals(spread_over_datasets(ranking.ranks), ranking.rank, widening)

    return _cover_ranks(world, find, competitions, participants, datasets)


def _cover_ranks(
    world: World, find: Callable[[Floats], Floats], competitions: int, participants: int, datasets: int
) -> str:
    rng, coverage = np.random.default_rng(world.seed(participants, datasets)), Coverage()
    quality = world.quality(participants)
    truth, nothing = true_ranks(quality), np.zeros((participants, 3))
    for _ in range(competitions):
        coverage.add(find(draw_scores(world, quality, datasets, rng)), truth, nothing, quality)
    n = coverage.competitions
    return f"{100 * coverage.ranks / n:.1f} % | {100 * coverage.width / n:.0f} %"


def source_rows(competitions: int) -> Iterator[str]:
    yield (
        "| what else could have been | participants × datasets | true order | ranks covered ± standard error | "
        "least covered participant | width | means covered | competitions |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for world in WITHIN_DATASETS:
        for participants, datasets, repeats in ((8, 10, 3), (8, 10, 5), (20, 20, 3)):
            found = over_runs(world, participants, datasets, repeats, competitions)
            yield (
                f"| runs, {repeats} repeats | {participants} × {datasets} | {world.name} | {found.columns()} |"
            )
        for participants, datasets, examples in ((6, 8, 200), (20, 10, 200)):
            found = over_examples(world, participants, datasets, examples, competitions)
            yield (
                f"| examples, {examples} of each | {participants} × {datasets} | {world.name} | {found.columns()} |"
            )


TABLES = {"datasets": rows, "sources": source_rows, "all": nested_rows, "narrow": narrow_rows}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.calibration", description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[[], *TABLES], metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--competitions", type=int, default=COMPETITIONS, help="simulated, of each kind")
    parser.add_argument("--quick", action="store_true", help="50 of each kind")
    arguments = parser.parse_args()
    started = time.monotonic()
    competitions = 50 if arguments.quick else arguments.competitions
    for name in arguments.tables or TABLES:
        print(f"\n{name}\n")
        for row in TABLES[name](competitions):
            print(row, flush=True)
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
