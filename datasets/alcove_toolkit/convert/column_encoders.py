"""Columns of a table as numbers: what each holds is learnt from train's cells alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from alcove_toolkit.convert.cell_parsers import normalize_cells, parse_column
from alcove_toolkit.convert.cell_readings import CellParser, Doubles

Floats = npt.NDArray[np.float32]
Positions = npt.NDArray[np.intp]
BOOLEAN_TEXTS = {"true": 1.0, "yes": 1.0, "t": 1.0, "y": 1.0, "false": 0.0, "no": 0.0, "f": 0.0, "n": 0.0}


class ColumnEncoder(Protocol):
    """One column of the source as one or more numbers a row."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def density(self) -> float:
        """About how many of its numbers are not zero, a row of train."""
        ...

    @property
    def kind(self) -> str:
        """What its cells are, for people: ``number``, ``12 categories``."""
        ...

    def encode(self, column: pa.Array) -> tuple[Floats, Positions]:
        """Returns (rows × ``len(names)``, positions of cells that could not be read and were taken as missing)."""
        ...


@dataclass(frozen=True)
class NumberEncoder:
    """The number; the mean of train where it is missing, and then 1 in a column of its own if train has such."""

    name: str
    parser: CellParser
    mean: float
    scale: float
    """Divides; 0 where numbers stay as they are."""
    has_missing: bool
    density: float

    @property
    def kind(self) -> str:
        return self.parser.name

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, f"{self.name} is missing") if self.has_missing else (self.name,)

    def encode(self, column: pa.Array) -> tuple[Floats, Positions]:
        parsed = parse_column(column, self.parser)
        values, missing = parsed.values, np.isnan(parsed.values)
        values[missing] = self.mean
        if self.scale:
            values = (values - self.mean) / self.scale
        return np.column_stack([values, missing][: len(self.names)]).astype(np.float32), parsed.odd


@dataclass(frozen=True)
class BooleanEncoder:
    """1 for true, 0 for false and missing."""

    name: str
    has_missing: bool
    density: float

    @property
    def kind(self) -> str:
        return "yes or no"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, f"{self.name} is missing") if self.has_missing else (self.name,)

    def encode(self, column: pa.Array) -> tuple[Floats, Positions]:
        cells = normalize_cells(column).to_pylist()
        values = np.array([math.nan if c is None else BOOLEAN_TEXTS.get(c.lower(), math.nan) for c in cells])
        missing = np.isnan(values)
        values[missing] = 0
        odd = np.flatnonzero(missing & np.array([c is not None for c in cells], bool))
        return np.column_stack([values, missing][: len(self.names)]).astype(np.float32), odd


@dataclass(frozen=True)
class DateEncoder:
    """Days since 1970, and where in the year, the week and, if train has times, the day it is, each on a circle."""

    name: str
    parser: CellParser
    mean: float
    scale: float
    has_missing: bool
    has_time: bool

    @property
    def kind(self) -> str:
        return "date and time" if self.has_time else "date"

    @property
    def names(self) -> tuple[str, ...]:
        circles = ("year", "week", "day")[: 3 if self.has_time else 2]
        parts = [f"{wave} of {circle}" for circle in circles for wave in ("sine", "cosine")]
        return tuple(f"{self.name} {part}" for part in ("days", *parts, *(["is missing"] * self.has_missing)))

    @property
    def density(self) -> float:
        return float(len(self.names))

    def encode(self, column: pa.Array) -> tuple[Floats, Positions]:
        parsed = parse_column(column, self.parser)
        days, missing = parsed.values, np.isnan(parsed.values)
        days[missing] = self.mean
        whole = np.floor(days).astype(np.int64).astype("datetime64[D]")
        year = whole.astype("datetime64[Y]").astype("datetime64[D]")
        length = (year.astype("datetime64[Y]") + 1).astype("datetime64[D]") - year
        # 1970-01-01 was a Thursday.
        turns = [(whole - year) / length, (days + 3) % 7 // 1 / 7, days % 1]
        columns: list[Doubles] = [(days - self.mean) / self.scale if self.scale else days]
        for turn in turns[: 3 if self.has_time else 2]:
            # Rounded: the last bits of sin() differ between processors.
            columns += [np.where(missing, 0, np.round(f(2 * np.pi * turn), 6)) for f in (np.sin, np.cos)]
        if self.has_missing:
            columns.append(missing.astype(np.float64))
        return np.column_stack(columns).astype(np.float32), parsed.odd


@dataclass(frozen=True)
class CategoryEncoder:
    """One-hot; a category that is not among the most frequent of train, or unknown there, is all zeros."""

    name: str
    categories: tuple[str | None, ...]
    """None stands for a missing cell."""

    @property
    def kind(self) -> str:
        count = sum(category is not None for category in self.categories)
        return f"{count} {'category' if count == 1 else 'categories'}"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.name} is {'missing' if c is None else repr(c)}" for c in self.categories)

    @property
    def density(self) -> float:
        return 1.0

    def encode(self, column: pa.Array) -> tuple[Floats, Positions]:
        position = {category: i for i, category in enumerate(self.categories)}
        coded = normalize_cells(column).dictionary_encode(null_encoding="encode")
        known = np.array([position.get(c, -1) for c in coded.dictionary.to_pylist()], np.int64)
        codes = known[coded.indices.to_numpy(zero_copy_only=False)] if len(coded) else known
        out = np.zeros((len(coded), len(self.categories)), np.float32)
        rows = np.flatnonzero(codes >= 0)
        out[rows, codes[rows]] = 1
        return out, np.zeros(0, np.intp)
