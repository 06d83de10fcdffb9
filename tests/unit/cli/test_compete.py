"""`alcove compete` as its user runs it, with the real recorder, supervisor, runner and scorer."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from functools import reduce
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcove_api.score_documents import CurvePoint, ScoredRun
from alcove_baselines import AnytimeClassifier
from alcove_cli.compete import spread_option
from alcove_cli.compete_board import rank_entrants, tabulate_board
from alcove_cli.compete_plan import Entrant, plan_runs
from alcove_cli.local import open_datasets, read_framework
from alcove_cli.local_run import LocalSettings
from alcove_scorer.curves import resolve_rules
from alcove_scorer.repeats import average_repeats
from alcove_toolkit.practice import make_practice
from tests.unit.cli.conftest import Typed

GUESS = """
import numpy as np
class Model:
    framework = "numpy"
    def __init__(self, metadata):
        self.shape = metadata.test_size, metadata.get_output_size()
    def train(self, dataset, remaining_time_budget=None):
        pass
    def test(self, dataset, remaining_time_budget=None):
        self.done_training = True
        return np.full(self.shape, VALUE)
"""
RULES = resolve_rules(2.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name in ("digits", "waves", "friedman"):
        make_practice(name, folder, examples=60)
    return folder


@pytest.fixture
def codes(tmp_path: Path) -> list[Path]:
    """Two submissions: one guesses, one crashes on waves."""
    for name in ("guess", "crash"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.py").write_text(GUESS.replace("VALUE", "1.0"))
    crash = GUESS.replace("VALUE", "0.0").replace(
        "        pass", "        assert 'digits' in str(dataset.path)"
    )
    (tmp_path / "crash" / "model.py").write_text(crash)
    return [tmp_path / "guess", tmp_path / "crash"]


def scored(alc: float | None, t: float = 1.0) -> ScoredRun:
    return ScoredRun(
        alias="d", dataset="d", attempt=None, cause="Finished" if alc is not None else "ExitCode", alc=alc,
        final_score=alc, snapshots=1, points=(CurvePoint(t=t, score=alc or 0.0),), refused=(), manifest_sha256=None,
    )  # fmt: skip


def compete(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-m", "alcove_cli.main", "compete", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def _supervisor() -> None:
    if not (Path(sys.executable).parent / "alcove-supervisor").exists() and not os.environ.get("CI"):
        pytest.skip("the supervisor is not compiled: make install")


@pytest.mark.usefixtures("_supervisor")
def test_a_whole_competition_ends_with_a_board_and_goes_on_where_it_was(
    tmp_path: Path, data: Path, codes: list[Path]
) -> None:
    out = tmp_path / "out"
    asked = (*codes, "--datasets", data / "digits.data", data / "waves.data", "--budget", 2, "--out", out)
    first = compete(*asked, "--jobs", 2)
    assert first.returncode == 0, first.stdout + first.stderr
    assert re.search(r"^4 of 4  ", first.stdout, re.M)
    assert "crash on waves: ExitCode, no score" in first.stdout
    assert re.search(r"^1 +guess +1\.\d\d +0\.5000 +0\.5000$", first.stdout, re.M)
    assert re.search(r"^2 +crash +1\.\d\d +0\.5000 +-$", first.stdout, re.M)
    assert f"\nLearning curves and pictures: {out}/leaderboard.html\n" in first.stdout
    assert first.stdout.endswith(f"\nWhat each run printed: {out}/runs\n")
    page = (out / "leaderboard.html").read_text()
    assert "guess" in page
    assert "ExitCode" in page
    log = next((out / "runs" / "crash" / "waves").rglob("log.txt")).read_text()
    assert "AssertionError" in log

    again = compete(*asked, "--json")
    assert "4 of 4 runs are done already" in again.stderr
    board = json.loads(again.stdout)
    assert [entry["team"] for entry in board["entries"]] == ["guess", "crash"]

    (codes[1] / "model.py").write_text(GUESS.replace("VALUE", "0.0"))
    changed = compete(*asked)
    assert "2 of 4 runs are done already" in changed.stdout
    assert "crash on waves is run again: its code, dataset or settings have changed." in changed.stdout
    assert "crash on waves: Finished, ALC 0.5000" in changed.stdout


@pytest.mark.usefixtures("_supervisor")
def test_what_was_done_before_an_interruption_stays_done(
    tmp_path: Path, data: Path, codes: list[Path]
) -> None:
    endless = GUESS.replace("        pass", "        import time; time.sleep(1000)").replace("VALUE", "0.0")
    (codes[1] / "model.py").write_text(endless)
    out = tmp_path / "out"
    asked = [*codes, "--datasets", data / "digits.data", "--budget", 1000, "--out", out, "--jobs", 2]
    command = [sys.executable, "-I", "-m", "alcove_cli.main", "compete", *map(str, asked)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert next(process.stdout).startswith("1 of 2  guess on digits: Finished")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert not (out / "leaderboard.html").exists()
    (codes[1] / "model.py").write_text(GUESS.replace("VALUE", "0.0"))
    done = compete(*asked)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 2 runs are done already" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("CODE", "CODE", "--datasets", "DIGITS"), "Two submissions are called guess"),
        (("CODE", "--datasets", "DIGITS", "DIGITS"), "Two datasets are called digits"),
        (("CODE", "--datasets", "DIGITS", "FRIEDMAN", "--metric", "r2"), "labels: no metric scores both"),
        (("CODE", "--datasets", "DIGITS", "FRIEDMAN"), "Of friedman numbers are predicted, of digits labels"),
        (("CODE", "--datasets", "CODE"), "There is no solution beside"),
        (("CODE", "--datasets", "DIGITS", "--framework", "theano"), "'theano' is not one of"),
        (("CODE/..", "--datasets", "DIGITS"), "There is one in its folder"),
        (("CODE",), "Missing option '--datasets'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    data: Path, codes: list[Path], arguments: tuple[str, ...], said: str, alcove: Typed
) -> None:
    paths = {"CODE": codes[0], "DIGITS": data / "digits.data", "FRIEDMAN": data / "friedman.data"}
    filled = [reduce(lambda text, name: text.replace(name, str(paths[name])), paths, a) for a in arguments]
    done = alcove("compete", *filled)
    assert done.returncode == 2
    assert said in done.stderr


@given(st.lists(st.sampled_from(["a", "b", "c"])), st.lists(st.sampled_from(["d", "e"]), min_size=1))
def test_the_option_takes_all_that_follows_it(codes: list[str], datasets: list[str]) -> None:
    spread = spread_option([*codes, "--datasets", *datasets, "--jobs", "2"], "--datasets")
    assert spread == [*codes, *(word for d in datasets for word in ("--datasets", d)), "--jobs", "2"]
    assert spread_option(spread, "--datasets") == spread


def test_the_order_of_the_runs_follows_the_seed(tmp_path: Path, data: Path, codes: list[Path]) -> None:
    entrants = [Entrant(code.name, code, LocalSettings("numpy", RULES)) for code in codes]
    datasets = open_datasets([data / "digits.data", data / "waves.data"], "nauc")
    labels = [[run.label for run in plan_runs(entrants, datasets, 3, seed, tmp_path)] for seed in (0, 0, 1)]
    assert labels[0] == labels[1] != labels[2]
    assert sorted(labels[0]) == sorted(labels[2])
    assert len(set(labels[0])) == 12


def test_a_changed_dataset_or_setting_asks_for_another_run(
    tmp_path: Path, data: Path, codes: list[Path]
) -> None:
    def digests(*entrants: Entrant) -> set[str]:
        datasets = open_datasets([data / "digits.data"], "nauc")
        return {run.inputs_sha256 for run in plan_runs(entrants, datasets, 2, 0, tmp_path)}

    one = Entrant("one", codes[0], LocalSettings("numpy", RULES))
    same = digests(one)
    assert len(same) == 1
    for settings in (
        LocalSettings("tensorflow", RULES),
        LocalSettings("numpy", resolve_rules(3.0)),
        LocalSettings("numpy", resolve_rules(2.0, "autodl")),
    ):
        assert digests(Entrant("one", codes[0], settings)).isdisjoint(same)
    solution = data / "digits.solution"
    original = solution.read_bytes()
    try:
        solution.write_bytes(original.replace(b"1", b"0", 1))
        assert digests(one).isdisjoint(same)
    finally:
        solution.write_bytes(original)


def test_repeats_count_by_their_mean_and_show_the_middle_one() -> None:
    found = average_repeats([scored(0.9, 3.0), scored(0.5, 1.0), scored(0.7, 2.0)])
    assert found.alc == pytest.approx(0.7)
    assert [point.t for point in found.points] == [2.0]
    assert average_repeats([scored(0.9), scored(None)]).alc is None


def test_the_table_fits_the_terminal_and_says_ties() -> None:
    datasets = ["characters", "waves", "docstrings", "digits", "moving-digits", "vowels"]
    runs = {
        name: [scored(alc).model_copy(update={"alias": alias, "dataset": alias}) for alias in datasets]
        for name, alc in (("a-long-name-of-a-submission", 0.5), ("b", 0.5), ("c", None))
    }
    board = rank_entrants(runs, datasets, "hackathon", RULES, "title")
    for width in (80, 120):
        lines = tabulate_board(board, width)
        assert max(map(len, lines)) <= width
        assert all(any(alias.upper() in line for line in lines) for alias in datasets)
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["1=", "a-long-name-of-a-submission"], ["1=", "b"], ["3", "c"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "framework"),
    [
        ('framework = "numpy"', "numpy"),
        ('framework: str = "numpy"', "numpy"),
        ('framework = "tensorflow"', "tensorflow"),
        ("pass", "tensorflow"),
        ("framework = choose()", "tensorflow"),
        ("framework = (", "tensorflow"),
    ],
)
def test_the_framework_is_read_without_running_the_code(tmp_path: Path, line: str, framework: str) -> None:
    (tmp_path / "model.py").write_text(f"raise SystemExit\nclass Model:\n    '''Text.'''\n    {line}\n")
    assert read_framework(tmp_path) == framework


@pytest.mark.parametrize(
    ("bases", "framework"), [("Base", "numpy"), ("Other, Base", "tensorflow"), ("Loop", "tensorflow")]
)
def test_a_framework_is_inherited_as_python_would(tmp_path: Path, bases: str, framework: str) -> None:
    classes = "class Base:\n    framework = 'numpy'\nclass Other:\n    framework = 'tensorflow'\n"
    classes += "class Loop(Loop): pass\n"
    (tmp_path / "model.py").write_text(f"{classes}class Model({bases}):\n    pass\n")
    assert read_framework(tmp_path) == framework


def test_our_baselines_are_known_to_use_numpy(tmp_path: Path) -> None:
    code = (
        "from alcove_baselines import AnytimeClassifier as A\nclass Base(A): pass\nclass Model(Base): pass\n"
    )
    (tmp_path / "model.py").write_text(code)
    assert read_framework(tmp_path) == AnytimeClassifier.framework == "numpy"
