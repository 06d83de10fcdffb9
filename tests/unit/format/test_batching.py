"""Batches, shuffling, padding and threads: the same from NumPy and from TensorFlow."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from alcove_format import batching, records, writer
from alcove_format.errors import FormatError
from alcove_format.example import Floats
from alcove_format.metadata import VARIES, Format, Metadata
from alcove_format.reader import Part, open_part
from alcove_format.writer import NewExample, write_dataset
from tests.unit.format.strategies import png

KINDS = ("table", "series", "short", "tokens", "sparse", "images", "clips")


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several files of several blocks, of little content, each decoded a few examples at a time."""
    monkeypatch.setattr(writer, "SHARD_BYTES", 3000)
    monkeypatch.setattr(batching, "_READ", 700)
    monkeypatch.setattr(batching, "_PIECE", 40)


def made(folder: Path, kind: str, count: int = 50) -> Part:
    """Examples whose first number tells which they are."""
    random = np.random.default_rng(0)
    table = Metadata(n_examples=0, n_labels=4, rows=1, cols=3)
    metadata = {
        "table": table,
        "series": replace(table, sequence_size=VARIES),
        "short": replace(table, sequence_size=3),
        "tokens": replace(table, cols=1, channels=900, format=Format.SPARSE, sequence_size=VARIES),
        "sparse": replace(table, cols=40, format=Format.SPARSE),
        "images": replace(table, rows=VARIES, cols=VARIES, channels=3, format=Format.COMPRESSED),
        "clips": replace(table, rows=3, cols=4, format=Format.COMPRESSED, sequence_size=VARIES),
    }[kind]
    examples = []
    for i in range(count):
        if kind in ("images", "clips"):
            shape = (3 + i % 4, 2 + i % 3, 3) if kind == "images" else (3, 4, 1)
            frames = [np.full(shape, i, np.uint8) for _ in range(1 + i % 3 if kind == "clips" else 1)]
            examples.append(NewExample([png(frame) for frame in frames], {i % 4: 0.5}))
            continue
        steps = 1 + i % 5 if metadata.sequence_size == VARIES else metadata.sequence_size
        array = random.random((steps, 1, metadata.cols, 1)).astype(np.float32)
        array[array < 0.3] = 0
        if kind == "tokens":
            array = random.integers(0, 900, (steps, 1, 1, 1)).astype(np.float32)
        array[0, 0, 0, 0] = i
        examples.append(NewExample(array, {i % 4: 1.0, (i + 1) % 4: 0.5} if i % 3 else {}))
    return open_part(write_dataset(folder, "d", metadata, examples, []) / "train")


def firsts(arrays: list[Floats]) -> list[int]:
    """Which examples these are. (Pixels come as fractions.)"""
    numbers = [float(array.ravel()[0]) for array in arrays]
    return [round(number if number.is_integer() else number * 255) for number in numbers]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("workers", [0, 3])
def test_batches_are_the_examples_padded_with_zeros(tmp_path: Path, kind: str, workers: int) -> None:
    part = made(tmp_path, kind)
    assert len(part.files) > 1
    alone = list(part.examples(workers=workers))
    assert [f.tolist() for f, _ in alone] == [f.tolist() for f, _ in part]
    at = 0
    for features, labels, sizes in part.batches_with_sizes(7, workers=workers):
        assert features.dtype == labels.dtype == np.float32
        assert sizes.dtype == np.int64
        for padded, label, size in zip(features, labels, sizes, strict=True):
            expected, expected_label = alone[at]
            time, rows, cols = size.tolist()
            assert np.array_equal(padded[:time, :rows, :cols], expected)
            outside = padded.copy()
            outside[:time, :rows, :cols] = 0
            assert not outside.any()
            assert np.array_equal(label, expected_label)
            at += 1
        assert features.shape[1:4] == tuple(sizes.max(axis=0))
    assert at == len(alone) == 50
    assert [len(x) for x, _ in part.batches(7)] == [7] * 7 + [1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [None, 7])
def test_tensorflow_gives_the_same_arrays_in_the_same_order(
    tmp_path: Path, kind: str, batch: int | None
) -> None:
    pytest.importorskip("tensorflow")
    part = made(tmp_path, kind)
    theirs = list(part.tf(batch, sizes=True).as_numpy_iterator())
    alone = ((x, y, np.array(x.shape[:3])) for x, y in part)
    ours = list(part.batches_with_sizes(batch) if batch else alone)
    assert len(ours) == len(theirs)
    for expected, found in zip(ours, theirs, strict=True):
        for one, other in zip(expected, found, strict=True):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)
    plain = part.tf(batch)
    assert [len(element) for element in plain.take(1).as_numpy_iterator()] == [2]
    varying = [None if size < 0 else size for size in part.metadata.shape]
    assert plain.element_spec[0].shape.as_list() == ([None, *varying] if batch else varying)


