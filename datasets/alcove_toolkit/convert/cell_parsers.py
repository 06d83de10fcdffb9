"""Cells as numbers: which of the ways to read a column fits it.

A column is read in one way only, the one that most of train's cells allow. So a point or comma, and day or month, are
told by the column as a whole; where that leaves two ways, the first stands, and the user is told. A few cells that
cannot be read so (a remark, an error of a spreadsheet) are taken as missing: they do not make words of numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from alcove_toolkit.convert.cell_readings import DATE, MINUS, NUMBER, TEXT_READINGS, CellParser, Doubles
from alcove_toolkit.convert.labels import MISSING_TEXTS

Bools = npt.NDArray[np.bool_]


def normalize_cells(column: pa.Array) -> pa.Array:
    """Cells as text without spaces around, or numbers, null where missing; as they are where of another type."""
    if pa.types.is_floating(column.type):
        numbers = pc.cast(column, pa.float64())
        return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
    if not is_text_type(column.type):
        return column
    trimmed = trim_cells(column)
    is_missing = pc.is_in(pc.utf8_lower(trimmed), value_set=pa.array(sorted(MISSING_TEXTS)))
    return pc.if_else(is_missing, pa.scalar(None, pa.string()), trimmed)


def trim_cells(column: pa.Array) -> pa.Array:
    """Text without spaces around, of any kind, and with the hyphen for a minus sign."""
    trimmed = pc.utf8_trim_whitespace(pc.cast(column, pa.string()))
    has_minus = pc.any(pc.starts_with(trimmed, MINUS)).as_py()
    return pc.replace_substring_regex(trimmed, f"^{MINUS}([0-9.,])", r"-\1") if has_minus else trimmed


@dataclass(frozen=True)
class ParsedCells:
    """What a parser made of a column."""

    values: Doubles
    """NaN where there is none."""
    unread: Bools
    """Which cells it cannot read."""
    odd: npt.NDArray[np.intp]
    """Positions of cells that are there and have no value: not read, or infinite."""


def parse_column(column: pa.Array, parser: CellParser) -> ParsedCells:
    """Reads all cells of a column that can be read."""
    parsed = parse_cells(normalize_cells(column), parser)
    assert parsed is not None  # Without a bound, all is read.
    return parsed


def parse_cells(cells: pa.Array, parser: CellParser, most: int | None = None) -> ParsedCells | None:
    """Reads cells as :func:`normalize_cells` gives them; None where more than ``most`` (if given) cannot be read.

    Cells are looked at one by one only around those that cannot be read though they match the parser's pattern.
    """
    if most is not None and is_text_type(cells.type) and _is_implausible(cells, parser):
        return None
    is_null = cells.is_null().to_numpy(zero_copy_only=False)
    values = parser.read(cells)
    if values is not None:
        return ParsedCells(values, np.zeros(len(cells), bool), np.flatnonzero(np.isnan(values) & ~is_null))
    unread = np.zeros(len(cells), bool)
    if is_text_type(cells.type):
        plausible = pc.match_substring_regex(cells, parser.pattern).fill_null(True)
        unread = ~plausible.to_numpy(zero_copy_only=False)
        cells = pc.if_else(plausible, cells, pa.scalar(None, cells.type))
    if most is not None and (unread.sum() > most or _is_hopeless(cells, parser)):
        return None
    values = np.full(len(cells), math.nan)
    stack = [(0, len(cells))]
    while stack:
        start, count = stack.pop()
        part = parser.read(cells.slice(start, count))
        if part is not None:
            values[start : start + count] = part
        elif count == 1:
            unread[start] = True
            if most is not None and unread.sum() > most:
                return None
        else:
            half = count // 2
            stack += [(start, half), (start + half, count - half)]
    return ParsedCells(values, unread, np.flatnonzero(np.isnan(values) & ~is_null))


def _is_implausible(cells: pa.Array, parser: CellParser) -> bool:
    """Whether a third of a few cells do not match the parser's pattern. Spares looking at all."""
    found = pc.match_substring_regex(cells.take(_few(cells)), parser.pattern)
    return _are_many(int(pc.sum(pc.invert(found)).as_py() or 0), len(found))


def _is_hopeless(cells: pa.Array, parser: CellParser) -> bool:
    """Whether a third of a few cells cannot be read. Spares looking at very many one by one."""
    few = _few(cells).to_pylist()
    return _are_many(sum(parser.read(cells.slice(i, 1)) is None for i in few), len(few))


def _few(cells: pa.Array) -> pa.Array:
    return pa.array(range(0, len(cells), max(1, len(cells) // 60)), pa.int64())


def _are_many(unread: int, count: int) -> bool:
    return unread > max(2, count // 3)


def declared_kind(kind: pa.DataType) -> Literal["text", "number", "date", "other"]:
    """What the type of a column (of a Parquet file) says."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if is_text_type(kind):
        return "text"
    if (
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
    ):
        return "number"
    return "date" if pa.types.is_date(kind) or pa.types.is_timestamp(kind) else "other"


def parsers_for(kind: pa.DataType) -> tuple[CellParser, ...]:
    """The ways to read a column of this type, the preferred one first."""
    said = declared_kind(kind)
    return (
        TEXT_READINGS
        if said == "text"
        else tuple(reading for reading in (NUMBER, DATE) if reading.kind == said)
    )


def is_text_type(kind: pa.DataType) -> bool:
    """Whether cells are text, as all of a CSV are."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
