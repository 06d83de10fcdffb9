"""Reads predictions, whose bytes are hostile.

A prediction is read as it comes, a block of rows at a time: neither its bytes nor its numbers need ever lie in memory
as a whole.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import numpy as np
from numpy.lib import format as npy

from alcove_scorer.errors import PredictionError
from alcove_scorer.metrics import Prediction, row_blocks

Kind = Literal["npy", "text"]
PredictionReader = Callable[[Iterable[bytes], int, Kind, int, int], Iterator[Prediction]]
"""As :func:`read_prediction`."""

MAX_HEADER = 4096
"""Of an ``.npy`` file, bytes; NumPy writes 118 for any plain array."""
MAX_TEXT_CELL = 64
"""Characters a number in text takes at most, with its separator."""
_NUMBERS = b"0123456789eE+-. \t\r\n\f\v"
"""All that a text prediction is made of: so no ``nan``, no ``inf`` and no ``1_0``."""

_OTHER_FORMS = {
    codecs.BOM_UTF16_LE: "UTF-16 text, as a redirection in PowerShell writes it",
    codecs.BOM_UTF16_BE: "UTF-16 text",
    npy.MAGIC_PREFIX: "an array of NumPy under another name; name it .npy",
    b"PK": "an archive, as numpy.savez writes it; save one array with numpy.save, and name it .npy",
}

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
"""Of an object that an error of Python's names: another each time, and a score says the same each time."""


def parse_kind(name: str) -> Kind:
    return "npy" if name.endswith(".npy") else "text"


def size_limit(n_test: int, n_labels: int) -> int:
    """Bytes that a prediction of this shape has at most, in either form."""
    return (n_test + 1) * n_labels * MAX_TEXT_CELL + MAX_HEADER


def read_prediction(
    pieces: Iterable[bytes], size: int, kind: Kind, n_test: int, n_labels: int
) -> Iterator[Prediction]:
    """The prediction in a file of ``size`` bytes: blocks of rows × ``n_labels``, in order, all finite.

    Together they have ``n_test`` rows. Raises PredictionError with the reason, a sentence for the participant; blocks
    that came before it mean nothing.
    """
    if kind == "npy":
        blocks = npy_blocks(iter(pieces), size, (n_test, n_labels), parse_header)
    else:
        blocks = text_blocks(pieces, size, n_labels, n_test)
    return check_blocks(blocks, n_test, n_labels)


def check_blocks(blocks: Iterable[Prediction], n_test: int, n_labels: int) -> Iterator[Prediction]:
    """The same blocks. Raises PredictionError where a number is not finite, or rows are missing or too many."""
    row = 0
    for block in blocks:
        _check_finite(block, row)
        row += len(block)
        yield block
    if row != n_test:
        raise PredictionError(f"{row} rows: expected {n_test} rows of {n_labels} numbers")


@dataclass(frozen=True)
class NpyHeader:
    """What the header of an ``.npy`` file says of an array that a prediction can be."""

    shape: tuple[int, int]
    fortran: bool
    dtype: np.dtype[Any]
    size: int
    """Of the header, in bytes."""

    def rows(self, data: bytes | memoryview, rows: int) -> Prediction:
        """That many rows of numbers from the beginning of ``data``, in a form that can be computed with."""
        flat = np.frombuffer(data, self.dtype, rows * self.shape[1])
        array = flat.reshape((rows, self.shape[1]), order="F" if self.fortran else "C")
        if self.dtype.kind == "f" and self.dtype.itemsize == 2:
            return array.astype(np.float32)
        if not self.dtype.isnative:
            return array.astype(self.dtype.newbyteorder("="))
        return array.view(np.uint8) if self.dtype.kind == "b" else array


HeaderParser = Callable[[bytes, int, tuple[int, int]], NpyHeader]
"""As :func:`parse_header`."""


def npy_blocks(
    pieces: Iterator[bytes], size: int, shape: tuple[int, int], parse: HeaderParser
) -> Iterator[Prediction]:
    """The numbers of an ``.npy`` file, of which nothing but their form is known. Raises what ``parse`` raises.

    Hostile bytes reach ``parse`` alone: the rest of the file is numbers, whatever they are.
    """
    data = b""
    while len(data) < MAX_HEADER + 16 and (piece := next(pieces, None)) is not None:
        data += piece
    header = parse(data[: MAX_HEADER + 16], size, shape)
    data = data[header.size :]
    row_bytes = header.shape[1] * header.dtype.itemsize
    if header.fortran:
        # Columns follow each other: no row is complete before the last column is there.
        yield header.rows(b"".join([data, *pieces]), header.shape[0])
        return
    while True:
        rows = len(data) // row_bytes
        if rows:
            yield header.rows(data, rows)
        piece = next(pieces, b"")
        if not piece:
            return
        data = data[rows * row_bytes :] + piece


