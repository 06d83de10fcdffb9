"""The check of a dataset of numbers to predict."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from alcove_format.errors import FormatError
from alcove_format.format_pb2 import SequenceExample
from alcove_format.metadata import METADATA_FILE, Metadata, read_metadata
from alcove_format.reader import open_dataset
from alcove_format.solution import read_targets
from alcove_format.writer import NewExample, write_dataset
from alcove_scorer.regression_metrics import R2Score
from alcove_toolkit.check import CheckMetric, check_dataset
from alcove_toolkit.check.report import Report
from alcove_toolkit.practice import make_practice

from .test_check import rewrite

R2 = CheckMetric("r2", R2Score().score, 0.0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_practice("friedman", tmp_path, examples=1000)


def checked(data: Path) -> Report:
    return check_dataset(data, data.with_suffix(".solution"), number_metric=R2)


def test_what_was_written_is_read_as_numbers(data: Path) -> None:
    folder, truth = open_dataset(data), read_targets(data.with_suffix(".solution"))
    x, y = zip(*((f.ravel(), label) for f, label in folder.train), strict=True)
    asked = np.stack([f.ravel() for f, _ in folder.test])
    fitted = LinearRegression().fit(np.stack(x), np.stack(y))
    assert (folder.train.metadata.stated_task, folder.train.metadata.label_names) == ("regression", ("y",))
    assert 0.6 < r2_score(truth, fitted.predict(asked)) < 0.9
    assert all(not label.any() for _, label in folder.test)


def test_a_sound_one_passes_with_its_numbers_and_baselines(data: Path) -> None:
    found, truth = checked(data), read_targets(data.with_suffix(".solution"))
    assert (found.findings, found.task, found.metric, found.labels) == ((), "regression", "r2", ())
    assert found.chance_score == pytest.approx(0.0, abs=1e-12)
    assert found.linear_score is not None
    assert 0.6 < found.linear_score < 0.9
    (target,) = found.targets
    assert (target.name, target.test.lowest, target.test.highest) == ("y", truth.min(), truth.max())
    assert found.to_result().task == "regression"


def shuffle_solution(data: Path) -> None:
    path = data.with_suffix(".solution")
    rows = path.read_text().splitlines()
    path.write_text("\n".join(np.random.default_rng(0).permutation(rows)) + "\n")


def sort_test_part(data: Path) -> None:
    folder, truth = open_dataset(data), read_targets(data.with_suffix(".solution"))
    order = np.argsort(truth[:, 0])
    features = [f for f, _ in folder.test]
    train = [NewExample(f, {0: float(label[0])}) for f, label in folder.train]
    test = [NewExample(features[i], {0: float(truth[i, 0])}) for i in order]
    metadata = folder.train.metadata
    data.rename(data.with_name("old"))
    data.with_suffix(".solution").unlink()
    write_dataset(data.parent, "friedman", metadata, train, test)


def lose_a_number(data: Path) -> None:
    def lose(record: SequenceExample, number: int) -> None:
        if number == 3:
            record.context.feature["label_index"].int64_list.ClearField("value")
            record.context.feature["label_score"].float_list.ClearField("value")

    rewrite(data / "train" / "sample-00000", lose)


def spoil_a_number(data: Path) -> None:
    def spoil(record: SequenceExample, number: int) -> None:
        if number == 3:
            record.context.feature["label_score"].float_list.value[0] = float("nan")

    rewrite(data / "train" / "sample-00000", spoil)


def state_labels_in_test(data: Path) -> None:
    path = data / "test" / METADATA_FILE
    path.write_text(replace(read_metadata(path), stated_task="multiclass").to_text())


def make_constant(data: Path) -> None:
    path = data.with_suffix(".solution")
    path.write_text("1.5\n" * len(path.read_text().splitlines()))


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        (shuffle_solution, "nothing-carries-over", "rows are in the order of the test examples"),
        (
            sort_test_part,
            "label-by-order",
            "in the order of the files, labels are like those of the neighbour",
        ),
        (lose_a_number, "no-number", "record 3, byte .* a training example has no number to predict"),
        (spoil_a_number, "label-score", "record 3, byte .* a number to predict is not finite"),
        (state_labels_in_test, "parts-differ", "task is regression in train, but multiclass in test"),
        (make_constant, "nothing-to-score", "'y' is the same in all test examples, so nothing can be scored"),
    ],
)
def test_what_is_wrong_is_found(data: Path, damage: Callable[[Path], None], code: str, words: str) -> None:
    damage(data)
    found = checked(data)
    assert not found.ok
    (finding,) = (f for f in found.errors if f.code == code)
    assert re.search(words, str(finding)), str(finding)


def test_a_column_that_is_the_number_is_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(600, 4))
    examples = [NewExample(row.reshape(1, 1, -1, 1), {0: 3 * row[2] + 1}) for row in rows]
    metadata = Metadata(
        n_examples=0, n_labels=1, rows=1, cols=4, labels={"price": 0}, stated_task="regression",
        features={"a": 0, "b": 1, "c": 2, "d": 3},
    )  # fmt: skip
    found = checked(write_dataset(tmp_path, "d", metadata, examples[:400], examples[400:]))
    (finding,) = (f for f in found.warnings if f.code == "label-by-feature")
    assert "'c' alone tells label 'price above its median'" in str(finding)


def test_the_writer_refuses_an_example_without_each_number(tmp_path: Path) -> None:
    metadata = Metadata(n_examples=0, n_labels=2, rows=1, cols=1, stated_task="regression")
    for labels in ({0: 1.0}, {0: 1.0, 1: float("inf")}, {0: 1e39, 1: 0.0}):
        with pytest.raises(FormatError, match="are not finite numbers to predict"):
            write_dataset(tmp_path, "d", metadata, [NewExample([[[[1.0]]]], labels)], [])


def test_an_example_with_two_labels_is_no_multiclass(tmp_path: Path) -> None:
    metadata = Metadata(n_examples=0, n_labels=2, rows=1, cols=1, stated_task="multiclass")
    examples = [NewExample([[[[float(i)]]]], {i % 2: 1.0}) for i in range(20)]
    odd = [*examples[:9], NewExample([[[[99.0]]]], {0: 1.0, 1: 1.0})]
    data = write_dataset(tmp_path, "d", metadata, odd, examples[10:])
    found = check_dataset(data, data.with_suffix(".solution"))
    (finding,) = (f for f in found.errors if f.code == "task-differs")
    assert "record 9" in str(finding)
    assert "has 2 labels, but the task in train/metadata.textproto is multiclass" in str(finding)
