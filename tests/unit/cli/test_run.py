"""`alcove run` as its user runs it: the real recorder, supervisor and runner, and the score."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

import pytest
from rich.console import Console

from alcove_api.run_documents import Manifest
from alcove_cli import local_run
from alcove_cli.errors import FaultError, exit_status
from alcove_cli.local import open_datasets
from alcove_cli.local_view import LocalView
from alcove_scorer.curves import resolve_rules
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


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("waves")
    make_practice("waves", folder, examples=120)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _supervisor() -> None:
    if not (Path(sys.executable).parent / "alcove-supervisor").exists() and not os.environ.get("CI"):
        pytest.skip("the supervisor is not compiled: make install")


LONG = "60"
"""Seconds. Of programs that end by themselves, also on a machine that is busy."""


def run(
    tmp_path: Path, digits: Path, code: str, *options: str, budget: str = LONG
) -> subprocess.CompletedProcess[str]:
    (tmp_path / "model.py").write_text(code)
    return alcove_run(tmp_path, digits, "--budget", budget, "--framework", "numpy", *options)


def alcove_run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command: Sequence[str | Path] = [sys.executable, "-I", "-m", "alcove_cli.main", "run", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


def find_processes(folder: Path) -> list[str]:
    """Command lines of processes that were told of this folder, by argument or environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (process / "cmdline").read_bytes()
            if str(folder).encode() in line + (process / "environ").read_bytes():
                found.append(line.decode(errors="replace"))
    return found


def wait_until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not there():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_model_of_the_docs_is_scored(tmp_path: Path, digits: Path) -> None:
    page = tmp_path / "page.html"
    done = run(tmp_path, digits, FROM_THE_DOCS, "--report", str(page))
    assert done.returncode == 0, done.stderr
    assert "</html>" in page.read_text()
    assert "Ended: the program finished." in done.stdout
    assert re.search(r"prediction_000000\.npy +\d+\.\d\d s", done.stdout)
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
    done = run(tmp_path, digits, NEVER_STOPS, budget="4")
    assert done.returncode == 0, done.stderr
    assert "Ended: the budget was used up." in done.stdout
    assert re.search(r"prediction_\d+\.npy +\d\.\d\d s$", done.stdout, re.M)


def test_a_program_that_finishes_without_a_prediction_has_failed(tmp_path: Path, digits: Path) -> None:
    none = FROM_THE_DOCS.replace("return np.tile(self.prior, (self.shape[0], 1))", "return None")
    page = tmp_path / "report.html"
    done = run(tmp_path, digits, none, "--report", str(page))
    assert done.returncode == 1
    assert "Ended: the program finished, but it saved no prediction." in done.stdout
    assert "no score: there is no valid prediction\n" in done.stdout
    assert "<bdi>The program finished, but it saved no prediction.</bdi>" in page.read_text()


def test_predictions_that_are_all_refused_are_no_success(tmp_path: Path, digits: Path) -> None:
    wrong = "import os\nopen(os.environ['ALCOVE_OUT'] + '/a.npy', 'w').write('x')\n" + FROM_THE_DOCS.replace(
        "return np.tile(self.prior, (self.shape[0], 1))", "return None"
    )
    done = run(tmp_path, digits, wrong)
    assert done.returncode == 1
    assert "but its only prediction was refused." in done.stdout
    assert "a.npy" in done.stdout
    assert "write it with numpy.save" in done.stdout


