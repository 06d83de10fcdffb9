"""What the columns of a table hold, learnt from train's rows: numbers, yes or no, dates, or categories."""

from __future__ import annotations

import math
import re
import shlex
from array import array
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from alcove_toolkit.convert.cell_parsers import (
    ParsedCells,
    declared_kind,
    is_text_type,
    normalize_cells,
    parse_cells,
    parsers_for,
    trim_cells,
)
from alcove_toolkit.convert.cell_readings import NUMBER, CellParser, Doubles, any_matches
from alcove_toolkit.convert.column_encoders import (
    BOOLEAN_TEXTS,
    BooleanEncoder,
    CategoryEncoder,
    ColumnEncoder,
    DateEncoder,
    NumberEncoder,
)
from alcove_toolkit.convert.parts import find_part
from alcove_toolkit.convert.tables import is_number, join_few

Indices = npt.NDArray[np.int64]
DISTINCT = 10_000
"""More different texts than this in one column are no categories."""
FEW = 10
"""So many different texts are categories, however few rows there are."""
ODD_SHARE, ODD_CELLS = 0.05, 5
"""A column of numbers or dates may have this share of cells that are neither, and while few are known, so many more."""
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


_ID = re.compile(
    r"(.*[_ .-])?(id|idx|index|uuid|rownames?)|\w*[a-z](Id|ID|Idx|Index)|ID|Id|Index|row_?(nr|number)"
)
"""Names of columns that tell examples apart and nothing of them."""
_PART_NAME = re.compile(r"(?i:(is|in|for)[_ .-]?(train|test|val)(ing|idation)?|(cv[_ .-]?)?k?folds?)")
_BEGINS_WITH_NUMBER = re.compile(r"[+-]?\W{0,2}[0-9]")


class RowCounter:
    """Whether the numbers of a column are those of the rows or, where it is named like an id, all different."""

    def __init__(self, name: str) -> None:
        self._shift: float | None = None
        """Of all numbers so far from those of their rows; NaN where it differs."""
        self._seen = array("d")
        self._keeps = _ID.fullmatch(name) is not None

    def add(self, values: Doubles, rows: Indices) -> None:
        if not len(values):
            return
        shifts = values - rows
        first = float(shifts[0]) if self._shift is None else self._shift
        self._shift = first if (shifts == first).all() else math.nan
        if self._keeps:
            self._seen.extend(values.tolist())

    def counts_rows(self, moments: RunningMoments) -> bool:
        """From 0 or 1 on, without a gap."""
        return self._shift in (0.0, 1.0) and moments.count > FEW

    def is_id(self, moments: RunningMoments) -> bool:
        return moments.whole and len(np.unique(np.array(self._seen))) == moments.count > FEW


def _means_plain(parser: CellParser, cells: pa.Array, plain: ParsedCells | None) -> bool:
    """Whether the parser would read these cells as plain numbers are read, so that they need not be read again."""
    if plain is None or not parser.marks or plain.unread.any() or not is_text_type(cells.type):
        return False
    return not any_matches(cells, parser.marks)


