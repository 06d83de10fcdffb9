"""The solution: one row a test example, one 0 or 1 a label, as text or ``.npy``. Needs NumPy alone."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alcove_format.errors import SolutionError

Table = npt.NDArray[np.uint8]
_NPY_MAGIC = b"\x93NUMPY"


def read_solution(path: Path) -> Table:
    """Reads a solution file; see :func:`parse_solution`."""
    try:
        return parse_solution(path.read_bytes(), str(path))
    except OSError as error:
        raise SolutionError(str(path), f"cannot be read: {error.strerror}.") from None


def parse_solution(data: bytes, name: str) -> Table:
    """Reads the bytes of a solution, text or ``.npy``.

    Returns:
        Array of uint8, test examples × labels, every number 0 or 1.

    Raises:
        SolutionError: names the first row (counting from 1) that is wrong.
    """
    return _npy(data, name) if data.startswith(_NPY_MAGIC) else _text(data, name)


def format_solution(table: npt.ArrayLike) -> bytes:
    """The text form: rows of 0 and 1 with spaces between, as in the AutoDL challenge."""
    return b"".join(b" ".join(b"1" if x else b"0" for x in row) + b"\n" for row in np.asarray(table).tolist())


def _npy(data: bytes, name: str) -> Table:
    try:
        table = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError, OverflowError) as error:
        raise SolutionError(name, f"is no readable .npy file: {error}.") from None
    if table.ndim != 2 or not table.size:
        raise SolutionError(name, f"has shape {table.shape}, not (test examples, labels).")
    if table.dtype.kind not in "biuf":
        raise SolutionError(name, f"holds {table.dtype}, not numbers.")
    wrong = np.flatnonzero(((table != 0) & (table != 1)).any(axis=1))
    if len(wrong):
        raise SolutionError(f"{name}, row {wrong[0] + 1}", "has a number that is neither 0 nor 1.")
    out: Table = table.astype(np.uint8)
    return out


def _text(data: bytes, name: str) -> Table:
    table = _plain_text(data)
    if table is not None:
        return table
    rows: list[list[int]] = []
    for number, line in enumerate(data.decode("utf-8", "replace").rstrip().split("\n"), start=1):
        row = [_ZERO_ONE.get(word, -1) for word in line.split()]
        if -1 in row:
            word = line.split()[row.index(-1)]
            raise SolutionError(f"{name}, row {number}", f"has {word[:20]!r}, which is neither 0 nor 1.")
        if not row:
            raise SolutionError(f"{name}, row {number}", "is empty.")
        if rows and len(row) != len(rows[0]):
            raise SolutionError(
                f"{name}, row {number}", f"has {len(row)} numbers, but row 1 has {len(rows[0])}."
            )
        rows.append(row)
    return np.array(rows, np.uint8)


def _plain_text(data: bytes) -> Table | None:
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


_ZERO_ONE = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "0.": 0, "1.": 1}
