"""Scores of one prediction on many resamples of its examples at once, from blocks of its rows.

The built-in metrics but for nauc are functions of sums over examples, so that of a resample they are functions of sums
weighted by how often each example was drawn. nauc sorts each label's values once for all resamples, for which the
blocks are put together. Each equals the metric on the drawn rows (tests).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from alcove_scorer.metrics import (
    BLOCK_BYTES,
    BalancedAccuracy,
    MacroF1,
    Metric,
    NormalizedAUC,
    Prediction,
    Solution,
    row_blocks,
)
from alcove_scorer.probability_metrics import BrierScore, LogLoss, Loss, TopK, log_losses, squared_losses
from alcove_scorer.regression_metrics import NormalizedMAE, R2Score, find_medians

Floats = npt.NDArray[np.float64]
Draws = npt.NDArray[np.uint8]
"""How often each example was drawn: examples × resamples."""
Scorer = Callable[[Iterator[Prediction]], Floats]
"""A score a resample, from a prediction's blocks of rows; NaN where nothing in the resample can be scored."""


def find_resampled_scorer(metric: Metric, solution: Solution, drawn: Draws) -> Scorer | None:
    """None for a metric that this module does not know."""
    kind = type(metric)
    if kind is NormalizedAUC:
        return _Pairs(solution, drawn).score
    if kind in (BalancedAccuracy, MacroF1):
        return _Counts(solution, drawn, f1=kind is MacroF1).score
    if kind in (LogLoss, BrierScore):
        return _Losses(solution, drawn, log_losses if kind is LogLoss else squared_losses).score
    if kind in (R2Score, NormalizedMAE):
        return _Errors(solution, drawn, squared=kind is R2Score).score
    if isinstance(metric, TopK) and kind.__module__ == TopK.__module__:
        return _Hits(metric, solution, drawn).score
    return None


def _weigh(values: npt.NDArray[Any], drawn: Draws, start: int, kind: type[np.floating[Any]]) -> Floats:
    """Resamples × columns: sums over the drawn examples of ``values``, whose first row is example ``start``.

    ``kind``: of numbers to multiply in; float32 is exact for counts.
    """
    total = np.zeros((drawn.shape[1], values.shape[1]))
    for rows in row_blocks(len(values), np.dtype(kind).itemsize * drawn.shape[1]):
        # The last of these rows are fewer, and others follow them in the next block.
        some = values[rows]
        weights = drawn[start + rows.start :][: len(some)].astype(kind)
        total += weights.T @ some.astype(kind)
    return total


def _mean_of_scored(values: Floats, scored: npt.NDArray[np.bool_]) -> Floats:
    """Of each row; NaN where none is scored."""
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(scored, values, 0.0).sum(axis=1) / scored.sum(axis=1)
    return mean


class _Labels:
    """How many of the drawn examples have each label: resamples × labels."""

    def __init__(self, solution: Solution, drawn: Draws) -> None:
        self.solution, self.drawn = solution, drawn
        self.present = _weigh(solution, drawn, 0, np.float32)
        self.examples = drawn.sum(axis=0, dtype=np.int64)[:, None]
        self.both = (self.present > 0) & (self.present < self.examples)


class _Counts(_Labels):
    """Balanced accuracy and macro F1."""

    def __init__(self, solution: Solution, drawn: Draws, *, f1: bool) -> None:
        super().__init__(solution, drawn)
        self._f1 = f1

    def score(self, blocks: Iterator[Prediction]) -> Floats:
        called, right, start = np.zeros_like(self.present), np.zeros_like(self.present), 0
        for block in blocks:
            hits: npt.NDArray[Any] = block >= 0.5
            called += _weigh(hits, self.drawn, start, np.float32)
            right += _weigh(hits & self.solution[start : start + len(block)], self.drawn, start, np.float32)
            start += len(block)
        with np.errstate(invalid="ignore", divide="ignore"):
            if self._f1:
                return _mean_of_scored(2 * right / (called + self.present), self.both)
            absent = self.examples - self.present
            return _mean_of_scored((right / self.present + 1 - (called - right) / absent) / 2, self.both)


