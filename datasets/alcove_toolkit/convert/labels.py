"""Labels of all items of a source: what stands in a cell, and a compact table of it."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alcove_toolkit.errors import SourceError


@dataclass(frozen=True)
class ItemLabels:
    """Which labels each item has, and with which score. Item i has ``indices[offsets[i]:offsets[i + 1]]``."""

    names: tuple[str, ...]
    """In order: by number where all are whole numbers, else by code point."""
    offsets: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of(self, item: int) -> dict[int, float]:
        """Score of each label of one item."""
        part = slice(self.offsets[item], self.offsets[item + 1])
        return dict(zip(self.indices[part].tolist(), self.scores[part].tolist(), strict=True))


class LabelBuilder:
    """Collects the labels of items, one after the other."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._offsets = array("q", [0])
        self._indices = array("i")
        self._scores = array("f")

    def declare(self, name: str) -> None:
        """There is such a label, whether or not an item has it (a column of 0 and 1)."""
        self._numbers.setdefault(name, len(self._numbers))

    def add(self, labels: Mapping[str, float]) -> None:
        """The labels of the next item, each with its score (1.0 where there is none)."""
        for name, score in labels.items():
            self._indices.append(self._numbers.setdefault(name, len(self._numbers)))
            self._scores.append(score)
        self._offsets.append(len(self._indices))

    def build(self) -> ItemLabels:
        names = sorted(self._numbers, key=_order(self._numbers))
        position = np.zeros(len(names) or 1, np.int32)
        for index, name in enumerate(names):
            position[self._numbers[name]] = index
        return ItemLabels(
            tuple(names),
            np.array(self._offsets, np.int64),
            position[np.array(self._indices, np.int64)],
            np.array(self._scores, np.float32),
        )


def _order(names: Mapping[str, int]) -> Callable[[str], tuple[int, str]]:
    numbers = all(re.fullmatch("-?[0-9]{1,18}", name) for name in names)
    return lambda name: (int(name) if numbers else 0, name)


def parse_label_cell(cell: str, where: str, *, separator: str, confidence: bool) -> dict[str, float]:
    """The labels in one cell: ``cat``, ``cat;dog``, or with ``confidence`` ``cat:0.8;dog:0.3``.

    Spaces around names do not count; an empty cell has no label.

    Raises:
        SourceError: an empty name between separators, a label twice, or a score outside 0 … 1.
    """
    if not cell.strip():
        return {}
    found: dict[str, float] = {}
    for part in cell.split(separator) if separator else [cell]:
        name, score = part.strip(), 1.0
        if confidence:
            name, colon, number = name.rpartition(":")
            name = name.strip()
            score = parse_score(number, where) if colon else 1.0
            name = name if colon else number.strip()
        if not name:
            raise SourceError(where, f"there is an empty label in {cell!r}", remedy="Remove the separator.")
        if name in found:
            raise SourceError(where, f"the label {name!r} is there twice", remedy="Remove one.")
        found[name] = score
    return found


def parse_score(cell: str, where: str) -> float:
    """A confidence: a number from 0 to 1. Raises SourceError for anything else."""
    try:
        score = float(cell)
    except ValueError:
        score = -1.0
    if not 0 <= score <= 1:
        raise SourceError(where, f"{cell!r} is no confidence", remedy="Write a number from 0 to 1.")
    return score
