"""One series in a CSV: a row a step, a column a channel, with or without a header."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alcove_toolkit.convert.cell_readings import MINUS, Doubles
from alcove_toolkit.convert.column_roles import LABEL_NAMES
from alcove_toolkit.convert.labels import MISSING_TEXTS
from alcove_toolkit.convert.tables import (
    HEADER_OPTIONS,
    asked_delimiter,
    counts_up,
    is_index_name,
    is_number,
    join_few,
    read_utf8,
    separator_of,
)
from alcove_toolkit.errors import SourceError


@dataclass(frozen=True)
class SeriesTable:
    """What one file holds."""

    header: tuple[str, ...]
    """Names of the channels; empty where the file has no header."""
    values: Doubles
    """time × channels; NaN where a cell says so."""
    notes: tuple[str, ...] = ()
    """How it was read, where that is not the usual way."""


@dataclass(frozen=True)
class _SeriesLines:
    path: Path
    lines: tuple[str, ...]
    delimiter: str | None
    """None for white space."""
    skipped: int
    """Lines above the first of these that are not empty."""

    def cells(self, line: str) -> list[str]:
        if self.delimiter is None:
            return line.split()
        return [cell.strip() for cell in next(csv.reader([line], delimiter=self.delimiter))]

    def where(self, index: int) -> str:
        return f"{self.path}, row {index + 1 + self.skipped}"


def read_series_csv(path: Path, delimiter: str | None = None, header: bool | None = None) -> SeriesTable:
    """Reads a series. A first column without a name, which is the index of a data frame, is left out.

    Args:
        delimiter: by default found in the first lines; where it is no comma, commas in numbers are decimal commas.
        header: whether row 1 names the channels; by default found there, and refused where it may be either.

    Raises:
        SourceError: not UTF-8, a ragged row, a cell that is not a number, a row 1 that may be data; names the row.
    """
    table = _split_lines(path, delimiter)
    first = table.cells(table.lines[0])
    has_header = _is_header(first, table.where(0)) if header is None else header
    body = table.lines[has_header:]
    if not body:
        raise SourceError(str(path), "has a header, but no rows", remedy="Remove the file.")
    names = tuple(first) if has_header else ()
    _check_names(names, table.where(0))
    text = "\n".join(body)
    notes: tuple[str, ...] = ()
    between = table.delimiter
    if between == "," and '"' in text:
        text, between = _join_cells([table.cells(line) for line in body])
    if between != "," and "," in text:
        _check_points(table, text)
        text, notes = (
            text.replace(",", "."),
            ("Commas in numbers are read as decimal commas: 1,5 is one and a half.",),
        )
    try:
        values = np.loadtxt(
            io.StringIO(text), np.float64, delimiter=between, ndmin=2, comments=None, quotechar='"'
        )
    except ValueError:
        raise _find_problem(table, len(first), has_header) from None
    if values.shape[1] != len(first):
        raise _find_problem(table, len(first), has_header)
    if names and is_index_name(names[0]) and len(names) > 1:
        return SeriesTable(
            names[1:], values[:, 1:], (*notes, "A first column without a name is left out as an index.")
        )
    if not names and between == "," and values.shape[1] == 2 and "." not in text:
        if delimiter is None:
            _refuse_leading_zeros(path, text)
        notes = (
            "Whole numbers between commas are two channels; if 1,5 is one and a half, pass --delimiter ';'.",
        )
    return SeriesTable(names, values, notes)


def _refuse_leading_zeros(path: Path, text: str) -> None:
    """Raises SourceError where a comma between whole numbers may be a decimal comma."""
    if re.search(r",[ \t]*0\d", text):
        raise SourceError(
            str(path),
            "has commas that may be decimal commas: a part behind one begins with a zero",
            remedy="If 1,05 is one number, pass --delimiter ';'; if it is two, pass --delimiter ','.",
        )


def _check_names(names: tuple[str, ...], where: str) -> None:
    """Raises SourceError where two channels have one name, one has none, or one is named as labels are."""
    channels = names[1:] if names and is_index_name(names[0]) else names
    twice = next((name for number, name in enumerate(channels) if name in channels[:number]), None)
    label = next((name for name in channels if name.casefold() in LABEL_NAMES), None)
    if twice is not None:
        problem = f"there are two channels {twice!r}" if twice else "there are two channels without a name"
        raise SourceError(where, problem, remedy="Give each channel a name of its own.")
    if "" in channels:
        raise SourceError(where, f"channel {channels.index('') + 1} has no name", remedy="Give it one.")
    if label is not None:
        raise SourceError(
            where,
            f"there is a channel {label!r}, from which a model would read the label",
            remedy="Remove the column; the label is the folder, or stands in a table. Rename it if it is none.",
        )


def _join_cells(rows: list[list[str]]) -> tuple[str, str]:
    """Rows that had quotes, in one text without them, and what stands between cells: no comma where they have some."""
    delimiter = ";" if any("," in cell for row in rows for cell in row) else ","
    return "\n".join(delimiter.join(row) for row in rows), delimiter


def _check_points(table: _SeriesLines, text: str) -> None:
    """Raises SourceError where both points and commas are in numbers, so that one of them parts thousands."""
    if "." in text:
        raise SourceError(
            str(table.path),
            "has both points and commas in its numbers",
            remedy="Write them without thousands separators, and with one sign for decimals.",
        )


def _split_lines(path: Path, delimiter: str | None) -> _SeriesLines:
    text = read_utf8(path).lstrip("\ufeff").replace(MINUS, "-")
    lines = [line for line in text.splitlines() if line.strip()]
    separator = separator_of(lines[0]) if lines else None
    lines = lines[separator is not None :]
    if not lines:
        raise SourceError(str(path), "is empty", remedy="Remove the file.")
    found = asked_delimiter(delimiter) if delimiter else separator or _find_delimiter(lines)
    return _SeriesLines(path, tuple(lines), found, int(separator is not None))


def _find_delimiter(lines: Sequence[str]) -> str | None:
    """Semicolon, tab or bar before comma, which may be in the numbers; None for spaces."""
    few = lines[:2]
    for delimiter in ";\t|,":
        if all(delimiter in line for line in few):
            return delimiter
    spaced = len(lines[-1].split()) > 1 and all(map(is_number, lines[-1].split()))
    return None if spaced else ","


def _is_header(cells: Sequence[str], where: str) -> bool:
    """Whether the cells of row 1 are names. A missing value is none: such a row is a step."""
    present = [cell for cell in cells if cell.lower() not in MISSING_TEXTS]
    numbers = [cell for cell in present if _is_float(cell)]
    if numbers == present:
        if counts_up(numbers) and len(numbers) == len(cells) and float(numbers[0]) in (0, 1):
            raise SourceError(
                where,
                f"may be a step, or a header that numbers the channels ({join_few(cells)})",
                remedy=HEADER_OPTIONS,
            )
        return False
    if numbers and not counts_up(numbers):
        raise SourceError(
            where,
            f"has numbers ({join_few(numbers)}) beside words: it may be a step or a header",
            remedy=HEADER_OPTIONS,
        )
    return True


def _is_float(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def _find_problem(table: _SeriesLines, columns: int, has_header: bool) -> SourceError:
    for index, line in enumerate(table.lines[has_header:], start=int(has_header)):
        cells = table.cells(line)
        odd = next((cell for cell in cells if not _is_float(cell)), None)
        if len(cells) != columns:
            problem = f"has {len(cells)} cells, but the first row {columns}"
        elif odd is not None:
            number = cells.index(odd) + 1
            problem = (
                f"{odd!r} in column {number} is not a number"
                if odd
                else f"the cell in column {number} is empty"
            )
        else:
            continue
        remedy = "Correct the row; fill empty cells."
        if odd and re.match(r"[0-9]+[-/.:][0-9]+[-/.:]", odd):
            remedy = "Remove a column of dates or times; steps are in their order."
        return SourceError(table.where(index), problem, remedy=remedy)
    return SourceError(
        str(table.path),
        "is not a table of numbers",
        remedy="Write a row for each step and a column for each channel.",
    )
