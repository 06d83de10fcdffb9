"""What a per-snapshot metric is, and those that compare labels.

:mod:`alcove_scorer.probability_metrics` and :mod:`alcove_scorer.regression_metrics` have the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from alcove_api.schemes import BALANCED_ACCURACY, NAUC
from alcove_format.label_counts import balanced_accuracy, find_two_class
from alcove_scorer.errors import InputError

Solution = npt.NDArray[Any]
"""n examples × labels, of bool: which are present; or, of a regression, n examples × targets, of float64."""
Predicted = Literal["labels", "numbers"]
Prediction = npt.NDArray[Any]
"""n examples × labels, real numbers, all finite; higher means more likely present. Or n examples × targets."""

BLOCK_BYTES = 1 << 20
"""Working memory of a step: about what a core's cache holds."""


class Metric(Protocol):
    """One number for one snapshot; higher is better.

    One of a regression has ``predicts = "numbers"`` as well; without it, a metric is of labels.
    """

    name: ClassVar[str]
    chance: ClassVar[float]
    """Where learning curves start: the score of one prediction that knows nothing, which the metric names. It is not
    the most that such a prediction could score (docs/science.md, "Metrics")."""
    best: ClassVar[float]

    def score(self, solution: Solution, prediction: Prediction) -> float:
        """Scores a prediction of the solution's shape. Raises InputError where nothing in it can be scored."""
        ...


class Tally(Protocol):
    """One prediction's score in the making: takes its rows, block after block, in order."""

    def add(self, rows: Prediction) -> None: ...

    def score(self) -> float:
        """Once all rows were added. Raises InputError where nothing in the solution can be scored."""
        ...


@runtime_checkable
class RowMetric(Metric, Protocol):
    """A metric that need not hold a whole prediction in memory; a plug-in may be one, and is quicker for it."""

    def tallies(self, solution: Solution) -> Callable[[], Tally]:
        """Makes an empty tally, for each prediction of that solution."""
        ...


def predicts_numbers(metric: Metric) -> bool:
    """Whether the metric is of a regression: its solutions hold numbers."""
    predicted: Predicted = getattr(metric, "predicts", "labels")
    return predicted == "numbers"


def find_scored_columns(solution: Solution) -> npt.NDArray[np.bool_]:
    """Columns that can tell predictions apart: labels of both classes, or numbers that are not all the same."""
    if solution.dtype == np.bool_:
        return find_two_class(np.count_nonzero(solution, axis=0), len(solution))
    varies: npt.NDArray[np.bool_] = (solution != solution[:1]).any(axis=0)
    return varies


def make_tallies(metric: Metric, solution: Solution) -> Callable[[], Tally]:
    """Any metric by blocks of rows: one that is no RowMetric gets the prediction once it is whole."""
    with blame_metric(metric.name):
        make = metric.tallies(solution) if isinstance(metric, RowMetric) else lambda: _Whole(metric, solution)
    return (
        make if type(metric).__module__.startswith("alcove_scorer.") else lambda: _Guarded(metric.name, make)
    )


def whole_scorer(metric: Metric) -> Callable[[Solution, Prediction], float]:
    """Scores a prediction that is there whole. Raises InputError, where somebody else's metric fails as well."""

    def score(solution: Solution, prediction: Prediction) -> float:
        tally = make_tallies(metric, solution)()
        tally.add(prediction)
        return tally.score()

    return score


class _Whole:
    def __init__(self, metric: Metric, solution: Solution) -> None:
        self._metric, self._solution = metric, solution
        self._prediction: Prediction = np.empty(0)
        self._rows = 0

    def add(self, rows: Prediction) -> None:
        if not self._rows:
            # What comes in one block is not copied.
            whole = rows.shape == self._solution.shape
            self._prediction = rows if whole else np.empty(self._solution.shape, rows.dtype)
        if self._prediction is not rows:
            self._prediction[self._rows : self._rows + len(rows)] = rows
        self._rows += len(rows)

    def score(self) -> float:
        return self._metric.score(self._solution, self._prediction)


class _Guarded:
    """A tally of somebody else's, whose errors say whose they are."""

    def __init__(self, name: str, make: Callable[[], Tally]) -> None:
        self._name = name
        with blame_metric(name):
            self._tally = make()

    def add(self, rows: Prediction) -> None:
        with blame_metric(self._name):
            self._tally.add(rows)

    def score(self) -> float:
        with blame_metric(self._name):
            return float(self._tally.score())


@contextmanager
def blame_metric(name: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"metric {name!r} failed ({type(error).__name__}: {reason}), so nothing can be scored; correct the metric"
        ) from error


class BalancedAccuracy:
    """Mean balanced accuracy of the labels, a label being predicted present at ≥ 0.5.

    Chance is any constant prediction: of each label all or no examples. See
    :func:`alcove_format.label_counts.balanced_accuracy`.
    """

    name: ClassVar[str] = BALANCED_ACCURACY
    chance: ClassVar[float] = 0.5
    best: ClassVar[float] = 1.0

    def score(self, solution: Solution, prediction: Prediction) -> float:
        return whole_scorer(self)(solution, prediction)

    def tallies(self, solution: Solution) -> Callable[[], Tally]:
        present = count_present(solution)
        return lambda: _Confusion(solution, present)


