from __future__ import annotations

import atexit
import contextlib
import io
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alcove_scorer.errors import PredictionError
from alcove_scorer.parser_process import ParserProcess
from alcove_scorer.predictions import Kind, read_prediction

from .strategies import solved

PIECE = 7
"""No number of bytes that anything in these files is a multiple of."""


def parse_prediction(data: bytes, kind: Kind, n_test: int, n_labels: int) -> np.ndarray:
    """The whole prediction, read in small pieces and at once alike, and by the confined process."""
    found: list[np.ndarray | PredictionError] = []
    for step, read in ((PIECE, read_prediction), (1 << 20, read_prediction), (PIECE, confined().read)):
        pieces = [bytes(data[i : i + step]) for i in range(0, len(data), step)]
        try:
            blocks = list(read(pieces, len(data), kind, n_test, n_labels))
            found.append(np.concatenate(blocks))
            assert all(block.shape[1] == n_labels for block in blocks)
        except PredictionError as error:
            found.append(error)
    small, large, other = found
    if isinstance(large, PredictionError):
        assert isinstance(small, PredictionError)
        assert str(other) == str(small)
        raise large
    assert isinstance(other, np.ndarray)
    assert other.dtype == large.dtype
    assert np.array_equal(other, large)
    assert isinstance(small, np.ndarray)
    assert small.dtype == large.dtype
    assert np.array_equal(small, large)
    return large


@cache
def confined() -> ParserProcess:
    """One for all tests of this file: as in a job, it goes on whatever it has read."""
    process = ParserProcess()
    atexit.register(process.close)
    return process


def npy(array: Any, **kwargs: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **kwargs)
    return file.getvalue()


def text(array: Any) -> bytes:
    return b"".join(b" ".join(repr(float(v)).encode() for v in row) + b"\n" for row in array)


@given(solved(), st.sampled_from(["<f4", "<f8", ">f4", ">f8", "<f2"]), st.booleans())
def test_npy_round_trip(pair: tuple[np.ndarray, np.ndarray], dtype: str, fortran: bool) -> None:
    array = pair[1].astype(dtype)
    data = npy(np.asfortranarray(array) if fortran else array)
    assert np.array_equal(parse_prediction(data, "npy", *array.shape), array)


@given(solved())
def test_text_round_trip(pair: tuple[np.ndarray, np.ndarray]) -> None:
    assert np.array_equal(parse_prediction(text(pair[1]), "text", *pair[1].shape), pair[1])


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64"])
def test_whole_numbers_are_read(dtype: str) -> None:
    array = np.array([[0, 1], [1, 0]], dtype)
    assert np.array_equal(parse_prediction(npy(array), "npy", 2, 2), array)


def test_a_byte_order_mark_before_text_does_not_count() -> None:
    assert parse_prediction(b"\xef\xbb\xbf1 0\n0 1\n", "text", 2, 2).tolist() == [[1, 0], [0, 1]]
    with pytest.raises(PredictionError, match="line 2: "):
        parse_prediction(b"1 0\n\xef\xbb\xbf0 1\n", "text", 2, 2)


def test_one_row_stays_a_row_and_one_column_a_column() -> None:
    assert parse_prediction(b"0.1 0.2 0.3\n", "text", 1, 3).shape == (1, 3)
    assert parse_prediction(b"0.1\n0.2\n0.3", "text", 3, 1).shape == (3, 1)