@pytest.mark.parametrize("kind", ["table", "series", "clips"])
def test_shuffling_keeps_every_example_with_its_label(tmp_path: Path, kind: str) -> None:
    part = made(tmp_path, kind)
    labels = {first: label.tolist() for (features, label) in part for first in firsts([features])}
    found = list(part.examples(shuffle=10, seed=4))
    order = firsts([features for features, _ in found])
    assert sorted(order) == list(range(50)) != order
    assert [label.tolist() for _, label in found] == [labels[first] for first in order]
    assert firsts([features for features, _ in part.examples(shuffle=10, seed=4, workers=2)]) == order
    assert firsts([x for xs, _ in part.batches(8, shuffle=10, seed=4) for x in xs]) == order
    assert firsts([features for features, _ in part.examples(shuffle=10, seed=5)]) != order
    unseeded = [firsts([features for features, _ in part.examples(shuffle=50)]) for _ in range(2)]
    assert unseeded[0] != unseeded[1]


@pytest.mark.parametrize("kind", ["table", "clips"])
def test_tensorflow_shuffles_with_the_same_promise(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("tensorflow")
    part = made(tmp_path, kind)
    seeded = part.tf(shuffle=20, seed=4)
    orders = [
        firsts([x for x, _ in d.as_numpy_iterator()]) for d in (seeded, seeded, part.tf(shuffle=20, seed=4))
    ]
    assert orders[0] == orders[1] == orders[2] != list(range(50))
    assert sorted(orders[0]) == list(range(50))
    unseeded = part.tf(shuffle=50)
    first, second = (firsts([x for x, _ in unseeded.as_numpy_iterator()]) for _ in range(2))
    assert first != second


@pytest.mark.parametrize("kind", ["table", "sparse"])
@pytest.mark.parametrize("size", [3, 25])
def test_what_one_takes_out_of_a_batch_or_changes_in_it_changes_nothing_else(
    tmp_path: Path, kind: str, size: int
) -> None:
    part = made(tmp_path, kind)
    first, *later = part.batches(size)
    before = [(features.copy(), labels.copy()) for features, labels in later]
    for array in first:
        array[:] = -1
    for found, expected in zip(later, before, strict=True):
        assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))
    for features, label in part:
        features += 1
        label += 1


def test_threads_end_with_the_iterator(tmp_path: Path) -> None:
    part = made(tmp_path, "images")
    before = set(threading.enumerate())
    batches = part.batches(4, workers=2)
    next(batches)
    ours = set(threading.enumerate()) - before
    assert ours
    batches.close()  # type: ignore[attr-defined]
    for thread in ours:
        thread.join(timeout=10)
        assert not thread.is_alive()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", ["table", "images"])
def test_what_is_whole_before_damage_is_given(tmp_path: Path, kind: str, workers: int) -> None:
    part = made(tmp_path, kind)
    last = part.files[-1]
    data = bytearray(last.read_bytes())
    data[-6] ^= 1
    last.write_bytes(data)
    examples = part.examples(workers=workers)
    found = [features for features, _ in islice(examples, 49)]
    with pytest.raises(FormatError, match=rf"{last.name}, record \d+, byte \d+: the record is damaged"):
        next(examples)
    assert firsts(found) == list(range(49))


def test_an_empty_part_has_no_batches(tmp_path: Path) -> None:
    part = made(tmp_path, "table", count=0)
    assert list(part.batches(3)) == list(part) == list(part.examples(shuffle=3, workers=2)) == []


def test_scores_may_be_left_out_of_some_examples(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    part = made(tmp_path, "table")
    from alcove_format.format_pb2 import SequenceExample

    changed: list[bytes] = []
    for path in part.files:
        for _, data in records.read_records(path):
            message = SequenceExample.FromString(data)
            if len(changed) % 2:
                message.context.feature["label_score"].float_list.ClearField("value")
            changed.append(message.SerializeToString())
        path.unlink()
    with part.files[0].open("wb") as file:
        for data in changed:
            records.write_record(file, data)
    part = open_part(part.path)
    ours = list(part.batches(8))
    assert any((labels == 0.5).any() for _, labels in ours)
    for (features, labels), (tf_features, tf_labels) in zip(
        ours, part.tf(8).as_numpy_iterator(), strict=True
    ):
        assert np.array_equal(features, tf_features)
        assert np.array_equal(labels, tf_labels)
