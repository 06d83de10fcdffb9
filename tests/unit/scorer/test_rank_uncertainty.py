"""``alcove rank --uncertainty``: what is resampled, what is claimed, and what is refused."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import typer
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from typer.testing import CliRunner, Result

from alcove_scorer import run_files
from alcove_scorer.cli import rank_command
from alcove_scorer.curves import resolve_rules
from alcove_scorer.example_files import resample_folder
from alcove_scorer.nested_bootstrap import Table
from alcove_scorer.rank_intervals import find_value_intervals
from alcove_scorer.rank_uncertainty import count_freedom_of_runs, measure_uncertainty, shrink_scores
from alcove_scorer.ranks import rank_participants
from alcove_scorer.run_files import score_files

app = typer.Typer()
app.command("rank")(rank_command)
app.callback()(lambda: None)
BUDGET = 60.0


def rank(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["rank", *map(str, arguments)])


def ranked(*arguments: object) -> dict[str, Any]:
    done = rank(*arguments, "--json")
    assert done.exit_code == 0, done.output
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two datasets, three participants: two alike, one far better. The table has the scores of the predictions."""
    root = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(4)
    rows = []
    for name in ("news", "digits"):
        solution = rng.permutation(np.arange(120) % 2 == 0)
        (root / f"{name}.solution").write_text("".join(f"{int(v)} {int(not v)}\n" for v in solution))
    for who, accuracy in (("good", 0.95), ("fair", 0.7), ("alike", 0.7)):
        scores = []
        for name in ("news", "digits"):
            run = root / who / name
            run.mkdir(parents=True)
            truth = np.loadtxt(root / f"{name}.solution") > 0
            wrong = rng.random((120, 1)) > accuracy
            np.save(run / "1.npy", (truth ^ wrong).astype(np.float32))
            (run / "times.csv").write_text("file,seconds\n1.npy,2.5\n")
            alc = score_files(root / f"{name}.solution", run, resolve_rules(BUDGET))[1].alc
            scores.append(f"{alc:.9f}")
        rows.append(",".join((who, *scores)))
    (root / "table.csv").write_text("who,news,digits\n" + "\n".join(rows) + "\n")
    return root


def test_test_examples_tell_apart_what_two_datasets_do_not(folder: Path) -> None:
    table = folder / "table.csv"
    found = ranked(
        table, "--uncertainty", "examples", "--predictions", folder, "--budget", BUDGET, "--intervals", 200
    )
    assert [entry["interval"] for entry in found["entries"]] == [[1.0, 1.0], [2.0, 3.0], [2.0, 3.0]]
    assert found["uncertainty"]["places"].startswith("With other test examples of these datasets, good")
    mean = found["entries"][0]["mean_score"]
    assert mean["low"] < mean["mean"] < mean["high"]
    # A standard error of about √(p(1 − p)/240), times what of the curve is at that score.
    assert 0.02 < mean["high"] - mean["low"] < 0.08
    by_datasets = ranked(table)
    assert [entry["interval"] for entry in by_datasets["entries"]] == [[1.0, 3.0]] * 3
    assert "tell no two places apart" in by_datasets["uncertainty"]["places"]


def write_repeated_runs(root: Path) -> tuple[Path, npt.NDArray[np.float64]]:
    """Three participants on six datasets, each run twice: a folder with the predictions, and the table's scores."""
    rng, datasets = np.random.default_rng(6), [f"set{i}" for i in range(6)]
    scores, lines = np.empty((3, 6, 2)), ["who,repeat," + ",".join(datasets)]
    for column, dataset in enumerate(datasets):
        truth = rng.permutation(np.arange(60) % 2 == 0)[:, None] ^ np.array([False, True])
        np.savetxt(root / f"{dataset}.solution", truth, "%d")
        for row, accuracy in enumerate((0.9, 0.8, 0.7)):
            for repeat in range(2):
                run = root / f"p{row}" / (f"{dataset}.2" if repeat else dataset)
                run.mkdir(parents=True)
                np.save(run / "1.npy", (truth ^ (rng.random((60, 1)) > accuracy)).astype(np.float32))
                (run / "times.csv").write_text("file,seconds\n1.npy,2.5\n")
                outcome = score_files(root / f"{dataset}.solution", run, resolve_rules(BUDGET))[1]
                scores[row, column, repeat] = outcome.alc or 0
    for row in range(3):
        lines += [f"p{row},{n}," + ",".join(f"{s:.9f}" for s in scores[row, :, n]) for n in range(2)]
    (root / "table.csv").write_text("\n".join(lines) + "\n")
    return root / "table.csv", scores


