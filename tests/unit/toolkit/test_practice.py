"""The practice datasets."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from alcove_api.schemes import Task
from alcove_format.example import Floats
from alcove_format.reader import open_dataset
from alcove_format.solution import read_solution
from alcove_format.writer import NewExample
from alcove_toolkit.check import check_dataset
from alcove_toolkit.convert.choices import Kind
from alcove_toolkit.errors import UnknownDatasetError
from alcove_toolkit.practice import PRACTICE, REGRESSIONS, PracticeDataset, make_practice
from tests.unit.format.test_roundtrip import digest

EVERY = [*PRACTICE, *REGRESSIONS]
EACH = pytest.mark.parametrize("practice", EVERY, ids=lambda practice: practice.name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made")
    for practice in EVERY:
        make_practice(practice.name, out)
    return out


def test_there_is_one_of_every_kind_and_task() -> None:
    assert {p.kind for p in EVERY} == set(get_args(Kind))
    assert {p.task for p in EVERY} == set(get_args(Task))


@EACH
def test_it_is_sound_and_as_announced(made: Path, practice: PracticeDataset) -> None:
    data, solution = made / f"{practice.name}.data", made / f"{practice.name}.solution"
    found = check_dataset(data, solution)
    assert found.ok, found.problems
    assert not found.findings, "nothing tells the label by itself, and nothing is in both parts"
    assert found.domain == {"audio": "speech"}.get(practice.kind, practice.kind)
    assert (found.n_labels, found.task) == (practice.labels, practice.task)
    assert found.n_test >= 1000
    assert found.bytes < 13 << 20, "all must be staged in about a second"
    if practice.task == "regression":
        return
    present = read_solution(solution).mean(axis=0)
    assert (present > 0.02).all(), "every label can be scored"
    assert (present < 0.5).all()


@EACH
def test_no_test_example_is_in_train(made: Path, practice: PracticeDataset) -> None:
    folder = open_dataset(made / f"{practice.name}.data")
    seen = {features.tobytes() for features, _ in folder.train}
    repeated = sum(features.tobytes() in seen for features, _ in folder.test)
    # Characters of one block can agree in every property.
    assert repeated <= 0.01 * len(folder.test)


def test_the_same_seed_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from alcove_toolkit.practice import PRACTICE, REGRESSIONS, make_practice\n"
        "for p in (*PRACTICE, *REGRESSIONS): make_practice(p.name, Path(sys.argv[1]), examples=300)"
    )
    environment = dict(os.environ, PYTHONHASHSEED="1")
    there, here = tmp_path / "there", tmp_path / "here"
    subprocess.run([sys.executable, "-c", script, str(there)], env=environment, check=True, timeout=120)
    for practice in EVERY:
        make_practice(practice.name, here, examples=300)
    assert digest(there) == digest(here)


def test_another_seed_and_size_give_others(made: Path, tmp_path: Path) -> None:
    data = make_practice("waves", tmp_path, seed=1, examples=50)
    folder = open_dataset(data)
    assert len(folder.train) + len(folder.test) == 50
    first, _ = next(folder.train.examples())
    other, _ = next(open_dataset(made / "waves.data").train.examples())
    assert not np.array_equal(first, other)


@EACH
@pytest.mark.parametrize("examples", [10, 4001])
def test_there_are_as_many_as_were_asked_for(practice: PracticeDataset, examples: int) -> None:
    """Also where a real source has fewer."""
    _, train, test = practice.make(np.random.default_rng(0), examples)
    part = [*train, *test]
    assert len(part) == examples
    if practice.task != "multiclass" or examples == 10:
        return
    shares = Counter(label for example in part for label in example.labels)
    assert max(shares.values()) <= 1.25 * min(shares.values()), "classes stay balanced"


@pytest.mark.parametrize("name", ["characters", "docstrings", "digits", "moving-digits"])
def test_copies_of_what_is_real_are_altered_and_stay_in_their_part(name: str) -> None:
    practice = next(p for p in PRACTICE if p.name == name)
    _, train, test = practice.make(np.random.default_rng(0), 3 * practice.examples)
    ours, theirs = ([content(example) for example in part] for part in (train, test))
    known = set(ours)
    assert len(known) > 0.9 * len(ours), "copies differ from each other"
    assert sum(one in known for one in theirs) <= 0.05 * len(theirs)


def content(example: NewExample) -> bytes:
    features = example.features
    return b"".join(features) if isinstance(features, list) else np.asarray(features).tobytes()


def test_up_to_their_number_pictures_are_the_real_ones(made: Path) -> None:
    images, labels = load_digits(return_X_y=True)
    real = {
        np.round(i * (255 / 16)).astype(np.uint8).tobytes(): n for i, n in zip(images, labels, strict=True)
    }
    folder = open_dataset(made / "digits.data")
    pixels = [
        np.round(f * 255).astype(np.uint8).tobytes() for part in (folder.train, folder.test) for f, _ in part
    ]
    assert sorted(pixels) == sorted(real)
    assert [real[p] for p in pixels[: len(folder.train)]] == [label.argmax() for _, label in folder.train]


def test_examples_are_made_while_they_are_written() -> None:
    for practice in EVERY:
        _, train, test = practice.make(np.random.default_rng(0), 100_000)
        assert len(list(itertools.islice(train, 3))) == len(list(itertools.islice(test, 3))) == 3


def test_words_can_be_told_apart_by_their_sound_but_not_by_their_samples(made: Path) -> None:
    """A linear classifier of two spectra a word gets four of five; of the bare samples, nearly none."""

    def spectra(features: Floats) -> Floats:
        halves = np.array_split(features.ravel(), 2)
        bands = [
            np.square(np.abs(np.fft.rfft(half, 512)))[:256].reshape(32, 8).mean(axis=1) for half in halves
        ]
        return np.log(np.concatenate(bands) + 1e-8).astype(np.float32)

    folder = open_dataset(made / "vowels.data")
    truth = read_solution(made / "vowels.solution").argmax(axis=1)
    wanted = [int(label.argmax()) for _, label in folder.train]

    def accuracy(vector: Callable[[Floats], Floats]) -> float:
        x, z = (np.stack([vector(features) for features, _ in part]) for part in (folder.train, folder.test))
        model = make_pipeline(StandardScaler(), RidgeClassifier()).fit(x, wanted)
        return float((model.predict(z) == truth).mean())

    assert 0.65 < accuracy(spectra) < 0.95
    assert accuracy(lambda features: features.ravel()[:400:2]) < 0.3


def test_an_unknown_name_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownDatasetError, match="digits"):
        make_practice("cifar", tmp_path)
