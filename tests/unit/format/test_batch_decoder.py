"""Records decoded many at a time are those that protobuf decodes one by one, however they were encoded."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcove_format import batch_decoder
from alcove_format.batch_decoder import BatchDecoder
from alcove_format.batching import decode_files
from alcove_format.errors import FormatError
from alcove_format.example import Example, decode_example
from alcove_format.format_pb2 import SequenceExample
from alcove_format.metadata import VARIES, Format, Metadata
from alcove_format.reader import open_part
from alcove_format.records import blocks_of, read_records, write_record
from alcove_format.writer import NewExample, write_dataset
from tests.unit.format.strategies import Content, contents

NUMBERS = (Format.DENSE, Format.SPARSE)
TOKENS = Metadata(
    n_examples=0, n_labels=3, rows=1, cols=1, channels=40_000, sequence_size=VARIES, format=Format.SPARSE
)


def written(records: list[bytes]) -> bytes:
    file = io.BytesIO()
    for record in records:
        write_record(file, record)
    return file.getvalue()


def by_columns(records: list[bytes], metadata: Metadata) -> list[Example]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample"
        path.write_bytes(written(records))
        return [example for chunk in decode_files([path], metadata) for example in chunk.examples()]


def one_by_one(records: list[bytes], metadata: Metadata) -> list[Example]:
    return [decode_example(record, metadata, "") for record in records]


def assert_same(ours: list[Example], theirs: list[Example]) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert (one.id, one.has_label) == (other.id, other.has_label)
        assert one.features.dtype == one.label.dtype == np.float32
        assert one.features.shape == other.features.shape
        assert np.array_equal(one.features, other.features, equal_nan=True)
        assert np.array_equal(one.label, other.label, equal_nan=True)


def outcome(read: Callable[[], list[Example]]) -> list[Example] | str:
    try:
        return read()
    except FormatError as error:
        return error.problem


def good(records: list[bytes], metadata: Metadata) -> int:
    """How many of them needed no protobuf."""
    data = written(records)
    decoder = BatchDecoder(metadata)
    return sum(
        int(decoder.decode(block).good.sum()) for block in blocks_of(io.BytesIO(data), len(data), "here")
    )


def records_of(metadata: Metadata, examples: list[NewExample]) -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        train = write_dataset(Path(folder), "d", metadata, examples, []) / "train"
        return [data for path in open_part(train).files for _, data in read_records(path)]


@given(contents(NUMBERS))
@settings(max_examples=60, deadline=None)
def test_both_ways_give_the_same(content: Content) -> None:
    records = records_of(content.metadata, content.written)
    assert_same(by_columns(records, content.metadata), one_by_one(records, content.metadata))


@given(contents(NUMBERS), st.data())
@settings(max_examples=150, deadline=None)
def test_damage_within_a_record_is_the_same_to_both(content: Content, data: st.DataObject) -> None:
    """A record that another program has encoded wrongly, or otherwise: its check sum is right."""
    records = [bytearray(record) for record in records_of(content.metadata, content.written)] * 3
    for record in records[:: data.draw(st.integers(1, 3))]:
        for position in data.draw(st.lists(st.integers(0, len(record) - 1), max_size=3)):
            record[position] ^= data.draw(st.integers(1, 255))
        del record[data.draw(st.integers(len(record) // 2, len(record))) :]
    encoded = [bytes(record) for record in records]
    ours = outcome(lambda: by_columns(encoded, content.metadata))
    theirs = outcome(lambda: one_by_one(encoded, content.metadata))
    if isinstance(ours, str) or isinstance(theirs, str):
        assert ours == theirs
    else:
        assert_same(ours, theirs)


def examples_of(kind: str) -> tuple[Metadata, list[NewExample]]:
    random = np.random.default_rng(3)
    metadata = {
        "tokens": TOKENS,
        "sparse": Metadata(n_examples=0, n_labels=3, rows=1, cols=500, format=Format.SPARSE),
        "series": Metadata(n_examples=0, n_labels=3, rows=2, cols=3, sequence_size=VARIES),
        "table": Metadata(n_examples=0, n_labels=3, rows=2, cols=3),
    }[kind]
    labels: list[dict[int, float]] = [{}, {0: 1.0}, {1: 0.25}, {0: 1.0, 2: 1.0}]
    examples = []
    for i in range(400):
        steps = 1 + i % 40 if metadata.sequence_size == VARIES else 1
        array = random.random((steps, *metadata.shape[1:]))
        if kind == "tokens":
            array = np.floor(array * metadata.channels)
        if kind == "sparse":
            array[random.random(array.shape) < 0.9] = 0
        examples.append(NewExample(array, labels[i % 4]))
    return metadata, examples


@pytest.mark.parametrize("kind", ["table", "series", "tokens", "sparse"])
def test_what_we_write_needs_no_protobuf_to_read(kind: str) -> None:
    metadata, examples = examples_of(kind)
    records = records_of(metadata, examples)
    # The last of many layouts may be met once and no more.
    assert good(records, metadata) > 0.98 * len(records)
    assert_same(by_columns(records, metadata), one_by_one(records, metadata))


def test_more_layouts_than_are_remembered_are_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_decoder, "_MOST_LAYOUTS", 2)
    metadata, examples = examples_of("series")
    records = records_of(metadata, examples)
    assert 0 < good(records, metadata) < len(records)
    assert_same(by_columns(records, metadata), one_by_one(records, metadata))


def varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(tag: int, *content: bytes) -> bytes:
    joined = b"".join(content)
    return varint(tag) + varint(len(joined)) + joined


def entry(key: str, value: bytes) -> bytes:
    return field(0x0A, field(0x0A, key.encode()), field(0x12, value))


def floats(*values: float, packed: bool) -> bytes:
    if packed:
        return field(0x12, field(0x0A, np.array(values, "<f4").tobytes()))
    return field(0x12, *(b"\x0d" + np.array(value, "<f4").tobytes() for value in values))


def ints(*values: int, packed: bool) -> bytes:
    if packed:
        return field(0x1A, field(0x0A, *map(varint, values)))
    return field(0x1A, *(b"\x08" + varint(value) for value in values))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("lists_first", [True, False])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_any_order_and_packing_that_protobuf_allows_is_read(
    packed: bool, lists_first: bool, order: tuple[int, ...]
) -> None:
    metadata = Metadata(n_examples=0, n_labels=300, rows=1, cols=2, sequence_size=VARIES)
    records = []
    for i in (1, 150, 70_000):
        context = [
            entry("id", ints(i, packed=packed)),
            entry("label_index", ints(i % 300, 7, packed=packed)),
            entry("label_score", floats(0.5, 1.0, packed=packed)),
        ]
        steps = (field(0x0A, floats(i + t, -t, packed=packed)) for t in range(i % 4 + 1))
        parts = [
            field(0x0A, *(context[place] for place in order)),
            field(0x12, entry("0_dense_input", b"".join(steps))),
        ]
        records.append(b"".join(reversed(parts) if lists_first else parts))
    found = by_columns(records * 20, metadata)
    assert [e.id for e in found[:3]] == [1, 150, 70_000]
    assert found[1].label[150] == 0.5
    assert found[1].features.ravel().tolist() == [150, 0, 151, -1, 152, -2]
    assert_same(found, one_by_one(records * 20, metadata))
    assert SequenceExample.FromString(records[0]).context.feature["id"].int64_list.value == [1]
    if packed and not lists_first:
        assert good(records, metadata) == len(records)


def test_a_later_value_of_a_key_counts_as_in_protobuf() -> None:
    metadata = Metadata(n_examples=0, n_labels=1, rows=1, cols=1)
    steps = entry("0_dense_input", field(0x0A, floats(1.0, packed=True)))
    later = entry("0_dense_input", field(0x0A, floats(2.0, packed=True)))
    record = field(0x0A, entry("id", ints(4, packed=True))) + field(0x12, steps, later)
    (found,) = by_columns([record], metadata)
    assert (found.id, found.features.item()) == (4, 2.0)


@pytest.mark.parametrize("numbers", [(), (7,), (7, 8, 9)])
def test_steps_of_several_tokens_or_of_none_are_read(numbers: tuple[int, ...]) -> None:
    lists = [
        entry(
            "0_sparse_channel_index",
            field(0x0A, ints(*numbers, packed=True)) + field(0x0A, ints(3, packed=True)),
        ),
        entry("0_sparse_value", field(0x0A, floats(*(1.0 for _ in numbers), packed=True))),
    ]
    (found,) = by_columns([field(0x0A) + field(0x12, *lists)], TOKENS)
    assert found.features.ravel().tolist() == [*numbers, 3]


def test_a_token_that_looks_like_a_frame_is_a_token() -> None:
    """The bytes of a frame are 0A 05 1A 03 0A 01: tokens of these numbers, in this order, among others."""
    tokens = np.array([10, 5, 26, 3, 10, 1, 10, 10, 26, 26, 1290, 3354, 129], np.float32).reshape(-1, 1, 1, 1)
    records = records_of(TOKENS, [NewExample(np.roll(tokens, i, axis=0), {0: 1.0}) for i in range(13)])
    assert_same(by_columns(records, TOKENS), one_by_one(records, TOKENS))


def test_an_index_outside_is_named_with_its_place(tmp_path: Path) -> None:
    metadata = Metadata(n_examples=0, n_labels=2, rows=1, cols=1)
    path = write_dataset(tmp_path, "d", metadata, [NewExample(np.ones((1, 1, 1, 1)), {1: 1.0})] * 5, [])
    file = path / "train" / "metadata.textproto"
    file.write_text(file.read_text().replace("output_dim: 2", "output_dim: 1"))
    with pytest.raises(FormatError, match=r"sample-00000, record 0, byte 0: a label_index is outside 0 … 0"):
        list(open_part(path / "train"))


def wide(cols: list[int], rows: list[int]) -> bytes:
    """A sparse record whose indices are written as they come, however long."""
    lists = [
        entry("0_sparse_row_index", field(0x0A, ints(*rows, packed=True))),
        entry("0_sparse_col_index", field(0x0A, ints(*cols, packed=True))),
        entry("0_sparse_value", field(0x0A, floats(*range(1, len(cols) + 1), packed=True))),
    ]
    return field(0x0A) + field(0x12, *lists)


WIDE = Metadata(n_examples=0, n_labels=1, rows=2, cols=2_100_000, format=Format.SPARSE)


def test_sparse_indices_of_any_length_lie_where_protobuf_puts_them() -> None:
    columns_ = [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 2_099_999]
    records = [wide(np.roll(columns_, i).tolist(), [i % 2] * 8) for i in range(4)]
    records += [wide([5, 5, 9], [0, 0, 1]), wide([], [])]
    assert good(records, WIDE) == len(records)
    assert_same(by_columns(records, WIDE), one_by_one(records, WIDE))


@pytest.mark.parametrize(("cols", "rows"), [([2_100_000], [0]), ([1 << 40], [0]), ([1], [2]), ([1, 2], [0])])
def test_a_sparse_index_outside_is_found_among_others(cols: list[int], rows: list[int]) -> None:
    """What lies in the block before it is given; numbers of more bytes than an index has are left to protobuf."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample"
        path.write_bytes(written([wide([3], [1])] * 3 + [wide(cols, rows)]))
        found = decode_files([path], WIDE)
        assert sum(len(next(found).labels) for _ in range(3)) == 3
        with pytest.raises(FormatError, match=r"record 3, byte \d+"):
            next(found)
