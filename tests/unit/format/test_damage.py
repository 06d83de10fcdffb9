"""Damaged files end with the file and the position, never with other numbers than were written."""

from __future__ import annotations

import io
import struct
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from alcove_format.errors import FormatError
from alcove_format.example import decode_example
from alcove_format.format_pb2 import SequenceExample
from alcove_format.metadata import Format, Metadata
from alcove_format.reader import open_dataset, open_part
from alcove_format.records import OVERHEAD, read_records, write_record
from alcove_format.writer import NewExample, write_dataset

RECORDS = [b"first", b"", b"the third record"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "sample-0"
    with path.open("wb") as file:
        for record in RECORDS:
            write_record(file, record)
    assert [data for _, data in read_records(path)] == RECORDS
    return path.read_bytes()


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_any_changed_byte_is_found(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    position = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[position] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("damaged") / "sample-0"
    path.write_bytes(damaged)
    starts = np.cumsum([0] + [len(r) + OVERHEAD for r in RECORDS])
    number = int(np.searchsorted(starts, position, side="right")) - 1
    with pytest.raises(FormatError) as caught:
        list(read_records(path))
    assert caught.value.where == f"{path}, record {number}, byte {starts[number]}"


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_cut_within_a_record_is_found(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    starts = np.cumsum([0] + [len(r) + OVERHEAD for r in RECORDS]).tolist()
    length = data.draw(st.integers(1, len(whole) - 1).filter(lambda n: n not in starts))
    path = tmp_path_factory.mktemp("cut") / "sample-0"
    path.write_bytes(whole[:length])
    with pytest.raises(FormatError, match=r"sample-0, record .*ends"):
        list(read_records(path))


@given(st.binary(max_size=200))
def test_any_bytes_as_a_record_give_an_example_or_a_format_error(data: bytes) -> None:
    for form in Format:
        with suppress(FormatError):
            decode_example(data, Metadata(n_examples=1, n_labels=2, rows=2, cols=2, format=form), "here")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF"])
@given(st.data())
@settings(max_examples=40, deadline=None)
def test_any_damage_to_an_image_gives_pixels_or_a_format_error(kind: str, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(buffer, kind)
    damaged = bytearray(buffer.getvalue())
    for position in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=6)):
        damaged[position] ^= data.draw(st.integers(1, 255))
    damaged = damaged[: data.draw(st.integers(0, len(damaged)))]
    metadata = Metadata(n_examples=1, n_labels=2, rows=8, cols=8, format=Format.COMPRESSED)
    with suppress(FormatError), warnings.catch_warnings(action="ignore"):
        decode_example(example(compressed=[[bytes(damaged)]]), metadata, "here")


def test_an_image_that_claims_to_be_huge_is_refused() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(buffer, "BMP")
    huge = bytearray(buffer.getvalue())
    huge[18:26] = struct.pack("<ii", 100_000, 100_000)  # Width and height in the header.
    metadata = Metadata(n_examples=1, n_labels=2, rows=8, cols=8, format=Format.COMPRESSED)
    with pytest.raises(FormatError, match="cannot be decoded: Image size"):
        decode_example(example(compressed=[[bytes(huge)]]), metadata, "here")


def example(**lists: list[list[float] | list[int] | list[bytes]]) -> bytes:
    message = SequenceExample()
    for key, steps in lists.items():
        for step in steps:
            feature = message.feature_lists.feature_list["0_" + key].feature.add()
            kind = "bytes_list" if key == "compressed" else "float_list"
            values = getattr(feature, "int64_list" if key.endswith("_index") else kind).value
            values.extend(step)
    return message.SerializeToString()


@pytest.mark.parametrize(
    ("form", "data", "problem"),
    [
        (Format.DENSE, example(dense_input=[[1.0, 2.0]]), "2 numbers, not rows × columns × channels = 4"),
        (Format.DENSE, example(), "no '0_dense_input'"),
        (Format.COMPRESSED, example(compressed=[[b"no image"]]), "cannot be decoded"),
        (Format.SPARSE, example(sparse_value=[[1.0]], sparse_row_index=[[2]], sparse_col_index=[[0]]), "outside 0 … 1"),
        (Format.SPARSE, example(sparse_value=[[1.0]], sparse_row_index=[[0, 1]], sparse_col_index=[[0]]), "entries"),
    ],
    ids=lambda value: None if isinstance(value, str) else getattr(value, "name", "record"),
)  # fmt: skip
def test_what_does_not_match_the_metadata_is_named(form: Format, data: bytes, problem: str) -> None:
    metadata = Metadata(n_examples=1, n_labels=2, rows=2, cols=2, format=form)
    with pytest.raises(FormatError, match=problem):
        decode_example(data, metadata, "train/sample-0, record 7")


def test_a_label_out_of_range_is_named() -> None:
    message = SequenceExample()
    message.context.feature["label_index"].int64_list.value.append(2)
    message.feature_lists.feature_list["0_dense_input"].feature.add().float_list.value.append(1.0)
    metadata = Metadata(n_examples=1, n_labels=2, rows=1, cols=1)
    with pytest.raises(FormatError, match="label_index is outside 0 … 1"):
        decode_example(message.SerializeToString(), metadata, "here")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("output_dim: ten", "1:13"),
        ("matrix_spec { format: DENSER }", r"named DENSER\. [A-Z]"),
        ("output_dim: 2", "0 matrix_spec"),
        ("output_dim: 0 matrix_spec { row_count: 1 col_count: 1 }", "output_dim"),
        ("output_dim: 2 matrix_spec { row_count: 0 col_count: 1 }", "row_count is 0"),
        ("output_dim: 2 matrix_spec { row_count: -1 col_count: 1 }", "only with format COMPRESSED"),
        (
            'output_dim: 2 matrix_spec { row_count: 1 col_count: 1 } label_to_index_map { key: "a" value: 2 }',
            "label 'a' has index 2",
        ),
    ],
)
def test_wrong_metadata_are_named(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "metadata.textproto").write_text(text)
    with pytest.raises(FormatError, match=problem) as caught:
        open_part(tmp_path)
    assert "metadata.textproto" in str(caught.value)


def test_a_folder_that_is_no_dataset_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no folder 'train'"):
        open_dataset(tmp_path)
    with pytest.raises(FormatError, match="file is missing"):
        open_part(tmp_path)


def test_parts_of_different_shape_are_refused(tmp_path: Path) -> None:
    one = [NewExample(np.zeros((1, 1, 3, 1)), {0: 1.0})]
    path = write_dataset(tmp_path, "d", Metadata(n_examples=0, n_labels=2, rows=1, cols=3), one, one)
    file = path / "test" / "metadata.textproto"
    file.write_text(file.read_text().replace("col_count: 3", "col_count: 4"))
    with pytest.raises(FormatError, match="shape is"):
        open_dataset(path)
