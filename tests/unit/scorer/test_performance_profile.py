"""Performance profiles beside their definition, and beside the scores of a published leaderboard."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from typer.testing import CliRunner, Result

from alcove_scorer.cli import rank_command
from alcove_scorer.performance_profile import profile_shares, time_ratios
from alcove_scorer.ranks import rank_participants

ALGOPERF = Path(__file__).parent / "data" / "algoperf_self_tuning_v05.csv"
REFERENCE = "_fastest_any"
SECONDS = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=5),
    elements=st.floats(0.1, 1e4) | st.just(np.nan),
)

app = typer.Typer()
app.command("rank")(rank_command)
app.callback()(lambda: None)


def rank(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["rank", *map(str, arguments), "--method", "performance-profile"])


def profile(seconds: npt.NDArray[np.float64], tau: float) -> npt.NDArray[np.float64]:
    """ρ(τ) of each participant, as it is defined."""
    out = []
    for row in seconds:
        within = 0
        for column, time in enumerate(row):
            times = [t for t in seconds[:, column] if not np.isnan(t)]
            within += bool(times) and bool(time / min(times) <= tau)
        out.append(within / seconds.shape[1])
    return np.array(out)


@given(SECONDS, st.floats(1.5, 10))
def test_the_score_is_the_integral_of_the_profile(seconds: npt.NDArray[np.float64], tau_max: float) -> None:
    ratios = time_ratios(seconds)
    edges = np.unique([1.0, tau_max, *ratios[ratios < tau_max]])
    middles = (edges[1:] + edges[:-1]) / 2
    areas = sum(
        width * profile(seconds, middle) for width, middle in zip(np.diff(edges), middles, strict=True)
    )
    assert profile_shares(ratios, tau_max).mean(axis=1) == pytest.approx(areas / (tau_max - 1), abs=1e-9)


@given(SECONDS, st.randoms())
def test_the_order_of_participants_and_datasets_changes_nothing(
    seconds: npt.NDArray[np.float64], random: Random
) -> None:
    def value(times: npt.NDArray[np.float64]) -> list[float]:
        ranking = rank_participants(-times, "performance-profile", profile_shares(time_ratios(times)))
        assert sorted(ranking.order) == list(range(len(times)))
        assert (np.diff(ranking.value[ranking.order]) <= 0).all()
        return [float(value) for value in ranking.value]

    rows, columns = list(range(seconds.shape[0])), list(range(seconds.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    before = value(seconds)
    assert value(seconds[rows][:, columns]) == [before[i] for i in rows]


def published() -> tuple[list[str], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Submissions, published scores, seconds; the fastest of all last."""
    header, *rows = csv.reader(ALGOPERF.read_text().splitlines())
    assert header[:2] == ["submission", "published"]
    assert rows[-1][0] == REFERENCE
    seconds = np.array([[float(cell) for cell in row[2:]] for row in rows])
    scores = np.array([float(row[1]) for row in rows[:-1]])
    return [row[0] for row in rows[:-1]], scores, np.where(np.isinf(seconds), np.nan, seconds)


def test_a_published_leaderboard_is_reproduced() -> None:
    _, scores, seconds = published()
    ratios = time_ratios(seconds[:-1], seconds[-1])
    assert profile_shares(ratios).mean(axis=1) == pytest.approx(scores, abs=0.003)
    # It was summed on a grid of 100 points, by trapezoids: so it is this, to all its six digits.
    taus = np.linspace(1, 4, 100)
    grid = np.trapezoid([(ratios <= tau).mean(axis=1) for tau in taus], taus, axis=0) / 3
    assert grid == pytest.approx(scores, abs=6e-7)


def test_the_command_ranks_a_table_of_seconds(tmp_path: Path) -> None:
    names, scores, seconds = published()
    page = tmp_path / "ranks.html"
    asked = (ALGOPERF, "--reference", REFERENCE, "--leave-out", "published")
    result = rank(*asked, "--report", page, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["tau_max"], found["better"]) == (4.0, "lower")
    by_score = [name for _, name in sorted(zip(-scores, names, strict=True))]
    assert [entry["participant"] for entry in found["entries"]] == by_score
    values = {entry["participant"]: entry["value"] for entry in found["entries"]}
    assert [values[name] for name in names] == pytest.approx(scores, abs=0.003)
    assert found["entries"][0]["scores"]["imagenet_resnet"] is None
    html, shown = page.read_text(), rank(*asked).stdout
    assert shown.count("(not reached)") == np.isnan(seconds[:-1]).sum()
    assert "no run" not in shown
    assert "Performance profiles" in html
    assert "ordered by the area under the performance profile up to τ = 4" in html
    assert REFERENCE not in html
    assert html.count("not reached") == np.isnan(seconds[:-1]).sum()


def test_the_published_scores_are_not_taken_for_times() -> None:
    refused = rank(ALGOPERF, "--reference", REFERENCE)
    assert refused.exit_code == 2
    assert (
        "column 2: expected a dataset; got 'published': leave it out (--leave-out 'published')"
        in refused.stderr
    )
    missing = rank(ALGOPERF, "--leave-out", "paper")
    assert "--leave-out 'paper': expected a column after the first" in missing.stderr


def test_equal_profiles_tie_and_a_smaller_factor_counts_less(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("who,a,b,c\none,1,3,2\ntwo,2,1,3\nthree,3,2,1\nslow,inf,,9\n")
    for tau_max in (4, 1.5):
        found = json.loads(rank(file, "--tau-max", tau_max, "--json").stdout)["entries"]
        assert [(e["rank"], e["tied"]) for e in found] == [(1, True), (1, True), (1, True), (4, False)]
        assert len({e["value"] for e in found[:3]}) == 1
        assert found[3]["value"] == 0.0
        # Three datasets tell nothing apart.
        assert [e["interval"] for e in found] == [[1.0, 4.0]] * 4


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("who,a\none,0\n", (), "row 2, column a: expected seconds above 0"),
        ("who,a\none,-3\n", (), "row 2, column a: expected seconds above 0"),
        ("who,a\none,never\n", (), "or inf or an empty cell where the target was not reached; got 'never'"),
        ("who,a\none,1\n", ("--tau-max", 1), "--tau-max 1: expected a factor above 1"),
        ("who,a\none,1\ntwo,2\n", ("--reference", "three"), "--reference 'three': expected a participant"),
        ("who,a\none,1\n", ("--reference", "one"), "and others beside it"),
    ],
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path, text: str, options: tuple[object, ...], message: str
) -> None:
    file = tmp_path / "t.csv"
    file.write_text(text)
    result = rank(file, *options)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert message in result.stderr
