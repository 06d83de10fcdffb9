"""What the columns of a table hold, learnt from train's rows: numbers, yes or no, dates, or categories."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alcove_toolkit.convert.cell_parsers import (
    CellParser,
    Doubles,
    declared_kind,
    normalize_cells,
    parsers_for,
)
from alcove_toolkit.convert.column_encoders import (
    BOOLEAN_TEXTS,
    BooleanEncoder,
    CategoryEncoder,
    ColumnEncoder,
    DateEncoder,
    NumberEncoder,
)

DISTINCT = 10_000
"""More different texts than this in one column are no categories."""
FEW = 10
"""So many different texts are categories, however few rows there are."""


EXACT = 1 << 24
"""float32 tells apart all whole numbers up to this one."""


@dataclass
class RunningMoments:
    """Count, mean and squared deviations of what comes batch by batch (Chan, Golub and LeVeque 1983)."""

    count: int = 0
    zeros: int = 0
    whole: bool = True
    """Whether all are whole numbers."""
    largest: float = 0.0
    """Without its sign."""
    mean: float = 0.0
    squares: float = 0.0

    def add(self, values: Doubles) -> None:
        if not len(values):
            return
        self.zeros += int((values == 0).sum())
        self.whole = self.whole and not (values % 1).any()
        self.largest = max(self.largest, float(np.abs(values).max()))
        mean = float(values.mean())
        squares = float(((values - mean) ** 2).sum())
        total = self.count + len(values)
        shift = mean - self.mean
        self.squares += squares + shift * shift * self.count * len(values) / total
        self.mean += shift * len(values) / total
        self.count = total

    @property
    def deviation(self) -> float:
        return math.sqrt(self.squares / self.count) if self.count else 0.0


@dataclass
class ColumnInference:
    """Looks through train's cells of one column, batch by batch.

    Sums depend, in their last bits, on where batches end: give batches that train's rows alone decide.
    """

    name: str
    type: pa.DataType
    rows: int = 0
    moments: dict[CellParser, RunningMoments] = field(init=False)
    """Of each way in which all cells so far can be read."""
    counts: Counter[str] | None = None
    """Of each text; None where they are no categories."""
    note: str = ""
    """What the user should know of its encoding, one sentence."""

    def __post_init__(self) -> None:
        self.moments = {reading: RunningMoments() for reading in parsers_for(self.type)}
        if declared_kind(self.type) == "text":
            self.counts = Counter()

    def add(self, column: pa.Array) -> None:
        self.rows += len(column)
        cells = normalize_cells(column)
        self._count(cells)
        for reading in tuple(self.moments):
            values = reading.read(cells)
            if values is None:
                del self.moments[reading]
            else:
                self.moments[reading].add(values[~np.isnan(values)])

    def _count(self, cells: pa.Array) -> None:
        if self.counts is None:
            return
        for pair in pc.value_counts(cells.drop_null()).to_pylist():
            self.counts[pair["values"]] += pair["counts"]
        if len(self.counts) > DISTINCT:
            self.counts = None

    def encoding(self, *, categories: int, scale: bool) -> ColumnEncoder | str:
        """What the column is; or, in one sentence, why it is left out."""
        for reading, moments in self.moments.items():
            if not moments.count:
                return self._left_out("has no value in train")
            self.note = f"Column {self.name!r} {reading.note}." if reading.note else ""
            missing = moments.count < self.rows
            divisor = (moments.deviation or 1.0) if scale else 0.0
            if reading.kind == "date":
                has_time = not moments.whole
                return DateEncoder(self.name, reading, moments.mean, divisor, missing, has_time)
            if moments.whole and moments.largest > EXACT and not scale:
                self.note = " ".join([self.note, self._inexact()]).lstrip()
            density = 1.0 if scale else 1 - moments.zeros / self.rows
            return NumberEncoder(self.name, reading, moments.mean, divisor, missing, density)
        if self.counts is None:
            return self._left_out(
                "has too many different texts"
                if declared_kind(self.type) == "text"
                else f"is of type {self.type}"
            )
        missing = self.counts.total() < self.rows
        if all(text.lower() in BOOLEAN_TEXTS for text in self.counts):
            return BooleanEncoder(self.name, missing, 1.0)
        if len(self.counts) > max(FEW, self.rows // 2):
            return self._left_out("has another text in nearly every row")
        if len(self.counts) > categories:
            self.note = (
                f"Column {self.name!r} has {len(self.counts):,} categories in train, of which the {categories:,} most "
                "frequent are kept (--categories)."
            )
        # By the text itself where two are as frequent.
        ranked = sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))
        frequent = (text for text, _ in ranked[:categories])
        return CategoryEncoder(self.name, (*frequent, *([None] if missing else [])))

    def _inexact(self) -> str:
        return (
            f"Column {self.name!r} has whole numbers beyond {EXACT:,}, some of which float32 takes for each other: "
            "leave it out (--drop) if it is an id; --scale keeps more of their differences."
        )

    def _left_out(self, why: str) -> str:
        return f"Column {self.name!r} {why}: it is left out."
