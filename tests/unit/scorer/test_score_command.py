"""``alcove score``: what it prints, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from alcove_api.run_documents import End, Manifest, Record
from alcove_api.score_text import format_score
from tests.unit.scorer.commands import alcove, document, refusal

NANO = 10**9


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


def test_the_folder_that_alcove_run_wrote_is_told_where_its_runs_are(run: Path) -> None:
    for recorded in ("one", "two/digits", "two/waves"):
        folder = run / recorded / "runs" / "local" / "local" / "1-laptop"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
    asked = ("score", "--solution", run / "solution", "--budget", 9, "--snapshots")
    assert (
        f"{run}/one: neither times.csv nor manifest.json is there; expected a folder with times.csv (header "
        f"file,seconds) or manifest.json, such as {run}/one/runs/local/local/1-laptop\n"
    ) in refusal(*asked, run / "one")
    assert refusal(*asked, run / "two").endswith(f"such as {run}/two/digits/runs/local/local/1-laptop\n")
    assert refusal(*asked, run / "one" / "runs").endswith("or manifest.json\n")


def test_score_says_when_a_target_was_reached(run: Path) -> None:
    files = ("score", "--solution", run / "solution", "--snapshots", run / "snaps", "--budget", 999)
    got = document(*files, "--target", 0.7)["target"]
    assert got == {"score": 0.7, "seconds": got["seconds"], "seconds_at_snapshot": 9.0}
    assert 0 < got["seconds"] < 9
    said = alcove(*files, "--target", 0.7).stdout
    assert f"target 0.7 reached at {got['seconds']:.3f} s on the curve, by a prediction at 9.000 s" in said
    said = alcove(*files, "--target", 0.1).stdout
    assert (
        "target 0.1 is not above chance (0.5), at which every curve starts; reached by a prediction at"
        in said
    )
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
            "metric 'f1': no such metric is installed; expected one of: balanced_accuracy, brier, "
            "log_loss, macro_f1, mae, nauc, r2, top_1, top_5",
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


def test_a_run_for_people(run: Path) -> None:
    shown = alcove(
        "score", "--solution", run / "solution", "--snapshots", run / "snaps", "--budget", 999
    ).stdout
    assert "ALC 0.8" in shown
    assert "refused: d.npy: late" in shown


def test_one_wild_prediction_widens_no_table_and_no_page(tmp_path: Path) -> None:
    truth = np.arange(40.0)
    np.savetxt(tmp_path / "solution", truth)
    (tmp_path / "snaps").mkdir()
    np.savetxt(tmp_path / "snaps" / "a.predict", truth + 1e30)
    (tmp_path / "snaps" / "times.csv").write_text("file,seconds\na.predict,1\n")
    page = tmp_path / "report.html"
    files = ("--solution", tmp_path / "solution", "--snapshots", tmp_path / "snaps", "--report", page)
    shown = alcove("score", *files, "--budget", 9, "--metric", "r2")
    assert shown.exit_code == 0, shown.output
    assert "-7.504690e+57  a.predict" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "−7.504690e+57" in page.read_text()
    assert not re.search(r"[0-9]{30}", re.sub("base64,[^\"']*", "", page.read_text()))


@pytest.mark.parametrize(
    ("score", "shown"),
    [(0.5, "0.5000"), (-999_999.9, "-999999.9000"), (-1e6, "-1.0000e+06"), (1e300, "1.0000e+300")],
)
def test_a_score_is_short_whatever_it_is(score: float, shown: str) -> None:
    assert format_score(score, 4) == shown
