"""The checks of prediction files: right ones pass, wrong shapes never do, hostile bytes get a sentence."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alcove_recorder.errors import RefusedError
from alcove_recorder.formats import check, check_npy, check_predict, kind_of, size_limit

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6))
DTYPES = st.sampled_from(["<f2", "<f4", "<f8", ">f4", ">f8", "<i4", "<i8", "|u1", "|b1", ">u2"])


def saved(array: object) -> bytes:
    file = io.BytesIO()
    np.save(file, array)  # type: ignore[arg-type]
    return file.getvalue()


def accepted(kind: str, data: bytes, shape: tuple[int, int]) -> bool:
    """False where it is refused; any error but a refusal fails the test."""
    try:
        check(kind, io.BytesIO(data), len(data), *shape)  # type: ignore[arg-type]
    except RefusedError as error:
        return not str(error)  # without a reason it is no refusal
    return True


@settings(deadline=None)
@given(shape=SHAPES, dtype=DTYPES, fortran=st.booleans())
def test_what_numpy_saves_in_the_right_shape_is_taken(
    shape: tuple[int, int], dtype: str, fortran: bool
) -> None:
    data = saved(np.zeros(shape, dtype=dtype, order="F" if fortran else "C"))
    assert accepted("npy", data, shape)
    assert len(data) <= size_limit("npy", *shape)


@settings(deadline=None)
@given(shape=SHAPES, wanted=SHAPES)
def test_another_shape_is_refused(shape: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert accepted("npy", saved(np.zeros(shape)), wanted) == (shape == wanted)
    text = b"".join(b" ".join([b"0.5"] * shape[1]) + b" \n" for _ in range(shape[0]))
    assert accepted("predict", text, wanted) == (shape == wanted)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[{"an": "object"}]], dtype=object),
        np.zeros((1, 1), dtype="<c8"),
        np.zeros((1, 1), dtype="<f16") if hasattr(np, "float128") else np.zeros((1, 1), dtype="<c16"),
        np.zeros((1, 1), dtype="<M8[s]"),
        np.zeros((1, 1), dtype="S4"),
        np.zeros((1, 1), dtype=[("a", "<f4")]),
        np.zeros(1),
        np.zeros((1, 1, 1)),
        np.zeros(()),
    ],
)
def test_other_types_and_ranks_are_refused(array: object) -> None:
    assert not accepted("npy", saved(array), (1, 1))


@settings(deadline=None)
@given(cut=st.integers(0, 176), more=st.binary(max_size=8))
def test_cut_or_extended_files_are_refused(cut: int, more: bytes) -> None:
    data = saved(np.zeros((3, 2)))
    assert accepted("npy", data[: len(data) - cut] + more, (3, 2)) == (len(more) == cut)


def header(text: bytes, data: bytes = bytes(8), version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version[0] == 1 else 4, "little") + text + data


HOSTILE_HEADERS = [
    b"__import__('os').system('true')",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1)} or 1",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (True, True)}",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (1.0, 1.0)}",
    b"{'descr': '<f8', 'fortran_order': 0, 'shape': (1, 1)}",
    b"{'descr': ['<f8'], 'fortran_order': False, 'shape': (1, 1)}",
    b"{'descr': '<f9', 'fortran_order': False, 'shape': (1, 1)}",
    b"{'descr': '<O8', 'fortran_order': False, 'shape': (1, 1)}",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1), 'more': 1}",
    b"{'descr': '<f8', 'shape': (1, 1)}",
    b"{[]: 1}",
    b"(" * 1000,
    b"-" * 1000 + b"1",
    b"not " * 250 + b"1",
    b"1" * 1000,
    b"9**9**9**9**9",
    b"\xff\x00" * 10,
    b"",
]


@pytest.mark.parametrize("text", HOSTILE_HEADERS)
def test_hostile_headers_are_refused(text: bytes) -> None:
    assert not accepted("npy", header(text), (1, 1))


def test_headers_of_other_writers_are_taken() -> None:
    for text in (
        b"{'shape': (1,1), 'fortran_order': True, 'descr': '<f8'}",
        b'{"descr": "<f8", "fortran_order": False, "shape": (1, 1), }   \n',
    ):
        assert accepted("npy", header(text), (1, 1))
        assert accepted("npy", header(text, version=b"\x02\x00"), (1, 1))
        assert accepted("npy", header(text, version=b"\x03\x00"), (1, 1))
        assert not accepted("npy", header(text, version=b"\x04\x00"), (1, 1))


def test_a_header_that_says_it_is_huge_is_not_read() -> None:
    class Counting(io.BytesIO):
        asked = 0

        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert size >= 0
            self.asked += size
            return super().read(size)

    stream = Counting(b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(100))
    with pytest.raises(RefusedError, match="4294967295 bytes"):
        check_npy(stream, 112, 1, 1)
    assert stream.asked < 100


@settings(deadline=None)
@given(data=st.binary(max_size=400), shape=SHAPES)
@example(data=b"\x93NUMPY", shape=(1, 1))
@example(data=b"\x93NUMPY\x01\x00", shape=(1, 1))
def test_arbitrary_bytes_get_an_answer(data: bytes, shape: tuple[int, int]) -> None:
    accepted("npy", data, shape)
    accepted("predict", data, shape)


@settings(deadline=None)
@given(text=st.binary(max_size=300), data=st.binary(max_size=16))
def test_arbitrary_headers_are_never_taken_for_what_numpy_cannot_read(text: bytes, data: bytes) -> None:
    file = header(text, data)
    if accepted("npy", file, (1, 2)):
        assert np.load(io.BytesIO(file), allow_pickle=False).shape == (1, 2)


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(), min_size=3, max_size=3), min_size=1, max_size=5))
def test_text_of_any_float_is_taken(rows: list[list[float]]) -> None:
    text = "\n".join(" ".join(map(repr, row)) for row in rows).encode()
    assert accepted("predict", text, (len(rows), 3))
    assert len(text) <= size_limit("predict", len(rows), 3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"1 2\n3\n", "Line 2 has 1 values, but must have 2."),
        (b"1 2\n", "It has 1 lines, but must have 2."),
        (b"1 2\n3 4\n5 6\n", "It has more than 2 lines."),
        (b"1 2\n3 x\n", "Line 2 holds something that is not a number."),
        (b"1 2\n3 1_0\n", "Line 2 holds something that is not a number."),
        (b"1,2\n3,4\n", "Line 1 has 1 values, but must have 2."),
        (b"1 2\n\n3 4\n", "Line 2 has 0 values, but must have 2."),
        (b"1 " * 5000, "Line 1 is longer than 2 numbers can be."),
        (b"1 2\n3 4\n" + b" " * 5000, "It has more than 2 lines."),
        (b"1 2\n3 0x10\n", "Line 2 holds something that is not a number."),
        ("1 2\n3 ٣\n".encode(), "Line 2 holds something that is not a number."),
    ],
)
def test_a_refusal_says_where_and_why(text: bytes, reason: str) -> None:
    with pytest.raises(RefusedError) as error:
        check_predict(io.BytesIO(text), 2, 2)
    assert str(error.value) == reason


def test_a_trailing_line_break_or_two_is_nothing() -> None:
    for text in (b"1 2\n3 4", b"1 2\n3 4\n\n", b"1 2 \r\n3 4 \r\n"):
        assert accepted("predict", text, (2, 2))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.npy", "npy"),
        ("x.predict", "predict"),
        ("x.predict_0", "predict"),
        ("a.b.predict_12", "predict"),
        (".predict_0", "predict"),
        (".x.predict_0", None),
        ("x.predict_", None),
        ("x.predict_1a", None),
        ("predict_1", None),
        (".a.npy", None),
        (".npy", None),
        ("a.npy.tmp", None),
        ("npy", None),
    ],
)
def test_the_name_says_the_kind(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind


@settings(deadline=None)
@example(field="shape", value="\ud800")
@example(field="shape", value="\x1b[2J<b>\n")
@example(field="descr", value="<\ud8004")
@given(
    field=st.sampled_from(["descr", "shape", "fortran_order"]),
    value=st.text(st.characters(categories=["Cs", "Cc", "Cf", "Ll", "Nd"]), max_size=5),
)
def test_a_reason_can_be_stored_and_shown_whatever_a_header_says(field: str, value: str) -> None:
    """A reason that cannot be encoded would end the recorder, and have the platform pay for another run."""
    fields: dict[str, object] = {"descr": "<f4", "fortran_order": False, "shape": (1, 1)}
    data = header(ascii(fields | {field: value}).encode())
    with pytest.raises(RefusedError) as error:
        check_npy(io.BytesIO(data), len(data), 1, 1)
    assert error.value.cause.isprintable()
    error.value.cause.encode()
