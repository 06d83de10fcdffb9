"""``alcove rank``: what it prints, and which tables it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.scorer.commands import alcove, document, refusal

DATA = Path(__file__).parent / "data"


def test_rank_reproduces_scipy_on_the_reference() -> None:
    from scipy import stats

    got = document("rank", DATA / "autodl_alc_20x15.csv", "--intervals", 50, "--seed", 3)
    assert [e["participant"] for e in got["entries"][:2]] == ["DeepWisdom", "DeepBlueAI"]
    assert set(got["entries"][0]) == {
        "participant",
        "rank",
        "tied",
        "value",
        "ranks",
        "scores",
        "interval",
        "mean_score",
    }
    scores = np.loadtxt(DATA / "autodl_alc_20x15.csv", delimiter=",", skiprows=1, usecols=range(1, 16))
    oracle = stats.friedmanchisquare(*scores)
    assert (got["friedman"]["chi2"], got["friedman"]["p"]) == pytest.approx((oracle.statistic, oracle.pvalue))
    assert got["critical_difference"] == {"alpha": 0.05, "cd": pytest.approx(7.6, abs=0.1)}
    assert 0 < got["kendall_w"] < 1


def test_what_it_prints_fits_80_columns(tmp_path: Path) -> None:
    table = tmp_path / "wide.csv"
    datasets = ",".join(f"a-dataset-with-a-long-name-{i}" for i in range(20))
    rows = [f"a-participant-whose-name-is-rather-long-{i}," + ",".join([f"0.{i}"] * 20) for i in range(5)]
    table.write_text("\n".join([f"who,{datasets}", *rows]))
    for file in (DATA / "autodl_alc_20x15.csv", table):
        done = alcove("rank", file, "--intervals", 50)
        assert done.exit_code == 0
        assert max(map(len, done.stdout.splitlines())) <= 80


def test_rank_with_repeats_missing_cells_and_a_baseline(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("who,repeat,d1,d2\nsteady,1,0.5,0.5\nwild,1,1,0\nsteady,2,0.5,0.5\nwild,2,0.2,\n")
    got = document("rank", table, "--method", "mean-minus-std", "--penalty", 1)
    assert [(e["participant"], e["ranks"]) for e in got["entries"]] == [
        ("steady", {"d1": 1.0, "d2": 1.0}),
        ("wild", {"d1": 2.0, "d2": 2.0}),
    ]
    got = document("rank", table, "--method", "relative", "--baseline", "steady", "--intervals", 0)
    assert [(e["participant"], e["value"], e["interval"]) for e in got["entries"]] == [
        ("steady", 1.0, None),
        ("wild", None, None),
    ]


def test_a_mean_minus_a_standard_deviation_over_repeats(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("who,repeat,d\nsteady,1,0.5\nwild,1,0.2\nonce,1,0.9\nsteady,2,0.5\nwild,2,1.0\n")
    for penalty, order in ((0, ["wild", "steady", "once"]), (0.5, ["steady", "wild", "once"])):
        got = document("rank", table, "--method", "mean-minus-std", "--penalty", penalty)["entries"]
        assert [entry["participant"] for entry in got] == order
        scores = {entry["participant"]: entry["scores"]["d"] for entry in got}
        assert scores["wild"] == pytest.approx(0.6 - penalty * np.std([0.2, 1.0]))
        # Whoever has fewer repeats than others crashed in one of them.
        assert scores["once"] is None


@pytest.mark.parametrize("method", ["average", "copeland", "mean-minus-std", "relative"])
def test_a_crash_a_zero_and_a_negative_score_are_three_things(tmp_path: Path, method: str) -> None:
    table = tmp_path / "t.csv"
    table.write_text("who,d1,d2\ncrash,0,\nzero,0,0\nnegative,0,-0.5\nbest,0.1,0.5\n")
    options = ("--method", method, "--baseline", "zero")
    got = {entry["participant"]: entry for entry in document("rank", table, *options)["entries"]}
    assert {name: entry["scores"]["d2"] for name, entry in got.items()} == {
        "crash": None, "zero": 0.0, "negative": -0.5, "best": 0.5,
    }  # fmt: skip
    assert {name: entry["ranks"]["d2"] for name, entry in got.items()} == {
        "crash": 4, "zero": 2, "negative": 3, "best": 1,
    }  # fmt: skip
    assert [got[name]["rank"] for name in ("best", "zero", "negative", "crash")] == [1, 2, 3, 4]
    shown = alcove("rank", table, *options).stdout
    assert shown.count("(no run)") == 1


@pytest.mark.parametrize(
    "table",
    [
        "who,d 1\nx,1\ny,2\n",
        '\ufeff"who", "d 1"\r\n"x", "1"\r\n\r\ny , 2',
        "who\t,d 1\rx,1\ry,2\r",
    ],
)
def test_tables_as_people_and_spreadsheets_write_them(tmp_path: Path, table: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(table.encode())
    got = document("rank", path, "--intervals", 0)["entries"]
    assert [(entry["participant"], entry["scores"]) for entry in got] == [
        ("y", {"d 1": 2.0}),
        ("x", {"d 1": 1.0}),
    ]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "row 1: expected a header"),
        ("who\nx\n", "row 1: expected a header"),
        ("who,d,d\nx,1,2\n", "row 1: expected a header"),
        ("who,d\n", "row 2: expected at least one participant"),
        ("who,d\nx,1\ny\n", "row 3: expected 2 columns; got 1"),
        ("who,d\nx,1\nx,2\n", "row 3, column who: expected each participant once"),
        ("who,d\n,1\n", "row 2, column who: expected a name"),
        ("who,d\nx,good\n", "row 2, column d: expected a finite number (at most 1e+100), or an empty cell"),
        ("who,d\nx,nan\n", "row 2, column d: expected a finite number"),
        ("who,repeat,d\nx,first,1\n", "row 2, column repeat"),
    ],
)
def test_a_wrong_table_is_one_line_that_names_row_and_column(
    tmp_path: Path, table: str, message: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(table)
    assert f"{path}: {message}" in refusal("rank", path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "best"], "--method 'best': expected one of: average, copeland"),
        (["--method", "relative"], "--baseline None: expected a participant"),
        (
            ["--method", "relative", "--baseline", "y"],
            "--baseline y: column d: expected a score below 1; got no score",
        ),
        (["--alpha", "5"], "--alpha 5: expected a level between 0 and 1"),
        (["--intervals", "-1"], "--intervals -1"),
        (["--penalty", "-1"], "--penalty -1"),
        (["--seed", "-1"], "--seed -1"),
        (
            ["--method", "relative", "--lower-is-better"],
            "--lower-is-better: expected another method than relative",
        ),
    ],
)
def test_a_wrong_option_of_rank_is_one_line(tmp_path: Path, options: list[str], message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("who,d\nx,0.5\ny,\n")
    assert message in refusal("rank", path, *options)


def test_more_resamples_than_memory_has_room_for_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("who,d\n" + "".join(f"p{i},{i}\n" for i in range(2000)))
    said = refusal("rank", path, "--intervals", 100_000)
    assert "--intervals 100000: expected at most 50000 resamples of 2000 participants" in said


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("alice,0.81,0.7\nbob,0.5,0.6\n", "row 1: expected a header; got numbers ('0.81')"),
        (",d\n0,0.5\n1,0.6\n", "row 1, column 1: expected the participant; got an index, or a rank ('')"),
        (
            "rank,d\n1,0.5\n2,0.6\n",
            "row 1, column 1: expected the participant; got an index, or a rank ('rank')",
        ),
        ("who;d1;d2\nx;1;2\n", "row 1: expected a header: the participant, then"),
        ("sep=,\nwho,d\nx,1\n", "row 1: expected a header; got a line that names the separator: remove it"),
        ("who,rank,d\nx,1,0.5\n", "row 1, column 2: expected a dataset; got 'rank': leave it out"),
        ("who,d,Mean\nx,1,0.5\n", "row 1, column 3: expected a dataset; got 'Mean': leave it out"),
        ("who,seed,d\nx,1,0.5\n", "row 1, column 2: expected a dataset; got 'seed': name it repeat"),
        (
            "Dataset,ann,bob\nd,1,0.5\n",
            "row 1, column 1: expected the participant; got 'Dataset': give a row",
        ),
        ("who,d\nx,1\nmean,0.5\n", "row 3, column 1: expected a participant; got 'mean': remove the row"),
        ("who,d\n\u00e9,1\ne\u0301,0.5\n", "row 3, column who: expected each participant once, or a column"),
    ],
)
def test_rows_that_are_no_header_and_columns_that_are_no_participants_are_refused(
    tmp_path: Path, table: str, problem: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(table)
    assert f"{path}: {problem}" in refusal("rank", path)


def test_names_in_a_column_without_a_name_and_numbered_datasets_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(",0,1\nx,0.5,0.1\ny,0.6,0.2\n")
    got = document("rank", path, "--intervals", 0)
    assert got["datasets"] == ["0", "1"]
    assert [entry["participant"] for entry in got["entries"]] == ["y", "x"]


@pytest.mark.parametrize("method", ["average", "copeland", "mean-minus-std"])
def test_lower_is_better_turns_the_order_and_is_said(tmp_path: Path, method: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("who,d1,d2\nslow,9,8\nquick,1,-2\ngone,,\n")
    options = ("--method", method, "--intervals", 0)
    for lower, order in ((False, ["slow", "quick", "gone"]), (True, ["quick", "slow", "gone"])):
        asked = (*options, "--lower-is-better") if lower else options
        got = document("rank", path, *asked)
        assert [entry["participant"] for entry in got["entries"]] == order
        assert {e["participant"]: e["scores"]["d1"] for e in got["entries"]} == {
            "slow": 9,
            "quick": 1,
            "gone": None,
        }
        word = "lower" if lower else "higher"
        assert alcove("rank", path, *asked).stdout.startswith(f"2 datasets (d1, d2); {word} is better\n")
    page = tmp_path / "r.html"
    alcove("rank", path, *options, "--lower-is-better", "--report", page)
    assert "lower scores are better" in page.read_text()


@pytest.mark.parametrize(
    ("dataset", "told"),
    [
        ("rmse", True),
        ("adult error", True),
        ("time_s", True),
        ("Log loss", True),
        ("terror", False),
        ("sometimes", False),
    ],
)
def test_scores_named_like_errors_are_pointed_out(tmp_path: Path, dataset: str, told: bool) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"who,{dataset}\nx,0.5\ny,0.4\n")
    note = f"named like errors or times: {dataset}; if lower is better, pass --lower-is-better"
    assert (note in alcove("rank", path).stdout.splitlines()) == told
    assert document("rank", path)["note"] == (note if told else None)
    assert document("rank", path, "--lower-is-better")["note"] is None


def test_a_column_of_repeats_may_have_a_capital(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("who,Repeat,d\nx,1,0.5\nx,2,0.7\ny,1,0.4\ny,2,0.4\n")
    assert document("rank", path)["datasets"] == ["d"]


def test_a_deviation_over_repeats_makes_an_error_worse(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("who,repeat,d\nsteady,1,0.5\nwild,1,0.2\nsteady,2,0.5\nwild,2,0.7\n")
    for penalty, order in ((0, ["wild", "steady"]), (1, ["steady", "wild"])):
        options = ("--method", "mean-minus-std", "--penalty", penalty, "--lower-is-better")
        assert [e["participant"] for e in document("rank", path, *options)["entries"]] == order


def test_ranks_for_people() -> None:
    shown = alcove("rank", DATA / "autodl_alc_20x15.csv", "--intervals", 20).stdout
    assert "DeepWisdom" in shown
    assert "critical difference" in shown
