"""Reads predictions, whose bytes are hostile, and solutions, whose bytes are the organizer's."""

from __future__ import annotations

import io
import re
from typing import Literal

import numpy as np
from numpy.lib import format as npy

from alcove_scorer.errors import InputError, PredictionError
from alcove_scorer.metrics import Prediction, Solution, row_blocks

Kind = Literal["npy", "text"]
Buffer = bytes | bytearray | memoryview

MAX_HEADER = 4096
"""Of an ``.npy`` file, bytes; NumPy writes 118 for any plain array."""
MAX_TEXT_CELL = 64
"""Characters a number in text takes at most, with its separator."""


def kind_of(name: str) -> Kind:
    return "npy" if name.endswith(".npy") else "text"


def size_limit(n_test: int, n_labels: int) -> int:
    """Bytes that a prediction of this shape has at most, in either form."""
    return (n_test + 1) * n_labels * MAX_TEXT_CELL + MAX_HEADER


def parse_prediction(data: Buffer, kind: Kind, n_test: int, n_labels: int) -> Prediction:
    """The n_test × n_labels array in a prediction file, all finite; a view of ``data`` where that can be.

    Raises PredictionError with the reason, a sentence for the participant.
    """
    shape = (n_test, n_labels)
    array = _parse_npy(data, shape) if kind == "npy" else _parse_text(data, *shape)
    _check_finite(array)
    return array


def _parse_npy(data: Buffer, shape: tuple[int, int] | None) -> Prediction:
    """Reads no pickle; allocates nothing before header and size agree with ``shape`` (None: any)."""
    head = io.BytesIO(bytes(memoryview(data)[: MAX_HEADER + 16]))
    try:
        version = npy.read_magic(head)
        # 3.0 differs in the names of fields alone, which no plain array has.
        reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        found, fortran, dtype = reader(head, max_header_size=MAX_HEADER)
    except Exception as error:
        # NumPy hands the header to Python's own parsers, which fail on hostile text in half a dozen ways.
        reason = " ".join(str(error).split())[:200]
        raise PredictionError(f"not a readable .npy file ({reason}); save it with numpy.save") from None
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise PredictionError(f"dtype {str(dtype)[:60]}: expected real numbers, such as float32")
    if len(found) != 2 or (shape is not None and found != shape):
        wanted = "examples × labels" if shape is None else f"{shape[0]} × {shape[1]} (examples × labels)"
        raise PredictionError(f"shape {_shape_text(found)}: expected {wanted}")
    rows, columns = found
    size = rows * columns * dtype.itemsize
    offset = head.tell()
    if len(data) - offset != size:
        raise PredictionError(
            f"{len(data) - offset} bytes after the header: expected {size}, as its shape says"
        )
    flat = np.frombuffer(data, dtype=dtype, count=rows * columns, offset=offset)
    array = flat.reshape((rows, columns), order="F" if fortran else "C")
    if dtype.kind == "f" and dtype.itemsize == 2:
        return array.astype(np.float32)
    if not dtype.isnative:
        return array.astype(dtype.newbyteorder("="))
    return array.view(np.uint8) if dtype.kind == "b" else array


def _shape_text(shape: tuple[int, ...]) -> str:
    sides = " × ".join(str(side)[:20] for side in shape[:4])
    return f"{sides} …" if len(shape) > 4 else sides or "()"


def _parse_text(data: Buffer, n_test: int, n_labels: int) -> Prediction:
    """The AutoDL text form: a row a line, numbers separated by white space; empty lines are skipped."""
    if len(data) > size_limit(n_test, n_labels):
        raise PredictionError(f"{len(data)} bytes: too long for {n_test} × {n_labels} numbers as text")
    text = bytes(data)
    odd = re.search(rb"[^0-9eE+\-.\s]", text)
    if odd:
        row = text.count(b"\n", 0, odd.start()) + 1
        word = _word_at(text, odd.start())
        raise PredictionError(f"line {row}: {word!r} is not a finite number")
    # Rows and the first row's length are known before the reader allocates anything.
    rows = sum(1 for line in io.BytesIO(text) if not line.isspace())
    first = next((line for line in io.BytesIO(text) if not line.isspace()), b"").split()
    if rows != n_test or len(first) != n_labels:
        raise PredictionError(
            f"{rows} rows, the first of {len(first)} numbers: expected {n_test} rows of {n_labels} numbers"
        )
    try:
        array = np.loadtxt(
            io.BytesIO(text), dtype=np.float64, ndmin=2, comments=None, encoding="ascii", max_rows=rows
        )
    except ValueError as error:
        raise PredictionError(" ".join(str(error).split(";")[0].split())[:200]) from None
    if array.shape != (n_test, n_labels):
        raise PredictionError(f"shape {_shape_text(array.shape)}: expected {n_test} × {n_labels}")
    return array


def _word_at(text: bytes, position: int) -> str:
    start = max(text.rfind(separator, 0, position) for separator in (b" ", b"\n", b"\t")) + 1
    return text[start : start + 30].split()[0].decode("ascii", "replace")


def _check_finite(array: Prediction) -> None:
    for rows in row_blocks(len(array), array.itemsize * array.shape[1]):
        finite = np.isfinite(array[rows])
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            value = float(array[rows][row, column])
            raise PredictionError(
                f"row {rows.start + row + 1}, column {column + 1} is {value}: all must be finite"
            )


def parse_solution(data: Buffer, name: str) -> Solution:
    """The matrix of present labels in an ``.npy`` file or in text rows of 0/1 separated by white space.

    Raises InputError that names ``name`` and row, and what was expected.
    """
    try:
        if bytes(data[:6]) == npy.MAGIC_PREFIX:
            values = _parse_npy(data, None)
        else:
            regular = _regular_text(data)
            values = regular if regular is not None else _solution_text(bytes(data))
    except PredictionError as error:
        raise InputError(f"{name}: {error}") from None
    if values.shape[0] < 1 or values.shape[1] < 1:
        raise InputError(
            f"{name}: shape {_shape_text(values.shape)}: expected at least one example and one label"
        )
    solution = np.empty(values.shape, np.bool_)
    for rows in row_blocks(len(values), values.itemsize * values.shape[1]):
        block = values[rows]
        np.equal(block, 1, out=solution[rows])
        wrong = ~solution[rows] & (block != 0)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            where = f"row {rows.start + row + 1}, column {column + 1}"
            raise InputError(f"{name}: {where} is {block[row, column]}: expected 0 or 1")
    return solution


def _regular_text(data: Buffer) -> Prediction | None:
    """One digit, one separator, and so on: what every writer of solutions writes, read without parsing
    numbers.
    """
    raw = np.frombuffer(data, np.uint8)
    end = bytes(data[: 1 << 22]).find(b"\n")
    if end < 0 or end % 2 == 0:
        return None
    width = end + 1
    if len(raw) % width == width - 1:
        raw = np.append(raw, np.uint8(10))
    if len(raw) % width:
        return None
    table = raw.reshape(-1, width)
    if not (np.all(table[:, -1] == 10) and np.all(table[:, 1:-1:2] == 32)):
        return None
    digits: Prediction = table[:, ::2] - np.uint8(48)
    return digits if digits.max(initial=0) <= 9 else None


def _solution_text(text: bytes) -> Prediction:
    rows = sum(1 for line in io.BytesIO(text) if not line.isspace())
    first = next((line for line in io.BytesIO(text) if not line.isspace()), b"").split()
    return _parse_text(text, rows, max(1, len(first)))
