"""Whatever is done to the files of a dataset: a report, never a traceback; and damage to records is always noticed."""

from __future__ import annotations

import io
import random
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from alcove_format.format_pb2 import SequenceExample
from alcove_format.metadata import VARIES, Format, Metadata
from alcove_format.records import read_records, write_record
from alcove_format.writer import NewExample, write_dataset
from alcove_scorer.metrics import BalancedAccuracy
from alcove_toolkit.check import CheckMetric, check_dataset
from alcove_toolkit.check.report import MESSAGE_BYTES, Report
from tests.unit.format.strategies import Content, contents

METRIC = CheckMetric("balanced_accuracy", BalancedAccuracy().score, 0.5)
FORMS = ("table", "sparse", "text", "series", "images", "clips")


def picture(rng: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (6, 7, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def make(form: str, out: Path) -> Path:
    """A small dataset of that form: 24 training and 12 test examples, 3 labels."""
    rng = np.random.default_rng(1)
    varies = form in ("text", "series", "clips")
    sizes = {
        "sparse": (1, 9, 1),
        "text": (1, 1, 30),
        "series": (1, 1, 2),
        "images": (6, 7, 3),
        "clips": (6, 7, 3),
    }
    rows, cols, channels = sizes.get(form, (1, 4, 1))
    forms = {
        "sparse": Format.SPARSE,
        "text": Format.SPARSE,
        "images": Format.COMPRESSED,
        "clips": Format.COMPRESSED,
    }
    metadata = Metadata(
        n_examples=0, n_labels=3, rows=rows, cols=cols, channels=channels, sequence_size=VARIES if varies else 1,
        format=forms.get(form, Format.DENSE), is_sequence=varies, labels={"a": 0, "b": 1, "c": 2},
    )  # fmt: skip

    def example() -> NewExample:
        steps = int(rng.integers(2, 6)) if varies else 1
        label = {int(rng.integers(3)): 1.0}
        if form in ("images", "clips"):
            return NewExample([picture(rng) for _ in range(steps)], label)
        if form == "text":
            return NewExample(rng.integers(0, 30, (steps, 1, 1, 1)), label)
        return NewExample(rng.standard_normal((steps, rows, cols, channels)), label)

    return write_dataset(out, "d", metadata, [example() for _ in range(24)], [example() for _ in range(12)])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    for form in FORMS:
        make(form, folder / form)
    return folder


def report(folder: Path) -> Report:
    found = check_dataset(folder / "d.data", folder / "d.solution", METRIC)
    assert found.ok == (not found.problems)
    assert len(found.to_result().canonical()) <= MESSAGE_BYTES
    assert found.to_json()["ok"] == found.ok
    return found


def copy(made: Path, form: str) -> Path:
    target = made / "copy"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(made / form, target)
    return target


@pytest.mark.parametrize("form", FORMS)
def test_as_it_was_made_it_is_sound(made: Path, form: str) -> None:
    assert report(copy(made, form)).problems == ()


@pytest.mark.parametrize("form", FORMS)
@given(st.data())
@settings(max_examples=12, deadline=None)
def test_any_damage_to_a_sample_file_is_noticed(made: Path, form: str, data: st.DataObject) -> None:
    folder = copy(made, form)
    path = folder / "d.data" / data.draw(st.sampled_from(("train", "test"))) / "sample-00000"
    original = path.read_bytes()
    damaged = bytearray(original)
    for position in data.draw(st.lists(st.integers(0, len(original) - 1), max_size=3)):
        damaged[position] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(original)))
    damaged = damaged[:cut] + data.draw(st.binary(max_size=8))
    path.write_bytes(damaged)
    found = report(folder)
    assert found.ok == (damaged == original), found.problems
    if not found.ok:
        assert any(f"{path.parent.name}/" in problem for problem in found.problems)


@pytest.mark.parametrize(
    "name", ["d.data/train/metadata.textproto", "d.data/test/metadata.textproto", "d.solution"]
)
@given(st.data())
@settings(max_examples=30, deadline=None)
def test_any_damage_to_another_file_gives_a_report(made: Path, name: str, data: st.DataObject) -> None:
    folder = copy(made, data.draw(st.sampled_from(FORMS)))
    path = folder / name
    damaged = bytearray(path.read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=4)):
        damaged[position] = data.draw(st.integers(0, 255) | st.sampled_from(list(b'0123456789-\n{}"')))
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)) | st.just(len(damaged)))])
    report(folder)


