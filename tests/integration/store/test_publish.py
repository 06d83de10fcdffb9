"""Publishing a dataset to a real MinIO, with the publisher's rights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import yaml

from alcove_api import keys
from alcove_api.dataset import DatasetSpec
from alcove_api.documents import DatasetManifest
from alcove_format.errors import SolutionError
from alcove_format.metadata import Metadata
from alcove_format.writer import NewExample, write_dataset
from alcove_store import client as store_client
from alcove_toolkit.publish import dataset_yaml, publish
from tests.cluster.stores import list_keys
from tests.integration.store.conftest import SetUpStore

pytestmark = pytest.mark.integration


@pytest.fixture
def data(tmp_path: Path) -> Path:
    metadata = Metadata(n_examples=0, n_labels=2, rows=1, cols=3, labels={"no": 0, "yes": 1})
    examples = [NewExample(np.full((1, 1, 3, 1), i), {i % 2: 1.0}) for i in range(6)]
    return write_dataset(tmp_path, "little", metadata, examples, examples[:4])


def test_what_is_published_is_what_was_on_disk(set_up_store: SetUpStore, data: Path) -> None:
    solution = data.with_suffix(".solution")
    data_sha256, solution_sha256, manifest = publish(data, solution, set_up_store.client("publisher"))

    root = set_up_store.root
    stored = store_client.get_bytes(root, keys.MAIN_BUCKET, keys.dataset_manifest(data_sha256))
    assert hashlib.sha256(stored).hexdigest() == data_sha256
    assert DatasetManifest.model_validate_json(stored) == manifest
    assert (manifest.name, manifest.domain, manifest.labels) == ("little", "tabular", ("no", "yes"))
    assert (manifest.n_train, manifest.n_test, manifest.n_labels) == (6, 4, 2)
    assert {e.path for e in manifest.files} == {
        str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()
    }
    for entry in manifest.files:
        found = store_client.get_bytes(root, keys.MAIN_BUCKET, keys.dataset_file(data_sha256, entry.path))
        assert found == (data / entry.path).read_bytes()
        assert hashlib.sha256(found).hexdigest() == entry.sha256
    hidden = store_client.get_bytes(root, keys.SOLUTIONS_BUCKET, keys.solution(solution_sha256))
    assert hidden == solution.read_bytes()
    assert hashlib.sha256(hidden).hexdigest() == solution_sha256


def test_publishing_again_sends_no_file_again(set_up_store: SetUpStore, data: Path) -> None:
    client, solution = set_up_store.client("publisher"), data.with_suffix(".solution")
    first = publish(data, solution, client)
    key = keys.dataset_file(first[0], "train/sample-00000")
    before = set_up_store.root.stat_object(keys.MAIN_BUCKET, key)
    # As if the first upload had broken off: one file and the manifest are not there.
    lost = keys.dataset_file(first[0], "test/sample-00000")
    set_up_store.root.remove_object(keys.MAIN_BUCKET, lost)
    set_up_store.root.remove_object(keys.MAIN_BUCKET, keys.dataset_manifest(first[0]))

    assert publish(data, solution, client) == first

    after = set_up_store.root.stat_object(keys.MAIN_BUCKET, key)
    assert (after.version_id, after.last_modified) == (before.version_id, before.last_modified)
    assert store_client.get_bytes(set_up_store.root, keys.MAIN_BUCKET, lost)
    assert store_client.get_bytes(set_up_store.root, keys.MAIN_BUCKET, keys.dataset_manifest(first[0]))


def test_publishing_again_repairs_what_was_damaged(set_up_store: SetUpStore, data: Path) -> None:
    """Of the right size, so that only its bytes tell."""
    client, solution = set_up_store.client("publisher"), data.with_suffix(".solution")
    published = publish(data, solution, client)
    damaged = {
        (keys.MAIN_BUCKET, keys.dataset_file(published[0], "test/sample-00000")): data / "test/sample-00000",
        (keys.SOLUTIONS_BUCKET, keys.solution(published[1])): solution,
    }
    for (bucket, key), file in damaged.items():
        store_client.put_bytes(set_up_store.root, bucket, key, bytes(file.stat().st_size))

    assert publish(data, solution, client) == published

    for (bucket, key), file in damaged.items():
        assert store_client.get_bytes(set_up_store.root, bucket, key) == file.read_bytes()


def test_a_wrong_solution_is_refused_before_anything_is_sent(set_up_store: SetUpStore, data: Path) -> None:
    solution = data.with_suffix(".solution")
    solution.write_text("1 0\n0 5\n")
    before = list_keys(set_up_store.root, keys.MAIN_BUCKET, "data/")
    with pytest.raises(SolutionError, match="row 2"):
        publish(data, solution, set_up_store.client("publisher"))
    assert list_keys(set_up_store.root, keys.MAIN_BUCKET, "data/") == before


def test_the_printed_dataset_is_one_that_the_api_takes() -> None:
    document = yaml.safe_load(dataset_yaml("little", "a" * 64, "b" * 64, "tabular"))
    assert (document["apiVersion"], document["kind"]) == ("alcove.dev/v1alpha1", "Dataset")
    assert "annotations" not in document["metadata"]
    spec = DatasetSpec.model_validate(document["spec"])
    assert (spec.alias, spec.domain, spec.data_sha256) == ("little", "tabular", "a" * 64)


def test_applying_what_is_printed_asks_for_a_check() -> None:
    document = yaml.safe_load(
        dataset_yaml("little", "a" * 64, "b" * 64, "tabular", recheck="2027-01-01T00:00:00Z")
    )
    assert document["metadata"]["annotations"] == {"alcove.dev/recheck": "2027-01-01T00:00:00Z"}
