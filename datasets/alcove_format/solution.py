"""The one parser of solutions: a row for each test example, as text or ``.npy``, of a 0 or 1 for each label, or of a
number for each target of a regression.

The check of a dataset, the score Job and ``alcove score`` all read solutions here, so that what one takes all take.
"""

from __future__ import annotations

import codecs
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alcove_format.errors import LABEL_CELLS, TARGET_CELLS, SolutionError

SolutionTable = npt.NDArray[np.uint8]
Targets = npt.NDArray[np.float64]
"""Test examples × numbers to predict, all finite."""
MAX_SOLUTION_BYTES = 64 << 20
"""Of a solution, in either form."""
LARGEST = float(np.finfo(np.float32).max)
"""Of a target, which is float32 where it is in train."""
_NPY_MAGIC = b"\x93NUMPY"
_ZERO_ONE = {b"0": 0, b"1": 1}
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_SHOWN = 20
"""Characters of a word that a message repeats."""


def read_solution(path: Path) -> SolutionTable:
    """Reads a solution file of labels; see :func:`parse_solution`."""
    return parse_solution(_read_bytes(path), str(path))


def read_targets(path: Path) -> Targets:
    """Reads a solution file of a regression; see :func:`parse_targets`."""
    return parse_targets(_read_bytes(path), str(path))


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SolutionError(str(path), f"cannot be read: {error.strerror}.") from None


def parse_solution(data: bytes, name: str) -> SolutionTable:
    """Reads the bytes of a solution, text or ``.npy``.

    Text (a byte order mark of UTF-8 before it does not count): ASCII numbers that are 0 or 1 (``1.0`` and ``1e0`` are),
    separated by white space, a row on a line, no empty line but at the end. ``.npy``: one array of booleans or of whole
    or real numbers of at most 64 bits, nothing after it.

    Args:
        name: what the file is called in an error.

    Returns:
        Array of uint8, test examples × labels, at least 1 × 1, every number 0 or 1.

    Raises:
        SolutionError: names the first row and column (counted from 1) that are wrong.
    """
    _check_size(data, name, "bool")
    if data.startswith(_NPY_MAGIC):
        return _parse_npy(data, name)
    return _parse_text(data.removeprefix(codecs.BOM_UTF8), name)


def parse_targets(data: bytes, name: str) -> Targets:
    """Reads the bytes of a solution of a regression, text or ``.npy``, in the same forms as :func:`parse_solution`.

    Returns:
        Test examples × numbers to predict, at least 1 × 1, each finite and at most ``LARGEST`` without its sign.

    Raises:
        SolutionError: names the first row and column (counted from 1) that are wrong.
    """
    _check_size(data, name, "float32")
    if data.startswith(_NPY_MAGIC):
        table = _load_npy(data, name).astype(np.float64)
    else:
        table = _parse_numbers(data.removeprefix(codecs.BOM_UTF8), name)
    wrong = ~(np.abs(table) <= LARGEST)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        where = f"{name}, row {row + 1}, column {column + 1}"
        raise SolutionError(where, f"{table[row, column]} is not a finite number of float32.", TARGET_CELLS)
    return table


def _check_size(data: bytes, name: str, dtype: str) -> None:
    if len(data) > MAX_SOLUTION_BYTES:
        raise SolutionError(
            name,
            f"has {len(data)} bytes; at most {MAX_SOLUTION_BYTES} are read. Save it as .npy of dtype {dtype}.",
        )


def _parse_numbers(data: bytes, name: str) -> Targets:
    rows: list[list[float]] = []
    for number, line in enumerate(data.rstrip().split(b"\n"), start=1):
        words = line.split()
        if not words:
            raise SolutionError(f"{name}, row {number}", "is empty.", TARGET_CELLS)
        if rows and len(words) != len(rows[0]):
            raise _wrong_width(name, number, len(words), len(rows[0]), TARGET_CELLS)
        for column, word in enumerate(words, start=1):
            if not _NUMBER.fullmatch(word):
                shown = repr(word[:_SHOWN])[1:]
                where = f"{name}, row {number}, column {column}"
                raise SolutionError(where, f"{shown} is not a number.", TARGET_CELLS)
        rows.append([float(word) for word in words])
    return np.array(rows)


