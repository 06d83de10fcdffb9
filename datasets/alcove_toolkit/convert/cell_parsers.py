"""Cells as numbers: the ways in which people write numbers and dates.

A column is read in one way only, the one that most of train's cells allow. So a point or comma, and day or month, are
told by the column as a whole; where that leaves two ways, the first stands, and the user is told. A few cells that
cannot be read so (a remark, an error of a spreadsheet) are taken as missing: they do not make words of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from alcove_toolkit.convert.labels import MISSING_TEXTS

Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
DAY = 86_400_000_000
"""Microseconds."""
LARGEST = float(np.finfo(np.float32).max)
"""Numbers beyond it, with either sign, are infinite in a dataset."""


@dataclass(frozen=True)
class CellParser:
    """One way to read a column."""

    kind: Literal["number", "date"]
    read: Callable[[pa.Array], Doubles | None]
    """Of cells as :func:`normalize_cells` gives them: numbers, or days since 1970 (in UTC where they name a zone).
    NaN where missing; None if one cell cannot be read this way."""
    note: str = ""
    """What the user should know, where it is not the usual way."""


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
    has_minus = pc.any(pc.starts_with(trimmed, _MINUS)).as_py()
    return pc.replace_substring_regex(trimmed, f"^{_MINUS}([0-9.,])", r"-\1") if has_minus else trimmed


@dataclass(frozen=True)
class ParsedCells:
    """What a parser made of a column."""

    values: Doubles
    """NaN where there is none."""
    unread: Bools
    """Which cells it cannot read."""
    odd: npt.NDArray[np.intp]
    """Positions of cells that are there and have no value: not read, or infinite."""


def parse_cells(column: pa.Array, parser: CellParser, most: int | None = None) -> ParsedCells | None:
    """Reads all cells of a column that can be read; None where more than ``most`` (if given) cannot be.

    Cells are looked at one by one only around those that cannot be read.
    """
    cells = normalize_cells(column)
    is_null = cells.is_null().to_numpy(zero_copy_only=False)
    values = parser.read(cells)
    if values is not None:
        return ParsedCells(values, np.zeros(len(cells), bool), np.flatnonzero(np.isnan(values) & ~is_null))
    unread = np.zeros(len(cells), bool)
    if is_text_type(cells.type):
        plausible = pc.match_substring_regex(cells, _PLAUSIBLE).fill_null(True)
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


def _is_hopeless(cells: pa.Array, parser: CellParser) -> bool:
    """Whether a third of a few cells cannot be read. Spares looking at very many one by one."""
    few = range(0, len(cells), max(1, len(cells) // 60))
    return sum(parser.read(cells.slice(i, 1)) is None for i in few) > max(2, len(few) // 3)


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
        _READINGS if said == "text" else tuple(reading for reading in (NUMBER, _DATE) if reading.kind == said)
    )


def is_text_type(kind: pa.DataType) -> bool:
    """Whether cells are text, as all of a CSV are."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _numbers(cells: pa.Array) -> Doubles | None:
    try:
        values: Doubles = pc.cast(cells, pa.float64(), safe=False).to_numpy(zero_copy_only=False).copy()
    except pa.ArrowInvalid:
        return None
    values[np.abs(values) > LARGEST] = math.nan
    return values


def _numbers_with(cells: pa.Array, pattern: str, thousands: str, decimal: str) -> Doubles | None:
    if not pc.any(pc.match_substring_regex(cells, f"[,%{thousands}]")).as_py():
        return _numbers(cells)  # Several times as fast.
    if not _all_match(cells, pattern):
        return None
    bare = pc.replace_substring(cells, thousands, "")
    return _numbers(pc.replace_substring_regex(pc.replace_substring(bare, decimal, "."), r"\s*%$", ""))


def _spaced_numbers(cells: pa.Array, decimal: str) -> Doubles | None:
    pattern = rf"^[+-]?([0-9]+|[0-9]{{1,3}}({_SPACES}[0-9]{{3}})+)([{decimal}][0-9]+)?$"
    if not _all_match(cells, pattern):
        return None
    return _numbers(pc.replace_substring(pc.replace_substring_regex(cells, _SPACES, ""), decimal, "."))


def _dates(cells: pa.Array) -> Doubles | None:
    for moment in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return _days(pc.cast(cells, moment, safe=False))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
    return None


def _dates_as(cells: pa.Array, pattern: str, form: str) -> Doubles | None:
    if not _all_match(cells, rf"^{pattern}( \d{{1,2}}:\d{{2}}(:\d{{2}})?)?$"):
        return None
    found = pa.nulls(len(cells), pa.timestamp("us"))
    for time in ("", " %H:%M", " %H:%M:%S"):
        found = pc.coalesce(found, pc.strptime(cells, format=form + time, unit="us", error_is_null=True))
    return _days(found) if found.null_count == cells.null_count else None


def _all_match(cells: pa.Array, pattern: str) -> bool:
    # None of no cells is no answer.
    return pc.all(pc.match_substring_regex(cells, pattern), min_count=0).as_py() is True


def _days(moments: pa.Array) -> Doubles:
    values: Doubles = pc.cast(pc.cast(moments, pa.int64()), pa.float64(), safe=False).to_numpy(
        zero_copy_only=False
    )
    return values / DAY


NUMBER = CellParser("number", _numbers)
_DATE = CellParser("date", _dates)
_MINUS = "\u2212"
_SPACES = "[ \u00a0\u2009\u202f'\u2019]"
"""Between thousands: the spaces of print, and the apostrophes of Switzerland."""
_PLAUSIBLE = r"^[+-]?[.,]?[0-9][0-9.,:/ \x{a0}\x{2009}\x{202f}'\x{2019}TZeE%+-]*$|^[+-]?(?i:inf(inity)?)$"
"""Cells that some parser may read."""
_ENGLISH = r"^[+-]?([0-9]+|[1-9][0-9]{0,2}(,[0-9]{3})+)(\.[0-9]+)?\s*%?$"
_CONTINENTAL = r"^[+-]?([0-9]+|[1-9][0-9]{0,2}(\.[0-9]{3})+)(,[0-9]+)?\s*%?$"
_READINGS = (
    NUMBER,
    CellParser(
        "number",
        partial(_numbers_with, pattern=_ENGLISH, thousands=",", decimal="."),
        "has numbers that are read as in 1,234.5 or 5 %",
    ),
    CellParser(
        "number",
        partial(_numbers_with, pattern=_CONTINENTAL, thousands=".", decimal=","),
        "has numbers that are read as in 1.234,5",
    ),
    CellParser(
        "number", partial(_spaced_numbers, decimal="."), "has numbers that are read as in 1 234.5 or 1'234.5"
    ),
    CellParser("number", partial(_spaced_numbers, decimal=","), "has numbers that are read as in 1 234,5"),
    _DATE,
    *(
        CellParser(
            "date", partial(_dates_as, pattern=pattern, form=form), f"has dates that are read as {said}"
        )
        for pattern, form, said in (
            (r"\d{4}/\d{1,2}/\d{1,2}", "%Y/%m/%d", "year/month/day"),
            (r"\d{1,2}\.\d{1,2}\.\d{4}", "%d.%m.%Y", "day.month.year"),
            (r"\d{1,2}/\d{1,2}/\d{4}", "%m/%d/%Y", "month/day/year"),
            (r"\d{1,2}/\d{1,2}/\d{4}", "%d/%m/%Y", "day/month/year"),
        )
    ),
)