def test_the_users_folder_is_the_working_directory_and_stays_clean(tmp_path: Path, digits: Path) -> None:
    (tmp_path / "helper.py").write_text("VALUE = 1\n")
    (tmp_path / "weights.txt").write_text("1")
    done = run(tmp_path, digits, "import helper\nopen('weights.txt').close()\n" + FROM_THE_DOCS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["helper.py", "model.py", "weights.txt"]


def test_nothing_of_the_recorders_stands_between_the_users_lines(tmp_path: Path, digits: Path) -> None:
    done = run(tmp_path, digits, "print('mine')\n" + FROM_THE_DOCS)
    assert "mine\n" in done.stdout
    assert "{" not in done.stdout + done.stderr


def test_the_class_says_what_is_loaded_before_the_go(tmp_path: Path, digits: Path) -> None:
    code = FROM_THE_DOCS.replace("def train(self", "def train(self").replace(
        "self.prior =", "import sys\n        assert 'tensorflow' not in sys.modules\n        self.prior ="
    )
    (tmp_path / "model.py").write_text(code)
    done = alcove_run(tmp_path, digits, "--budget", LONG)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_constructor_is_free_where_that_is_asked_for(tmp_path: Path, digits: Path) -> None:
    out = tmp_path / "kept"
    done = run(tmp_path, digits, FROM_THE_DOCS, "--free-constructor", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "[alcove] Model() returned before the go" in done.stdout
    (manifest,) = out.rglob("manifest.json")
    free_ns = Manifest.model_validate_json(manifest.read_bytes()).free_ns
    assert free_ns is not None
    assert free_ns > 0


def test_a_constructor_that_fails_before_the_go_has_failed_as_any_program(
    tmp_path: Path, digits: Path
) -> None:
    code = FROM_THE_DOCS.replace("self.done_training = False", "raise ValueError('mine')")
    done = run(tmp_path, digits, code, "--free-constructor")
    assert done.returncode == 1
    assert "ValueError: mine" in done.stdout
    assert "Ended: the program failed; its output says why." in done.stdout


def test_several_datasets_run_side_by_side_and_are_told_to_programs(
    tmp_path: Path, digits: Path, waves: Path
) -> None:
    (tmp_path / "model.py").write_text("print('mine')\n" + FROM_THE_DOCS)
    page, out = tmp_path / "report.html", tmp_path / "kept"
    done = alcove_run(
        tmp_path, digits, waves, "--budget", LONG, "--jobs", "2", "--json", "--report", page, "--out", out
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mine" in done.stderr
    runs = json.loads(done.stdout)["runs"]
    assert [run["dataset"] for run in runs] == ["digits", "waves"]
    for found in runs:
        folder = next((out / found["dataset"]).rglob("manifest.json")).parent
        solution = (digits if found["dataset"] == "digits" else waves) / f"{found['dataset']}.solution"
        scored = subprocess.run(
            [sys.executable, "-I", "-m", "alcove_cli.main", "score", "--json", "--budget", LONG,
             "--snapshots", str(folder), "--solution", str(solution)],
            capture_output=True, text=True, timeout=180, check=True,
        )  # fmt: skip
        assert json.loads(scored.stdout).items() <= found.items()
        assert (found["cause"], len(found["points"]), found["refused"]) == ("Finished", 1, [])
        assert set(found["steps"]) == {"start", "run", "seal", "score"}
        assert 0 < found["points"][0]["seconds"] <= found["steps"]["run"] + 0.01
    html = page.read_text()
    assert "digits" in html
    assert "waves" in html


def test_of_several_datasets_one_that_fails_fails_the_command(
    tmp_path: Path, digits: Path, waves: Path
) -> None:
    code = FROM_THE_DOCS.replace("self.prior =", "assert metadata_of_digits(dataset)\n        self.prior =")
    code += "\n\ndef metadata_of_digits(dataset):\n    return 'digits' in str(dataset.path)\n"
    (tmp_path / "model.py").write_text(code)
    done = alcove_run(tmp_path, digits, waves, "--budget", LONG, "--jobs", "1")
    assert done.returncode == 1
    assert re.search(r"^digits +Finished +1 ", done.stdout, re.M)
    assert re.search(r"^waves +ExitCode +0 +- +-$", done.stdout, re.M)
    assert "waves: AssertionError" in done.stdout


def test_a_run_that_is_interrupted_leaves_no_process(tmp_path: Path, digits: Path) -> None:
    started = tmp_path / "started"
    (tmp_path / "model.py").write_text(f"import time\nopen({str(started)!r}, 'w')\ntime.sleep(100)\n")
    command: list[str | Path] = [sys.executable, "-I", "-m", "alcove_cli.main", "run", tmp_path, digits]
    options = ("--budget", "100", "--framework", "numpy", "--out", tmp_path / "kept")
    with subprocess.Popen([*command, *options]) as process:
        wait_until(started.is_file)
        assert len(find_processes(tmp_path)) > 2
        process.send_signal(signal.SIGINT)
        process.wait(timeout=180)
    assert process.returncode == 130
    assert find_processes(tmp_path) == []


def test_a_run_without_a_record_is_a_fault_and_no_wrong_use(
    tmp_path: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recorder refuses to start, as it is not told of which pod it is."""
    monkeypatch.setattr(local_run, "_POD", "")
    monkeypatch.setattr(local_run, "find_supervisor", lambda: Path("/bin/true"))
    (dataset,) = open_datasets([digits], "nauc")
    task = local_run.LocalTask(tmp_path, dataset, tmp_path / "recorded")
    settings = local_run.LocalSettings("numpy", resolve_rules(2.0))
    view = LocalView(Console(file=io.StringIO()), [task], settings.rules)
    with pytest.raises(FaultError, match="left no manifest") as ended:
        local_run.execute(task, settings, view, Event())
    assert exit_status(ended.value) == 3


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
        (("run", "CODE/missing", "DIGITS"), "There is no folder "),
        (
            ("run", "examples/submissions", "DIGITS"),
            "There is one in its folder boosting: submit that folder",
        ),
        (("run", "examples/submissions/chance", "DIGITS", "--framework", "theano"), "'theano' is not one of"),
        (("run", "examples/submissions/chance", "DIGITS", "--scheme", "golf"), "'golf' is not one of"),
        (("run", "examples/submissions/chance", "DIGITS", "DIGITS"), "Two datasets are called digits"),
        (
            ("run", "examples/submissions/chance", "DIGITS", "DIGITS", "--solution", "x"),
            "--solution is of one",
        ),
        (("run", "examples/submissions/chance", "CODE", "--report", "x.html"), "no report can be made"),
        (
            ("run", "examples/submissions/any", "DIGITS", "--command", "./learner", "--free-constructor"),
            "--free-constructor is for a model.py",
        ),
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
