"""Each finding of the check: a dataset that has it, and one close by that has not."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from alcove_format.format_pb2 import SequenceExample
from alcove_format.metadata import VARIES, Metadata
from alcove_format.records import read_records, write_record
from alcove_format.writer import NewExample, write_dataset
from alcove_scorer.metrics import BalancedAccuracy
from alcove_toolkit.check import CheckMetric, check_dataset
from alcove_toolkit.check.report import Report

METRIC = CheckMetric("balanced_accuracy", BalancedAccuracy().score, 0.5)
CLASSES = 4
Array = npt.NDArray[Any]


@dataclass
class Content:
    """Arrays examples × columns and the class of each example: what a dataset is made of."""

    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array
    metadata: Metadata
    hidden: Array | None = None
    """The class that the solution tells, where it is not ``y_test``."""

    def write(self, out: Path) -> Path:
        def examples(x: Array, y: Array) -> list[NewExample]:
            labels = ({int(c): 1.0 for c in np.atleast_1d(classes)} for classes in y)
            return [NewExample(self._shaped(row), has) for row, has in zip(x, labels, strict=True)]

        hidden = self.y_test if self.hidden is None else self.hidden
        train, test = examples(self.x_train, self.y_train), examples(self.x_test, hidden)
        return write_dataset(out, "d", self.metadata, train, test)

    def _shaped(self, row: Array) -> Array:
        if self.metadata.sequence_size == 1:
            return np.asarray(row, np.float32).reshape(1, 1, -1, 1)
        return np.asarray(row, np.float32).reshape(-1, 1, 1, 1)


def honest(seed: int = 0, n_train: int = 400, n_test: int = 300, noise: float = 1.0) -> Content:
    """Five columns, four classes in random order, which a linear model tells fairly well."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((CLASSES, 5))
    y_train, y_test = rng.integers(0, CLASSES, n_train), rng.integers(0, CLASSES, n_test)
    x_train, x_test = (centres[y] + noise * rng.standard_normal((len(y), 5)) for y in (y_train, y_test))
    names = {name: i for i, name in enumerate("abcde")}
    labels = {name: i for i, name in enumerate(("oak", "elm", "ash", "fir"))}
    metadata = Metadata(n_examples=0, n_labels=CLASSES, rows=1, cols=5, features=names, labels=labels)
    return Content(x_train, y_train, x_test, y_test, metadata)


def checked(data: Path) -> Report:
    return check_dataset(data, data.with_suffix(".solution"), METRIC)


def codes(found: Report) -> list[tuple[str, str]]:
    return [(f.severity, f.code) for f in found.findings]


def rewrite(path: Path, change: Callable[[SequenceExample, int], None]) -> None:
    """Applies a change to each record of a sample file."""
    records = [SequenceExample.FromString(record) for _, record in read_records(path)]
    with path.open("wb") as file:
        for number, record in enumerate(records):
            change(record, number)
            write_record(file, record.SerializeToString())


