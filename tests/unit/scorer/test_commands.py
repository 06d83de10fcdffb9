from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from alcove_api.run_documents import End, Manifest, Record
from alcove_scorer.cli import rank_command, score_command

DATA = Path(__file__).parent / "data"
NANO = 10**9

app = typer.Typer()
app.command("score")(score_command)
app.command("rank")(rank_command)


def alcove(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def document(*arguments: object) -> Any:
    result = alcove(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refusal(*arguments: object) -> str:
    """The one line on stderr of a command that ends with exit status 2."""
    result = alcove(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


def digest(record: Record) -> str:
    return hashlib.sha256(record.canonical()).hexdigest()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A solution, and a folder of four predictions of which one is late and one is not finite."""
    (tmp_path / "solution").write_text("1 0\n0 1\n1 0\n0 1\n")
    folder = tmp_path / "snaps"
    folder.mkdir()
    perfect = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
    np.save(folder / "a.npy", np.abs(perfect - np.array([[0, 0], [0, 0], [1, 1], [0, 0]], np.float32)))
    (folder / "b.predict").write_text("1 0\n0 1\n1 0\n0 1\n")
    np.save(folder / "c.npy", perfect * np.nan)
    np.save(folder / "d.npy", perfect)
    (folder / "times.csv").write_text("file,seconds\nb.predict,99\na.npy,9\nc.npy,50\nd.npy,1000\n")
    return tmp_path


def test_score(run: Path) -> None:
    got = document("score", "--solution", run / "solution", "--snapshots", run / "snaps", "--budget", 999)
    assert got["alc"] == pytest.approx((0.5 + 0.75) / 2 / 3 + (0.75 + 1) / 2 / 3 + 1 / 3)
    assert got["final_score"] == 1.0
    assert [(p["file"], p["seconds"], p["score"]) for p in got["points"]] == [
        ("a.npy", 9.0, 0.75),
        ("b.predict", 99.0, 1.0),
    ]
    assert [p["x"] for p in got["points"]] == pytest.approx([1 / 3, 2 / 3])
    assert [r["file"] for r in got["refused"]] == ["c.npy", "d.npy"]
    assert (got["scheme"], got["t0"], got["budget"]) == ("hackathon", 1.0, 999.0)


def test_score_says_when_a_target_was_reached(run: Path) -> None:
    files = ("score", "--solution", run / "solution", "--snapshots", run / "snaps", "--budget", 999)
    got = document(*files, "--target", 0.7)["target"]
    assert got == {"score": 0.7, "seconds": got["seconds"], "seconds_at_snapshot": 9.0}
    assert 0 < got["seconds"] < 9
    said = alcove(*files, "--target", 0.7).stdout
    assert f"target 0.7 reached at {got['seconds']:.3f} s on the curve, by a prediction at 9.000 s" in said
    assert "target 1.5 not reached" in alcove(*files, "--target", 1.5).stdout
    assert document(*files, "--target", 1.5)["target"]["seconds"] is None
    assert "--target nan: expected a finite score" in refusal(*files, "--target", "nan")


def test_score_with_other_settings(run: Path) -> None:
    files = ("--solution", run / "solution", "--snapshots", run / "snaps", "--budget", 999)
    assert document("score", *files, "--scheme", "autodl")["t0"] == 60.0
    assert document("score", *files, "--t0", 5)["t0"] == 5.0
    by_area = document("score", *files, "--metric", "nauc")
    assert [p["score"] for p in by_area["points"]] == [0.5, 1.0]


def test_without_a_valid_prediction_there_is_no_score_and_the_exit_status_is_1(run: Path) -> None:
    (run / "snaps" / "times.csv").write_text("file,seconds\nc.npy,1\n")
    files = ("score", "--solution", run / "solution", "--snapshots", run / "snaps", "--budget", 9)
    as_text, as_json = alcove(*files), alcove(*files, "--json")
    got = json.loads(as_json.stdout)
    assert (got["alc"], got["final_score"], got["points"], len(got["refused"])) == (None, None, [], 1)
    assert "no score: there is no valid prediction" in as_text.stdout
    assert "ALC" not in as_text.stdout
    assert (as_text.exit_code, as_json.exit_code) == (1, 1)


def test_score_reads_what_a_recorder_left(run: Path) -> None:
    folder = run / "recorded"
    (folder / "snap").mkdir(parents=True)
    data = (run / "snaps" / "d.npy").read_bytes()
    records: list[Record] = []
    for seq, (seen, t, refused) in enumerate(
        [(1.0, 9.0, None), (2.0, 2.1, "too many"), (998.0, 1001.0, None)]
    ):
        if refused is None:
            (folder / "snap" / f"{seq:08d}.bin").write_bytes(data)
        records.append(
            Record(
                seq=seq,
                name=f"p{seq}.npy",
                kind="npy",
                seen_ns=int(seen * NANO),
                t_ns=int(t * NANO),
                sha256=None if refused else hashlib.sha256(data).hexdigest(),
                bytes=len(data),
                refused=refused,
                previous=digest(records[-1]) if records else None,
            )
        )
    manifest = Manifest(
        submission_uid="u",
        alias="a",
        attempt=1,
        pod_uid="p",
        budget_ns=999 * NANO,
        go_at=None,
        boot_id="b",
        end=End(cause="finished", ended_ns=-1),
        overshoot_ns=0,
        records=tuple(records),
        head=digest(records[-1]),
    )
    (folder / "manifest.json").write_bytes(manifest.canonical())
    got = document("score", "--solution", run / "solution", "--snapshots", folder, "--budget", 999)
    assert [(p["file"], p["seconds"]) for p in got["points"]] == [("p0.npy", 9.0), ("p2.npy", 999.0)]
    assert got["refused"] == [{"file": "p1.npy", "reason": "too many"}]
    (folder / "snap" / "00000000.bin").write_bytes(b"x")
    assert "00000000.bin" in refusal(
        "score", "--solution", run / "solution", "--snapshots", folder, "--budget", 999
    )


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ("name,time\n", "times.csv: row 1: expected the header file,seconds"),
        ("file,seconds\na.npy\n", "times.csv: row 2: expected two columns"),
        ("file,seconds\n\nz.npy,1\n", "times.csv: row 3, column file"),
        ("file,seconds\n../solution,1\n", "times.csv: row 2, column file"),
        ("file,seconds\na.npy,1\na.npy,2\n", "row 3, column file: 'a.npy' is listed twice"),
        ("file,seconds\na.npy,-1\n", "row 2, column seconds: expected a number of at least 0; got '-1'"),
        ("file,seconds\na.npy,nan\n", "row 2, column seconds"),
        ("file,seconds\na.npy,soon\n", "row 2, column seconds"),
    ],
)
def test_a_wrong_list_is_one_line_that_names_row_and_column(run: Path, times: str, message: str) -> None:
    (run / "snaps" / "times.csv").write_text(times)
    got = refusal("score", "--solution", run / "solution", "--snapshots", run / "snaps", "--budget", 9)
    assert message in got


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--solution", "absent", "absent: cannot be read (no such file or directory)"),
        (
            "--snapshots",
            "absent",
            "absent: cannot be read (no such file or directory); expected a folder with",
        ),
        ("--budget", "0", "budget 0: expected a positive number of seconds"),
        ("--scheme", "best", "scheme 'best': expected one of: hackathon, autodl"),
        ("--t0", "0", "t0 0: expected a positive number"),
        (
            "--metric",
            "f1",
            "metric 'f1': no such metric is installed; expected one of: balanced_accuracy, nauc",
        ),
    ],
)
def test_a_wrong_option_is_one_line(run: Path, option: str, value: str, message: str) -> None:
    options = {
        "--solution": str(run / "solution"),
        "--snapshots": str(run / "snaps"),
        "--budget": "9",
        option: value,
    }
    assert message in refusal("score", *(part for pair in options.items() for part in pair))


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


@pytest.mark.parametrize("scheme", ["hackathon", "autodl"])
def test_no_prediction_a_worthless_one_and_a_bad_one_are_three_things(run: Path, scheme: str) -> None:
    folder, truth = run / "snaps", np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
    outcomes = {}
    for name, prediction in {"none": None, "worthless": truth * 0, "bad": 1 - truth}.items():
        if prediction is not None:
            np.save(folder / "x.npy", prediction)
        (folder / "times.csv").write_text("file,seconds\n" + ("x.npy,1\n" if prediction is not None else ""))
        files = ("--solution", run / "solution", "--snapshots", folder, "--budget", 9)
        outcomes[name] = json.loads(alcove("score", *files, "--scheme", scheme, "--json").stdout)
    chance, worst = (0.5, 0.0) if scheme == "hackathon" else (0.0, -1.0)
    assert [outcomes[name]["final_score"] for name in ("none", "worthless", "bad")] == [None, chance, worst]
    assert (outcomes["none"]["alc"], outcomes["worthless"]["alc"]) == (None, chance)
    assert outcomes["bad"]["alc"] < chance


def test_the_order_is_that_of_the_list_never_of_the_folder_or_of_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    solution = rng.random((30, 3)) < 0.4
    np.save(tmp_path / "solution.npy", solution)
    arrays = [rng.random((30, 3)) for _ in range(12)]
    got = []
    for names in ([f"{i}.npy" for i in range(12)], [f"{9 - i % 10}{i}.npy" for i in range(12)]):
        folder = tmp_path / names[1][:-4]
        folder.mkdir()
        for i in rng.permutation(12):
            np.save(folder / names[i], arrays[i])
        # Two at a time have the same second: the later row stands.
        rows = [f"{name},{i // 2}" for i, name in enumerate(names)]
        (folder / "times.csv").write_text("\n".join(["file,seconds", *rows]))
        found = document(
            "score", "--solution", tmp_path / "solution.npy", "--snapshots", folder, "--budget", 9
        )
        assert [point["file"] for point in found["points"]] == names[1::2]
        got.append((found["alc"], [point["score"] for point in found["points"]]))
    assert got[0] == got[1]


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
        ("who,rank,d\nx,1,0.5\n", "row 1, column 2: expected a dataset; got 'rank': remove the column"),
        ("who,d,Mean\nx,1,0.5\n", "row 1, column 3: expected a dataset; got 'Mean': remove the column"),
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


@pytest.mark.parametrize(
    ("scale", "shift", "said"),
    [
        (
            100,
            0,
            "values from 0 to 100: expected 0 to 1, as a label counts as present from 0.5 on; are they percent?",
        ),
        (8, -4, "values from -4 to 4: expected 0 to 1"),
        (1, 0, ""),
    ],
)
def test_percent_and_logits_are_pointed_out(run: Path, scale: float, shift: float, said: str) -> None:
    folder = run / "snaps"
    np.save(folder / "x.npy", np.array([[1, 0], [0, 1], [1, 0], [0, 1]]) * scale + shift)
    (folder / "times.csv").write_text("file,seconds\nx.npy,1\n")
    files = ("--solution", run / "solution", "--snapshots", folder, "--budget", 9)
    shown = alcove("score", *files).stdout
    assert said in shown
    assert ("expected 0 to 1" in shown) == bool(said)
    # An area under a curve takes any numbers.
    assert "expected 0 to 1" not in alcove("score", *files, "--scheme", "autodl").stdout


def test_predictions_that_call_no_label_present_are_pointed_out(run: Path) -> None:
    folder = run / "snaps"
    np.save(folder / "x.npy", np.full((4, 2), 0.25))
    (folder / "times.csv").write_text("file,seconds\nx.npy,1\n")
    shown = alcove("score", "--solution", run / "solution", "--snapshots", folder, "--budget", 9).stdout
    assert "values from 0.25 to 0.25: none reaches 0.5, from which on a label counts as present" in shown


def test_tables_for_people(run: Path) -> None:
    shown = alcove(
        "score", "--solution", run / "solution", "--snapshots", run / "snaps", "--budget", 999
    ).stdout
    assert "ALC 0.8" in shown
    assert "refused: d.npy: late" in shown
    shown = alcove("rank", DATA / "autodl_alc_20x15.csv", "--intervals", 20).stdout
    assert "DeepWisdom" in shown
    assert "critical difference" in shown
