"""Whatever lies in the files and stands in the options: an answer, or exit status 2 and one line. Never a traceback."""

from __future__ import annotations

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import Result

from alcove_scorer.ranks import METHODS

from .commands import alcove

SOLUTION = b"1 0\n0 1\n1 0\n0 1\n"
GOOD = b"0.9 0.1\n0.2 0.8\n0.7 0.3\n0.4 0.6\n"
numbers = st.floats() | st.sampled_from([0.0, -1.0, 1e-320, 1e-9, 1e9, 1e308, math.inf, math.nan])
cells = st.sampled_from(
    ["a.predict", "b.npy", "file", "seconds", "repeat", "x", "y", "1", "0", "-1", "1e400", "nan", "1_0", "", " ", "..",
     "times.csv", "a" * 300, "a" * 140_000, "9" * 5000, "\u0661", "\x1b[31m", "a\u2028b", "\ufeff", "\x00", "é"]
) | st.text(max_size=8)  # fmt: skip
tables = st.lists(st.lists(cells, max_size=4), max_size=5).map(
    lambda rows: "\n".join(",".join(row) for row in rows).encode("utf-8", "surrogatepass")
)
damaged = st.binary(max_size=80) | tables
endings = st.sampled_from([b"\n", b"\r\n", b"\r"])


def numbers_of(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for each in value.values() for number in numbers_of(each)]
    if isinstance(value, list):
        return [number for each in value for number in numbers_of(each)]
    return [value] if isinstance(value, float) else []


def answer_or_one_line(result: Result) -> dict[str, Any] | None:
    """The JSON of a command that answered."""
    if result.exit_code == 2:
        assert result.stdout == ""
        assert len(result.stderr.splitlines()) == 1
        assert len(result.stderr) < 600
        return None
    assert result.exit_code in (0, 1), result.exception
    assert result.stderr == ""
    document: dict[str, Any] = json.loads(result.stdout)
    # 1 says that nothing counts, and nothing else may end with it: a traceback would.
    assert (result.exit_code == 1) == ("alc" in document and document["alc"] is None)
    assert all(math.isfinite(number) for number in numbers_of(document))
    return document


def score(folder: Path, *options: object) -> dict[str, Any] | None:
    where = ("--solution", folder / "solution", "--snapshots", folder)
    return answer_or_one_line(alcove("score", *where, *options, "--json"))


def filled(folder: str, times: bytes, solution: bytes = SOLUTION, prediction: bytes = GOOD) -> Path:
    path = Path(folder)
    (path / "solution").write_bytes(solution)
    (path / "times.csv").write_bytes(times)
    (path / "a.predict").write_bytes(prediction)
    (path / "b.npy").write_bytes(prediction)
    return path


@given(damaged, endings, st.booleans())
@example(b"file,seconds\na.predict,1e308", b"\n", True)
@example(b'file,seconds\n"a.predict,1', b"\n", False)
@example(b"file,seconds\na.predict,1\xff", b"\n", False)
@example(b"file,seconds\n" + b"a" * 5000 + b",1", b"\n", False)
def test_any_list_of_times(times: bytes, ending: bytes, bom: bool) -> None:
    with TemporaryDirectory() as folder:
        data = (b"\xef\xbb\xbf" if bom else b"") + times.replace(b"\n", ending)
        score(filled(folder, data), "--budget", 10)


@settings(max_examples=40)
@given(damaged, damaged, st.sampled_from(["hackathon", "autodl"]))
@example(b"\x1c", b"", "hackathon")
def test_any_solution_and_any_prediction(solution: bytes, prediction: bytes, scheme: str) -> None:
    times = b"file,seconds\na.predict,1\nb.npy,2\n"
    with TemporaryDirectory() as folder:
        score(filled(folder, times, solution, GOOD), "--budget", 10, "--scheme", scheme)
        got = score(filled(folder, times, SOLUTION, prediction), "--budget", 10, "--scheme", scheme)
        assert got is not None
        assert len(got["points"]) + len(got["refused"]) == 2
        assert (got["alc"] is None) == (not got["points"])


@given(numbers, numbers, st.floats(0, allow_infinity=False), st.sampled_from(["hackathon", "autodl"]))
@example(10.0, 1e-320, 1.0, "hackathon")
@example(1e-9, 1e9, 1e-9, "autodl")
def test_any_budget_t0_and_time(budget: float, t0: float, seconds: float, scheme: str) -> None:
    with TemporaryDirectory() as folder:
        path = filled(folder, f"file,seconds\na.predict,{seconds!r}\n".encode())
        got = score(path, "--budget", budget, "--t0", t0, "--scheme", scheme)
    if got is not None:
        assert got["alc"] is None or -1 <= got["alc"] <= 1
        assert all(0 <= point["x"] <= 1 for point in got["points"])


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(["records", "seq", "t_ns", "budget_ns"]), inner)))  # fmt: skip
def test_any_manifest(value: object) -> None:
    with TemporaryDirectory() as folder:
        path = filled(folder, b"")
        (path / "times.csv").unlink()
        (path / "manifest.json").write_text(json.dumps(value))
        assert score(path, "--budget", 10) is None


