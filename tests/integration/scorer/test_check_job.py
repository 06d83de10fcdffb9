from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from alcove_api import keys
from alcove_api.documents import CheckRequest, CheckResult
from alcove_format.records import read_records, write_record
from alcove_scorer.metric_registry import find_metric
from alcove_toolkit.check import CheckMetric, check_dataset
from alcove_toolkit.practice import make_practice
from alcove_toolkit.publish import publish

from .conftest import Job, Store

pytestmark = pytest.mark.integration
Start = Callable[..., Job]


@pytest.fixture
def published(store: Store, tmp_path: Path) -> CheckRequest:
    data = make_practice("digits", tmp_path / "made", examples=200)
    digest, solution, _ = publish(data, data.with_suffix(".solution"), store.client)
    return CheckRequest(dataset="digits", data_sha256=digest, solution_sha256=solution)


def result(job: Job) -> tuple[int, CheckResult]:
    status, message = job.wait()
    return status, CheckResult.model_validate_json(message)


def test_a_sound_dataset(start: Start, published: CheckRequest) -> None:
    status, got = result(start("check", published))
    assert (status, got.ok, got.problems) == (0, True, ())
    assert (got.domain, got.n_labels, got.chance_score) == ("image", 10, 0.5)
    assert got.n_train + got.n_test == 200
    assert got.linear_score is not None
    assert got.linear_score > 0.8


def test_the_job_finds_what_the_command_finds(store: Store, start: Start, tmp_path: Path) -> None:
    data = make_practice("waves", tmp_path / "made", examples=600)
    solution = data.with_suffix(".solution")
    # The same examples twice, and test in the order of its labels: a warning and an error.
    train, test = data / "train" / "sample-00000", data / "test" / "sample-00000"
    shutil.copy(train, data / "train" / "sample-00001")
    records = [record for _, record in read_records(test)]
    rows = solution.read_text().splitlines(keepends=True)
    order = sorted(range(len(rows)), key=rows.__getitem__)
    with test.open("wb") as file:
        for i in order:
            write_record(file, records[i])
    solution.write_text("".join(rows[i] for i in order))
    metadata = data / "train" / "metadata.textproto"
    metadata.write_text(metadata.read_text().replace("sample_count: 360", "sample_count: 720"))
    digest, hidden, _ = publish(data, solution, store.client)
    status, got = result(
        start("check", CheckRequest(dataset="w", data_sha256=digest, solution_sha256=hidden))
    )
    here = check_dataset(
        data, solution, CheckMetric("balanced_accuracy", find_metric("balanced_accuracy").score, 0.5)
    )
    assert status == 1
    assert {f.code for f in here.errors} == {"duplicate-id", "label-by-order"}
    assert got == here.to_result()
    assert any("360 examples of 720 repeat an earlier one" in warning for warning in got.warnings)


@pytest.mark.parametrize("what", ["changed", "cut", "missing"])
def test_a_sample_file_that_is_not_the_published_one(
    store: Store, start: Start, published: CheckRequest, what: str
) -> None:
    manifest = store.json(keys.dataset_manifest(published.data_sha256))
    path = next(f["path"] for f in manifest["files"] if f["path"].startswith("test/sample"))
    key = keys.dataset_file(published.data_sha256, path)
    original = store.get(key) or b""
    if what == "missing":
        store.client.remove_object(keys.MAIN_BUCKET, key)
    else:
        store.put(key, original[:-9] if what == "cut" else original[:-1] + bytes([original[-1] ^ 1]))
    status, got = result(start("check", published))
    store.put(key, original)
    assert (status, got.ok) == (1, False)
    assert all(path in problem for problem in got.problems[:1])


def test_a_solution_of_another_shape(store: Store, start: Start, published: CheckRequest) -> None:
    import hashlib

    other = b"0 1\n1 0\n"
    sha256 = hashlib.sha256(other).hexdigest()
    store.put(keys.solution(sha256), other, keys.SOLUTIONS_BUCKET)
    status, got = result(start("check", published.model_copy(update={"solution_sha256": sha256})))
    assert status == 1
    assert "2 rows" in got.problems[0]


