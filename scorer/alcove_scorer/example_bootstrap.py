"""What a run would score on other test examples: a bootstrap over the examples, from stored predictions.

Of a snapshot a block of rows is in memory at a time; for nauc one whole snapshot, and for metrics of plug-ins a copy of
it as well (see :mod:`alcove_scorer.resampled_scores`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from alcove_scorer.curves import CurveRules, Point, axis_position, latest_per_time
from alcove_scorer.errors import InputError, PredictionError
from alcove_scorer.metrics import Prediction, Solution, whole_scorer
from alcove_scorer.predictions import Kind, read_prediction
from alcove_scorer.resampled_scores import Draws, Scorer, find_resampled_scorer, join_blocks

Floats = npt.NDArray[np.float64]


def draw_examples(examples: int, resamples: int, seed: int) -> Draws:
    """How often each example is in each resample (Efron, 1979): the same for all runs on a dataset, so that what they
    share stays shared."""
    rng = np.random.default_rng(seed)
    drawn = np.empty((examples, resamples), np.uint8)
    for i in range(resamples):
        counts = np.bincount(rng.integers(0, examples, examples), minlength=examples)
        drawn[:, i] = np.minimum(counts, 255)
    return drawn


@dataclass
class ExampleBootstrap:
    """Takes the snapshots of one run in any order, keeps a score a resample and no predictions."""

    rules: CurveRules
    solution: Solution
    drawn: Draws
    points: list[Point] = field(default_factory=list)
    """One a snapshot; their scores are not used."""
    scores: dict[int, Floats] = field(default_factory=dict)
    """By number of the snapshot, a score a resample; NaN where no label has both classes in it."""
    _score: Scorer = field(init=False)

    def __post_init__(self) -> None:
        at_once = find_resampled_scorer(self.rules.metric, self.solution, self.drawn)
        self._score = at_once or self._score_whole

    def add(self, number: int, seconds: float, kind: Kind, size: int, pieces: Iterator[bytes]) -> None:
        """A snapshot of the run. One that is late, or that cannot be read, counts for nothing, as when it is scored.

        What is refused for its score on the whole test set, callers leave out: on some of its rows it may look sound.
        """
        if seconds > self.rules.budget:
            return
        try:
            self.scores[number] = self._score(read_prediction(pieces, size, kind, *self.solution.shape))
        except PredictionError:
            return
        self.points.append(Point(number, seconds, 0.0))

    def _score_whole(self, blocks: Iterator[Prediction]) -> Floats:
        """Any metric: each resample is scored by itself."""
        prediction = join_blocks(blocks, self.solution.shape)
        score, found = whole_scorer(self.rules.metric), np.full(self.drawn.shape[1], np.nan)
        for i, counts in enumerate(self.drawn.T):
            rows = np.repeat(np.arange(len(counts)), counts)
            try:
                found[i] = score(self.solution[rows], prediction[rows])
            except InputError:
                continue
        return found

    def areas(self) -> Floats:
        """ALC of each resample; NaN without a valid snapshot."""
        points = latest_per_time(self.points)
        if not points:
            return np.full(self.drawn.shape[1], np.nan)
        start, weights = weigh_points([point.seconds for point in points], self.rules)
        scores = np.stack([self.scores[point.number] for point in points])
        area: Floats = start * self.rules.metric.chance + weights @ scores
        return area


def weigh_points(seconds: Sequence[float], rules: CurveRules) -> tuple[float, Floats]:
    """What the start value and each point add to the area under the curve, a weight each; they sum to 1.

    ``seconds``: by time, one for each point.
    """
    at = np.array([0.0, *(axis_position(t, rules) for t in seconds), 1.0])
    widths = np.diff(at)
    if rules.curve == "step":
        return float(widths[0]), widths[1:]
    halves = np.append(widths[:-1] / 2, 0.0)
    weights = np.append(halves[1:-1], 0.0) + halves[:-1]
    weights[-1] += widths[-1]
    return float(halves[0]), weights
