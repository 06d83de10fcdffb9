"""The ways in which people write numbers, amounts, times and dates.

Each way says by a pattern which cells it can read, so that a column of words costs one look for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Doubles = npt.NDArray[np.float64]
DAY = 86_400_000_000
"""Microseconds."""
LARGEST = float(np.finfo(np.float32).max)
"""Numbers beyond it, with either sign, are infinite in a dataset."""
MINUS = "\u2212"
"""As print has it, in place of the hyphen."""


@dataclass(frozen=True)
class CellParser:
    """One way to read a column."""

    kind: Literal["number", "date"]
    read: Callable[[pa.Array], Doubles | None]
    """Of cells as :func:`.cell_parsers.normalize_cells` gives them: numbers, or days since 1970 (in UTC where they
    name a zone). NaN where missing; None if one cell cannot be read this way."""
    pattern: str
    """Of the cells that may be read this way."""
    note: str = ""
    """What the user should know, where it is not the usual way."""
    name: str = "number"
    """What the cells are, for people."""
    marks: str = ""
    """Of numbers: characters without which a cell means what :data:`NUMBER` reads; empty where that is never so."""


def _numbers(cells: pa.Array) -> Doubles | None:
    try:
        values: Doubles = pc.cast(cells, pa.float64(), safe=False).to_numpy(zero_copy_only=False).copy()
    except pa.ArrowInvalid:
        return None
    values[np.abs(values) > LARGEST] = np.nan
    return values


def _numbers_with(cells: pa.Array, pattern: str, thousands: str, decimal: str) -> Doubles | None:
    if not any_matches(cells, f"[,%{thousands}]"):
        return _numbers(cells)  # Several times as fast.
    if not _all_match(cells, pattern):
        return None
    return _numbers(_bare_numbers(cells, thousands, decimal))


def _accounts(cells: pa.Array, pattern: str) -> Doubles | None:
    """With (5) for −5."""
    if not _all_match(cells, pattern):
        return None
    return _numbers(_bare_numbers(cells, ",", "."))


def _bare_numbers(cells: pa.Array, thousands: str, decimal: str) -> pa.Array:
    """As Arrow reads them: without thousands and percent, and −5 for (5)."""
    if any_matches(cells, r"\("):
        cells = pc.replace_substring_regex(cells, r"^\((.*)\)$", r"-\1")
    bare = pc.replace_substring(cells, thousands, "")
    return pc.replace_substring_regex(pc.replace_substring(bare, decimal, "."), r"\s*%$", "")


def _spaced_numbers(cells: pa.Array, pattern: str, decimal: str) -> Doubles | None:
    if not _all_match(cells, pattern):
        return None
    return _numbers(pc.replace_substring(pc.replace_substring_regex(cells, _SPACES, ""), decimal, "."))


def _amounts(cells: pa.Array, pattern: str, sign: str, thousands: str, decimal: str) -> Doubles | None:
    """Of one currency: amounts of two cannot be compared."""
    if not _all_match(cells, pattern):
        return None
    bare = pc.replace_substring_regex(cells, rf"\s*(?:{sign})\s*", "")
    return _numbers(_bare_numbers(bare, thousands, decimal))


def _times(cells: pa.Array, pattern: str) -> Doubles | None:
    """Hours and minutes, of the day or of a span, in seconds: as times and spans of a Parquet file."""
    if not _all_match(cells, pattern):
        return None
    parts = pc.extract_regex(
        cells,
        r"^(?P<h>\d+):(?P<m>\d\d)(?::(?P<s>\d\d(?:[.,]\d+)?))?\s*(?P<half>[AaPp]?)",
    )
    hours, minutes, seconds = (
        pc.cast(
            pc.replace_substring(
                pc.replace_substring_regex(pc.struct_field(parts, name), "^$", "0"), ",", "."
            ),
            pa.float64(),
        ).to_numpy(zero_copy_only=False)
        for name in ("h", "m", "s")
    )
    half = pc.fill_null(pc.utf8_lower(pc.struct_field(parts, "half")), "").to_numpy(zero_copy_only=False)
    hours = np.where(half == "", hours, hours % 12 + 12 * (half == "p"))
    return np.asarray(3600 * hours + 60 * minutes + seconds, np.float64)


def _dates(cells: pa.Array) -> Doubles | None:
    for moment in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return _days(pc.cast(cells, moment, safe=False))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
    return None


def _dates_as(cells: pa.Array, pattern: str, forms: Sequence[str]) -> Doubles | None:
    if not _all_match(cells, pattern):
        return None
    cells = pc.replace_substring_regex(cells, r"(\d) ?([AaPp][Mm])$", r"\1 \2")
    cells = pc.replace_substring_regex(cells, r",? (\d{1,2}:)", r" \1")
    found = pa.nulls(len(cells), pa.timestamp("us"))
    for form in forms:
        if form == "%Y-%m":
            cells = pc.binary_join_element_wise(cells, "01", "-")
            form = "%Y-%m-%d"
        for time in ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p"):
            found = pc.coalesce(found, pc.strptime(cells, format=form + time, unit="us", error_is_null=True))
    return _days(found) if found.null_count == cells.null_count else None


def _all_match(cells: pa.Array, pattern: str) -> bool:
    # None of no cells is no answer.
    return pc.all(pc.match_substring_regex(cells, pattern), min_count=0).as_py() is True


def any_matches(cells: pa.Array, pattern: str) -> bool:
    """Whether a cell has what the regular expression finds."""
    return pc.any(pc.match_substring_regex(cells, pattern)).as_py() is True


def _days(moments: pa.Array) -> Doubles:
    values: Doubles = pc.cast(pc.cast(moments, pa.int64()), pa.float64(), safe=False).to_numpy(
        zero_copy_only=False
    )
    return values / DAY


_SPACES = "[ \u00a0\u2009\u202f'\u2019]"
"""Between thousands: the spaces of print, and the apostrophes of Switzerland."""
_PLAIN = r"^[+-]?[.]?[0-9][0-9.eE+-]*$|^[+-]?(?i:inf(inity)?)$"
_ENGLISH_DIGITS = r"([0-9]+|[1-9][0-9]{0,2}(,[0-9]{2,3})*,[0-9]{3})(\.[0-9]+)?"
"""With the groups of two that India writes, as in 12,34,567."""
_CONTINENTAL_DIGITS = r"([0-9]+|[1-9][0-9]{0,2}(\.[0-9]{3})+)(,[0-9]+)?"
_CURRENCIES = (
    (r"US\$|\$|USD", "$1,234.50"),
    ("€|EUR", "€ 1,234.50"),
    ("£|GBP", "£1,234.50"),
    ("¥|￥|JPY|CNY", "¥1,234"),
    (r"₹|INR|Rs\.?", "₹1,23,456"),
    (r"CHF|Fr\.", "CHF 1,234.50"),
)


def _signed(digits: str) -> str:
    return rf"^[+-]?{digits}\s*%?$"


def _spaced(decimal: str) -> str:
    return rf"^[+-]?([0-9]+|[0-9]{{1,3}}({_SPACES}[0-9]{{3}})+)([{decimal}][0-9]+)?$"


def _priced(digits: str, sign: str) -> str:
    return (
        rf"^[+-]?\s*(?:{sign})\s*[+-]?{digits}$|^[+-]?{digits}\s*(?:{sign})$"
        rf"|^\(\s*(?:{sign})\s*{digits}\)$|^\({digits}\s*(?:{sign})\)$"
    )


NUMBER = CellParser("number", _numbers, _PLAIN)
DATE = CellParser("date", _dates, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}", name="date")


def _number_parsers() -> tuple[CellParser, ...]:
    english, continental = _signed(_ENGLISH_DIGITS), _signed(_CONTINENTAL_DIGITS)
    accounts = rf"^[+-]?{_ENGLISH_DIGITS}$|^\({_ENGLISH_DIGITS}\)$"
    commas = partial(_numbers_with, pattern=english, thousands=",", decimal=".")
    points = partial(_numbers_with, pattern=continental, thousands=".", decimal=",")
    spaces = tuple(
        CellParser(
            "number",
            partial(_spaced_numbers, pattern=_spaced(decimal), decimal=decimal),
            _spaced(decimal),
            f"has numbers that are read as in {example}",
            marks=marks,
        )
        for decimal, example, marks in (
            (".", "1 234.5 or 1'234.5", _SPACES),
            (",", "1 234,5", f"[.,]|{_SPACES}"),
        )
    )
    return (
        NUMBER,
        CellParser("number", commas, english, "has numbers that are read as in 1,234.5 or 5 %", marks="[,%]"),
        CellParser("number", points, continental, "has numbers that are read as in 1.234,5", marks="[.,%]"),
        *spaces,
        CellParser(
            "number",
            partial(_accounts, pattern=accounts),
            accounts,
            "has numbers that are read as accounts have them: (5) is -5",
            marks="[(,]",
        ),
    )


def _amount_parsers() -> tuple[CellParser, ...]:
    return tuple(
        CellParser(
            "number",
            partial(_amounts, pattern=pattern, sign=sign, thousands=thousands, decimal=decimal),
            pattern,
            f"has amounts that are read as in {shown}",
            "amount",
        )
        for sign, example in _CURRENCIES
        for digits, thousands, decimal, shown in (
            (_ENGLISH_DIGITS, ",", ".", example),
            (_CONTINENTAL_DIGITS, ".", ",", example.translate(str.maketrans(",.", ".,"))),
        )
        for pattern in (_priced(digits, sign),)
    )


_CLOCK = r"(,? \d{1,2}:\d{2}(:\d{2})?( ?[AaPp][Mm])?)?$"
_TIME = r"^\d{1,3}:[0-5]\d(:[0-5]\d([.,]\d+)?)?$|^(0?[1-9]|1[0-2]):[0-5]\d(:[0-5]\d)?\s*[AaPp][Mm]$"
_MONTH = "(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_CENTURY = ", with years from 1969 to 2068"
_DATE_FORMS = (
    (r"\d{4}/\d{1,2}/\d{1,2}", ("%Y/%m/%d",), "year/month/day"),
    (r"\d{4}\.\d{1,2}\.\d{1,2}", ("%Y.%m.%d",), "year.month.day"),
    (r"\d{4}-(0[1-9]|1[0-2])", ("%Y-%m",), "the first day of a month"),
    (r"\d{1,2}\.\d{1,2}\.\d{4}", ("%d.%m.%Y",), "day.month.year"),
    (r"\d{1,2}/\d{1,2}/\d{4}", ("%m/%d/%Y",), "month/day/year"),
    (r"\d{1,2}/\d{1,2}/\d{4}", ("%d/%m/%Y",), "day/month/year"),
    (r"\d{1,2}-\d{1,2}-\d{4}", ("%d-%m-%Y",), "day-month-year"),
    (r"\d{1,2}-\d{1,2}-\d{4}", ("%m-%d-%Y",), "month-day-year"),
    (rf"\d{{1,2}}[- ]{_MONTH}[- ]\d{{4}}", ("%d-%b-%Y", "%d %b %Y"), "day-month-year"),
    (rf"{_MONTH} \d{{1,2}}, \d{{4}}", ("%b %d, %Y",), "month day, year"),
    (rf"\d{{1,2}}[- ]{_MONTH}[- ]\d{{2}}", ("%d-%b-%y", "%d %b %y"), f"day-month-year{_CENTURY}"),
    # Of a version, as 1.2.23, the parts are shorter.
    (r"\d{2}\.\d{2}\.\d{2}", ("%d.%m.%y",), f"day.month.year{_CENTURY}"),
    (r"\d{1,2}/\d{1,2}/\d{2}", ("%m/%d/%y",), f"month/day/year{_CENTURY}"),
    (r"\d{1,2}/\d{1,2}/\d{2}", ("%d/%m/%y",), f"day/month/year{_CENTURY}"),
)


def _date_parsers() -> tuple[CellParser, ...]:
    return tuple(
        CellParser(
            "date",
            partial(_dates_as, pattern=f"^{form}{_CLOCK}", forms=forms),
            f"^{form}{_CLOCK}",
            f"has dates that are read as {said}",
            "date",
        )
        for form, forms, said in _DATE_FORMS
    )


TEXT_READINGS = (
    *_number_parsers(),
    *_amount_parsers(),
    CellParser(
        "number",
        partial(_times, pattern=_TIME),
        _TIME,
        "has times that are read as hours:minutes, in seconds",
        "time in seconds",
    ),
    DATE,
    *_date_parsers(),
)
"""Of cells that are text, the preferred way first."""
