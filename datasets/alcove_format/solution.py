"""The one parser of solutions: a row for each test example, a 0 or 1 for each label, as text or ``.npy``.

The check of a dataset, the score Job and ``alcove score`` all read solutions here, so that what one takes all take.
"""

from __future__ import annotations

import codecs
import io
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alcove_format.errors import SolutionError

SolutionTable = npt.NDArray[np.uint8]
MAX_SOLUTION_BYTES = 64 << 20
"""Of a solution, in either form."""
_NPY_MAGIC = b"\x93NUMPY"
_ZERO_ONE = {b"0": 0, b"1": 1}
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_SHOWN = 20
"""Characters of a word that a message repeats."""


def read_solution(path: Path) -> SolutionTable:
    """Reads a solution file; see :func:`parse_solution`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SolutionError(str(path), f"cannot be read: {error.strerror}.") from None
    return parse_solution(data, str(path))


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
    if len(data) > MAX_SOLUTION_BYTES:
        raise SolutionError(
            name,
            f"has {len(data)} bytes; at most {MAX_SOLUTION_BYTES} are read. Save it as .npy of dtype bool.",
        )
    if data.startswith(_NPY_MAGIC):
        return _parse_npy(data, name)
    return _parse_text(data.removeprefix(codecs.BOM_UTF8), name)


def _parse_npy(data: bytes, name: str) -> SolutionTable:
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
    wrong = (table != 0) & (table != 1)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise _wrong_number(name, int(row), int(column), str(table[row, column]))
    return np.ascontiguousarray(table, np.uint8)


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
            raise SolutionError(
                f"{name}, row {number + 1}", f"has {len(row)} numbers, but row 1 has {len(rows[0])}."
            )
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


def _wrong_number(name: str, row: int, column: int, shown: str) -> SolutionError:
    return SolutionError(f"{name}, row {row + 1}, column {column + 1}", f"{shown} is neither 0 nor 1.")
