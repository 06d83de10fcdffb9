"""Metrics of values as probabilities, and of their order within an example."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from alcove_scorer.errors import InputError
from alcove_scorer.metrics import (
    Prediction,
    Solution,
    Tally,
    count_present,
    require_two_class,
    row_blocks,
    whole_scorer,
)


class LogLoss:
    """1 − L / L₀, L being the mean over examples and labels of −ln of the probability given to what is true.

    L₀ is the loss of the labels' own shares in the solution, which is what a prediction that knows nothing else has.
    So 0 is chance and 1 is best. A confident error costs much; a probability below ``LEAST`` counts as that.
    Labels of one class only are left out; values are taken as from 0 to 1. (Good, Rational decisions, 1952.)
    """

    name: ClassVar[str] = "log_loss"
    chance: ClassVar[float] = 0.0
    best: ClassVar[float] = 1.0

    def score(self, solution: Solution, prediction: Prediction) -> float:
        return whole_scorer(self)(solution, prediction)

    def tallies(self, solution: Solution) -> Callable[[], Tally]:
        return _relative_losses(solution, log_losses)


class BrierScore:
    """1 − B / B₀, B being the mean over examples and labels of the squared difference of prediction and truth.

    B₀ is that of the labels' own shares in the solution: 0 is chance and 1 is best (Brier skill score: Brier,
    Verification of forecasts expressed in terms of probability, 1950). Labels of one class only are left out; values
    are taken as from 0 to 1.
    """

    name: ClassVar[str] = "brier"
    chance: ClassVar[float] = 0.0
    best: ClassVar[float] = 1.0

    def score(self, solution: Solution, prediction: Prediction) -> float:
        return whole_scorer(self)(solution, prediction)

    def tallies(self, solution: Solution) -> Callable[[], Tally]:
        return _relative_losses(solution, squared_losses)


LEAST = 1e-6
"""No probability counts as less in a log loss."""
Loss = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
"""Of the probability that was given to what is true."""


def log_losses(given: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A :data:`Loss`: −ln."""
    losses: npt.NDArray[np.float64] = -np.log(np.maximum(given, LEAST))
    return losses


