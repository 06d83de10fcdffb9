"""Practice datasets of six kinds, and a regression. They need no download.

One seed and Python version give the same bytes.

Real data that comes with Python or scikit-learn is used where there is any; what is synthesised says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from alcove_api.schemes import Task
from alcove_format.writer import write_dataset
from alcove_toolkit import practice_sources as sources
from alcove_toolkit.convert.choices import Kind
from alcove_toolkit.errors import FileAccessError, UnknownDatasetError
from alcove_toolkit.practice_draw import Parts
from alcove_toolkit.practice_pictures import make_digits, make_moving_digits
from alcove_toolkit.practice_speech import make_vowels


@dataclass(frozen=True)
class PracticeDataset:
    name: str
    kind: Kind
    task: Task
    real: bool
    """Whether it holds real data: each example up to ``examples`` is as it was found, later ones are altered copies."""
    labels: int
    """Of a regression, the numbers to predict."""
    examples: int
    """Train and test together, unless asked otherwise."""
    about: str
    make: Callable[[np.random.Generator, int], Parts]

    @property
    def origin(self) -> str:
        """For people."""
        return f"real to {self.examples:,}, then altered copies" if self.real else "synthesised"


PRACTICE = (
    PracticeDataset(
        "characters",
        "tabular",
        "multiclass",
        True,
        10,
        3300,
        "properties of Unicode characters → category",
        sources.make_characters,
    ),
    PracticeDataset(
        "waves",
        "series",
        "multiclass",
        False,
        6,
        2500,
        "signals of two sensors in noise → wave form",
        sources.make_waves,
    ),
    PracticeDataset(
        "docstrings",
        "text",
        "multiclass",
        True,
        6,
        3600,
        "sentences of the standard library → kind of module",
        sources.make_docstrings,
    ),
    PracticeDataset(
        "digits",
        "image",
        "multiclass",
        True,
        10,
        1797,
        "scikit-learn's handwritten digits → digit",
        make_digits,
    ),
    PracticeDataset(
        "moving-digits",
        "video",
        "multilabel",
        True,
        14,
        1797,
        "handwritten digits that are moved → digit and direction (two labels each)",
        make_moving_digits,
    ),
    PracticeDataset(
        "vowels", "audio", "multiclass", False, 10, 2000, "short words in noise → word", make_vowels
    ),
)
"""With labels: one competition can use all of them."""
REGRESSIONS = (
    PracticeDataset(
        "friedman", "tabular", "regression", False, 1, 3000, "ten columns → a number", sources.make_friedman
    ),
)


def make_practice(name: str, out: Path, *, seed: int = 0, examples: int | None = None) -> Path:
    """Writes ``out/NAME.data`` and ``out/NAME.solution``; returns the former.

    Args:
        examples: train and test together, any number: they are made one at a time.

    Raises:
        UnknownDatasetError: there is no practice dataset of this name.
        OutputExistsError: a file or folder of that name exists.
        FileAccessError: no space, or no access.
    """
    by_name = {practice.name: practice for practice in (*PRACTICE, *REGRESSIONS)}
    if name not in by_name:
        raise UnknownDatasetError(name, tuple(by_name))
    practice = by_name[name]
    metadata, train, test = practice.make(np.random.default_rng(seed), examples or practice.examples)
    try:
        return write_dataset(out, name, replace(metadata, stated_task=practice.task), train, test)
    except OSError as error:
        raise FileAccessError(error, str(out), str(out)) from None
