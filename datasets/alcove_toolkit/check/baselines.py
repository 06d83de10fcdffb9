"""What can be had without any thought: the score of a constant prediction, and that of a linear model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from alcove_format.label_counts import balanced_accuracy, find_two_class
from alcove_toolkit.check.findings import Finding, warning
from alcove_toolkit.check.leaks import SIGMAS, LabelledColumns, sensitivity_deviation
from alcove_toolkit.check.sample import Bools, Floats

Score = Callable[[Any, Any], float]
"""``score(solution, prediction)`` of a metric: both test examples × labels, the former of bool; or × numbers."""
PENALTIES = (1e-2, 1e-1, 1.0)
"""Of the ridge regression, a training example."""
FARTHEST = 8.0
"""Standardised features are cut to this: one wild value in test must not decide."""
SOLVED = 0.995


@dataclass(frozen=True)
class Linear:
    """A ridge regression on all labels at once, each cut halfway between those that have it and the rest."""

    test: float
    """Balanced accuracy on the test sample, mean over the labels that have both classes there."""
    held_out: float
    """The same on a quarter of the train sample, which the model was not fitted to."""
    deviation: float
    """Standard deviation of ``test`` for a guess, at most."""
    held_out_deviation: float
    prediction: npt.NDArray[np.float64]
    """Test sample × labels; present at ≥ 0.5, as metrics take it."""


def linear_baseline(train: LabelledColumns, test: LabelledColumns) -> Linear | None:
    """None where there is too little to fit: fewer than 8 examples, or no label with both classes on either side."""
    n = len(train.labels)
    if n < 8 or not len(test.labels):
        return None
    order = np.random.default_rng(0).permutation(n)
    held, fitted = order[: n // 4], order[n // 4 :]
    if not (_both(train.labels[held]).any() and _both(test.labels).any()):
        return None
    x_train, x_test = _standardise_both(train.columns, test.columns)
    y = train.labels.astype(np.float32)
    best, penalty, cut = -1.0, PENALTIES[0], np.zeros(y.shape[1])
    for tried in PENALTIES:
        guess = _fit(x_train[fitted], y[fitted], x_train[held], tried)
        middle = _middle(guess, train.labels[held])
        score = _accuracy(train.labels[held], guess >= middle)
        if score > best:
            best, penalty, cut = score, tried, middle
    # A label that is too rare for both of its classes to be held out is cut where it was fitted.
    rare = ~_both(train.labels[held])
    if rare.any():
        cut[rare] = _middle(_fit(x_train, y, x_train, penalty), train.labels)[rare]
    guess = _fit(x_train, y, x_test, penalty) - cut
    return Linear(
        _accuracy(test.labels, guess >= 0),
        best,
        _deviation(test.labels),
        _deviation(train.labels[held]),
        1 / (1 + np.exp(-8.0 * np.clip(guess, -4, 4))),
    )


def fit_numbers(x_train: Floats, numbers: Floats, x_test: Floats) -> npt.NDArray[np.float64] | None:
    """Test sample × targets: what a ridge regression predicts, with the penalty that is best on a quarter of train.

    None where there is too little to fit: fewer than 8 examples. ``numbers``: train sample × targets.
    """
    n = len(numbers)
    if n < 8 or not len(x_test):
        return None
    order = np.random.default_rng(0).permutation(n)
    held, fitted = order[: n // 4], order[n // 4 :]
    one, other = _standardise_both(x_train, x_test)
    centre, scale = numbers.mean(axis=0, dtype=np.float64), numbers.std(axis=0, dtype=np.float64)
    y = ((numbers - centre) / np.where(scale > 0, scale, 1.0)).astype(np.float32)
    errors = [
        float(((_fit(one[fitted], y[fitted], one[held], penalty) - y[held]) ** 2).sum())
        for penalty in PENALTIES
    ]
    best = PENALTIES[int(np.argmin(errors))]
    predicted: npt.NDArray[np.float64] = _fit(one, y, other, best) * scale + centre
    return predicted


def _standardise_both(train: Floats, test: Floats) -> tuple[Floats, Floats]:
    """By mean and standard deviation of train; columns that are constant there are left out."""
    mean, std = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    useful = std > 1e-9 * np.maximum(np.abs(mean), 1e-9)
    one, other = (_standardised(x[:, useful], mean[useful], std[useful]) for x in (train, test))
    return one, other


def _accuracy(truth: Bools, called: Bools) -> float:
    return balanced_accuracy(truth.sum(axis=0), called.sum(axis=0), (truth & called).sum(axis=0), len(truth))


def baseline_findings(linear: Linear, shift: bool) -> list[Finding]:
    """What the scores say of the dataset. ``shift``: whether test is declared to differ from train."""
    gain, held = linear.test - 0.5, linear.held_out - 0.5
    learned = held >= max(0.15, SIGMAS * linear.held_out_deviation)
    if learned and linear.deviation < 0.05 and gain < 0.1 * held:
        return [
            Finding(
                "nothing-carries-over",
                f"A linear model learns train (balanced accuracy {linear.held_out:.2f} on examples held out of it), "
                f"but on test it is as good as chance ({linear.test:.2f}).",
                "Check that the solution's rows are in the order of the test examples, and its columns in that of "
                "the labels"
                + ("." if shift else "; where test is meant to differ so much, declare the shift."),
                "warning" if shift else "error",
            )
        ]
    if linear.test >= SOLVED and linear.deviation < 0.05:
        return [
            warning(
                "too-easy",
                f"A linear model on coarse features has a balanced accuracy of {linear.test:.3f} on test.",
                "Submissions will come near that at once, and differ by little: take a harder task, if there is one.",
            )
        ]
    if linear.deviation < 0.02 and max(gain, held) < 0.02:
        return [
            warning(
                "no-signal",
                f"A linear model on coarse features is as good as chance (balanced accuracy {linear.test:.2f}).",
                "The task may be hard; or labels and examples do not belong together: look with `alcove dataset show`.",
            )
        ]
    return []


def _both(labels: Bools) -> Bools:
    return find_two_class(labels.sum(axis=0), len(labels))


def _deviation(labels: Bools) -> float:
    both = _both(labels)
    return float(sensitivity_deviation(labels[:, both].sum(axis=0, dtype=np.int64), len(labels)).mean())


def _standardised(x: Floats, mean: npt.NDArray[np.float64], std: npt.NDArray[np.float64]) -> Floats:
    out: Floats = np.clip((x - mean) / std, -FARTHEST, FARTHEST).astype(np.float32)
    return out


def _fit(x: Floats, y: Floats, other: Floats, penalty: float) -> npt.NDArray[np.float64]:
    from sklearn.linear_model import Ridge  # Slow to import.

    if not x.shape[1]:
        return np.zeros((len(other), y.shape[1]))
    model = Ridge(alpha=penalty * len(x), solver="cholesky").fit(x, y)
    return np.asarray(model.predict(other), np.float64).reshape(len(other), -1)


def _middle(guess: npt.NDArray[np.float64], truth: Bools) -> npt.NDArray[np.float64]:
    """Halfway between the mean of those that have the label and that of the rest; out of reach where one is missing."""
    positives = truth.sum(axis=0)
    negatives = len(truth) - positives
    high = (guess * truth).sum(axis=0) / np.maximum(positives, 1)
    low = (guess * ~truth).sum(axis=0) / np.maximum(negatives, 1)
    return np.where(
        (positives > 0) & (negatives > 0), (high + low) / 2, np.where(positives > 0, -np.inf, np.inf)
    )