def parse_header(data: bytes, size: int, shape: tuple[int, int]) -> NpyHeader:
    """Reads no pickle; nothing is allocated before header and size agree with ``shape``. Raises PredictionError.

    Args:
        data: the beginning of a file of ``size`` bytes.
        shape: that the array is to have.
    """
    head = io.BytesIO(data)
    try:
        version = npy.read_magic(head)
        if version not in ((1, 0), (2, 0), (3, 0)):
            raise ValueError(f"version {version[0]}.{version[1]} of the format, which NumPy cannot read")
        # 3.0 differs in the names of fields alone, which no plain array has.
        reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        found, fortran, dtype = reader(head, max_header_size=MAX_HEADER)
    except Exception as error:
        # NumPy hands the header to Python's own parsers, which fail on hostile text in half a dozen ways.
        reason = _ADDRESS.sub("", " ".join(str(error).split()))[:200]
        raise PredictionError(f"not a readable .npy file ({reason}); save it with numpy.save") from None
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise PredictionError(f"dtype {str(dtype)[:60]}: expected real numbers, such as float32")
    if found != shape:
        wanted = f"{shape[0]} × {shape[1]} (examples × labels)"
        raise PredictionError(f"shape {_shape_text(found)}: expected {wanted}")
    expected = found[0] * found[1] * dtype.itemsize
    if size - head.tell() != expected:
        raise PredictionError(
            f"{size - head.tell()} bytes after the header: expected {expected}, as its shape says"
        )
    return NpyHeader(found, fortran, dtype, head.tell())


def _shape_text(shape: tuple[int, ...]) -> str:
    sides = " × ".join(str(side)[:20] for side in shape[:4])
    return f"{sides} …" if len(shape) > 4 else sides or "()"


def text_blocks(pieces: Iterable[bytes], size: int, n_labels: int, most: int) -> Iterator[Prediction]:
    """The AutoDL text form: a row a line, numbers separated by white space; empty lines are skipped.

    Reads no further than a piece past row ``most``. Raises PredictionError.
    """
    if size > size_limit(most, n_labels):
        raise PredictionError(f"{size} bytes: too long for {most} × {n_labels} numbers as text")
    rest, line, rows = b"", 1, 0
    for piece in chain(pieces, (b"\n",)):  # the last line need not end with one
        whole, newline, after = piece.rpartition(b"\n")
        if not newline:
            rest += piece
            if len(rest) > size_limit(0, n_labels):
                raise PredictionError(f"line {line} is longer than {n_labels} numbers can be")
            continue
        text, rest = rest + whole + newline, after
        block = _text_block(text, n_labels, line)
        line += text.count(b"\n")
        rows += len(block)
        if rows > most:
            raise PredictionError(f"more than {most} rows: expected {most} rows of {n_labels} numbers")
        if len(block):
            yield block


def _text_block(text: bytes, n_labels: int, line: int) -> Prediction:
    """Whole lines, the first of which is number ``line`` of the file, to rows of numbers."""
    if line == 1:
        text = text.removeprefix(codecs.BOM_UTF8)  # As editors on Windows put it there.
    if not text or text.isspace():
        return np.empty((0, n_labels))
    try:
        if not text.translate(None, _NUMBERS):
            array = np.loadtxt(io.BytesIO(text), np.float64, comments=None, ndmin=2, encoding="ascii")
            if array.shape[1] == n_labels:
                return array
    except ValueError:
        pass
    raise PredictionError(_first_fault(text, n_labels, line))


def _first_fault(text: bytes, n_labels: int, line: int) -> str:
    if line == 1:
        kind = next((kind for start, kind in _OTHER_FORMS.items() if text.startswith(start)), None)
        if kind is not None:
            return f"line 1: {kind}; expected {n_labels} numbers a line, spaces between"
    for number, row in enumerate(text.split(b"\n"), start=line):
        words = row.split()
        for word in words:
            if word.translate(None, _NUMBERS) or not _is_number(word):
                shown = repr(word[:30])[1:]  # as Python writes bytes: in quotes, and never two lines
                return f"line {number}: {shown} is not a finite number; expected {n_labels} of them, spaces between"
        if words and len(words) != n_labels:
            return f"line {number} has {len(words)} numbers: expected {n_labels}, one a label"
    return f"from line {line} on: expected {n_labels} numbers a line, separated by spaces"


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _check_finite(array: Prediction, row: int) -> None:
    """``row``: how many rows of the prediction come before these."""
    for rows in row_blocks(len(array), array.itemsize * array.shape[1]):
        finite = np.isfinite(array[rows])
        if not finite.all():
            i, column = np.argwhere(~finite)[0]
            value = float(array[rows][i, column])
            raise PredictionError(
                f"row {row + rows.start + i + 1}, column {column + 1} is {value}: all must be finite"
            )