def _parse_npy(data: bytes, name: str) -> SolutionTable:
    table = _load_npy(data, name)
    wrong = (table != 0) & (table != 1)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise _wrong_number(name, int(row), int(column), str(table[row, column]))
    return np.ascontiguousarray(table, np.uint8)


def _load_npy(data: bytes, name: str) -> npt.NDArray[Any]:
    """An array of booleans or numbers with two axes."""
    file = io.BytesIO(data)
    try:
        table = np.load(file, allow_pickle=False)
    except Exception as error:
        # NumPy hands the header to Python's own parsers, which fail on damaged text in half a dozen ways.
        reason = " ".join(str(error).split())[:200]
        raise SolutionError(name, f"is not a readable .npy file ({reason}).") from None
    if table.ndim != 2 or not table.size:
        raise SolutionError(name, f"has shape {table.shape}, not (test examples, labels).")
    # A long double is another number of bytes on other machines.
    if table.dtype.kind not in "biuf" or table.dtype.itemsize > 8:
        raise SolutionError(name, f"holds {str(table.dtype)[:60]}; save booleans, or numbers such as uint8.")
    if after := len(data) - file.tell():
        raise SolutionError(name, f"has {after} bytes after its array.")
    found: npt.NDArray[Any] = table
    return found


def _parse_text(data: bytes, name: str) -> SolutionTable:
    table = _parse_plain_text(data)
    if table is not None:
        return table
    rows: list[bytes] = []
    for number, line in enumerate(data.rstrip().split(b"\n")):
        # White space of ASCII alone: a no-break space is part of a word, which is then no number.
        row = _parse_words(line.split(), name, number)
        if not row:
            raise SolutionError(f"{name}, row {number + 1}", "is empty.")
        if rows and len(row) != len(rows[0]):
            raise _wrong_width(name, number + 1, len(row), len(rows[0]), LABEL_CELLS)
        rows.append(row)
    return np.frombuffer(bytearray().join(rows), np.uint8).reshape(len(rows), -1)


def _parse_words(words: list[bytes], name: str, row: int) -> bytes:
    """A byte 0 or 1 for each word."""
    try:
        return bytes([_ZERO_ONE[word] for word in words])
    except KeyError:
        pass
    values = [float(word) if _NUMBER.fullmatch(word) else -1.0 for word in words]
    for column, value in enumerate(values):
        if value not in (0.0, 1.0):
            raise _wrong_number(name, row, column, repr(words[column][:_SHOWN])[1:])
    return bytes(map(int, values))


def _parse_plain_text(data: bytes) -> SolutionTable | None:
    """All rows at once, where each number is one digit and each space one space; None where it is written otherwise."""
    width = data.find(b"\n") + 1
    characters = np.frombuffer(data, np.uint8)
    if width == 0 or width % 2 or len(data) % width:
        return None
    lines = characters.reshape(-1, width)
    table = lines[:, ::2] - np.uint8(ord("0"))
    between = lines[:, 1::2]
    if table.max() > 1 or (between[:, :-1] != ord(" ")).any() or (between[:, -1] != ord("\n")).any():
        return None
    return table


def _wrong_width(name: str, row: int, width: int, first: int, cells: str) -> SolutionError:
    return SolutionError(f"{name}, row {row}", f"has {width} numbers, but row 1 has {first}.", cells)


def _wrong_number(name: str, row: int, column: int, shown: str) -> SolutionError:
    return SolutionError(
        f"{name}, row {row + 1}, column {column + 1}",
        f"{shown} is neither 0 nor 1; numbers to predict take a metric of regression.",
    )