@pytest.mark.parametrize("field", ["seq", "t_ns", "seen_ns"])
@pytest.mark.parametrize("value", [-1, 10**400])
def test_impossible_numbers_in_a_manifest(tmp_path: Path, field: str, value: int) -> None:
    record = {"seq": 0, "name": "a", "kind": "npy", "seen_ns": 1, "t_ns": 2, "sha256": "0" * 64, "bytes": 1,
              "previous": None, field: value}  # fmt: skip
    manifest = {"submission_uid": "u", "alias": "a", "attempt": 1, "pod_uid": "p", "budget_ns": 1, "go_at": None,
                "boot_id": "", "end": {"cause": "finished", "ended_ns": 1}, "overshoot_ns": 0, "head": None,
                "records": [record]}  # fmt: skip
    path = filled(str(tmp_path), b"")
    (path / "times.csv").unlink()
    (path / "manifest.json").write_text(json.dumps(manifest))
    assert score(path, "--budget", 10) is None


@settings(max_examples=60)
@given(damaged, endings, st.sampled_from(METHODS), st.booleans())
@example(b"who,repeat,a\nx,1,1e100\nx,2,-1e100\ny,1,1e100\ny,2,", b"\n", "mean-minus-std", False)
@example(b"who,a,b\nx,-1e100,1e100\ny,1e-300,0", b"\n", "relative", False)
@example(b"who,,b\nx,1,2", b"\n", "average", False)
@example(b"who," + b"9" * 5000, b"\n", "average", False)
def test_any_table_of_scores(table: bytes, ending: bytes, method: str, bom: bool) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + table.replace(b"\n", ending))
        options = ["--method", method, "--intervals", "20", "--json"]
        if method == "relative":
            options += ["--baseline", "x"]
        answer_or_one_line(alcove("rank", path, *options))


@settings(max_examples=40)
@given(numbers, numbers, st.integers(-2, 50), st.integers(-1))
def test_any_option_of_rank(alpha: float, penalty: float, intervals: int, seed: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_text("who,repeat,a,b\nx,1,1,0\nx,2,0.5,-1\ny,1,0,\ny,2,0,0\nz,1,1,1\n")
        options = {"--alpha": alpha, "--penalty": penalty, "--intervals": intervals, "--seed": seed}
        pairs = [f"{name}={value}" for name, value in options.items()]
        answer_or_one_line(alcove("rank", path, "--method", "mean-minus-std", *pairs, "--json"))


@pytest.mark.parametrize("name", ["solution", "times.csv", "a.predict"])
def test_a_folder_in_the_place_of_a_file(tmp_path: Path, name: str) -> None:
    path = filled(str(tmp_path), b"file,seconds\na.predict,1\n")
    (path / name).unlink()
    (path / name).mkdir()
    assert score(path, "--budget", 10) is None


def test_names_that_a_terminal_would_obey_are_shown_escaped(tmp_path: Path) -> None:
    name = "\x1b[2Jx.predict"
    path = filled(str(tmp_path), f"file,seconds\n{name},1\n".encode())
    (path / name).write_bytes(GOOD)
    shown = alcove("score", "--solution", path / "solution", "--snapshots", path, "--budget", 10).stdout
    assert "\x1b" not in shown
    assert "'\\x1b[2Jx.predict'" in shown
    (path / "t.csv").write_text("who,a\n\x1b[2Jx,1\n\ny,2\n")
    assert "\x1b" not in alcove("rank", path / "t.csv").stdout


def test_one_example_and_one_label(tmp_path: Path) -> None:
    path = filled(str(tmp_path), b"file,seconds\na.predict,1\n", b"1 0\n", b"0.5 0.25\n")
    refused = alcove("score", "--solution", path / "solution", "--snapshots", path, "--budget", 10)
    assert refused.exit_code == 2
    assert f"{path / 'solution'}: no label of the solution has both classes" in refused.stderr
    (path / "times.csv").write_text("file,seconds\n")
    assert score(path, "--budget", 10) is None, "without a prediction too"
    column = filled(str(tmp_path), b"file,seconds\na.predict,1\n", b"1\n0\n", b"0.5\n0.25\n")
    got = score(column, "--budget", 10)
    assert got is not None
    assert got["final_score"] == 1.0
    np.save(tmp_path / "solution.npy", np.array([[1], [0]]))
    (tmp_path / "solution").write_bytes((tmp_path / "solution.npy").read_bytes())
    assert score(tmp_path, "--budget", 10) == got
