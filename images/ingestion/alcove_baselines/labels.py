"""Any classifier of scikit-learn's interface as one that gives a probability for each label."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.utils import get_tags

Labels = npt.NDArray[np.bool_]
Probabilities = npt.NDArray[np.float64]


class LabelClassifier:
    """Wraps a classifier with ``fit`` or ``partial_fit``, and ``predict_proba`` or ``decision_function``.

    Where each example has exactly one label, one classifier tells the labels apart. Otherwise there is one for all, if
    it takes many labels at once, or one for each. A label that all examples have, or none, is predicted by its rate.
    """

    def __init__(self, classifier: Any, n_labels: int, *, is_exclusive: bool) -> None:
        self._n_labels = n_labels
        self._rates = np.zeros(n_labels)
        self.is_exclusive = is_exclusive
        takes_many = get_tags(classifier).classifier_tags.multi_label and not hasattr(
            classifier, "partial_fit"
        )
        whole, single = [slice(0, n_labels)], [slice(i, i + 1) for i in range(n_labels)]
        self._parts = whole if is_exclusive or takes_many else single
        self._members = [clone(classifier) for _ in self._parts]
        self._ready = [False] * len(self._parts)

    def fit(self, x: Any, y: Labels) -> None:
        """``x``: examples × numbers, ``y``: examples × labels."""
        self._rates = y.mean(axis=0)
        for i, (member, part) in enumerate(zip(self._members, self._parts, strict=True)):
            target = self._target(y[:, part])
            if self._can_learn(target):
                member.fit(x, target)
                self._ready[i] = True

    def partial_fit(self, x: Any, y: Labels, rates: Probabilities) -> None:
        """Goes on learning. ``rates``: how often each label occurs in all that it has learned from."""
        self._rates = rates
        for i, (member, part) in enumerate(zip(self._members, self._parts, strict=True)):
            classes = np.arange(self._n_labels) if self.is_exclusive else np.array([False, True])
            member.partial_fit(x, self._target(y[:, part]), classes=classes)
            self._ready[i] = True

    def predict(self, x: Any) -> Probabilities:
        """Examples × labels. 0.5 is where a label is as likely as on average, which is best for balanced accuracy."""
        found = np.tile(self._rates, (x.shape[0], 1))
        for member, part, is_ready in zip(self._members, self._parts, self._ready, strict=True):
            if is_ready:
                found[:, part] = self._probabilities(member, x, part.stop - part.start)
        return weigh_against_rates(found, self._rates)

    def _target(self, y: Labels) -> Any:
        if self.is_exclusive:
            return y.argmax(axis=1)
        # Numbers, since some classifiers take many labels as such alone.
        return y[:, 0] if y.shape[1] == 1 else y.astype(np.int8)

    def _can_learn(self, target: Any) -> bool:
        return target.ndim == 2 or len(np.unique(target)) > 1

    def _probabilities(self, member: Any, x: Any, width: int) -> Probabilities:
        if hasattr(member, "predict_proba"):
            given = member.predict_proba(x)
        else:
            given = self._squash(np.asarray(member.decision_function(x), np.float64))
        if isinstance(given, list):  # Many labels at once: examples × classes of each.
            pairs = zip(given, member.classes_, strict=True)
            return np.stack([_column_of(columns, classes) for columns, classes in pairs], axis=1)
        if self.is_exclusive:
            found = np.zeros((x.shape[0], width))
            found[:, member.classes_.astype(int)] = given
            return found
        return np.asarray(given)[:, -1:] if width == 1 else np.asarray(given)

    def _squash(self, decisions: Probabilities) -> Probabilities:
        """Decisions as numbers between 0 and 1, whose sum over exclusive labels is 1: examples × labels."""
        if self.is_exclusive and decisions.ndim == 2:
            return np.asarray(softmax(decisions, axis=1))
        yes = np.asarray(expit(decisions))
        return np.stack([1 - yes, yes], axis=1) if decisions.ndim == 1 else yes


def _column_of(columns: Any, classes: Any) -> Any:
    """The probability that the label is there."""
    places = np.flatnonzero(classes)
    return columns[:, places[0]] if len(places) else np.zeros(len(columns))


def weigh_against_rates(p: Probabilities, rates: Probabilities) -> Probabilities:
    """Probabilities, moved so that 0.5 is where they equal the label's rate."""
    rates = np.clip(rates, 1e-3, 1 - 1e-3)
    present, absent = p * (1 - rates), (1 - p) * rates
    return present / np.maximum(present + absent, 1e-9)
