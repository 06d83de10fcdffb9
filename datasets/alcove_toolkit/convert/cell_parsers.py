"""Cells as numbers: the ways in which people write numbers and dates.

A column is read in one way only, the first that all of train's cells allow. So a point or comma, and day or month, are
told by the column as a whole; where that leaves two ways, the first stands, and the user is told.
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

Doubles = npt.NDArray[np.float64]
MISSING_TEXTS = ("", "na", "n/a", "nan", "null", "none", "?", "-")
"""Cells that stand for no value, in any case."""
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
    if not _is_text(column.type):
        return column
    trimmed = pc.utf8_trim_whitespace(pc.cast(column, pa.string()))
    is_missing = pc.is_in(pc.utf8_lower(trimmed), value_set=pa.array(MISSING_TEXTS))
    return pc.if_else(is_missing, pa.scalar(None, pa.string()), trimmed)


def parse_cells(column: pa.Array, reading: CellParser) -> tuple[Doubles, int]:
    """What a reading makes of a column, NaN where it cannot; and how many cells are neither that nor missing."""
    cells = normalize_cells(column)
    values = reading.read(cells)
    if values is None:
        each = (reading.read(cells.slice(i, 1)) for i in range(len(cells)))
        values = np.array([math.nan if one is None else one[0] for one in each])
    return values, int(np.isnan(values).sum()) - cells.null_count


def declared_kind(kind: pa.DataType) -> Literal["text", "number", "date", "other"]:
    """What the type of a column (of a Parquet file) says."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if _is_text(kind):
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
        _READINGS
        if said == "text"
        else tuple(reading for reading in (_NUMBER, _DATE) if reading.kind == said)
    )


def _is_text(kind: pa.DataType) -> bool:
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


_NUMBER = CellParser("number", _numbers)
_DATE = CellParser("date", _dates)
_ENGLISH = r"^[+-]?([0-9]+|[1-9][0-9]{0,2}(,[0-9]{3})+)(\.[0-9]+)?\s*%?$"
_CONTINENTAL = r"^[+-]?([0-9]+|[1-9][0-9]{0,2}(\.[0-9]{3})+)(,[0-9]+)?\s*%?$"
_READINGS = (
    _NUMBER,
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
