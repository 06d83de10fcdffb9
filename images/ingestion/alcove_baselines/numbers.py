"""Any regressor of scikit-learn's interface as a submission that predicts early, then better."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from alcove_baselines.anytime import AnytimeClassifier
from alcove_baselines.features import Floats, Metadata


class AnytimeRegressor(AnytimeClassifier):
    """As :class:`AnytimeClassifier`, for datasets whose ``metadata.task`` is ``regression``.

    There is one regressor for each number to predict, which is brought to mean 0 and deviation 1 of train.

    Args:
        metadata: as ``Model`` is given it.
        regressor: has ``fit`` and ``predict``.
        options: as :class:`AnytimeClassifier` has them.
    """

    def __init__(self, metadata: Metadata, regressor: Any, **options: Any) -> None:
        if hasattr(regressor, "partial_fit") and not options.get("grows"):
            raise TypeError(
                f"{type(regressor).__name__} learns with partial_fit: take one that has fit alone."
            )
        super().__init__(metadata, regressor, **options)
        self._members: list[Any] = []
        self._centre: npt.NDArray[np.float64] = np.zeros(0)
        self._spread: npt.NDArray[np.float64] = np.zeros(0)

    def _learn(self, x: Any, answers: Floats) -> None:
        self._centre, deviation = (
            answers.mean(axis=0, dtype=np.float64),
            answers.std(axis=0, dtype=np.float64),
        )
        self._spread = np.where(deviation > 0, deviation, 1.0)
        scaled = (answers - self._centre) / self._spread
        self._members = [clone(self._grown()).fit(x, column) for column in scaled.T]

    def _predict(self, x: Any) -> Any:
        scaled = np.stack([member.predict(x) for member in self._members], axis=1)
        return scaled * self._spread + self._centre
