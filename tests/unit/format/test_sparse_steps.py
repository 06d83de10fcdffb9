"""Sparse examples given by their values, and what no writer takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from alcove_format.errors import FormatError
from alcove_format.metadata import Format, Metadata, parse_metadata
from alcove_format.writer import NewExample, SparseStep, write_dataset
from tests.unit.toolkit.conversions import contents

META = Metadata(n_examples=0, n_labels=2, rows=2, cols=3, channels=2, sequence_size=-1, format=Format.SPARSE)
ARRAYS = hnp.arrays(np.float32, (3, 2, 3, 2), elements=st.sampled_from([0, 0, 1.5, -2]))


@given(ARRAYS)
def test_values_and_arrays_give_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> None:
    steps = []
    for frame in array:
        rows, cols, channels = np.nonzero(frame)
        steps.append(SparseStep(cols, frame[rows, cols, channels], rows, channels))
    out = tmp_path_factory.mktemp("sparse")
    for name, features in (("a", array), ("b", steps)):
        example = NewExample(features, {0: 1.0})
        write_dataset(out / name, "d", META, [example], [example])
    assert contents(out / "a") == contents(out / "b")


def step(cols: list[int], values: list[float], **axes: list[int]) -> SparseStep:
    arrays = {axis: np.array(indices, np.int64) for axis, indices in axes.items()}
    return SparseStep(np.array(cols, np.int64), np.array(values, np.float32), **arrays)


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (step([3], [1]), "has an index outside 0 … 2"),
        (step([-1], [1]), "has an index outside 0 … 2"),
        (step([0], [1], rows=[2]), "has an index outside 0 … 1"),
        (step([0, 1], [1]), "another number of indices than of values"),
        (step([0], [1], channels=[]), "another number of indices than of values"),
    ],
)
def test_what_does_not_match_the_metadata_is_refused(tmp_path: Path, bad: SparseStep, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        write_dataset(tmp_path, "d", META, [NewExample([step([0], [1]), bad])], [])
    assert list(tmp_path.iterdir()) == []


def test_a_token_outside_the_vocabulary_is_refused(tmp_path: Path) -> None:
    text = Metadata(
        n_examples=0, n_labels=2, rows=1, cols=1, channels=5, sequence_size=-1, format=Format.SPARSE
    )
    for token in (5, -1):
        example = NewExample(np.array([1, token]).reshape(2, 1, 1, 1))
        with pytest.raises(FormatError, match="has a token outside 0 … 4"):
            write_dataset(tmp_path, "d", text, [example], [])


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_the_split_comes_back_from_the_metadata_as_one_line(said: str) -> None:
    metadata = Metadata(n_examples=1, n_labels=2, rows=1, cols=3, split=said)
    read = parse_metadata(metadata.to_text().encode(), "here")
    assert read.split == " ".join(said.split())
    assert read.cols == 3
