"""Any classifier of scikit-learn's interface as a submission that predicts early, then better."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from sklearn.base import clone
from sklearn.utils import get_tags

from alcove_baselines.features import WIDE, Floats, Metadata, is_wide, vectorize
from alcove_baselines.labels import LabelClassifier, Labels

GROWTH = 4
"""Times as many examples in each round, until there are no more."""
DOUBLINGS = 5
"""Of the setting that grows, once all examples are used."""
PASSES = 30
"""Over all examples, of a classifier that learns with ``partial_fit``."""
BYTES_AT_MOST = 1 << 30
"""Of training examples in memory; the rest of a larger dataset is not read."""


class AnytimeClassifier:
    """A base for ``Model``: turns each example into a vector, and learns from few examples first, then from more.

    ::

        class Model(AnytimeClassifier):
            framework = "numpy"

            def __init__(self, metadata):
                super().__init__(metadata, LogisticRegression(max_iter=200))

    The first prediction comes from ``first`` training examples. Each later round has four times as many. Once it has
    all, a classifier with ``partial_fit`` goes over them again and again, and one with a setting that ``grows`` is
    fitted again with twice as much of it. It ends where a further round would not be over in time.

    The order of the examples, and so each prediction, depends on no clock.

    Args:
        metadata: as ``Model`` is given it.
        classifier: has ``fit`` or ``partial_fit``, and ``predict_proba`` or ``decision_function``.
        first: training examples of the first round.
        grows: name of a setting of the classifier that makes it slower and better, such as ``n_estimators``.
        standardize: whether each number is brought to mean 0 and deviation 1 first (sparse ones: to at most 1).
    """

    framework = "numpy"
    """Datasets as NumPy iterators: (features, label) of one example at a time."""

    def __init__(
        self,
        metadata: Metadata,
        classifier: Any,
        *,
        first: int = 200,
        grows: str = "",
        standardize: bool = True,
    ) -> None:
        self.metadata = metadata
        self.classifier = classifier
        self.grows = grows
        self.standardize = standardize
        self.done_training = False
        self._count = max(2, first)
        self._doublings = self._passes = 0
        self._train: _Examples | None = None
        self._test: Any = None
        self._columns: npt.NDArray[np.int64] | None = None
        self._mean: Any = 0.0
        self._scale: Any = None
        self._model: LabelClassifier | None = None
        self._learned = 0
        """Examples that a classifier with ``partial_fit`` has seen."""
        self._started = 0.0

    def train(
        self, dataset: Iterable[tuple[Floats, Floats]], remaining_time_budget: float | None = None
    ) -> None:
        """Learns for one round. Whether there is time for another is found out by :meth:`test`."""
        del remaining_time_budget
        self._started = time.monotonic()
        if self._train is None:
            self._train = _Examples(dataset, self.metadata, BYTES_AT_MOST)
        matrix, answers = self._train.take(self._count)
        self._learn(self._prepare(matrix), answers)

    def _learn(self, x: Any, answers: Floats) -> None:
        """``answers``: examples × labels, each with its score."""
        y = answers >= 0.5
        if hasattr(self.classifier, "partial_fit") and not self.grows:
            self._go_on(x, y)
            return
        self._model = LabelClassifier(self._grown(), y.shape[1], is_exclusive=_is_exclusive(y))
        self._model.fit(x, y)

    def _grown(self) -> Any:
        """The estimator with as much of the setting that grows as this round has."""
        if not self.grows:
            return self.classifier
        value = self.classifier.get_params()[self.grows]
        return clone(self.classifier).set_params(**{self.grows: value * 2**self._doublings})

    def _predict(self, x: Any) -> Any:
        assert self._model is not None
        return self._model.predict(x)

    def test(
        self, dataset: Iterable[tuple[Floats, Floats]], remaining_time_budget: float | None = None
    ) -> Any:
        """Predicts, and says in ``done_training`` whether there is a further round that would be over in time."""
        began = time.monotonic()
        if self._test is None:
            examples = _Examples(dataset, self.metadata, bytes_at_most=None)
            self._test = self._prepare(examples.take(self.metadata.test_size)[0])
        prediction = self._predict(self._test)
        now = time.monotonic()
        left = np.inf if remaining_time_budget is None else remaining_time_budget - (now - began)
        slower = self._plan_next()
        self.done_training = slower is None or left < slower * (now - self._started)
        return prediction

    def _go_on(self, x: Any, y: Labels) -> None:
        is_exclusive = _is_exclusive(y)
        if self._model is None or self._model.is_exclusive != is_exclusive:
            self._model = LabelClassifier(self.classifier, y.shape[1], is_exclusive=is_exclusive)
            self._learned = 0
        fresh = slice(self._learned, None) if self._learned < len(y) else slice(None)
        order = np.random.default_rng(self._passes).permutation(np.arange(len(y))[fresh])
        self._model.partial_fit(x[order], y[order], y.mean(axis=0))
        self._learned = len(y)

    def _plan_next(self) -> int | None:
        """Prepares the next round. Returns how many times as long as this one it may take; None where there is none."""
        assert self._train is not None
        if not self._train.is_all(self._count):
            self._count *= GROWTH
            return GROWTH + 1
        if self.grows and self._doublings < DOUBLINGS:
            self._doublings += 1
            return 3
        if hasattr(self.classifier, "partial_fit") and not self.grows and self._passes < PASSES:
            self._passes += 1
            return 2
        return None

    def _prepare(self, matrix: Any) -> Any:
        """By columns and scales that the first round finds."""
        if self._scale is None:
            self._find_scale(matrix)
        if self._columns is not None:
            matrix = matrix[:, self._columns].toarray()
        if not self.standardize:
            return matrix
        if scipy.sparse.issparse(matrix):
            return matrix.multiply(1 / self._scale).tocsr()
        return (matrix - self._mean) / self._scale

    def _find_scale(self, matrix: Any) -> None:
        if scipy.sparse.issparse(matrix):
            if get_tags(self.classifier).input_tags.sparse:
                largest = abs(matrix).max(axis=0).toarray()
                self._scale = np.where(largest > 0, largest, 1.0)
                return
            # Those that are most often not zero, for a classifier that takes no sparse matrix.
            often = np.argsort(-matrix.getnnz(axis=0), kind="stable")[:WIDE]
            self._columns = np.sort(often)
            matrix = matrix[:, self._columns].toarray()
        self._mean = matrix.mean(axis=0)
        deviation = matrix.std(axis=0)
        self._scale = np.where(deviation > 0, deviation, 1.0)


def _is_exclusive(y: Labels) -> bool:
    """Whether each example has exactly one of several labels."""
    return y.shape[1] > 1 and bool((y.sum(axis=1) == 1).all())


class _Examples:
    """Examples as rows of a matrix, read as far as they are asked for."""

    def __init__(
        self, dataset: Iterable[tuple[Floats, Floats]], metadata: Metadata, bytes_at_most: int | None
    ) -> None:
        self._metadata = metadata
        self._source: Iterator[tuple[Floats, Floats]] = iter(dataset)
        self._is_wide = is_wide(metadata)
        self._rows: list[Any] = []
        self._labels: list[Floats] = []
        self._bytes = 0
        self._bytes_at_most = np.inf if bytes_at_most is None else bytes_at_most
        self._is_over = False

    def take(self, count: int) -> tuple[Any, Floats]:
        """The first ``count`` examples, or all: a matrix, dense or sparse, and scores, examples × labels."""
        while len(self._rows) < count and not self._is_over:
            self._read()
        rows, labels = self._rows[:count], self._labels[:count]
        matrix = scipy.sparse.vstack(rows, format="csr") if self._is_wide else np.stack(rows)
        return matrix, np.stack(labels)

    def is_all(self, count: int) -> bool:
        return self._is_over or count >= self._metadata.size()

    def _read(self) -> None:
        found = next(self._source, None)
        if found is None or self._bytes > self._bytes_at_most:
            self._is_over = True
            return
        row: Any = vectorize(found[0], self._metadata)
        if self._is_wide:
            row = scipy.sparse.csr_matrix(row[None])
        self._bytes += row.data.nbytes
        self._rows.append(row)
        self._labels.append(found[1])