HUGE = npy(np.zeros((2, 2), np.float32)).replace(
    b"(2, 2), }" + b" " * 40, b"(99999999999, 9999999999), }".ljust(49)
)
OBJECT = npy(np.array([[None, 1], [2, 3]], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (npy(np.zeros((2, 3), np.float32)), "npy", "shape 2 × 3: expected 2 × 2"),
        (npy(np.zeros(4, np.float32)), "npy", "shape 4: expected 2 × 2"),
        (npy(np.float32(1)), "npy", r"shape \(\): expected 2 × 2"),
        (npy(np.zeros((2, 2, 1, 1, 1, 1), np.float32)), "npy", "…"),
        (npy(np.array([[1, np.nan], [0, 0]])), "npy", "row 1, column 2 is nan"),
        (npy(np.array([[1, 0], [-np.inf, 0]])), "npy", "row 2, column 1 is -inf"),
        (npy(np.zeros((2, 2), np.complex64)), "npy", "complex64"),
        (npy(np.zeros((2, 2), "U3")), "npy", "dtype <U3"),
        (npy(np.zeros((2, 2), np.longdouble)), "npy", "float128"),
        (OBJECT, "npy", "object"),
        (HUGE, "npy", "shape 99999999999 × 9999999999"),
        (npy(np.zeros((2, 2), np.float32))[:-1], "npy", "15 bytes after the header: expected 16"),
        (npy(np.zeros((2, 2), np.float32)) + b"x", "npy", "17 bytes"),
        (b"", "npy", "not a readable .npy"),
        (b"PK\x03\x04" + bytes(100), "npy", "not a readable .npy"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, "npy", "not a readable .npy"),
        (b"\x93NUMPY\x01\x00\x00\x08" + b"-" * 2047 + b"1", "npy", "not a readable .npy"),
        (b"\x93NUMPY\x09\x00", "npy", "not a readable .npy"),
        (npy(np.zeros((2, 2))).replace(b"\x01\x00", b"\x01\x09", 1), "npy", "version 1.9 of the format"),
        (b"1 2\n3\n", "text", "line 2 has 1 numbers: expected 2"),
        (b"1 2\n\n3 4 5\n", "text", "line 3 has 3 numbers: expected 2"),
        (b"1 2 3\n4 5 6\n", "text", "line 1 has 3 numbers: expected 2"),
        (b"1 2\n3 4\n5 6\n", "text", "more than 2 rows: expected 2 rows of 2 numbers"),
        (b"1 2\n", "text", "1 rows: expected 2 rows of 2"),
        (b"", "text", "0 rows"),
        (b"1 2\n3 nan\n", "text", "line 2: 'nan' is not a finite number"),
        (b"1 2\n3 1e999\n", "text", "row 2, column 2 is inf"),
        (b"1 2\n3 1_0\n", "text", "line 2: '1_0'"),
        (b"1 2\n3 --4\n", "text", "--4"),
        (b"1,2\n3,4\n", "text", "line 1: '1,2'"),
        (b"\xff\xfe1\x00", "text", "line 1: UTF-16 text"),
        (npy(np.zeros((2, 2), np.float32)), "text", "line 1: an array of NumPy under another name"),
        (b"PK\x03\x04" + bytes(100), "text", "line 1: an archive, as numpy.savez writes it"),
        (b"1 2\n3 4\n" + b" " * 5000, "text", "too long"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_its_reason(data: bytes, kind: Kind, reason: str) -> None:
    with pytest.raises(PredictionError, match=reason) as caught:
        parse_prediction(data, kind, 2, 2)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_a_refusal_says_the_same_each_time() -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2**9), }\n"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with pytest.raises(PredictionError, match="not a readable") as caught:
        parse_prediction(data, "npy", 2, 2)
    assert "0x" not in str(caught.value)


def test_no_more_of_a_text_is_read_than_its_first_line_may_have() -> None:
    taken: list[bytes] = []

    def pieces() -> Iterator[bytes]:
        for _ in range(1000):
            taken.append(b"0 " * 500)
            yield taken[-1]

    with pytest.raises(PredictionError, match="line 1 is longer than 2 numbers can be"):
        list(read_prediction(pieces(), 1_000_000, "text", 10_000, 2))
    assert len(taken) < 10


@given(st.binary(max_size=300), st.sampled_from(["npy", "text"]))
@example(b"\x93NUMPY\x01\x00", "npy")
def test_any_bytes_are_read_or_refused(data: bytes, kind: Kind) -> None:
    try:
        array = parse_prediction(data, kind, 2, 2)
    except PredictionError:
        return
    assert array.shape == (2, 2)
    assert np.isfinite(array).all()


@given(st.data())
def test_any_damage_to_a_header_is_read_or_refused(data: st.DataObject) -> None:
    file = bytearray(npy(np.zeros((2, 2), np.float32)))
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, 127))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PredictionError):
        assert parse_prediction(bytes(file), "npy", 2, 2).shape == (2, 2)