def number(data: Path, part: str, ids: Sequence[int]) -> None:
    def change(record: SequenceExample, i: int) -> None:
        record.context.feature["id"].int64_list.value[:] = [int(ids[i])]

    rewrite(data / part / "sample-00000", change)


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_found_in_an_honest_dataset(tmp_path: Path, seed: int) -> None:
    found = checked(honest(seed).write(tmp_path))
    assert codes(found) == []
    assert found.chance_score == 0.5
    assert found.linear_score is not None
    assert 0.6 < found.linear_score < 0.99
    assert [label.train + label.test for label in found.labels] != [0] * CLASSES


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_found_with_many_labels_at_a_time(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((30, 50))
    parts: list[Any] = []
    for n in (400, 300):
        x = rng.standard_normal((n, 30))
        has = x @ weights + 2 * rng.standard_normal((n, 50)) > 5
        parts += [x, [np.flatnonzero(row) for row in has]]
    x_train, y_train, x_test, y_test = parts
    metadata = Metadata(n_examples=0, n_labels=50, rows=1, cols=30)
    found = checked(Content(x_train, y_train, x_test, y_test, metadata).write(tmp_path))
    assert codes(found) == []
    assert found.linear_score is not None
    assert found.linear_score > 0.6


# --- order and ids


def in_order(content: Content, order: Array) -> Content:
    return replace(content, x_test=content.x_test[order], y_test=content.y_test[order])


def test_test_examples_sorted_by_label(tmp_path: Path) -> None:
    content = honest()
    found = checked(in_order(content, np.argsort(content.y_test)).write(tmp_path))
    assert codes(found) == [("error", "label-by-order")]
    assert "Shuffle the test part and the rows of the solution alike." in found.problems[0]


def test_labels_that_come_in_turn(tmp_path: Path) -> None:
    content = honest(n_test=400)
    content.y_test[:] = np.arange(400) % CLASSES
    centres = np.random.default_rng(0).standard_normal((CLASSES, 5))
    content.x_test = centres[content.y_test] + np.random.default_rng(1).standard_normal((400, 5))
    found = checked(content.write(tmp_path))
    assert codes(found) == [("error", "label-by-order")]
    assert "come again after 4 examples" in found.problems[0]


def test_labels_that_come_in_clusters_are_worth_a_look(tmp_path: Path) -> None:
    content = honest(n_test=1200)
    order = np.argsort(content.y_test)
    mixed = np.random.default_rng(1).permutation(1200)
    order[mixed[:600]] = np.random.default_rng(2).permutation(order[mixed[:600]])
    found = checked(in_order(content, order).write(tmp_path))
    assert codes(found) == [("warning", "label-by-order")]


def test_ids_sorted_by_label(tmp_path: Path) -> None:
    content = honest()
    data = content.write(tmp_path)
    for part, labels in (("train", content.y_train), ("test", content.y_test)):
        number(data, part, np.argsort(np.argsort(labels, kind="stable")).tolist())
    found = checked(data)
    assert ("error", "label-by-id") in codes(found)
    assert "renumber the examples" in found.problems[0]


def test_ids_whose_last_digit_is_the_label(tmp_path: Path) -> None:
    content = honest()
    data = content.write(tmp_path)
    rng = np.random.default_rng(5)
    for part, labels in (("train", content.y_train), ("test", content.y_test)):
        number(data, part, (rng.permutation(100_000)[: len(labels)] * 10 + labels).tolist())
    found = checked(data)
    assert codes(found) == [("error", "label-by-id"), ("warning", "odd-ids"), ("warning", "odd-ids")]


def test_ids_of_no_meaning_are_only_odd(tmp_path: Path) -> None:
    content = honest()
    data = content.write(tmp_path)
    number(data, "test", np.random.default_rng(5).permutation(100_000)[: len(content.y_test)].tolist())
    found = checked(data)
    assert codes(found) == [("warning", "odd-ids")]
    assert found.ok


def test_ids_that_were_not_read_are_not_missed(tmp_path: Path) -> None:
    data = honest().write(tmp_path)
    file = data / "train" / "sample-00000"
    records = [record for _, record in read_records(file)]
    with file.open("wb") as stream:
        for record in (*records[:3], b"damaged", *records[4:]):
            write_record(stream, record)
    assert codes(checked(data)) == [("error", "record")]


def test_missing_ids_are_a_warning(tmp_path: Path) -> None:
    data = honest().write(tmp_path)

    def change(record: SequenceExample, _: int) -> None:
        del record.context.feature["id"]

    rewrite(data / "train" / "sample-00000", change)
    found = checked(data)
    assert codes(found) == [("warning", "no-id")]
    assert "has no id, as 400 of 400 of train" in found.warnings[0].message


def test_duplicate_ids_name_both(tmp_path: Path) -> None:
    data = honest().write(tmp_path)
    number(data, "train", [3 if i in (7, 9) else i for i in range(400)])
    found = checked(data)
    assert codes(found) == [("error", "duplicate-id")]
    message = found.errors[0].message
    assert message.startswith("train/sample-00000, record 7, byte ")
    assert "id 3 was there before, in train/sample-00000, record 3, byte " in message
    assert "So are 1 more of train" in message


def test_a_sorted_train_part_is_a_warning(tmp_path: Path) -> None:
    content = honest()
    order = np.argsort(content.y_train)
    content.x_train, content.y_train = content.x_train[order], content.y_train[order]
    assert codes(checked(content.write(tmp_path))) == [("warning", "train-sorted")]


# --- what belongs to an example


@pytest.mark.parametrize(("right", "finding"), [(1.0, [("warning", "label-by-feature")]), (0.9, [])])
def test_a_column_that_is_the_label(tmp_path: Path, right: float, finding: list[tuple[str, str]]) -> None:
    content = honest(noise=2.0)
    for x, y in ((content.x_train, content.y_train), (content.x_test, content.y_test)):
        told = np.random.default_rng(len(y)).random(len(y)) < right
        x[:, 2] = np.where(told, y == 1, y == 2)
    found = checked(content.write(tmp_path))
    assert codes(found) == finding
    if finding:
        assert "test: column 'c' alone tells label 'elm' (balanced accuracy on test up to 1.00)" in str(
            found.findings[0]
        )


def lengths(by_label: bool) -> Content:
    """Noise whose length is all that could tell the label."""
    rng = np.random.default_rng(0)
    parts: list[Array] = []
    for n in (300, 300):
        y = rng.integers(0, 2, n)
        size = 20 + rng.integers(0, 10, n) + (15 * y if by_label else 0)
        x = np.empty(n, object)
        x[:] = [np.repeat([rng.standard_normal()], s) + rng.standard_normal(s) for s in size]
        parts += [x, y]
    metadata = Metadata(n_examples=0, n_labels=2, rows=1, cols=1, sequence_size=VARIES, is_sequence=True)
    return Content(parts[0], parts[1], parts[2], parts[3], metadata)


def test_a_length_that_is_the_label(tmp_path: Path) -> None:
    found = checked(lengths(by_label=True).write(tmp_path))
    assert ("warning", "label-by-size") in codes(found)
    assert "number of steps" in str(found.findings)
    assert ("warning", "label-by-size") not in codes(
        checked(lengths(by_label=False).write(tmp_path / "other"))
    )


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    content = honest()
    content.x_train[7, 2], content.x_test[9, 4] = np.nan, np.inf
    found = checked(content.write(tmp_path))
    assert codes(found) == [("error", "not-finite"), ("error", "not-finite")]
    assert "train/sample-00000, record 7, byte " in found.problems[0]
    assert "(0, 0, 2, 0) the value is nan" in found.problems[0]


def test_the_largest_numbers_are_fine(tmp_path: Path) -> None:
    content = honest()
    content.x_train[:, 1] *= 1e38 / np.abs(content.x_train[:, 1]).max()
    content.x_test[:, 1] *= 1e38 / np.abs(content.x_test[:, 1]).max()
    assert codes(checked(content.write(tmp_path))) == []


@pytest.mark.parametrize(
    ("score", "wrong"), [(1.0, False), (0.3, False), (1.5, True), (-0.1, True), (np.nan, True)]
)
def test_confidence_is_between_0_and_1(tmp_path: Path, score: float, wrong: bool) -> None:
    data = honest().write(tmp_path)

    def change(record: SequenceExample, i: int) -> None:
        if i == 4:
            record.context.feature["label_score"].float_list.value[:] = [score]

    rewrite(data / "train" / "sample-00000", change)
    assert (("error", "label-score") in codes(checked(data))) == wrong


def test_examples_of_another_length_than_announced(tmp_path: Path) -> None:
    content = honest()
    content.metadata = replace(content.metadata, cols=1, sequence_size=VARIES, features={})
    data = content.write(tmp_path)
    assert codes(checked(data)) == []
    for part in ("train", "test"):
        path = data / part / "metadata.textproto"
        path.write_text(path.read_text().replace("sequence_size: -1", "sequence_size: 4"))
    found = checked(data)
    assert codes(found) == [("warning", "sequence-size")] * 6
    assert "has 5 steps, but sequence_size is 4: it is cut" in str(found.findings[0])
    assert "So it is in 397 more places of train." in str(found.findings[2])


def test_other_keys_in_a_record(tmp_path: Path) -> None:
    data = honest().write(tmp_path)

    def change(record: SequenceExample, _: int) -> None:
        record.context.feature["file_name"].bytes_list.value.append(b"oak/1.png")

    rewrite(data / "test" / "sample-00000", change)
    found = checked(data)
    assert codes(found) == [("warning", "other-keys")]
    assert "'file_name'" in found.warnings[0].message


# --- examples that are there twice


@pytest.mark.parametrize(("share", "severity"), [(1.0, "error"), (0.2, "error"), (0.02, "warning")])
def test_test_examples_that_are_in_train(tmp_path: Path, share: float, severity: str) -> None:
    content = honest()
    n = int(share * len(content.y_test))
    content.x_test[:n], content.y_test[:n] = content.x_train[:n], content.y_train[:n]
    found = checked(content.write(tmp_path))
    assert codes(found) == [(severity, "in-both-parts")]
    assert f"{n} test examples of 300 ({100 * share:g} %) are in train" in found.findings[0].message
    assert found.in_both == n


def test_rows_that_repeat_by_nature_are_no_copies(tmp_path: Path) -> None:
    """Two columns of few values: everything occurs again and again, in train as in test."""
    content = honest()
    content.metadata = replace(content.metadata, cols=2, features={})
    content.x_train, content.x_test = (np.round(x[:, :2]) for x in (content.x_train, content.x_test))
    found = checked(content.write(tmp_path))
    assert found.ok
    assert codes(found) == [("warning", "repeated"), ("warning", "repeated"), ("warning", "in-both-parts")]


@pytest.mark.parametrize(("copies", "finding"), [(40, [("warning", "repeated")]), (3, [])])
def test_repetitions_in_train(tmp_path: Path, copies: int, finding: list[tuple[str, str]]) -> None:
    content = honest()
    content.x_train[:copies], content.y_train[:copies] = content.x_train[-copies:], content.y_train[-copies:]
    found = checked(content.write(tmp_path))
    assert codes(found) == finding
    assert found.train is not None
    assert found.train.repeated == copies


def test_examples_that_are_all_the_same(tmp_path: Path) -> None:
    content = honest()
    content.x_train[:], content.x_test[:] = 1.0, 2.0
    assert codes(checked(content.write(tmp_path)))[:2] == [("error", "constant"), ("error", "constant")]


# --- labels


@pytest.mark.parametrize(("split", "finding"), [("", True), ("shift: other trees in test", False)])
def test_a_label_that_train_never_shows(tmp_path: Path, split: str, finding: bool) -> None:
    content = honest()
    content.metadata = replace(content.metadata, split=split)
    keep = content.y_train != 2
    content.x_train, content.y_train = content.x_train[keep], content.y_train[keep]
    found = checked(content.write(tmp_path))
    assert codes(found) == [("warning", "label-not-in-train")] * finding
    assert found.split == split
    if finding:
        assert "1 label of 4 is in test but in no training example: 'ash'" in found.warnings[0].message


@pytest.mark.parametrize(
    ("left", "finding"), [(0, [("warning", "label-not-scored")]), (3, [("warning", "label-rare")]), (10, [])]
)
def test_a_label_that_test_has_few_of(tmp_path: Path, left: int, finding: list[tuple[str, str]]) -> None:
    content = honest()
    drop = np.flatnonzero(content.y_test == 3)[left:]
    content.x_test, content.y_test = (np.delete(a, drop, axis=0) for a in (content.x_test, content.y_test))
    assert codes(checked(content.write(tmp_path))) == finding


@pytest.mark.parametrize(("left", "rare"), [(1, True), (9, True), (10, False)])
def test_a_label_that_few_test_examples_are_without_may_make_all_rows_rank(
    tmp_path: Path, left: int, rare: bool
) -> None:
    content = honest()
    content.y_train = np.column_stack((content.y_train, np.where(np.arange(len(content.y_train)) % 2, 3, 0)))
    content.y_test = np.column_stack((content.y_test, np.where(np.arange(len(content.y_test)) < left, 0, 3)))
    content.y_test[:left, 0] = 1
    told = [f for f in checked(content.write(tmp_path)).warnings if f.code == "label-rare"]
    assert ["'fir'" in f.message and "all rows rank" in f.remedy for f in told] == [True] * rare


def test_a_solution_with_two_labels_where_train_has_one(tmp_path: Path) -> None:
    data = honest().write(tmp_path)
    solution = data.with_suffix(".solution")
    rows = solution.read_text().splitlines()
    rows[6] = "1 1 0 0"
    solution.write_text("\n".join(rows) + "\n")
    found = checked(data)
    assert codes(found) == [("warning", "labels-per-example")]
    assert "d.solution, row 7: has 2 labels; 1 of 300 rows" in found.warnings[0].message


def test_a_solution_as_npy(tmp_path: Path) -> None:
    data = honest().write(tmp_path)
    solution = data.with_suffix(".solution")
    table = np.loadtxt(solution, np.uint8)
    np.save(data.with_suffix(".npy"), table)
    one, other = checked(data), check_dataset(data, data.with_suffix(".npy"), METRIC)
    assert codes(other) == []
    assert (one.labels, one.linear_score) == (other.labels, other.linear_score)


# --- what a linear model says


def test_a_solution_in_another_order(tmp_path: Path) -> None:
    content = honest(n_test=2000, noise=0.5)
    content.hidden = np.roll(content.y_test, 1)
    found = checked(content.write(tmp_path))
    assert codes(found) == [("error", "nothing-carries-over")]
    assert "rows are in the order of the test examples" in found.problems[0]
    content.metadata = replace(content.metadata, split="shift: another country")
    assert codes(checked(content.write(tmp_path / "shift"))) == [("warning", "nothing-carries-over")]


def test_a_dataset_that_is_solved_already(tmp_path: Path) -> None:
    found = checked(honest(n_test=600, noise=0.1).write(tmp_path))
    assert ("warning", "too-easy") in codes(found)
    assert found.ok


def test_labels_that_have_nothing_to_do_with_the_examples(tmp_path: Path) -> None:
    content = honest(n_train=3000, n_test=3000)
    content.x_train[:], content.x_test[:] = (
        np.random.default_rng(i).standard_normal((3000, 5)) for i in (8, 9)
    )
    assert codes(checked(content.write(tmp_path))) == [("warning", "no-signal")]


def test_labels_of_another_index_in_test(tmp_path: Path) -> None:
    data = honest().write(tmp_path)
    path = data / "test" / "metadata.textproto"
    path.write_text(
        path.read_text().replace('"oak"', '"x"').replace('"elm"', '"oak"').replace('"x"', '"elm"')
    )
    found = checked(data)
    assert codes(found) == [("error", "parts-differ")]
    assert "label_to_index_map gives 'elm', 'oak' another index" in found.problems[0]


def test_the_organizers_page_names_every_finding() -> None:
    root = Path(__file__).parents[3]
    told = set(re.findall(r"`([a-z-]+)`", (root / "docs" / "organizer.md").read_text()))
    code = "".join(path.read_text() for path in (root / "datasets" / "alcove_toolkit" / "check").glob("*.py"))
    used = set(re.findall(r'(?:error|warning|Finding|tell)\(\s*"([a-z-]+)"', code))
    used |= set(re.findall(r'"(label-by-[a-z]+)"', code))
    assert len(used) > 20
    needs_no_word = {
        "solution",
        "solution-rows",
        "solution-columns",
        "nothing-to-score",
        "unreadable",
        "empty",
    }
    assert used - told == needs_no_word | {"no-labels"}