def squared_losses(given: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A :data:`Loss`: the squared difference to 1."""
    losses: npt.NDArray[np.float64] = (1.0 - given) ** 2
    return losses


def _relative_losses(solution: Solution, loss: Loss) -> Callable[[], Tally]:
    both = require_two_class(count_present(solution), len(solution))
    shares = count_present(solution)[both] / len(solution)
    # A label's share is given to the examples that have it, the rest to the others.
    nothing = float(np.mean(shares * loss(shares) + (1.0 - shares) * loss(1.0 - shares)))
    return lambda: _RelativeLoss(solution, both, loss, nothing)


class _RelativeLoss:
    def __init__(self, solution: Solution, both: npt.NDArray[np.bool_], loss: Loss, nothing: float) -> None:
        self._solution, self._both, self._loss, self._nothing = solution, both, loss, nothing
        self._rows = 0
        # A loss a row: sums of these do not depend on where the blocks end.
        self._losses: list[npt.NDArray[np.float64]] = []

    def add(self, rows: Prediction) -> None:
        for block in row_blocks(len(rows), 8 * rows.shape[1]):
            given = np.clip(rows[block].astype(np.float64), 0.0, 1.0)
            truth = self._solution[self._rows : self._rows + len(given)]
            self._rows += len(given)
            np.subtract(1.0, given, out=given, where=~truth)
            losses = self._loss(given if self._both.all() else np.ascontiguousarray(given[:, self._both]))
            self._losses.append(losses.sum(axis=1))

    def score(self) -> float:
        total = math.fsum(loss for block in self._losses for loss in block.tolist())
        return 1.0 - total / (len(self._solution) * int(self._both.sum())) / self._nothing


class TopK:
    """Share of examples of which a true label is among the k with the highest values, less chance: (s − c) / (1 − c).

    Of equal values each is as likely to be among the k, so that a prediction of one value for all labels has exactly
    the chance c; 0 is chance and 1 is best. One that always has the most frequent labels first scores more. Examples
    without a label are left out. (Share among the k highest: Russakovsky et al., ImageNet large scale visual
    recognition challenge, 2015; less chance as in Cohen, A coefficient of agreement for nominal scales, 1960; ties are
    defined here.)
    """

    name: ClassVar[str] = "top_1"
    k: ClassVar[int] = 1
    chance: ClassVar[float] = 0.0
    best: ClassVar[float] = 1.0

    def score(self, solution: Solution, prediction: Prediction) -> float:
        return whole_scorer(self)(solution, prediction)

    def tallies(self, solution: Solution) -> Callable[[], Tally]:
        require_two_class(count_present(solution), len(solution))
        self._require_misses(solution)
        tally = self.count_hits(solution)
        return lambda: TopTally(solution, self.k, tally.has, tally.only, tally.chances)

    def _require_misses(self, solution: Solution) -> None:
        labels = solution.shape[1]
        if labels <= self.k:
            raise InputError(f"metric {self.name}: expected more than {self.k} labels; got {labels}")
        true = count_in_rows(solution)
        if not ((true > 0) & (labels - true >= self.k)).any():
            raise InputError(
                f"metric {self.name}: expected an example with a true label and at least {self.k} false ones; "
                "got none, so no prediction could miss. Use another metric"
            )

    def count_hits(self, solution: Solution) -> TopTally:
        """An empty tally, of a solution of any number of labels."""
        true, labels = count_in_rows(solution), solution.shape[1]
        has = true > 0
        chances = _hit_chance(np.full(has.sum(), labels), true[has], np.full(has.sum(), self.k))
        # Of examples with one label, its value is found at once.
        only = solution.argmax(axis=1) if true.max() == 1 else None
        return TopTally(solution, self.k, has, only, chances)


class Top5(TopK):
    __doc__ = TopK.__doc__
    name: ClassVar[str] = "top_5"
    k: ClassVar[int] = 5


class TopTally:
    """Counts hits. ``has``: examples with a label; ``chances``: of each of these; ``only``: the label of each example,
    where none has several."""

    def __init__(
        self,
        solution: Solution,
        k: int,
        has: npt.NDArray[np.bool_],
        only: npt.NDArray[np.int64] | None,
        chances: npt.NDArray[np.float64],
    ) -> None:
        self._solution, self._k, self.has, self.only, self.chances = solution, k, has, only, chances
        self._rows = 0
        self._hits: list[npt.NDArray[np.float64]] = []

    def add(self, rows: Prediction) -> None:
        for block in row_blocks(len(rows), 8 * self._solution.shape[1]):
            values = rows[block]
            place = slice(self._rows, self._rows + len(values))
            self._rows = place.stop
            has, truth = self.has[place], self._solution[place]
            if not has.all():
                values, truth = values[has], truth[has]
            if self.only is not None:
                own = values[np.arange(len(values)), self.only[place][has]][:, None]
                equal = values == own
                good = np.ones(len(values), np.int64)
            else:
                own = np.where(truth, values, -np.inf).max(axis=1, keepdims=True)
                equal = values == own
                good = count_in_rows(equal & truth)
            self._hits.append(_hit_chance(count_in_rows(equal), good, self._k - count_in_rows(values > own)))

    @property
    def hits(self) -> npt.NDArray[np.float64]:
        """Of each example with a label that was added, the chance that a true one is among the k."""
        return np.concatenate(self._hits)

    def score(self) -> float:
        hits, chance = self.hits, math.fsum(self.chances.tolist()) / len(self.chances)
        return (math.fsum(hits.tolist()) / len(hits) - chance) / (1.0 - chance)


def count_in_rows(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """How many of each row are true."""
    # A product of float32 is twice as fast as a sum of bool, and exact up to 2²⁴ columns.
    counts: npt.NDArray[np.int64] = (mask.astype(np.float32) @ np.ones(mask.shape[1], np.float32)).astype(
        np.int64
    )
    return counts


def _hit_chance(
    urn: npt.NDArray[np.int64], good: npt.NDArray[np.int64], drawn: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Chance that of so many drawn out of each urn at least one is good: the hypergeometric distribution."""
    missed = np.ones(len(urn))
    for step in range(int(drawn.max(initial=0))):
        bad = np.maximum(urn - good - step, 0)
        missed *= np.where(step < drawn, bad / np.maximum(urn - step, 1), 1.0)
    return 1.0 - missed