class _Confusion:
    """Counts by label. ``present``: examples that have each, in the whole solution."""

    def __init__(self, solution: Solution, present: npt.NDArray[np.int64]) -> None:
        self._solution = solution
        self._present = present
        self._rows = 0
        labels = solution.shape[1]
        self._true_positives = np.zeros(labels, np.int64)
        self._called = np.zeros(labels, np.int64)

    def add(self, rows: Prediction) -> None:
        for block in row_blocks(len(rows), rows.itemsize * rows.shape[1]):
            hits = rows[block] >= 0.5
            truth = self._solution[self._rows : self._rows + len(hits)]
            self._rows += len(hits)
            self._called += _column_counts(hits)
            hits &= truth
            self._true_positives += _column_counts(hits)

    def score(self) -> float:
        examples = len(self._solution)
        require_two_class(self._present, examples)
        return balanced_accuracy(self._present, self._called, self._true_positives, examples)


class NormalizedAUC:
    """Mean over labels of 2·AUC − 1, ties by average rank; labels of one class only are left out.

    AUC is the Mann–Whitney statistic: the share of (positive, negative) pairs in the right order, ties half
    (Hanley and McNeil, The meaning and use of the area under a receiver operating characteristic curve, 1982).
    Scaled as in AutoDL: chance is any constant, 1 best, −1 the reverse (Liu et al., Winning solutions and
    post-challenge analyses of the ChaLearn AutoDL challenge 2019, 2021).
    """

    name: ClassVar[str] = NAUC
    chance: ClassVar[float] = 0.0
    best: ClassVar[float] = 1.0

    def score(self, solution: Solution, prediction: Prediction) -> float:
        n = len(prediction)
        both = require_two_class(np.count_nonzero(solution, axis=0), n)
        width = max(1, min(8, 4 * BLOCK_BYTES // (n * prediction.itemsize)))
        columns = np.flatnonzero(both)
        total = 0.0
        for start in range(0, len(columns), width):
            chosen = columns[start : start + width]
            # Columns lie strided in memory; a few at a time are made contiguous.
            for truth, values in zip(
                solution[:, chosen].T.copy(), prediction[:, chosen].T.copy(), strict=True
            ):
                total += _nauc(values[truth], values[~truth])
        return total / len(columns)


def _nauc(positives: Prediction, negatives: Prediction) -> float:
    positives.sort()
    negatives.sort()
    # Twice the number of pairs in the right order, ties counted half: integers, so exact.
    pairs = (
        np.searchsorted(negatives, positives, "left").sum()
        + np.searchsorted(negatives, positives, "right").sum()
    )
    return float(int(pairs) / (len(positives) * len(negatives)) - 1.0)


class MacroF1:
    """Mean F1 of the labels, a label being predicted present at ≥ 0.5; labels of one class only are left out.

    F1 is 2·TP / (called + present) (van Rijsbergen, Information retrieval, 1979). Chance is a prediction without any
    label, which has 0. One that gives all labels to all examples has the mean of 2p / (1 + p), p being a label's share.
    """

    name: ClassVar[str] = "macro_f1"
    chance: ClassVar[float] = 0.0
    best: ClassVar[float] = 1.0

    def score(self, solution: Solution, prediction: Prediction) -> float:
        return whole_scorer(self)(solution, prediction)

    def tallies(self, solution: Solution) -> Callable[[], Tally]:
        present = count_present(solution)
        return lambda: _F1(solution, present)


class _F1(_Confusion):
    def score(self) -> float:
        both = require_two_class(self._present, len(self._solution))
        return float(np.mean(2 * self._true_positives[both] / (self._called + self._present)[both]))


def require_two_class(present: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.bool_]:
    """Labels that have both classes, from the number of examples that have each. Raises InputError if none
    has.
    """
    both = find_two_class(present, n)
    if not both.any():
        raise InputError(
            f"no label of the solution has both classes among its {n} examples, so nothing can be scored; "
            "give a solution in which at least one label is present in some examples and absent in others"
        )
    return both


def count_present(solution: Solution) -> npt.NDArray[np.int64]:
    """Of each label, the examples that have it."""
    present = np.zeros(solution.shape[1], np.int64)
    for block in row_blocks(len(solution), solution.shape[1]):
        present += _column_counts(solution[block])
    return present


def row_blocks(n: int, row_bytes: int) -> Iterator[slice]:
    """Slices of rows, each about ``BLOCK_BYTES``; a multiple of 255 rows, which ``_column_counts`` likes."""
    step = 255 * (1 + BLOCK_BYTES // (255 * row_bytes))
    return (slice(start, start + step) for start in range(0, n, step))


def _column_counts(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    # 255 rows cannot overflow one byte, and sums of bytes are an order faster than sums of int64; several rows side by
    # side make long rows, which are added faster still.
    ones = mask.view(np.uint8)
    labels, side = ones.shape[1], len(ones) // 255
    counts: npt.NDArray[np.int64] = ones[255 * side :].sum(axis=0, dtype=np.uint8).astype(np.int64)
    if side:
        by_place = ones[: 255 * side].reshape(255, side * labels).sum(axis=0, dtype=np.uint8)
        counts += by_place.reshape(side, labels).sum(axis=0, dtype=np.int64)
    return counts
