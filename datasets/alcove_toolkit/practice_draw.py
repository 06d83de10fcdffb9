"""Draw any number of examples from a source that has fewer: once the real ones have run out, altered copies follow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from alcove_format.metadata import Metadata
from alcove_format.writer import NewExample

Generator = np.random.Generator
Parts = tuple[Metadata, Iterable[NewExample], Iterable[NewExample]]
"""What a practice dataset is made of: train and test are made example by example, while they are written."""
T = TypeVar("T")


def draw_balanced(labels: Sequence[int], count: int, rng: Generator) -> Iterator[tuple[int, bool]]:
    """Draws ``count`` items in random order, of each class as many as of any other (or one more).

    Yields (index, whether to alter it): each item of a class comes once before one comes a second time, and
    from then on an altered copy is asked for.
    """
    array = np.asarray(labels)
    classes = np.unique(array)
    items: list[npt.NDArray[np.int64]] = []
    altered: list[npt.NDArray[np.bool_]] = []
    for number, label in enumerate(classes):
        members = np.flatnonzero(array == label)
        share = count // len(classes) + (number < count % len(classes))
        rounds = [rng.permutation(members) for _ in range(-(-share // len(members)))]
        items.append(np.concatenate([members[:0], *rounds])[:share])
        altered.append(np.arange(share) >= len(members))
    every, again = np.concatenate(items), np.concatenate(altered)
    for i in rng.permutation(count):
        yield int(every[i]), bool(again[i])


def split_by_label(labels: Sequence[int], fraction: float, rng: Generator) -> tuple[list[int], list[int]]:
    """Indices of train and test; ``fraction`` of each class is in train."""
    array = np.asarray(labels)
    train: list[int] = []
    test: list[int] = []
    for label in np.unique(array):
        members = rng.permutation(np.flatnonzero(array == label)).tolist()
        cut = round(len(members) * fraction)
        train += members[:cut]
        test += members[cut:]
    return train, test


def pick_one(items: Sequence[T], rng: Generator) -> T:
    return items[int(rng.integers(len(items)))]


def number_names(names: Sequence[str]) -> dict[str, int]:
    """Names with their index, as metadata hold them."""
    return {name: i for i, name in enumerate(names)}