@dataclass
class ColumnInference:
    """Looks through train's cells of one column, batch by batch.

    Sums depend, in their last bits, on where batches end: give batches that train's rows alone decide.
    """

    name: str
    type: pa.DataType
    rows: int = 0
    moments: dict[CellParser, RunningMoments] = field(init=False)
    """Of each way in which most cells so far can be read."""
    unread: Counter[CellParser] = field(default_factory=Counter)
    """How many cells each of them cannot read."""
    spellings: Counter[str] = field(default_factory=Counter)
    """Of missing cells that are not empty: ``NA``."""
    has_codes: bool = False
    """Whether a cell begins with a zero that a number need not have."""
    counter: RowCounter = field(init=False)
    """Of the numbers as they are usually written."""
    counts: Counter[str] | None = None
    """Of each text; None where they are no categories."""
    note: str = ""
    """What the user should know of its encoding, one sentence."""

    def __post_init__(self) -> None:
        self.moments = {parser: RunningMoments() for parser in parsers_for(self.type)}
        self.counter = RowCounter(self.name)
        if declared_kind(self.type) == "text":
            self.counts = Counter()

    def add(self, column: pa.Array, rows: Indices) -> None:
        """``rows``: number of each cell's row in the source."""
        self.rows += len(column)
        cells = normalize_cells(column)
        self._count(cells)
        self._look_at_texts(column, cells)
        plain = self._parse(NUMBER, cells) if NUMBER in self.moments else None
        for parser in tuple(self.moments):
            parsed = (
                plain
                if parser is NUMBER or _means_plain(parser, cells, plain)
                else self._parse(parser, cells)
            )
            if parsed is None:
                del self.moments[parser]
                continue
            self.unread[parser] += int(parsed.unread.sum())
            known = ~np.isnan(parsed.values)
            self.moments[parser].add(parsed.values[known])
            if parser is NUMBER:
                self.counter.add(parsed.values[known], rows[known])

    def _parse(self, parser: CellParser, cells: pa.Array) -> ParsedCells | None:
        most = int(ODD_SHARE * self.rows) + ODD_CELLS - self.unread[parser]
        return parse_cells(cells, parser, most)

    def _look_at_texts(self, column: pa.Array, cells: pa.Array) -> None:
        if not is_text_type(column.type):
            return
        if cells.null_count > column.null_count:
            missing = trim_cells(column).filter(pc.and_(cells.is_null(), column.is_valid()))
            self.spellings.update(
                {p["values"]: p["counts"] for p in pc.value_counts(missing).to_pylist() if p["values"]}
            )
        self.has_codes = (
            self.has_codes or pc.any(pc.match_substring_regex(cells, "^[+-]?0[0-9]")).as_py() is True
        )

    def _count(self, cells: pa.Array) -> None:
        if self.counts is None:
            return
        for pair in pc.value_counts(cells.drop_null()).to_pylist():
            self.counts[pair["values"]] += pair["counts"]
        if len(self.counts) > DISTINCT:
            self.counts = None

    def choose_encoder(self, *, categories: int, scale: bool) -> ColumnEncoder | str:
        """What the column is; or, in one sentence, why it is left out."""
        parser = self._best_parser()
        if parser is not None:
            return self._parsed(parser, scale)
        if self.counts == Counter() or any(not moments.count for moments in self.moments.values()):
            return self._left_out("has no value in train")
        if self.counts is None:
            is_text = declared_kind(self.type) == "text"
            return self._left_out("has too many different texts" if is_text else f"is of type {self.type}")
        missing = self.counts.total() < self.rows
        if all(text.lower() in BOOLEAN_TEXTS for text in self.counts):
            self.note = self._part_note()
            return BooleanEncoder(self.name, missing, 1.0)
        if len(self.counts) > max(FEW, self.rows // 2):
            return self._left_out("has another text in nearly every row" + self._some_numbers())
        return self._categories(categories, missing)

    def _best_parser(self) -> CellParser | None:
        """The way that leaves the fewest cells unread, the first of several, if they are few enough."""
        ways = [
            parser
            for parser, moments in self.moments.items()
            if self._are_few(self.unread[parser], moments.count)
        ]
        return min(ways, key=lambda parser: self.unread[parser], default=None)

    @staticmethod
    def _are_few(unread: int, read: int) -> bool:
        return read > 0 and (unread == 0 or unread <= max(1 if read >= 4 else 0, ODD_SHARE * (read + unread)))

    def _parsed(self, parser: CellParser, scale: bool) -> ColumnEncoder | str:
        moments = self.moments[parser]
        is_index = parser is NUMBER and self.counter.counts_rows(moments)
        if is_index and _ID.fullmatch(self.name):
            return self._left_out("counts the rows, as an index does")
        self.note = f"Column {self.name!r} {parser.note}." if parser.note else self._part_note()
        missing = moments.count < self.rows
        divisor = (moments.deviation or 1.0) if scale else 0.0
        if parser.kind == "date":
            return DateEncoder(self.name, parser, moments.mean, divisor, missing, not moments.whole)
        if is_index or (parser is NUMBER and self.counter.is_id(moments)):
            what = (
                "counts the rows, as an index does"
                if is_index
                else "has another whole number in every row, as an id"
            )
            drop = f"--drop {shlex.quote(self.name)}"
            self.note = self._join_note(f"Column {self.name!r} {what}: if it is one, leave it out ({drop}).")
        elif moments.whole and moments.largest > EXACT and not scale:
            self.note = self._join_note(self._inexact())
        if self.has_codes and parser.name == "number":
            self.note = self._join_note(
                f"Column {self.name!r} has leading zeros, as codes have, and is read as numbers: 012 is 12."
            )
        density = 1.0 if scale else 1 - moments.zeros / self.rows
        return NumberEncoder(self.name, parser, moments.mean, divisor, missing, density)

    def _categories(self, most: int, missing: bool) -> ColumnEncoder:
        assert self.counts is not None
        if len(self.counts) > most:
            self.note = (
                f"Column {self.name!r} has {len(self.counts):,} categories in train, of which the {most:,} most "
                "frequent are kept (--categories)."
            )
        elif numbers := self._some_numbers():
            self.note = f"Column {self.name!r} is taken as categories{numbers}."
        else:
            self.note = self._part_note()
        if self.spellings:
            listed = ", ".join(
                f"{text!r} ({count} in train)" for text, count in self.spellings.most_common(3)
            )
            self.note = self._join_note(f"Column {self.name!r}: cells {listed} are taken as missing.")
        # By the text itself where two are as frequent.
        ranked = sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))
        frequent = (text for text, _ in ranked[:most])
        return CategoryEncoder(self.name, (*frequent, *([None] if missing else [])))

    def _some_numbers(self) -> str:
        """What to say of a column of texts, half of which are numbers, or nearly all of which begin with one."""
        assert self.counts is not None
        words = {text: count for text, count in self.counts.items() if not is_number(text)}
        often = sorted(words, key=lambda text: (-words[text], text))
        if words and sum(words.values()) <= self.counts.total() // 2:
            return f", though most of its cells are numbers: {join_few(often, 3)} and the like are not"
        begin = sum(count for text, count in self.counts.items() if _BEGINS_WITH_NUMBER.match(text))
        if words and begin >= (1 - ODD_SHARE) * self.counts.total():
            return f", though its cells begin with numbers: {join_few(often, 3)} are read as words"
        return ""

    def _part_note(self) -> str:
        """What to say where the column tells train from test: a model would learn who is in which part."""
        parts = {find_part(text) for text in self.counts or ()}
        is_named_so = _PART_NAME.fullmatch(self.name) is not None
        if not is_named_so and (None in parts or len(parts) < 2):
            return ""
        return (
            f"Column {self.name!r} seems to part the rows into train and test, and is a feature: name it split if it "
            f"does, and write train and test, or leave it out (--drop {shlex.quote(self.name)})."
        )

    def _join_note(self, note: str) -> str:
        return f"{self.note} {note}".lstrip()

    def _inexact(self) -> str:
        return (
            f"Column {self.name!r} has whole numbers beyond {EXACT:,}, some of which float32 takes for each other: "
            "leave it out (--drop) if it is an id; --scale keeps more of their differences."
        )

    def _left_out(self, why: str) -> str:
        return f"Column {self.name!r} {why}: it is left out."