class _Pairs(_Labels):
    """2·AUC − 1: of pairs of drawn examples, each counted as often as both were drawn."""

    def score(self, blocks: Iterator[Prediction]) -> Floats:
        prediction = join_blocks(blocks, self.solution.shape)
        total = np.zeros(len(self.both))
        for label in np.flatnonzero(self.both.any(axis=0)).tolist():
            pairs = self._count_pairs(prediction[:, label], self.solution[:, label])
            present = self.present[:, label]
            with np.errstate(invalid="ignore", divide="ignore"):
                found = pairs / (present * (self.examples[:, 0] - present)) - 1.0
            total += np.where(self.both[:, label], found, 0.0)
        with np.errstate(invalid="ignore"):
            mean: Floats = total / self.both.sum(axis=1)
        return mean

    def _count_pairs(self, values: Prediction, truth: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Twice the number of pairs in the right order, ties counted half; whole, so exact."""
        positives, negatives = np.flatnonzero(truth), np.flatnonzero(~truth)
        positives = positives[np.argsort(values[positives])]
        negatives = negatives[np.argsort(values[negatives])]
        below, not_above = (
            np.searchsorted(values[negatives], values[positives], side) for side in ("left", "right")
        )
        found = np.empty(self.drawn.shape[1], np.int64)
        width = max(1, 4 * BLOCK_BYTES // (8 * len(negatives)))
        for start in range(0, len(found), width):
            some = self.drawn[:, start : start + width]
            counts = np.zeros((len(negatives) + 1, some.shape[1]), np.int64)
            np.cumsum(some[negatives], axis=0, out=counts[1:])
            found[start : start + width] = np.einsum(
                "ij,ij->j", some[positives], counts[below] + counts[not_above], dtype=np.int64
            )
        return found


def join_blocks(blocks: Iterator[Prediction], shape: tuple[int, ...]) -> Prediction:
    """The whole prediction, of which only a block is there twice."""
    first = next(blocks)
    whole = np.empty(shape, first.dtype)
    whole[: len(first)] = first
    start = len(first)
    for block in blocks:
        whole[start : start + len(block)] = block
        start += len(block)
    return whole


class _Losses(_Labels):
    """Log loss and Brier score, relative to those of the resample's own shares of the labels."""

    def __init__(self, solution: Solution, drawn: Draws, loss: Loss) -> None:
        super().__init__(solution, drawn)
        self._loss = loss
        shares = self.present / np.maximum(self.examples, 1)
        with np.errstate(invalid="ignore"):
            nothing = shares * loss(shares) + (1.0 - shares) * loss(1.0 - shares)
        self._nothing = _mean_of_scored(nothing, self.both)

    def score(self, blocks: Iterator[Prediction]) -> Floats:
        total, start = np.zeros_like(self.present), 0
        for block in blocks:
            for rows in row_blocks(len(block), 8 * block.shape[1]):
                given = np.clip(block[rows].astype(np.float64), 0.0, 1.0)
                truth = self.solution[start : start + len(given)]
                np.subtract(1.0, given, out=given, where=~truth)
                total += _weigh(self._loss(given), self.drawn, start, np.float64)
                start += len(given)
        found: Floats = 1.0 - _mean_of_scored(total / self.examples, self.both) / self._nothing
        return found


class _Errors:
    """R² and normalized absolute error, relative to the resample's own best constant."""

    def __init__(self, solution: Solution, drawn: Draws, *, squared: bool) -> None:
        self._solution, self._drawn = solution, drawn
        self._errors: Callable[[Floats], Floats] = np.square if squared else np.abs
        resamples = drawn.shape[1]
        self._nothing = np.empty((resamples, solution.shape[1]))
        self._varies = np.empty(self._nothing.shape, np.bool_)
        for i in range(resamples):
            # Of the solution alone, and once for all predictions.
            rows = solution[np.repeat(np.arange(len(solution)), drawn[:, i])]
            constant = rows.mean(axis=0) if squared else find_medians(rows)
            self._nothing[i] = self._errors(rows - constant).sum(axis=0)
            self._varies[i] = (rows != rows[:1]).any(axis=0)

    def score(self, blocks: Iterator[Prediction]) -> Floats:
        total, start = np.zeros_like(self._nothing), 0
        # Errors of hostile sizes overflow, as they do when the whole test set is scored.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for block in blocks:
                for rows in row_blocks(len(block), 8 * block.shape[1]):
                    truth = self._solution[start : start + len(block[rows])]
                    errors = self._errors(truth - block[rows].astype(np.float64))
                    total += _weigh(errors, self._drawn, start, np.float64)
                    start += len(errors)
            return _mean_of_scored(1.0 - total / self._nothing, self._varies)


class _Hits(_Labels):
    """Top-k: mean hits less the mean chance, of drawn examples with a label."""

    def __init__(self, metric: TopK, solution: Solution, drawn: Draws) -> None:
        super().__init__(solution, drawn)
        self._metric = metric
        true = solution.sum(axis=1)
        self._has = true > 0
        can_miss = self._has & (solution.shape[1] - true >= metric.k)
        self._scored = self.both.any(axis=1) & (self._sum(can_miss) > 0)

    def _sum(self, values: npt.NDArray[Any]) -> Floats:
        return _weigh(values[:, None], self.drawn, 0, np.float64)[:, 0]

    def score(self, blocks: Iterator[Prediction]) -> Floats:
        tally = self._metric.count_hits(self.solution)
        for block in blocks:
            tally.add(block)
        hits, chances = np.zeros(len(self.solution)), np.zeros(len(self.solution))
        hits[self._has], chances[self._has] = tally.hits, tally.chances
        with np.errstate(invalid="ignore", divide="ignore"):
            labelled = self._sum(self._has)
            mean, chance = self._sum(hits) / labelled, self._sum(chances) / labelled
            return np.where(self._scored, (mean - chance) / (1.0 - chance), np.nan)
