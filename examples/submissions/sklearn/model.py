"""Scikit-learn on any kind of dataset: random forests that grow, first on few examples, then on all.

Every example is turned into one vector; what kind of data it is, the shape tells. The first prediction is out
after a second or two, since early predictions count most; each later forest is larger.
"""

import time

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier

WINDOW = 256
"""Samples of sound whose spectrum is taken."""
STEPS_SEEN = 16
"""Time steps of a long series that are kept as they are."""


class Model:
    framework = "numpy"
    """Datasets as NumPy iterators: (features, label) of one example at a time."""

    def __init__(self, metadata):
        self.metadata = metadata
        self.train_set = None
        self.test_set = None
        self.first = 300
        """Examples that the first forest learns from."""
        self.trees = 10
        self.seconds = 0.0
        """How long the last round took."""
        self.done_training = False

    def train(self, dataset, remaining_time_budget=None):
        self.started = time.monotonic()
        if self.train_set is None:
            self.train_set = vectors(dataset, self.metadata)
        x, y = self.train_set
        count = min(self.first, len(x))
        # Examples come in no particular order, so the first ones are a fair sample.
        self.forest = ExtraTreesClassifier(
            self.trees,
            min_samples_leaf=2,
            class_weight="balanced_subsample",
            max_features=0.2,
            random_state=0,
        )
        self.forest.fit(x[:count], y[:count] >= 0.5)
        self.base_rate = (y[:count] >= 0.5).mean(axis=0)
        if count < len(x):
            self.first = min(len(x), count * 4)
        else:
            self.trees *= 2

    def test(self, dataset, remaining_time_budget=None):
        if self.test_set is None:
            self.test_set = vectors(dataset, self.metadata)[0]
        prediction = against_base_rate(probabilities(self.forest, self.test_set), self.base_rate)
        self.seconds = time.monotonic() - self.started
        # The next round takes at least twice as long: stop where it would not end in time, or gain little.
        left = np.inf if remaining_time_budget is None else remaining_time_budget - self.seconds
        self.done_training = self.trees > 320 or left < 3 * self.seconds
        return prediction


def probabilities(forest, x):
    """Probability that each label is present: examples × labels."""
    given = forest.predict_proba(x)
    columns = []
    for label, classes in enumerate(forest.classes_):
        column = given[label][:, list(classes).index(True)] if True in classes else np.zeros(len(x))
        columns.append(column)
    return np.stack(columns, axis=1)


def against_base_rate(p, rate):
    """Moves each label's threshold from 0.5 to its base rate, which is best for balanced accuracy."""
    rate = np.clip(rate, 1e-3, 1 - 1e-3)
    present, absent = p * (1 - rate), (1 - p) * rate
    return present / np.maximum(present + absent, 1e-9)


def vectors(dataset, metadata):
    """All examples as one matrix, and their labels: (examples × features, examples × labels)."""
    vector = {"text": token_counts, "speech": spectrum}.get(metadata.domain, numbers)
    x, y = [], []
    for features, label in dataset:
        x.append(vector(features, metadata))
        y.append(label)
    return np.nan_to_num(np.stack(x)), np.stack(y)


def token_counts(features, metadata):
    """Text: how often each of the 1,000 most frequent tokens occurs (the lowest numbers are the most frequent)."""
    size = min(metadata.vocabulary_size, 1000)
    tokens = features.ravel().astype(int)
    return np.bincount(tokens[tokens < size], minlength=size).astype(np.float32)


def spectrum(features, _metadata):
    """Speech: mean and deviation of the spectrum, in the first half and in the second."""
    sound = features.mean(axis=(1, 2, 3))
    sound = np.pad(sound, (0, max(2 * WINDOW - len(sound), 0)))
    windows = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[:: WINDOW // 4] * np.hanning(WINDOW)
    power = np.log(np.abs(np.fft.rfft(windows, axis=1)) + 1e-3)
    halves = np.array_split(power, 2)
    return np.concatenate([f(half, axis=0) for half in halves for f in (np.mean, np.std)])


def numbers(features, metadata):
    """Everything else: the numbers themselves and, for a sequence, what does not depend on when it happens."""
    steps = len(features)
    if metadata.get_sequence_size() == 1:
        return features.ravel()
    flat = features.reshape(steps, -1)
    kept = (
        flat[np.linspace(0, steps - 1, STEPS_SEEN).astype(int)]
        if steps
        else np.zeros((STEPS_SEEN, flat.shape[1]))
    )
    if flat.shape[1] > 64:  # Video: the frames say enough, and there are many numbers.
        return kept[:: STEPS_SEEN // 4].ravel()
    changes = np.diff(flat, axis=0, prepend=flat[:1])
    spectrum = np.abs(np.fft.rfft(flat - flat.mean(axis=0), n=128, axis=0))[:48]
    summary = [
        np.concatenate([a.mean(axis=0), a.std(axis=0), np.abs(a).max(axis=0)]) for a in (flat, changes)
    ]
    quantiles = np.quantile(flat, [0.1, 0.25, 0.5, 0.75, 0.9], axis=0)
    return np.concatenate(
        [*summary, quantiles.ravel(), np.sort(spectrum, axis=0)[-8:].ravel(), spectrum.ravel()]
    )
