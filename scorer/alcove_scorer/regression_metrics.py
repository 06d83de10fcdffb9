"""Metrics of a regression: predictions are numbers, and so is the solution (float64, n examples × targets).

Both are relative to the best constant, so that 0 is chance and 1 is best, whatever the unit. They have no lower bound.
Targets that are the same in all examples are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from alcove_api.schemes import MAE, R2
from alcove_scorer.errors import InputError
from alcove_scorer.metrics import (
    BLOCK_BYTES,
    Predicted,
    Prediction,
    Solution,
    Tally,
    find_scored_columns,
    row_blocks,
    whole_scorer,
)

Floats = npt.NDArray[np.float64]


class _RelativeErrors:
    """Mean over targets of 1 − errors / those of the best constant."""

    name: ClassVar[str]
    predicts: ClassVar[Predicted] = "numbers"
    chance: ClassVar[float] = 0.0
    best: ClassVar[float] = 1.0

    def find_constant(self, solution: Solution) -> Floats:
        """Of each target."""
        raise NotImplementedError

    def sum_errors(self, errors: Floats) -> Floats:
        """Of each target; ``errors`` may be written over."""
        raise NotImplementedError

    def score(self, solution: Solution, prediction: Prediction) -> float:
        return whole_scorer(self)(solution, prediction)

    def tallies(self, solution: Solution) -> Callable[[], Tally]:
        scored = require_varied(solution)
        constant, nothing = self.find_constant(solution), np.zeros(solution.shape[1])
        for rows in row_blocks(len(solution), 8 * solution.shape[1]):
            nothing += self.sum_errors(solution[rows] - constant)
        return lambda: _Errors(solution, scored, nothing, self.sum_errors)


class R2Score(_RelativeErrors):
    """Mean over targets of 1 − Σ(y − p)² / Σ(y − mean)²: the coefficient of determination.

    Chance is the mean of the solution (Wright, Correlation and causation, 1921; over targets as scikit-learn's
    ``r2_score(multioutput="uniform_average")``).
    """

    name: ClassVar[str] = R2

    def find_constant(self, solution: Solution) -> Floats:
        means: Floats = solution.mean(axis=0)
        return means

    def sum_errors(self, errors: Floats) -> Floats:
        total: Floats = np.einsum("ij,ij->j", errors, errors)
        return total


class NormalizedMAE(_RelativeErrors):
    """Mean over targets of 1 − Σ|y − p| / Σ|y − median|: the mean absolute error relative to that of the median.

    The median is the constant with the least absolute error, so no constant is above chance (D² with absolute error:
    Koenker and Machado, Goodness of fit and related inference processes for quantile regression, 1999).
    """

    name: ClassVar[str] = MAE

    def find_constant(self, solution: Solution) -> Floats:
        return find_medians(solution)

    def sum_errors(self, errors: Floats) -> Floats:
        total: Floats = np.abs(errors, out=errors).sum(axis=0)
        return total


def require_varied(solution: Solution) -> npt.NDArray[np.bool_]:
    """Targets whose numbers differ. Raises InputError if none has any that do."""
    scored = find_scored_columns(solution)
    if not scored.any():
        raise InputError(
            f"no number of the solution varies among its {len(solution)} examples, so nothing can be scored; "
            "give a solution in which at least one number to predict differs between examples"
        )
    return scored


def find_medians(solution: Solution) -> Floats:
    """Of each column; a few at a time, since they lie strided in memory."""
    width = max(1, 4 * BLOCK_BYTES // (8 * len(solution)))
    parts = [
        np.median(solution[:, i : i + width].T.copy(), axis=1, overwrite_input=True)
        for i in range(0, solution.shape[1], width)
    ]
    return np.concatenate(parts)


class _Errors:
    """Adds up errors by target. ``nothing``: those of the best constant; ``sum_errors``: of a block of rows."""

    def __init__(
        self,
        solution: Solution,
        scored: npt.NDArray[np.bool_],
        nothing: Floats,
        sum_errors: Callable[[Floats], Floats],
    ) -> None:
        self._solution, self._scored, self._nothing = solution, scored, nothing
        self._sum_errors = sum_errors
        self._rows = self._waiting = 0
        # Errors are added in blocks of the same rows, wherever those end that come: a sum depends on its order.
        self._errors = np.empty((_block_rows(solution), solution.shape[1]))
        self._total = np.zeros(solution.shape[1])

    def add(self, rows: Prediction) -> None:
        start = 0
        while start < len(rows):
            taken = min(len(rows) - start, len(self._errors) - self._waiting)
            truth = self._solution[self._rows : self._rows + taken]
            errors = self._errors[self._waiting : self._waiting + taken]
            # In two steps: a difference of two types is worked out piece by piece in a buffer, which takes longer.
            np.copyto(errors, rows[start : start + taken])
            np.subtract(truth, errors, out=errors)
            start, self._rows, self._waiting = start + taken, self._rows + taken, self._waiting + taken
            if self._waiting == len(self._errors):
                self._empty()

    def _empty(self) -> None:
        # Errors of hostile sizes overflow; a score that is not finite is refused by whoever asked for it.
        with np.errstate(over="ignore"):
            self._total += self._sum_errors(self._errors[: self._waiting])
        self._waiting = 0

    def score(self) -> float:
        self._empty()
        scored = self._scored
        return float(np.mean(1.0 - self._total[scored] / self._nothing[scored]))


def _block_rows(solution: Solution) -> int:
    rows, targets = solution.shape
    return min(int(rows), 1 + BLOCK_BYTES // (8 * int(targets)))
