"""The practice datasets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from alcove_datasets.check import check_dataset
from alcove_datasets.errors import UnknownDatasetError
from alcove_datasets.practice import PRACTICE, Practice, make_practice
from alcove_datasets.reader import open_folder
from alcove_datasets.solution import read_solution
from tests.unit.datasets.test_roundtrip import digest

EACH = pytest.mark.parametrize("practice", PRACTICE, ids=lambda practice: practice.name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made")
    for practice in PRACTICE:
        make_practice(practice.name, out)
    return out


def test_there_is_one_of_every_kind() -> None:
    assert sorted(p.kind for p in PRACTICE) == ["image", "series", "tabular", "text", "video"]


@EACH
def test_it_is_sound_and_as_announced(made: Path, practice: Practice) -> None:
    data, solution = made / f"{practice.name}.data", made / f"{practice.name}.solution"
    found = check_dataset(data, solution)
    assert found.ok, found.problems
    assert found.domain == practice.kind
    assert found.n_labels == practice.labels
    assert found.n_test >= 1000
    assert found.bytes < 4 << 20, "all five must be staged in about a second"
    present = read_solution(solution).mean(axis=0)
    assert (present > 0.02).all(), "every label can be scored"
    assert (present < 0.5).all()


@EACH
def test_no_test_example_is_in_train(made: Path, practice: Practice) -> None:
    folder = open_folder(made / f"{practice.name}.data")
    seen = {features.tobytes() for features, _ in folder.train}
    repeated = sum(features.tobytes() in seen for features, _ in folder.test)
    # Characters of one block can agree in every property; and short docstrings repeat each other.
    assert repeated <= 0.05 * len(folder.test)


def test_the_same_seed_gives_the_same_bytes_in_another_process(made: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from alcove_datasets.practice import PRACTICE, make_practice\n"
        "for p in PRACTICE: make_practice(p.name, Path(sys.argv[1]))"
    )
    environment = dict(os.environ, PYTHONHASHSEED="1")
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], env=environment, check=True, timeout=120)
    assert digest(tmp_path) == digest(made)


def test_another_seed_and_size_give_others(made: Path, tmp_path: Path) -> None:
    data = make_practice("waves", tmp_path, seed=1, examples=50)
    folder = open_folder(data)
    assert len(folder.train) + len(folder.test) == 50
    first, _ = next(folder.train.examples())
    other, _ = next(open_folder(made / "waves.data").train.examples())
    assert not np.array_equal(first, other)


def test_an_unknown_name_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownDatasetError, match="digits"):
        make_practice("cifar", tmp_path)
