"""Labels of all items of a source: what stands in a cell, and a compact table of it."""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from alcove_format.solution import LARGEST
from alcove_toolkit.errors import SourceError

MISSING_TEXTS = frozenset(
    [
        *(
            "",
            "na",
            "n/a",
            "nan",
            "-nan",
            "nat",
            "null",
            "none",
            "nil",
            "?",
            "-",
            "--",
            ".",
            "\\n",
            "<na>",
            "#na",
            "#n/a",
        ),
        *("#n/a n/a", "#value!", "#div/0!", "#ref!", "#name?", "#num!", "#null!"),
        *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
        *("n.a.", "(null)", "<null>", "[null]", "(blank)", "(na)", "\u2013", "\u2014"),
    ]
)
"""Cells that stand for no value, in lower case: of spreadsheets, databases, R, pandas and SAS."""
_LABEL_LIKE = frozenset(("none", "nil", "-", "--", ".", "\u2013", "\u2014"))
"""Of these, what is often a label."""
_NAMED = 3
"""Groups of names in a note."""


@dataclass(frozen=True)
class ItemLabels:
    """Which labels each item has, and with which score. Item i has ``indices[offsets[i]:offsets[i + 1]]``."""

    names: tuple[str, ...]
    """In order: by number where all are numbers, else by code point."""
    offsets: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    are_numbers: bool = False
    """Whether ``names`` are of numbers to predict: then each item has all of them, and its scores are the numbers."""
    notes: tuple[str, ...] = ()
    """Names that were taken for one label, or that look alike and were not."""

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
        self._declared = False
        self._offsets = array("q", [0])
        self._indices = array("i")
        self._scores = array("f")

    def declare(self, name: str) -> None:
        """There is such a label, whether or not an item has it (a column of 0 and 1)."""
        self._declared = True
        self._numbers.setdefault(name, len(self._numbers))

    def add(self, labels: Mapping[str, float]) -> None:
        """The labels of the next item, each with its score (1.0 where there is none)."""
        for name, score in labels.items():
            self._indices.append(self._numbers.setdefault(name, len(self._numbers)))
            self._scores.append(score)
        self._offsets.append(len(self._indices))

    def build(self) -> ItemLabels:
        """Names that are one number (``1``, ``1.0``, ``+1``) are one label, unless they are names of columns."""
        merged = {} if self._declared else _merge_numbers(self._numbers)
        names = sorted({merged.get(name, name) for name in self._numbers}, key=_order(self._numbers))
        place = {name: index for index, name in enumerate(names)}
        position = np.zeros(len(self._numbers) or 1, np.int32)
        for name, number in self._numbers.items():
            position[number] = place[merged.get(name, name)]
        labels = ItemLabels(
            tuple(names),
            np.array(self._offsets, np.int64),
            position[np.array(self._indices, np.int64)],
            np.array(self._scores, np.float32),
            notes=(*_merge_notes(merged), *_likeness_notes(names)),
        )
        return _without_repeats(labels) if merged else labels


def _without_repeats(labels: ItemLabels) -> ItemLabels:
    """Each label once an item, with its highest score."""
    items = np.repeat(np.arange(len(labels)), np.diff(labels.offsets))
    order = np.lexsort((-labels.scores, labels.indices, items))
    items, indices = items[order], labels.indices[order]
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(items) != 0) | (np.diff(indices) != 0)
    offsets = np.searchsorted(items[first], np.arange(len(labels) + 1))
    return replace(labels, offsets=offsets, indices=indices[first], scores=labels.scores[order][first])


def _merge_numbers(names: Iterable[str]) -> dict[str, str]:
    """The one name of those that are the same whole number; without leading zeros, which codes have."""
    groups: dict[int, list[str]] = {}
    for name in names:
        if re.fullmatch(r"[+-]?(0|[1-9][0-9]{0,17})(\.0*)?", name, re.ASCII):
            groups.setdefault(int(name.partition(".")[0]), []).append(name)
    return {name: str(number) for number, group in groups.items() if len(group) > 1 for name in group}


def _merge_notes(merged: Mapping[str, str]) -> tuple[str, ...]:
    groups: dict[str, list[str]] = {}
    for name, number in merged.items():
        groups.setdefault(number, []).append(name)
    pairs = [
        f"{', '.join(map(repr, sorted(group)))} are label {number!r}" for number, group in groups.items()
    ]
    return (f"Labels that are the same number are one label: {'; '.join(pairs[:_NAMED])}.",) if pairs else ()


def _likeness_notes(names: Sequence[str]) -> tuple[str, ...]:
    """Names that a person may have meant to be one, or to be none."""
    alike: dict[object, list[str]] = {}
    for name in names:
        number = re.fullmatch(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?", name, re.ASCII)
        alike.setdefault(float(name) if number else " ".join(name.casefold().split()), []).append(name)
    pairs = [" and ".join(map(repr, group)) for group in alike.values() if len(group) > 1]
    notes = [f"Labels that look alike are labels of their own: {'; '.join(pairs[:_NAMED])}."] if pairs else []
    notes += _joined_notes(names)
    missing = [name for name in names if name.lower() in MISSING_TEXTS - _LABEL_LIKE]
    if missing:
        listed = ", ".join(map(repr, missing))
        notes.append(
            f"Taken as a label: {listed}. Where it stands for a missing label, empty these cells or remove the rows."
        )
    return tuple(notes)


def _joined_notes(names: Sequence[str]) -> list[str]:
    """Names that seem to be several, of which at least two stand alone or in another name, too."""
    for separator in "|,;/":
        parts = {
            name: {part.strip() for part in name.split(separator)} for name in names if separator in name
        }
        uses = Counter(part for name in names for part in parts.get(name, {name}))
        joined = [name for name, found in parts.items() if sum(uses[part] > 1 for part in found) > 1]
        if joined:
            return [
                f"Label {joined[0]!r} is one label: if {separator!r} stands between several, pass "
                f"--label-separator '{separator}'."
            ]
    return []


def _order(names: Iterable[str]) -> Callable[[str], tuple[float, str]]:
    numbers = all(re.fullmatch(r"[+-]?[0-9]{1,18}(\.[0-9]{0,18})?", name, re.ASCII) for name in names)
    return lambda name: (float(name) if numbers else 0.0, name)


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


def parse_target(cell: str, where: str) -> float:
    """A number to predict. Raises SourceError for anything else, such as an empty cell or a decimal comma."""
    try:
        number = float(cell) if re.fullmatch(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?", cell, re.ASCII) else math.nan
    except ValueError:
        number = math.nan
    if not abs(number) <= LARGEST:
        raise SourceError(
            where,
            f"{cell[:40]!r} is not a number that can be predicted"
            if cell
            else "the number to predict is missing",
            remedy="Write it as 1234.5 or 1.2e3, remove the row, or convert labels (--classes).",
        )
    return number


def parse_score(cell: str, where: str) -> float:
    """A confidence: a number from 0 to 1. Raises SourceError for anything else."""
    try:
        score = float(cell)
    except ValueError:
        score = -1.0
    if not 0 <= score <= 1:
        raise SourceError(
            where,
            f"{cell!r} is not a confidence",
            remedy="Write a number from 0 to 1; numbers to predict take --regression.",
        )
    return score
