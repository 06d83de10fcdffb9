"""``alcove dataset check`` and ``info`` as they are typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from alcove_toolkit.practice import make_practice
from tests.unit.cli.conftest import Typed


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_practice("digits", tmp_path_factory.mktemp("digits"), examples=400)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One row of the solution has two labels: a warning."""
    data = make_practice("digits", tmp_path_factory.mktemp("odd"), examples=400)
    solution = data.with_suffix(".solution")
    rows = solution.read_text().splitlines()
    rows[0] = "1 1" + rows[0][3:]
    solution.write_text("\n".join(rows) + "\n")
    return data


def test_a_report_for_a_person(digits: Path) -> None:
    command = [sys.executable, "-m", "alcove_cli.main", "dataset", "check", str(digits)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    for line in (
        "image, multiclass, 10 labels",
        "Labels: share of train",
        "Baselines (balanced_accuracy)",
        "knows nothing",
    ):
        assert line in done.stdout
    assert done.stdout.endswith("It can be used: nothing was found.\n")


def test_a_report_for_a_program(odd: Path, alcove: Typed) -> None:
    done = alcove("dataset", "check", odd, "--json", "--metric", "nauc")
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"], found["problems"]) == (0, True, [])
    assert [(f["severity"], f["code"]) for f in found["findings"]] == [("warning", "labels-per-example")]
    assert found["findings"][0]["message"].startswith("digits.solution, row 1: has ")
    assert found["findings"][0]["remedy"]
    assert (found["metric"], found["chance_score"]) == ("nauc", 0.0)
    assert 0.5 < found["linear_score"] < 1
    assert found["parts"]["train"]["examples"] == found["n_train"]
    assert sum(label["train"] for label in found["labels"]) == found["n_train"]
    assert found["labels"][3]["name"] == "3"


def test_strict_takes_warnings_for_errors(odd: Path, digits: Path, alcove: Typed) -> None:
    assert alcove("dataset", "check", odd).returncode == 0
    done = alcove("dataset", "check", odd, "--strict")
    assert done.returncode == 1
    assert done.stdout.endswith("It must not be used: 1 warning.\n")
    assert alcove("dataset", "check", digits, "--strict").returncode == 0


def test_a_dataset_that_must_not_be_used(digits: Path, tmp_path: Path, alcove: Typed) -> None:
    solution = tmp_path / "other.solution"
    solution.write_text("1 0\n0 1\n")
    done = alcove("dataset", "check", digits, "--solution", solution)
    assert done.returncode == 1
    assert "✗ other.solution: has 2 rows, but the test part has " in done.stdout
    assert "→ Give one row for each, in the order of the sample files.  [solution-rows]" in done.stdout
    assert done.stdout.endswith("It must not be used: 1 error.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere.data",), "nowhere.data: there is no such folder."),
        (("nowhere.data", "--solution", __file__), "nowhere.data: there is no such folder."),
        (("DIGITS", "--solution", "nowhere.solution"), "nowhere.solution: there is no such file."),
        (("DIGITS", "--metric", "accuracy"), "metric 'accuracy': no such metric is installed"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(
    digits: Path, arguments: tuple[str, ...], said: str, alcove: Typed
) -> None:
    done = alcove("dataset", "check", *(str(digits) if word == "DIGITS" else word for word in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_metric_of_somebody_elses_that_fails_is_said_in_one_line(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alcove: Typed
) -> None:
    info = tmp_path / "faulty-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[alcove.metrics]\nfaulty = faulty_metric:Faulty\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    source = "class Faulty:\n    name, chance, best = 'faulty', 0, 1\n    def score(self, *_): return 1 / 0\n"
    (tmp_path / "faulty_metric.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    done = alcove("dataset", "check", digits, "--metric", "faulty")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "metric 'faulty' failed (ZeroDivisionError: division by zero)" in done.stderr


def test_what_a_dataset_holds(digits: Path, alcove: Typed) -> None:
    done = alcove("dataset", "info", digits)
    assert done.returncode == 0
    assert "time × rows × columns × channels: 1 × 8 × 8 × 1, compressed" in done.stdout
    found = json.loads(alcove("dataset", "info", digits, "--json").stdout)
    assert (found["shape"], found["format"], found["n_labels"]) == ([1, 8, 8, 1], "COMPRESSED", 10)
    assert found["digest"] in done.stdout
