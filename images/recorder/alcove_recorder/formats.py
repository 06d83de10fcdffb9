"""Checks prediction files against the shape of the test set, without NumPy and within little memory.

The bytes are hostile: every read is bounded by what a file of the right shape can hold. Whether numbers are
finite is left to the scorer.
"""

from __future__ import annotations

import ast
import re
from typing import BinaryIO, Literal

from alcove_recorder.errors import RefusedError

Kind = Literal["npy", "predict"]

_NUMBERED = re.compile(r"([^.].*)?\.predict_[0-9]+", re.DOTALL)
_DIGITS = re.compile("([0-9]+)")

_NPY_MAGIC = b"\x93NUMPY"
_NPY_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}
"""Size of the header's length by major version, from NumPy's description of the format (NEP 1)."""
_NPY_HEADER_LIMIT = 1024
"""NumPy writes 118 bytes for a plain 2-D array. A small bound keeps `literal_eval` away from deep nesting."""
_NPY_PREAMBLE_LIMIT = len(_NPY_MAGIC) + 2 + 4 + _NPY_HEADER_LIMIT
_NPY_ITEM_SIZES = {
    "f": (2, 4, 8),
    "i": (1, 2, 4, 8),
    "u": (1, 2, 4, 8),
    "b": (1,),
}
_TEXT_VALUE_LIMIT = 32
"""Bytes of one value with its separator; the longest that `repr` gives a float64 is 24."""
_TEXT_ROW_EXTRA = 16
_TEXT_TAIL_LIMIT = 64


def kind_of(name: str) -> Kind | None:
    """The kind that a file name promises; None for a name that is not a prediction's, or is hidden.

    The AutoDL challenge's ingestion program writes ``NAME.predict_3``, and ``.predict_3`` where NAME is empty.
    """
    if _NUMBERED.fullmatch(name):
        return "predict"
    if name.startswith("."):
        return None
    if name.endswith(".npy"):
        return "npy"
    return "predict" if name.endswith(".predict") else None


def order_key(name: str) -> list[str | int]:
    """Sorts names by the numbers in them: 9 before 10."""
    return [int(part) if number % 2 else part for number, part in enumerate(_DIGITS.split(name))]


def size_limit(kind: Kind, n_test: int, n_labels: int) -> int:
    """Bytes that a well-formed file of this shape has at most."""
    if kind == "npy":
        return _NPY_PREAMBLE_LIMIT + 8 * n_test * n_labels
    return n_test * (_TEXT_VALUE_LIMIT * n_labels + _TEXT_ROW_EXTRA) + _TEXT_TAIL_LIMIT


def check(kind: Kind, stream: BinaryIO, size: int, n_test: int, n_labels: int) -> None:
    """Raises :class:`RefusedError` unless ``stream``, of ``size`` bytes, holds n_test × n_labels numbers."""
    if kind == "npy":
        check_npy(stream, size, n_test, n_labels)
    else:
        check_predict(stream, n_test, n_labels)


def check_npy(stream: BinaryIO, size: int, n_test: int, n_labels: int) -> None:
    """Takes float, integer and bool of at most 8 bytes, in C or Fortran order, of either byte order."""
    preamble = stream.read(len(_NPY_MAGIC) + 2)
    if len(preamble) < len(_NPY_MAGIC) + 2 or not preamble.startswith(_NPY_MAGIC):
        raise RefusedError("It does not start as a .npy file does: write it with numpy.save.")
    width = _NPY_LENGTH_BYTES.get(preamble[-2])
    if width is None:
        raise RefusedError(
            f"Version {preamble[-2]} of the .npy format is not known: write it with numpy.save."
        )
    length = int.from_bytes(stream.read(width), "little")
    if length > _NPY_HEADER_LIMIT:
        raise RefusedError(f"Its .npy header has {length} bytes; at most {_NPY_HEADER_LIMIT} are read.")
    header = stream.read(length)
    if len(header) != length:
        raise RefusedError("It ends within its .npy header.")
    item = _npy_item_size(header, (n_test, n_labels))
    expected = len(preamble) + width + length + item * n_test * n_labels
    if size != expected:
        raise RefusedError(
            f"It has {size} bytes, but its header says {expected}: it was cut short or added to."
        )


def _npy_item_size(header: bytes, shape: tuple[int, int]) -> int:
    if header.count(b"(") + header.count(b"[") + header.count(b"{") > 8:
        raise RefusedError("Its .npy header does not describe a plain array.")
    try:
        fields = ast.literal_eval(header.decode("latin-1").strip())
    # MemoryError and RecursionError are how the parser answers nesting that is too deep for it.
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise RefusedError("Its .npy header cannot be read.") from None
    if not isinstance(fields, dict) or set(fields) != {"descr", "fortran_order", "shape"}:
        raise RefusedError(
            "Its .npy header must have the fields descr, fortran_order and shape, and no others."
        )
    # Quoted in a reason, these are printable: a header can hold what no terminal should see and no record can store.
    descr, order, found = fields["descr"], fields["fortran_order"], fields["shape"]
    if not isinstance(descr, str) or len(descr) != 3 or descr[0] not in "<>|=":
        raise RefusedError("It is not an array of plain numbers: convert it with astype('float32').")
    item = ord(descr[2]) - ord("0")
    if item not in _NPY_ITEM_SIZES.get(descr[1], ()):
        raise RefusedError(f"Its data type is {descr!a}: convert it with astype('float32').")
    if not isinstance(order, bool):
        raise RefusedError("Its .npy header has a fortran_order that is neither True nor False.")
    if not isinstance(found, tuple) or not all(type(n) is int for n in found) or found != shape:
        raise RefusedError(f"Its shape is {ascii(found)[:60]}; it must be {shape[0]} × {shape[1]}.")
    return item


def check_predict(stream: BinaryIO, n_test: int, n_labels: int) -> None:
    """The AutoDL text form: ``n_test`` lines of ``n_labels`` numbers, separated by spaces."""
    limit = _TEXT_VALUE_LIMIT * n_labels + _TEXT_ROW_EXTRA
    for row in range(1, n_test + 1):
        line = stream.readline(limit + 1)
        if not line:
            raise RefusedError(f"It has {row - 1} lines, but must have {n_test}.")
        if len(line) > limit:
            raise RefusedError(f"Line {row} is longer than {n_labels} numbers can be.")
        _check_row(row, line, n_labels)
    tail = stream.read(_TEXT_TAIL_LIMIT + 1)
    if tail.strip() or len(tail) > _TEXT_TAIL_LIMIT:
        raise RefusedError(f"It has more than {n_test} lines.")


def _check_row(row: int, line: bytes, n_labels: int) -> None:
    values = line.split()
    if len(values) != n_labels:
        raise RefusedError(f"Line {row} has {len(values)} values, but must have {n_labels}.")
    try:
        if b"_" in line:  # Python reads 1_0 as 10; other readers of the form do not.
            raise ValueError
        for value in values:
            float(value)
    except ValueError:
        raise RefusedError(f"Line {row} holds something that is not a number.") from None
