"""How values that are taken as probabilities compare with what is true: the reliability diagram.

DeGroot and Fienberg, The comparison and evaluation of forecasters (1983): of the cells (example × label) whose value is
in a bin, the share whose label is present, over their mean value.
"""

from __future__ import annotations

import numpy as np

from alcove_api.feedback import CALIBRATION_BINS
from alcove_api.score_documents import CalibrationBin
from alcove_scorer.metrics import Prediction, Solution, find_scored_columns, row_blocks


class CalibrationTally:
    """Takes a prediction's rows, block after block, in order. Labels of one class only are left out."""

    def __init__(self, solution: Solution) -> None:
        self._solution, self._scored = solution, find_scored_columns(solution)
        self._rows = 0
        self._cells = np.zeros(CALIBRATION_BINS, np.int64)
        self._present = np.zeros(CALIBRATION_BINS, np.int64)
        self._sums = np.zeros(CALIBRATION_BINS)

    def add(self, rows: Prediction) -> None:
        for block in row_blocks(len(rows), 8 * rows.shape[1]):
            values = np.clip(rows[block][:, self._scored].astype(np.float64), 0.0, 1.0).ravel()
            truth = self._solution[self._rows : self._rows + len(rows[block])][:, self._scored].ravel()
            self._rows += len(rows[block])
            bins = np.minimum((values * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
            self._cells += np.bincount(bins, minlength=CALIBRATION_BINS)
            self._present += np.bincount(bins[truth], minlength=CALIBRATION_BINS)
            self._sums += np.bincount(bins, weights=values, minlength=CALIBRATION_BINS)

    def bins(self) -> tuple[CalibrationBin, ...]:
        """Those that any value is in, lowest first."""
        return tuple(
            CalibrationBin(
                predicted=float(self._sums[i] / self._cells[i]),
                observed=float(self._present[i] / self._cells[i]),
                cells=int(self._cells[i]),
            )
            for i in np.flatnonzero(self._cells).tolist()
        )
