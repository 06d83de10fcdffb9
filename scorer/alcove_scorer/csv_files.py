"""CSV files that people write, read strictly: what is wrong is said by row and column."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from alcove_scorer.errors import InputError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SHOWN = 40
"""Characters of a cell that a message repeats."""


def read_bytes(path: Path, wanted: str) -> bytes:
    """Raises InputError that says what was ``wanted`` there."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise describe_unreadable(path, error, wanted) from None


def describe_unreadable(path: Path, error: OSError, wanted: str) -> InputError:
    reason = (error.strerror or "error").lower()
    return InputError(f"{path}: cannot be read ({reason}); expected {wanted}")


def read_rows(path: Path, wanted: str) -> list[list[str]]:
    """Cells without the white space around them; an empty line is a row without cells.

    Raises InputError that names the row and says what was ``wanted``.
    """
    data = read_bytes(path, wanted)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: row {row}: not UTF-8 text; expected {wanted}") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    rows: list[list[str]] = []
    try:
        rows.extend([cell.strip() for cell in row] for row in reader)
    except csv.Error as error:
        raise InputError(f"{path}: row {len(rows) + 1}: {error}; expected {wanted}") from None
    return [row if any(row) else [] for row in rows]


def parse_number(text: str) -> float | None:
    """A decimal number; None where ``text`` is none (``1_0``, ``nan`` and ``inf`` are none)."""
    return float(text) if _NUMBER.fullmatch(text) else None


def quote_cell(text: str) -> str:
    """A cell as a message repeats it: one line, and not all of it where it is long."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def make_printable(text: str) -> str:
    """A name as a table for people shows it: participants choose names, and a terminal obeys some characters."""
    return text if text.isprintable() else repr(text)
