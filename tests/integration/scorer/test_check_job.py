from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from alcove_crds import keys
from alcove_crds.documents import CheckRequest, CheckResult
from alcove_datasets.practice import make_practice
from alcove_datasets.publish import publish

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
