"""What counts of labels say: which labels can be scored, and their balanced accuracy. The formula is here once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.integer[Any]]
"""One whole number for each label."""


def find_two_class(present: Counts, examples: int) -> npt.NDArray[np.bool_]:
    """The labels that are present in some of the ``examples`` and absent in others. ``present``: in how many."""
    return (present > 0) & (present < examples)


def balanced_accuracy(present: Counts, called: Counts, hits: Counts, examples: int) -> float:
    """Mean over labels of ½(TPR + TNR) (Brodersen et al., 2010, for each label).

    Labels that are not of two classes are left out; at least one must be.

    Args:
        present: examples that have the label.
        called: examples that are predicted to have it.
        hits: examples that have it and are predicted to.
        examples: how many there are.
    """
    both = find_two_class(present, examples)
    positives = present[both]
    sensitivity = hits[both] / positives
    specificity = 1.0 - (called - hits)[both] / (examples - positives)
    return float(np.mean((sensitivity + specificity) / 2))