def test_what_was_never_published(start: Start, published: CheckRequest) -> None:
    status, got = result(start("check", published.model_copy(update={"data_sha256": "0" * 64})))
    assert status == 1
    assert "missing from the store" in got.problems[0]


def test_a_manifest_that_was_changed(store: Store, start: Start, published: CheckRequest) -> None:
    key = keys.dataset_manifest(published.data_sha256)
    original = store.get(key) or b""
    manifest = json.loads(original)
    manifest["n_test"] = 1
    store.put(key, json.dumps(manifest).encode())
    status, got = result(start("check", published))
    store.put(key, original)
    assert status == 1
    assert "manifest.json" in got.problems[0]


@dataclass
class OnVolume:
    """A dataset as it would be mounted, its manifest and solution in the store."""

    folder: Path
    request: CheckRequest
    start: Start

    def check(self) -> tuple[int, CheckResult]:
        return result(self.start("check", self.request, ALCOVE_ROOT=str(self.folder.parent)))


@pytest.fixture
def volume(store: Store, start: Start, tmp_path: Path) -> OnVolume:
    data = make_practice("digits", tmp_path / "made", examples=300)
    digest, solution, _ = publish(data, data.with_suffix(".solution"), store.client, on_volume=True)
    mounted = tmp_path / "data"
    data.rename(mounted)
    return OnVolume(
        mounted,
        CheckRequest(dataset="digits", data_sha256=digest, solution_sha256=solution, on_volume=True),
        start,
    )


def test_a_sound_dataset_on_a_volume_of_which_nothing_is_in_the_store(store: Store, volume: OnVolume) -> None:
    status, got = volume.check()
    assert (status, got.ok, got.problems) == (0, True, ())
    assert got.n_train + got.n_test == 300
    prefix = f"data/{volume.request.data_sha256}/"
    found = [o.object_name for o in store.client.list_objects(keys.MAIN_BUCKET, prefix, recursive=True)]
    assert found == [keys.volume_manifest(volume.request.data_sha256)]
    # So nobody can take it for one that can be downloaded.
    status, got = result(volume.start("check", volume.request.model_copy(update={"on_volume": False})))
    assert (status, "missing from the store" in got.problems[0]) == (1, True)


def sample(folder: Path) -> Path:
    return next((folder / "test").glob("sample*"))


def changed(folder: Path) -> None:
    data = sample(folder).read_bytes()
    sample(folder).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def linked(folder: Path) -> None:
    """To the same bytes: but a link may lead elsewhere in another container."""
    target = folder.parent / "elsewhere"
    file = sample(folder)
    file.rename(target)
    file.symlink_to(target)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (changed, r"test/sample\S*: its bytes are not those"),
        (linked, r"test/sample\S* on the volume is a link"),
        (lambda folder: sample(folder).unlink(), r"test/sample\S* is not on the volume"),
        (lambda folder: (folder / "digits.solution").write_text("1 0\n"), r"digits\.solution is on the volume, where"),
        (lambda folder: (folder / "train" / "notes.txt").write_text("x"), r"train/notes.txt is on the volume, but"),
        (lambda folder: (folder / "old.data" / "test").mkdir(parents=True), ""),
    ],
    ids=["changed", "linked", "missing", "solution", "unknown", "empty folder"],
)  # fmt: skip
def test_what_is_wrong_on_a_volume_is_named(
    volume: OnVolume, damage: Callable[[Path], object], said: str
) -> None:
    damage(volume.folder)
    status, got = volume.check()
    if not said:
        assert (status, got.ok) == (0, True)
        return
    assert (status, got.ok) == (1, False)
    assert any(re.match(said, problem) for problem in got.problems), got.problems


def test_many_wrong_files_are_told_in_few_sentences(volume: OnVolume) -> None:
    for number in range(50):
        (volume.folder / f"{number:03d}.solution").write_text("1\n")
    status, got = volume.check()
    assert (status, len(got.problems)) == (1, 8)
    assert got.problems[-1] == "And 43 more. Correct these first."
