"""Practice datasets of five kinds that need no download, the same bytes for the same seed.

Where real data comes with Python or scikit-learn, it is used; what is synthesised says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alcove_datasets import practice_sources as sources
from alcove_datasets.errors import UnknownDatasetError
from alcove_datasets.metadata import Domain
from alcove_datasets.practice_sources import Parts
from alcove_datasets.writer import write_dataset


@dataclass(frozen=True)
class Practice:
    name: str
    kind: Domain
    real: bool
    labels: int
    examples: int
    """Train and test together, unless asked otherwise; the source may have fewer."""
    about: str
    make: Callable[[np.random.Generator, int], Parts]


PRACTICE = (
    Practice(
        "characters",
        "tabular",
        True,
        10,
        5100,
        "properties of Unicode characters → category",
        sources.characters,
    ),
    Practice("waves", "series", False, 6, 2500, "synthesised signals in noise → wave form", sources.waves),
    Practice(
        "docstrings",
        "text",
        True,
        6,
        3600,
        "sentences of the standard library → kind of module",
        sources.docstrings,
    ),
    Practice("digits", "image", True, 10, 1797, "scikit-learn's handwritten digits → digit", sources.digits),
    Practice(
        "moving-digits",
        "video",
        True,
        14,
        2300,
        "handwritten digits that are moved → digit and direction (two labels each)",
        sources.moving_digits,
    ),
)


def make_practice(name: str, out: Path, *, seed: int = 0, examples: int | None = None) -> Path:
    """Writes ``out/NAME.data`` and ``out/NAME.solution``; returns the former.

    Args:
        examples: train and test together; fewer where a real source has fewer.

    Raises:
        UnknownDatasetError: there is none of this name.
        OutputExistsError: there is something under that name already.
    """
    by_name = {practice.name: practice for practice in PRACTICE}
    if name not in by_name:
        raise UnknownDatasetError(name, tuple(by_name))
    practice = by_name[name]
    metadata, train, test = practice.make(np.random.default_rng(seed), examples or practice.examples)
    return write_dataset(out, name, metadata, train, test)
