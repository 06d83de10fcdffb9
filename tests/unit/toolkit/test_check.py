"""The check of a dataset and its solution."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from alcove_format.format_pb2 import SequenceExample
from alcove_format.metadata import Metadata
from alcove_format.records import read_records, write_record
from alcove_format.writer import NewExample, write_dataset
from alcove_scorer.metric_registry import find_metric
from alcove_scorer.metrics import BalancedAccuracy
from alcove_toolkit.check import CheckMetric, check_dataset
from alcove_toolkit.check.report import LONGEST_PROBLEM, MESSAGE_BYTES, MOST_PROBLEMS

METRIC = CheckMetric("balanced_accuracy", BalancedAccuracy().score, 0.5)
METADATA = Metadata(n_examples=0, n_labels=2, rows=1, cols=3, labels={"a": 0, "b": 1})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    examples = [NewExample(np.full((1, 1, 3, 1), i), {i % 2: 1.0}) for i in range(10)]
    return write_dataset(tmp_path, "d", METADATA, examples[:6], examples[6:])


def solution(data: Path) -> Path:
    return data.with_suffix(".solution")


def test_a_sound_dataset_passes_with_its_chance_score(data: Path) -> None:
    found = check_dataset(data, solution(data), METRIC)
    assert found.ok, found.problems
    assert (found.n_train, found.n_test, found.n_labels, found.domain) == (6, 4, 2, "tabular")
    assert found.chance_score == 0.5
    assert found.bytes == sum(p.stat().st_size for p in data.rglob("sample-*"))


def test_chance_is_the_metrics_whatever_shares_the_labels_have(tmp_path: Path) -> None:
    """A half for every label is less likely than the labels' shares, so it scores below chance."""
    examples = [NewExample(np.full((1, 1, 3, 1), i), {int(i % 5 == 0): 1.0}) for i in range(40)]
    data = write_dataset(tmp_path, "d", METADATA, examples[:20], examples[20:])
    log_loss = find_metric("log_loss")
    found = check_dataset(data, solution(data), CheckMetric("log_loss", log_loss.score, log_loss.chance))
    assert found.chance_score == 0
    truth = np.array([[i % 5 != 0, i % 5 == 0] for i in range(20)])
    assert log_loss.score(truth, np.full(truth.shape, 0.5)) < -0.3


def rewrite(path: Path, change: Callable[[SequenceExample, int], None]) -> None:
    """Applies a change to each record of a sample file."""
    records = [SequenceExample.FromString(record) for _, record in read_records(path)]
    with path.open("wb") as file:
        for number, record in enumerate(records):
            change(record, number)
            write_record(file, record.SerializeToString())


def cut_file(data: Path) -> None:
    path = data / "train" / "sample-00000"
    path.write_bytes(path.read_bytes()[:-3])


def lose_record(data: Path) -> None:
    path = data / "test" / "sample-00000"
    offsets = [offset for offset, _ in read_records(path)]
    path.write_bytes(path.read_bytes()[: offsets[-1]])


def same_id(data: Path) -> None:
    def change(record: SequenceExample, number: int) -> None:
        if number == 2:
            record.context.feature["id"].int64_list.value[:] = [1]

    rewrite(data / "train" / "sample-00000", change)


def label_in_test(data: Path) -> None:
    def change(record: SequenceExample, number: int) -> None:
        if number == 3:
            record.context.feature["label_index"].int64_list.value.append(1)

    rewrite(data / "test" / "sample-00000", change)


def no_label_in_train(data: Path) -> None:
    def change(record: SequenceExample, _: int) -> None:
        record.context.feature["label_index"].int64_list.ClearField("value")
        record.context.feature["label_score"].float_list.ClearField("value")

    rewrite(data / "train" / "sample-00000", change)


def wrong_size(data: Path) -> None:
    for part in ("train", "test"):
        path = data / part / "metadata.textproto"
        path.write_text(path.read_text().replace("col_count: 3", "col_count: 5"))


def no_metadata(data: Path) -> None:
    (data / "test" / "metadata.textproto").unlink()


def short_solution(data: Path) -> None:
    solution(data).write_text("1 0\n0 1\n")


def narrow_solution(data: Path) -> None:
    solution(data).write_text("1\n0\n1\n0\n")


def constant_solution(data: Path) -> None:
    solution(data).write_text("1 0\n" * 4)


def worded_solution(data: Path) -> None:
    solution(data).write_text("1 0\n0 1\n1 x\n0 1\n")


def no_solution(data: Path) -> None:
    solution(data).unlink()


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (cut_file, "train/sample-00000, record 5, byte "),
        (lose_record, "test/metadata.textproto: sample_count is 4, but there are 3 examples"),
        (same_id, "train/sample-00000, record 2, byte "),
        (label_in_test, "test/sample-00000, record 3, byte "),
        (no_label_in_train, "train: no example has a label"),
        (wrong_size, "step 0 has 3 numbers, not rows × columns × channels = 5"),
        (no_metadata, "test/metadata.textproto: the file is missing"),
        (short_solution, "d.solution: has 2 rows, but the test part has 4 examples"),
        (narrow_solution, "d.solution: has 1 number a row, but output_dim"),
        (constant_solution, "d.solution: no label is present in some test examples"),
        (worded_solution, "d.solution, row 3, column 2: 'x' is neither"),
        (no_solution, "d.solution: cannot be read"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    data: Path, spoil: Callable[[Path], None], problem: str
) -> None:
    spoil(data)
    found = check_dataset(data, solution(data), METRIC)
    assert not found.ok
    assert any(problem in text for text in found.problems), found.problems


def test_many_problems_fit_a_termination_message(tmp_path: Path) -> None:
    labels = {f"label {i}": i for i in range(40)}
    metadata = Metadata(n_examples=0, n_labels=40, rows=1, cols=3, labels=labels)
    examples = [NewExample(np.full((1, 1, 3, 1), i), {i % 2: 1.0}) for i in range(40)]
    data = write_dataset(tmp_path, "ж" * 100, metadata, examples, examples)
    for part in ("train", "test"):
        for copy in range(1, 30):  # Each file repeats the ids, and ends within a record.
            original = (data / part / "sample-00000").read_bytes()
            (data / part / f"sample-{'ж' * 90}{copy:03d}").write_bytes(original[:-copy])
    found = check_dataset(data, solution(data)).to_result()
    assert not found.ok
    assert 3 <= len(found.problems) <= MOST_PROBLEMS
    assert all(len(problem) <= LONGEST_PROBLEM for problem in found.problems)
    assert len(found.canonical()) <= MESSAGE_BYTES
    assert all("sample" in problem or "id" in problem for problem in found.problems)
