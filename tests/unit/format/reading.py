"""Reading a dataset with both readers, which must agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from alcove_format.example import Floats
from alcove_format.reader import open_dataset

Examples = list[tuple[Floats, Floats]]


def parts(path: Path) -> tuple[Examples, Examples]:
    """Features and label of each example of train and of test."""
    opened = open_dataset(path)
    return list(opened.train), list(opened.test)


def both(path: Path) -> Examples:
    """All examples, train before test, once TensorFlow has read the same."""
    from alcove_format.tf_reader import tf_dataset

    opened = open_dataset(path)
    everything: Examples = []
    for part in (opened.train, opened.test):
        ours = list(part)
        theirs = list(tf_dataset(part).as_numpy_iterator())
        for (features, label), (tf_features, tf_label) in zip(ours, theirs, strict=True):
            assert np.array_equal(features, tf_features)
            assert np.array_equal(label, tf_label)
        everything += ours
    return everything