def test_datasets_runs_and_examples_are_resampled_together(tmp_path: Path) -> None:
    table, scores = write_repeated_runs(tmp_path)
    options = ("--uncertainty", "all", "--predictions", tmp_path, "--budget", BUDGET, "--intervals", 50)
    found = ranked(table, *options)
    assert set(found["uncertainty"]["shares"]) == {"runs", "examples", "datasets"}
    assert sum(found["uncertainty"]["shares"].values()) == pytest.approx(1)
    rules, names = resolve_rules(BUDGET), (("p0",), ("set0",))
    cell = scores[:1, :1]
    both = resample_folder(tmp_path, *names, cell, 1.0, rules, 40, 3)
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "p0" / "set0.2", other / "p0" / "set0")
    shutil.copy(tmp_path / "set0.solution", other)
    apart = [
        resample_folder(root, *names, cell[:, :, [n]], 1.0, rules, 40, 3)
        for n, root in enumerate((tmp_path, other))
    ]
    # Of two numbers, mean less standard deviation is the smaller one.
    areas = [resampled.examples for resampled in (both, *apart)]
    assert areas[0] == pytest.approx(np.min(np.stack([a for a in areas[1:] if a is not None]), axis=0))
    shutil.move(tmp_path / "p1" / "set3.2", tmp_path / "p1" / "set3.3")
    assert str(tmp_path / "p1" / "set3.2") in rank(table, *options).stderr
    shutil.copytree(tmp_path / "p2" / "set3", tmp_path / "p1" / "set3.2")
    done = rank(table, *options)
    assert done.exit_code == 2
    assert f"the table's score {scores[1, 3, 1]:.6f} of 'p1' on 'set3', repeat 2" in done.stderr


