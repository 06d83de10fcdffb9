"""Code in the style of the AutoDL challenge runs with `tensorflow1`, in the environment of its image."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from alcove_format.metadata import Format, Metadata
from alcove_format.reader import open_dataset
from alcove_format.writer import NewExample, write_dataset
from tests.integration.frameworks import kit_style
from tests.integration.frameworks.conftest import Practice, RunCode, run_in

pytestmark = pytest.mark.integration

EVERY_KIND = ("characters", "docstrings", "digits", "moving-digits", "vowels")


@pytest.fixture
def run(tmp_path: Path) -> RunCode:
    return run_in("tensorflow1", tmp_path)


@pytest.mark.parametrize(
    ("code", "dataset", "predictions"),
    [(kit_style.ESTIMATOR, "moving-digits", 2), (kit_style.TORCH, "digits", 1)],
    ids=["estimator", "torch"],
)
def test_it_runs_unchanged(
    run: RunCode, practice: Practice, code: str, dataset: str, predictions: int
) -> None:
    ended = run({"model.py": code}, practice(dataset))
    assert ended.status == 0, ended.output
    assert len(ended.predictions) == predictions
    test = open_dataset(practice(dataset)).test
    for path in ended.predictions:
        array = np.load(path)
        assert array.shape == (len(test), test.metadata.n_labels)
        assert np.isfinite(array).all()


def test_its_arrays_are_those_of_numpy(run: RunCode, practice: Practice) -> None:
    folders = [practice(name) for name in EVERY_KIND]
    _write_sparse(practice("characters").with_name("sparse"))
    code = kit_style.COMPARES_READERS.replace("DATASETS", str(folders[0].parent))
    ended = run({"model.py": code}, folders[0])
    assert ended.status == 0, ended.output
    for name in (*EVERY_KIND, "sparse"):
        assert f"the same: {name}.data" in ended.output


def _write_sparse(folder: Path) -> None:
    """A sparse table of 1 × 12, of which one example has no entry."""
    metadata = Metadata(n_examples=0, n_labels=10, rows=1, cols=12, format=Format.SPARSE)
    drawn = np.random.default_rng(0).random((9, 1, 1, 12, 1))
    tables = [*np.where(drawn < 0.3, drawn, 0.0).astype(np.float32), np.zeros((1, 1, 12, 1), np.float32)]
    examples = [NewExample(table, {i % 10: 1.0}) for i, table in enumerate(tables)]
    write_dataset(folder, "sparse", metadata, examples, examples[:3])


def test_the_starting_kits_own_folder_runs_at_home(practice: Practice, tmp_path: Path) -> None:
    """`alcove run` as it is typed: the code lies where the kit has it."""
    inner = tmp_path / "kit" / "AutoDL_sample_code_submission"
    inner.mkdir(parents=True)
    (inner / "model.py").write_text(kit_style.SESSION)
    command = [
        sys.executable,
        "-I",
        "-m",
        "alcove_cli.main",
        "run",
        str(inner.parent),
        str(practice("waves")),
    ]
    done = subprocess.run(
        [*command, "--framework", "tensorflow1", "--budget", "120"],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ended: the program finished." in done.stdout
