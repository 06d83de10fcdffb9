"""What is written is what is read."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcove_format import writer
from alcove_format.errors import FormatError, OutputExistsError
from alcove_format.format_pb2 import SequenceExample
from alcove_format.metadata import Format, Metadata, read_metadata
from alcove_format.reader import open_dataset, open_part
from alcove_format.records import read_records
from alcove_format.solution import read_solution
from alcove_format.writer import NewExample, write_dataset
from tests.unit.format.strategies import Content, contents

TABLE = Metadata(n_examples=0, n_labels=2, rows=1, cols=3)


def digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return total.hexdigest()


@given(contents())
@settings(max_examples=60, deadline=None)
def test_arrays_labels_and_solution_come_back(content: Content) -> None:
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        path = write_dataset(out, "d", content.metadata, content.written, content.written)
        folder = open_dataset(path)
        for part in (folder.train, folder.test):
            assert len(part) == len(content.expected)
            for (features, _), expected in zip(part.examples(), content.expected, strict=True):
                assert features.dtype == np.float32
                assert np.array_equal(features, expected)
        labels = [label for _, label in folder.train.examples()]
        for label, example in zip(labels, content.written, strict=True):
            assert {i: score for i, score in enumerate(label.tolist()) if score} == example.labels
        assert not any(label.any() for _, label in folder.test.examples())
        solution = read_solution(out / "d.solution")
        assert np.array_equal(solution, np.stack(labels) >= 0.5)
        assert [e.id for e in folder.train.records()] == list(range(len(labels)))


@given(contents())
@settings(max_examples=20, deadline=None)
def test_the_same_examples_give_the_same_bytes(content: Content) -> None:
    with tempfile.TemporaryDirectory() as name:
        for copy in ("a", "b"):
            write_dataset(Path(name) / copy, "d", content.metadata, content.written, content.written)
        assert digest(Path(name) / "a") == digest(Path(name) / "b")


@pytest.mark.parametrize(
    "shape", [(0, 1, 1, 1), (1, 1, 3, 1), (5, 1, 1, 1), (3, 4, 8, 1), (200, 1, 1, 2), (2, 70, 70, 3)]
)
def test_dense_steps_are_the_bytes_that_protobuf_makes_of_them(
    tmp_path: Path, shape: tuple[int, int, int, int]
) -> None:
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    _, rows, cols, channels = shape
    metadata = Metadata(n_examples=0, n_labels=1, rows=rows, cols=cols, channels=channels, sequence_size=-1)
    path = write_dataset(tmp_path, "d", metadata, [NewExample(array, {0: 1.0})], [])
    ((_, data),) = read_records(path / "train" / "sample-00000")
    wanted = SequenceExample.FromString(data)
    wanted.ClearField("feature_lists")
    steps = wanted.feature_lists.feature_list["0_dense_input"]
    steps.SetInParent()
    for frame in array:
        steps.feature.add().float_list.value.extend(frame.ravel().tolist())
    assert data == wanted.SerializeToString(deterministic=True)


NAMES = st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), st.integers(0, 9))


@given(NAMES, NAMES, st.integers(0, 99), st.sampled_from((0.0, 8000.0, 30000 / 1001)))
def test_metadata_come_back(
    labels: dict[str, int], features: dict[str, int], count: int, rate: float
) -> None:
    metadata = Metadata(
        n_examples=count,
        n_labels=10,
        rows=7,
        cols=2,
        channels=3,
        sequence_size=-1,
        format=Format.SPARSE,
        is_sequence=True,
        has_locality_rows=True,
        labels=labels,
        features=features,
        rate=round(rate, 6),
    )
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "metadata.textproto"
        path.write_text(metadata.to_text(), "utf-8")
        assert read_metadata(path) == metadata


def test_a_part_is_cut_into_files_that_are_read_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SHARD_BYTES", 300)
    examples = [NewExample(np.full((1, 1, 3, 1), i), {i % 2: 1.0}) for i in range(40)]
    path = write_dataset(tmp_path, "d", TABLE, examples, examples[:1])
    train = open_part(path / "train")
    assert len(train.files) > 3
    assert [features[0, 0, 0, 0] for features, _ in train] == list(range(40))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    examples = [NewExample(np.zeros((1, 1, 3, 1)), {0: 1.0})]
    path = write_dataset(tmp_path, "d", TABLE, examples, examples)
    before = digest(tmp_path)
    with pytest.raises(OutputExistsError, match=str(path)):
        write_dataset(tmp_path, "d", TABLE, examples * 2, examples)
    assert digest(tmp_path) == before


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    good = NewExample(np.zeros((1, 1, 3, 1)), {0: 1.0})
    for bad in (NewExample(np.zeros((1, 1, 4, 1))), NewExample(np.zeros((1, 1, 3, 1)), {2: 1.0})):
        with pytest.raises(FormatError, match="example 1 of test"):
            write_dataset(tmp_path, "d", TABLE, [good], [good, bad])
        assert list(tmp_path.iterdir()) == []
