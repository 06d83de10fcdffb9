"""`alcove run` as its user runs it: the real recorder, supervisor and runner, and the score."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from alcove_toolkit.practice import make_practice
from tests.unit.cli.conftest import Typed
from tests.unit.docs.pages import blocks, pages

PARTICIPANT = next(page for page in pages() if page.name == "docs/participant.md")
FROM_THE_DOCS = blocks(PARTICIPANT, "python")[0]
FAILS_LATER = FROM_THE_DOCS.replace("self.done_training = True", "pass").replace(
    "self.prior =",
    "if hasattr(self, 'prior'):\n            raise RuntimeError('no more')\n        self.prior =",
)
NEVER_STOPS = FROM_THE_DOCS.replace("self.done_training = True", "import time; time.sleep(0.2)")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    make_practice("digits", folder, examples=120)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _supervisor() -> None:
    if not (Path(sys.executable).parent / "alcove-supervisor").exists() and not os.environ.get("CI"):
        pytest.skip("the supervisor is not compiled: make install")


def run(tmp_path: Path, digits: Path, code: str, *options: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "model.py").write_text(code)
    command: Sequence[str | Path] = [sys.executable, "-I", "-m", "alcove_cli.main", "run", tmp_path, digits]
    return subprocess.run(
        [*command, "--budget", "2", "--framework", "numpy", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_model_of_the_docs_is_scored(tmp_path: Path, digits: Path) -> None:
    page = tmp_path / "page.html"
    done = run(tmp_path, digits, FROM_THE_DOCS, "--report", str(page))
    assert done.returncode == 0, done.stderr
    assert "</html>" in page.read_text()
    assert "Ended: the program finished." in done.stdout
    assert re.search(r"prediction_000000\.npy +0\.\d\d s", done.stdout)
    assert re.search(r"^ALC 0\.\d+, final score 0\.\d+$", done.stdout, re.M)


def test_percent_for_probabilities_are_pointed_out(tmp_path: Path, digits: Path) -> None:
    percent = FROM_THE_DOCS.replace("return np.tile(", "return 100 * np.tile(")
    assert percent != FROM_THE_DOCS
    done = run(tmp_path, digits, percent)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^values from \S+ to \S+: expected 0 to 1, .*; are they percent\?$", done.stdout, re.M)


def test_a_program_that_fails_is_scored_and_said_so(tmp_path: Path, digits: Path) -> None:
    done = run(tmp_path, digits, FAILS_LATER, "--out", str(tmp_path / "kept"))
    assert done.returncode == 1
    assert "Ended: the program failed" in done.stdout
    assert "RuntimeError: no more" in done.stdout + done.stderr
    assert re.search(r"^ALC 0\.\d+", done.stdout, re.M)
    assert len(list((tmp_path / "kept").rglob("*.bin"))) == 1


def test_the_budget_ends_it_and_that_is_no_failure(tmp_path: Path, digits: Path) -> None:
    done = run(tmp_path, digits, NEVER_STOPS)
    assert done.returncode == 0, done.stderr
    assert "Ended: the budget was used up." in done.stdout
    assert len(re.findall(r"prediction_\d+\.npy +\d\.\d\d s$", done.stdout, re.M)) > 3


def test_nothing_saved_is_said(tmp_path: Path, digits: Path) -> None:
    done = run(tmp_path, digits, "class Model")
    assert done.returncode == 1
    assert "SyntaxError" in done.stdout + done.stderr
    assert "no score: there is no valid prediction" in done.stdout
    assert "ALC" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "CODE", "DIGITS"), "has no model.py at its top"),
        (("run", "CODE/missing", "DIGITS"), "has no model.py at its top"),
        (("run", "examples/submissions/chance", "CODE", "--report", "x.html"), "no report can be made"),
        (("dataset", "make"), "Name a practice dataset. List them: alcove dataset make --list."),
        (("dataset", "make", "sudoku", "CODE"), "sudoku"),
        (("dataset", "check", "CODE"), "There is no solution beside"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    tmp_path: Path, digits: Path, arguments: tuple[str, ...], said: str, alcove: Typed
) -> None:
    filled = [a.replace("CODE", str(tmp_path)).replace("DIGITS", str(digits)) for a in arguments]
    done = alcove(*filled)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("alcove: ")