@pytest.mark.parametrize("form", FORMS)
@given(st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_any_content_of_records_gives_a_report(made: Path, form: str, seed: int) -> None:
    """With CRCs that are right: what is in a record is then all that can be wrong."""
    rng = random.Random(seed)
    folder = copy(made, form)
    path = folder / "d.data" / rng.choice(("train", "test")) / "sample-00000"
    records = [data for _, data in read_records(path)]
    with path.open("wb") as file:
        for record in records:
            write_record(file, spoilt(record, rng) if rng.random() < 0.2 else record)
    with warnings.catch_warnings(action="ignore"):
        report(folder)


def spoilt(record: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        damaged = bytearray(record)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        return bytes(damaged)
    message = SequenceExample.FromString(record)
    context, lists = message.context.feature, message.feature_lists.feature_list
    values: dict[str, Callable[[], object]] = {
        "id": lambda: context["id"].int64_list.value.extend([-(2**63), 2**63 - 1]),
        "label": lambda: context["label_index"].int64_list.value.append(rng.choice((-1, 2, 3, 2**40))),
        "score": lambda: context["label_score"].float_list.value.append(rng.choice((0.5, 7.0, float("nan")))),
        "kind": lambda: context["id"].bytes_list.value.append(b"1"),
        "step": lambda: next(iter(lists.values())).feature.add(),
        "empty": lambda: next(iter(lists.values())).ClearField("feature"),
        "none": lambda: message.ClearField("feature_lists"),
        "number": lambda: (
            next(iter(lists.values())).feature.add().float_list.value.extend([1.0, float("inf"), 3e38])
        ),
        "index": lambda: next(iter(lists.values())).feature.add().int64_list.value.extend([-5, 2**50]),
        "bytes": lambda: next(iter(lists.values())).feature.add().bytes_list.value.append(b"\x89PNG\r\n"),
    }
    values[rng.choice(list(values))]()
    return message.SerializeToString()


@given(contents())
@settings(max_examples=30, deadline=None)
def test_any_dataset_that_can_be_written_is_read_whole(
    tmp_path_factory: pytest.TempPathFactory, content: Content
) -> None:
    out = tmp_path_factory.mktemp("any")
    write_dataset(out, "d", content.metadata, content.written, content.written)
    found = report(out)
    allowed = {"in-both-parts", "constant", "nothing-to-score", "no-labels", "not-finite"}
    assert {finding.code for finding in found.errors} <= allowed, found.problems
    assert found.n_train == found.n_test == len(content.written)


def test_what_is_no_dataset_gives_a_report(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    file = tmp_path / "file"
    file.write_text("not a dataset")
    solution = tmp_path / "d.solution"
    solution.write_text("1 0\n0 1\n")
    for path in (tmp_path / "empty", file, tmp_path / "nowhere"):
        found = check_dataset(path, solution, METRIC)
        assert not found.ok
        assert str(path) in found.problems[0]


def test_a_folder_in_place_of_a_file_is_named(made: Path) -> None:
    folder = copy(made, "table")
    (folder / "d.solution").unlink()
    (folder / "d.solution").mkdir()
    assert "d.solution: cannot be read: Is a directory" in report(folder).problems[0]
    folder = copy(made, "table")
    (folder / "d.data" / "test" / "metadata.textproto").unlink()
    (folder / "d.data" / "test" / "metadata.textproto").mkdir()
    assert "metadata.textproto" in report(folder).problems[0]
    folder = copy(made, "table")
    shutil.rmtree(folder / "d.data" / "test")
    assert "test" in report(folder).problems[0]


def test_a_key_that_is_no_text_is_damage_to_the_record(made: Path) -> None:
    folder = copy(made, "table")
    path = folder / "d.data" / "train" / "sample-00000"
    records = [data for _, data in read_records(path)]
    with path.open("wb") as file:
        for record in records:
            write_record(file, record.replace(b"0_dense_input", b"\xff_dense_input"))
    found = report(folder)
    assert "train/sample-00000, record 0, byte 0: the record is not a SequenceExample" in found.problems[0]
    assert "So it is in 21 more places of train" in found.problems[2]
