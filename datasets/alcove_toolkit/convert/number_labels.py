"""Label columns that hold numbers: whether they are classes or to be predicted, and what float32 keeps of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from alcove_toolkit.convert.cell_parsers import normalize_cells, parse_cells
from alcove_toolkit.convert.cell_readings import TEXT_READINGS

MOST_CODES = 20
"""So many different whole numbers can stand for classes, in whatever way they are numbered."""
_MOST_OTHERS = 0.05
"""Share of names that are no numbers (a remark, a missing value), beside which the rest may still be numbers."""
_FEWEST = 3
"""Two numbers are two classes."""
_COARSE = 1e-4
"""Rounding is told where it is more than this share of the range of a column."""


def find_numbers(names: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """The different numbers that these labels stand for, ascending, infinite ones last; None where they are words.

    Read as columns of features are: with commas, currency or percent, in one way for all.
    """
    cells = normalize_cells(pa.array(names, pa.string()))
    most = int(_MOST_OTHERS * len(names))
    for parser in TEXT_READINGS:
        if parser.name not in ("number", "amount"):
            continue
        parsed = parse_cells(cells, parser, most)
        if parsed is None:
            continue
        is_there = ~parsed.unread & cells.is_valid().to_numpy(zero_copy_only=False)
        numbers = np.unique(np.where(np.isnan(parsed.values), np.inf, parsed.values)[is_there])
        return numbers if len(numbers) >= _FEWEST else None
    return None


def are_classes(numbers: npt.NDArray[np.float64]) -> bool:
    """Whether numbers of :func:`find_numbers` count from 0 or 1, or are few whole ones."""
    if not (np.isfinite(numbers).all() and (numbers == np.floor(numbers)).all()):
        return False
    counted = numbers[0] in (0, 1) and bool((np.diff(numbers) == 1).all())
    return counted or len(numbers) <= MOST_CODES


def describe_rounding(name: str, column: npt.NDArray[np.float64]) -> str:
    """What the user should know of float32, in which a dataset keeps numbers; empty where nothing of note is lost."""
    off, differ = float(np.abs(column - column.astype(np.float32)).max()), float(np.ptp(column))
    if off <= _COARSE * differ:
        return ""
    return (
        f"Column {name!r} is kept as float32, up to {off:.3g} off, where its numbers differ by {differ:.3g}: "
        "subtract a constant from all to keep the rest."
    )
