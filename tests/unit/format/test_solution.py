"""Reading solutions."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from alcove_format.errors import SolutionError
from alcove_format.solution import parse_solution
from tests.unit.format.solutions import format_solution

TABLES = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.integers(0, 1)
)


def npy(array: npt.NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@given(TABLES)
def test_both_forms_come_back(table: npt.NDArray[np.uint8]) -> None:
    assert np.array_equal(parse_solution(format_solution(table), "s"), table)
    assert np.array_equal(parse_solution(npy(table.astype(np.float32)), "s"), table)


@given(TABLES)
def test_however_the_text_is_spaced(table: npt.NDArray[np.uint8]) -> None:
    plain = format_solution(table)
    spaced = (
        plain.replace(b" ", b"\t"),
        plain.replace(b"\n", b" \r\n"),
        plain.rstrip(),
        plain.replace(b"1", b"1.0"),
        plain.replace(b"1", b"+1.000e+00"),
        plain.replace(b"0", b"-0.0e+9"),
    )
    for data in spaced:
        assert np.array_equal(parse_solution(data, "s"), table)


def test_a_npy_that_claims_to_be_huge_is_refused() -> None:
    buffer = io.BytesIO()
    claim = {"descr": "<f8", "fortran_order": False, "shape": (10**12, 10**3)}
    np.lib.format.write_array_header_1_0(buffer, claim)
    with pytest.raises(SolutionError, match=r"not a readable \.npy"):
        parse_solution(buffer.getvalue(), "s")


@given(st.binary(max_size=60))
def test_any_bytes_give_a_table_of_0_and_1_or_an_error(data: bytes) -> None:
    for prefix in (b"", b"\x93NUMPY\x01\x00"):
        try:
            table = parse_solution(prefix + data, "s")
        except SolutionError:
            continue
        assert table.ndim == 2
        assert set(np.unique(table)) <= {0, 1}


def without_last_byte(data: bytes) -> bytes:
    return data[:-1]


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"1 0\n0 2\n", "s, row 2, column 2: '2' is neither 0 nor 1"),
        (b"1 0\n0 0.5\n", "s, row 2, column 2: '0.5' is neither"),
        (b"1 0\n0 1 1\n", "s, row 2: has 3 numbers, but row 1 has 2"),
        (b"1 0\n\n0 1\n", "s, row 2: is empty"),
        (b"", "s, row 1: is empty"),
        (b"label\n1\n", "s, row 1, column 1: 'label'"),
        ("1\u00a00\n0\u00a01\n".encode(), r"s, row 1, column 1: '1\\xc2\\xa00' is neither"),
        (b"1\x1c0\n", "s, row 1, column 1"),
        (b"0_1 1\n", "s, row 1, column 1: '0_1'"),
        (b"nan 1\n", "s, row 1, column 1: 'nan'"),
        (npy(np.array([[0, 1], [1, 3]])), "s, row 2, column 2: 3 is neither"),
        (npy(np.array([[0, np.nan]])), "s, row 1, column 2: nan is neither"),
        (npy(np.array([0, 1])), "shape"),
        (npy(np.zeros((0, 3))), "shape"),
        (npy(np.array([["0", "1"]])), "holds <U1; save booleans"),
        (npy(np.array([[0, 1]], np.longdouble)), "holds float128"),
        (npy(np.array([[0, 1]], np.complex64)), "holds complex64"),
        (npy(np.array([[0, 1]])) + b"x", "has 1 bytes after its array"),
        (without_last_byte(npy(np.array([[0, 1]]))), "not a readable"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, "not a readable"),
        (b"0 " * (32 << 20) + b"0\n", "has 67108866 bytes; at most 67108864 are read"),
    ],
)
def test_what_is_wrong_is_named_by_row_and_column(data: bytes, where: str) -> None:
    with pytest.raises(SolutionError, match=where):
        parse_solution(data, "s")


def test_a_byte_order_mark_before_text_does_not_count() -> None:
    assert parse_solution(b"\xef\xbb\xbf1 0\n0 1\n", "s").tolist() == [[1, 0], [0, 1]]