def test_examples_are_drawn_of_numbers_to_predict_with_the_competitions_metric_and_t0(tmp_path: Path) -> None:
    rng, rules = np.random.default_rng(0), resolve_rules(60, metric_name="r2", t0=20)
    truth = rng.normal(size=(90, 1))
    np.savetxt(tmp_path / "size.solution", truth)
    lines = ["who,size"]
    for who, noise in (("near", 0.2), ("far", 0.9)):
        run = tmp_path / who / "size"
        run.mkdir(parents=True)
        np.save(run / "1.npy", truth + rng.normal(0, noise, truth.shape))
        (run / "times.csv").write_text("file,seconds\n1.npy,2.5\n")
        lines.append(f"{who},{score_files(tmp_path / 'size.solution', run, rules)[1].alc:.9f}")
    table = tmp_path / "table.csv"
    table.write_text("\n".join(lines) + "\n")
    options = ("--uncertainty", "examples", "--predictions", tmp_path, "--budget", 60, "--intervals", 50)
    found = ranked(table, *options, "--metric", "r2", "--t0", 20)
    assert [entry["interval"] for entry in found["entries"]] == [[1.0, 1.0], [2.0, 2.0]]
    assert "metric and t0 right?" in rank(table, *options, "--metric", "mae", "--t0", 20).stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--uncertainty", "examples"], "expected --predictions"),
        (["--uncertainty", "runs"], "a column repeat"),
        (["--uncertainty", "all"], "a column repeat, or --predictions"),
        (["--uncertainty", "luck"], "expected one of: datasets, runs, examples, all"),
        (["--predictions", "{}", "--budget", "60"], "expected --uncertainty examples or all"),
        (["--uncertainty", "examples", "--predictions", "{}"], "expected both, or neither"),
        (
            ["--uncertainty", "examples", "--predictions", "{}", "--budget", "9000"],
            "Are budget, scheme, metric and t0 right?",
        ),
        (["--uncertainty", "examples", "--predictions", "{}/good", "--budget", "60"], "news.solution"),
        (["--uncertainty", "all", "--method", "copeland"], "a column repeat, or --predictions"),
        (
            ["--uncertainty", "examples", "--predictions", "{}", "--budget", "60", "--method", "copeland"],
            "no mean",
        ),
    ],
)
def test_what_cannot_be_resampled_is_said_in_one_line(folder: Path, options: list[str], said: str) -> None:
    done = rank(folder / "table.csv", *(option.format(folder) for option in options), "--intervals", 20)
    assert done.exit_code == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def write_repeats(path: Path, spread: float, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    lines = ["who,repeat,a,b,c,d,e,f"]
    for i, who in enumerate(("one", "two", "three")):
        for repeat in range(4):
            scores = 0.3 + 0.1 * i + 0.02 * np.arange(6) + rng.normal(0, spread, 6)
            lines.append(f"{who},{repeat}," + ",".join(f"{s:.6f}" for s in scores))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_runs_that_differ_little_are_sure_and_runs_that_differ_much_are_not(tmp_path: Path) -> None:
    quiet = ranked(write_repeats(tmp_path / "a.csv", 0.001), "--uncertainty", "runs", "--intervals", 200)
    noisy = ranked(write_repeats(tmp_path / "b.csv", 0.9), "--uncertainty", "runs", "--intervals", 200)
    assert [e["interval"] for e in quiet["entries"]] == [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]
    assert all(e["interval"] == [1.0, 3.0] for e in noisy["entries"])


def test_all_says_where_the_variance_comes_from(tmp_path: Path) -> None:
    file = write_repeats(tmp_path / "a.csv", 0.05)
    found = ranked(file, "--uncertainty", "all", "--intervals", 300)
    shares = found["uncertainty"]["shares"]
    assert set(shares) == {"runs", "datasets"}
    assert sum(shares.values()) == pytest.approx(1)
    # Of a dataset's mean, runs have 0.05²/4 and datasets 0.02² · var(0 … 5).
    assert shares["runs"] == pytest.approx(0.05**2 / 4 / (0.05**2 / 4 + 0.02**2 * 3.5), abs=0.2)
    assert "The variance of mean scores comes from: runs" in rank(file, "--uncertainty", "all").stdout
    # What runs add to the spread is in that of the datasets already, and is not counted twice.
    assert [e["interval"] for e in found["entries"]] == [e["interval"] for e in ranked(file)["entries"]]


def write_unlike_runs(root: Path, *, hard_examples: bool) -> Path:
    """Two participants on six datasets, four runs each. Runs err on the same hard examples, or each on its own."""
    rng, datasets = np.random.default_rng(1), [f"set{i}" for i in range(6)]
    lines = ["who,repeat," + ",".join(datasets)]
    scores = np.empty((2, 4, 6))
    for column, dataset in enumerate(datasets):
        truth = rng.permutation(np.arange(200) % 2 == 0)[:, None] ^ np.array([False, True])
        np.savetxt(root / f"{dataset}.solution", truth, "%d")
        hard = rng.random((200, 1)) < 0.3
        for row, repeat in np.ndindex(2, 4):
            wrong = hard if hard_examples else rng.random((200, 1)) < 0.3
            run = root / f"p{row}" / (f"{dataset}.{repeat + 1}" if repeat else dataset)
            run.mkdir(parents=True)
            np.save(run / "1.npy", (truth ^ wrong).astype(np.float32))
            (run / "times.csv").write_text("file,seconds\n1.npy,0\n")
            outcome = score_files(root / f"{dataset}.solution", run, resolve_rules(BUDGET))[1]
            scores[row, repeat, column] = outcome.alc or 0
    for row, repeat in np.ndindex(2, 4):
        lines.append(f"p{row},{repeat}," + ",".join(f"{s:.9f}" for s in scores[row, repeat]))
    (root / "table.csv").write_text("\n".join(lines) + "\n")
    return root / "table.csv"


@pytest.mark.parametrize("hard_examples", [True, False])
def test_no_variance_is_in_the_shares_of_both_runs_and_examples(tmp_path: Path, hard_examples: bool) -> None:
    """With runs that err each on its own examples, another test set changes no more than another run does."""
    table = write_unlike_runs(tmp_path, hard_examples=hard_examples)
    options = ("--uncertainty", "all", "--predictions", tmp_path, "--budget", BUDGET, "--intervals", 200)
    shares = ranked(table, *options)["uncertainty"]["shares"]
    if hard_examples:
        assert shares["runs"] == pytest.approx(0)
        assert shares["examples"] > 0.4
    else:
        assert shares["examples"] < 0.1
        assert shares["runs"] > 0.4


@given(hnp.arrays(np.float64, (1, 2, 4), elements=st.floats(-3, 3)))
def test_on_two_datasets_the_degrees_of_freedom_are_scipys_of_welch(repeats: npt.NDArray[np.float64]) -> None:
    assume((np.ptp(repeats, axis=2) > 1e-3).all())
    found = stats.ttest_ind(repeats[0, 0], repeats[0, 1], equal_var=False).df
    assert count_freedom_of_runs(repeats) == pytest.approx([found])


def test_the_interval_of_a_mean_holds_where_runs_differ_more_on_one_dataset() -> None:
    """4,000 participants with three repeats on ten datasets, on one of which runs differ six times as much."""
    deviations = np.ones(10)
    deviations[3] = 6
    repeats = np.random.default_rng(0).normal(0, deviations[:, None], (4000, 10, 3))
    scores = repeats.mean(axis=2)
    errors = np.sqrt((repeats.var(axis=2, ddof=1) / 3).sum(axis=1)) / 10
    shares = {}
    for name, freedom in (("counted", count_freedom_of_runs(repeats)), ("all alike", 20.0)):
        low, high = find_value_intervals(scores.mean(axis=1), errors, freedom).T
        shares[name] = float(((low <= 0) & (high >= 0)).mean())
    assert shares["counted"] == pytest.approx(0.95, abs=0.02)
    assert shares["all alike"] < 0.9
    # Of equal variances there are all 10 · 2; of one that is far the largest, its own 2.
    assert count_freedom_of_runs(np.tile([0.0, 1.0, 2.0], (1, 10, 1))) == pytest.approx(20)
    assert count_freedom_of_runs(np.array([[[0.0, 1.0, 2.0], [0.0, 1e5, 2e5]]])) == pytest.approx(2)


def test_the_errors_of_means_over_runs_are_those_of_the_textbook() -> None:
    rng = np.random.default_rng(2)
    repeats = rng.normal(0, 1, (2, 5, 6))
    scores = repeats.mean(axis=2)
    found = measure_uncertainty(
        Table(repeats, 0.0),
        "runs",
        rank_participants(scores),
        lambda *_: None,
        4000,
        1,
    )
    # Of the mean of five means of six runs each.
    errors = np.sqrt((repeats.var(axis=2, ddof=1) / 6).sum(axis=1) / 25)
    reach = (found.means[:, 2] - found.means[:, 1]) / 2
    assert reach == pytest.approx(2.0595 * errors, rel=0.05)  # Student's with 25 degrees of freedom


def test_a_missing_repeat_leaves_no_mean(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("who,repeat,a,b\none,0,0.5,0.5\none,1,0.6,\ntwo,0,0.4,0.4\ntwo,1,0.3,0.3\n")
    entries = {
        e["participant"]: e for e in ranked(file, "--uncertainty", "runs", "--intervals", 50)["entries"]
    }
    assert entries["one"]["mean_score"] == {"mean": None, "low": None, "high": None}
    assert entries["two"]["mean_score"]["mean"] == pytest.approx(0.35)


def test_snapshots_are_read_one_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all the pieces that are read, none is held: each reader is at its end before the next is opened."""
    opened: list[io.BytesIO] = []
    read = run_files.read_pieces

    def watch(path: Path, sha256: str | None) -> Any:
        assert all(file.closed for file in opened)
        opened.append(io.BytesIO())
        yield from read(path, sha256)
        opened[-1].close()

    monkeypatch.setattr("alcove_scorer.example_files.read_pieces", watch)
    options = ("--predictions", folder, "--budget", BUDGET, "--intervals", 20)
    ranked(folder / "table.csv", "--uncertainty", "examples", *options)
    assert len(opened) == 6


def test_scores_are_moved_together_by_the_share_that_noise_has() -> None:
    scores = np.array([[0.2, 0.5], [0.4, 0.5], [0.6, np.nan]])
    # The variance of the first column is 0.04, of which noise has a quarter; the second differs by nothing.
    got = shrink_scores(scores, np.full((3, 2), 0.01))
    assert got[:, 0] == pytest.approx([0.25, 0.4, 0.55])
    assert got[:2, 1].tolist() == [0.5, 0.5]
    assert np.isnan(got[2, 1])
    assert shrink_scores(scores, np.full((3, 2), 1.0))[:, 0] == pytest.approx([0.4] * 3)


@pytest.mark.parametrize("runs", [3, 5])
def test_equal_runs_are_told_apart_as_often_as_promised(runs: int) -> None:
    rng, held = np.random.default_rng(8), 0
    for seed in range(400):
        repeats = rng.normal(0, 0.5, (6, 8, runs))
        scores = repeats.mean(axis=2)
        ranking = rank_participants(scores)
        found = measure_uncertainty(Table(repeats, 0.0), "runs", ranking, lambda *_: None, 200, seed)
        held += int((found.ranks == [1, 6]).all(axis=1).sum())
    # Resampling around the scores themselves holds about 85 %; with variances of ranks put right, and not those of
    # scores, more than 98 %.
    assert 0.93 < held / 2400 < 0.97


def test_runs_tell_participants_apart_on_a_single_dataset() -> None:
    repeats = np.array([0.9, 0.5, 0.1])[:, None, None] + np.random.default_rng(0).normal(0, 0.01, (3, 1, 20))
    ranking = rank_participants(repeats.mean(axis=2))
    found = measure_uncertainty(Table(repeats, 0.0), "runs", ranking, lambda *_: None, 100, 0)
    assert found.ranks.tolist() == [[1, 1], [2, 2], [3, 3]]


def test_a_snapshot_that_is_refused_for_its_score_counts_for_nothing_on_some_rows_either(
    tmp_path: Path,
) -> None:
    """One wild number spoils the score on all rows, and is not among the rows of a third of the resamples."""
    truth = np.random.default_rng(0).normal(size=(30, 1))
    np.savetxt(tmp_path / "a.solution", truth)
    run, rules = tmp_path / "p" / "a", resolve_rules(60, metric_name="r2")
    run.mkdir(parents=True)
    np.save(run / "0.npy", truth + 0.1)
    (run / "times.csv").write_text("file,seconds\n0.npy,1\n")
    names, alc = (("p",), ("a",)), score_files(tmp_path / "a.solution", run, rules)[1].alc
    assert alc is not None
    cell = np.full((1, 1, 1), alc)
    alone = resample_folder(tmp_path, *names, cell, 0.0, rules, 40, 0)
    (run / "1.predict").write_text("1e120\n" + "0\n" * 29)
    (run / "times.csv").write_text("file,seconds\n0.npy,1\n1.predict,20\n")
    beside = resample_folder(tmp_path, *names, cell, 0.0, rules, 40, 0)
    assert beside.examples is not None
    assert alone.examples is not None
    assert beside.examples == pytest.approx(alone.examples)
