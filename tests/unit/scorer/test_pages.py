"""What is shown to people: escaped, the same for the same input, and no more than may be shown."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pytest
import typer
from scipy import stats
from typer.testing import CliRunner

from alcove_api.board_documents import AggregateRequest, BoardHistory, BoardSubmission, PastPage, PastRanks
from alcove_api.run_documents import Verdict
from alcove_api.schemes import RankedRows
from alcove_api.score_documents import (
    SCORER_VERSION,
    CurvePoint,
    Feedback,
    Refusal,
    ScoreDataset,
    ScoredRun,
    ScoreRequest,
    ScoreResult,
    Scoring,
)
from alcove_scorer.board import Board, as_text, make_board
from alcove_scorer.board_curves import budget_moments, ranks_over_budget
from alcove_scorer.board_page import board_html, describe_tests, tabulate_methods
from alcove_scorer.board_status import as_status
from alcove_scorer.cli import rank_command, score_command
from alcove_scorer.curves import Point, area_under_curve, resolve_rules
from alcove_scorer.disclosure import limit_run
from alcove_scorer.history import MAX_BOARDS, MAX_PAGES, append_board, append_page, ranks_on_boards
from alcove_scorer.job_aggregate import render_board
from alcove_scorer.order_choices import list_scales, ranks_over_scales
from alcove_scorer.peer_curves import collect_board_curves, select_peer_curves
from alcove_scorer.report import ReportRun, list_phases, report_html
from alcove_scorer.significance import Friedman

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RULES = resolve_rules(30)
HOSTILE = '"><script src=//x>$\\frac{</script>&'


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.sources: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


def scored(alias: str, *scores: float, cause: str = "Finished") -> ScoredRun:
    return ScoredRun(
        alias=alias,
        dataset="secret",
        attempt=1,
        cause=cause,
        alc=scores[-1] if scores else None,
        final_score=scores[-1] if scores else None,
        snapshots=len(scores),
        points=tuple(CurvePoint(t=2.0 + i, score=score) for i, score in enumerate(scores)),
        refused=(Refusal(seq=9, name=HOSTILE, reason=HOSTILE),),
        manifest_sha256=None,
    )


def board(*teams: tuple[str, tuple[ScoredRun, ...]], **changes: object) -> Board:
    entries, results = [], {}
    for i, (team, runs) in enumerate(teams):
        entries.append(
            BoardSubmission(
                team=team,
                submission=f"s{i}",
                submission_uid=f"u{i}",
                created_at=NOON + timedelta(minutes=i),
                scoring_digest="d",
            )
        )
        results[f"u{i}"] = ScoreResult(
            submission_uid=f"u{i}",
            scorer_version=SCORER_VERSION,
            scoring_digest="d",
            scoring=Scoring(),
            t0_seconds=1,
            budget_seconds=30,
            runs=runs,
        )
    request = AggregateRequest(
        competition_namespace="n",
        competition=HOSTILE,
        phase="p",
        leaderboard="p",
        budget_seconds=30,
        entries=tuple(entries),
        **{"datasets": ("a", "b"), **changes},
    )
    return make_board(request, results)


RENDER = """
import json, sys
from datetime import UTC, datetime
from alcove_api.board_documents import AggregateRequest, BoardHistory
from alcove_api.score_documents import ScoreResult
from alcove_scorer.board import make_board
from alcove_scorer.job_aggregate import render_board
asked, *found = map(json.dumps, json.load(sys.stdin))
results = {result.submission_uid: result for result in map(ScoreResult.model_validate_json, found)}
request = AggregateRequest.model_validate_json(asked)
render_board(make_board(request, results), BoardHistory(), datetime.now(UTC))
print(*{"scipy.stats", "scipy.optimize"} & set(sys.modules))
"""


def test_a_board_is_made_without_what_takes_as_long_to_load_as_all_the_rest() -> None:
    # Each board is made by a process that begins with it, and the teams wait for that.
    rng = np.random.default_rng(0)
    aliases = [f"d{number}" for number in range(5)]
    teams = [(f"t{i}", tuple(scored(a, *rng.uniform(0.5, 0.6, 2)) for a in aliases)) for i in range(8)]
    made = board(*teams, datasets=tuple(aliases))
    documents = [made.request, *results_of(made).values()]
    given = json.dumps([json.loads(document.canonical()) for document in documents])
    command = [sys.executable, "-c", RENDER]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("\n", "")


def results_of(made: Board) -> dict[str, ScoreResult]:
    """By UID, what the board's rows were made of."""
    return {
        row.submission.submission_uid: ScoreResult(
            submission_uid=row.submission.submission_uid,
            scorer_version=SCORER_VERSION,
            scoring_digest="d",
            scoring=Scoring(),
            t0_seconds=1,
            budget_seconds=30,
            runs=tuple(row.runs.values()),
        )
        for row in made.rows
    }


def report(shown_before: int = 0) -> str:
    request = ScoreRequest(
        submission_uid="u",
        namespace=HOSTILE,
        submission=HOSTILE,
        competition="c",
        phase="p",
        budget_seconds=30,
        scoring=Scoring(),
        feedback=Feedback(decimals=2, max_snapshots=1),
        datasets=(),
    )
    run = scored("a", 0.612345, 0.712345).replace(points_shown_before=shown_before)
    shown = limit_run(run, RULES, 2, 1)
    return report_html(request, RULES, [ReportRun(run, None, shown)])


@pytest.mark.parametrize("page", ["report", "board"])
def test_pages_hold_no_tag_and_no_address_of_others(page: str) -> None:
    teams = ((HOSTILE, (scored("a", 0.7),)), ("other", (scored("a", 0.6),)))
    text = report() if page == "report" else board_html(board(*teams), NOON)
    tags = Tags(text)
    assert not {"script", "img", "iframe", "object"} & tags.found
    assert tags.sources
    assert all(source.startswith("#") or source == "data:," for source in tags.sources)
    assert "default-src 'none'" in text
    assert "secret" not in text


@pytest.mark.parametrize("page", ["report", "board"])
def test_a_pages_policy_allows_its_one_style_sheet_and_no_other_style(page: str) -> None:
    text = report() if page == "report" else board_html(board(("red", (scored("a", 0.7),))), NOON)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in text
    assert not re.search(r"\sstyle=", text), "the policy would not let it take effect"


def test_a_report_shows_rounded_scores_and_only_the_points_that_may_be_shown() -> None:
    text = report()
    assert "0.71" in text
    assert "0.712" not in text
    assert "0.612" not in text
    assert "1 more were scored" in text


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            "rest",
            "ALC and final score on the rest of it; on all of it where the rest alone would leave a label out.",
        ),
        ("all", "ALC and final score on all of it."),
    ],
)
def test_a_report_says_on_which_rows_a_score_is(rows: RankedRows, said: str) -> None:
    request = request_for("team", "a")
    request = request.replace(
        scoring=request.scoring.replace(ranked_rows=rows),
        feedback=request.feedback.replace(test_fraction=0.3),
    )
    run = scored("a", 0.7)
    page = report_html(request, RULES, [ReportRun(run, None, limit_run(run, RULES, 2, 1))])
    assert said in " ".join(page.split())


def test_a_report_says_that_an_earlier_attempt_has_shown_all_that_may_be_shown() -> None:
    text = report(shown_before=1)
    assert "0.71" in text
    assert "0.61" not in text
    assert (
        "2 more were scored; the phase shows at most 1 of a run, of which an earlier attempt has shown 1."
        in text
    )
    assert "an earlier attempt has shown as many points as may be shown" in text
    assert "alid prediction" not in text


def test_phases_of_a_run() -> None:
    verdict = Verdict(
        submission_uid="u",
        alias="a",
        attempt=1,
        pod_uid="p",
        phase="Done",
        cause="",
        charged_to="",
        queued_at=NOON,
        created_at=NOON + timedelta(seconds=3),
        started_at=NOON + timedelta(seconds=5),
        ended_at=NOON + timedelta(seconds=35),
    )
    assert list_phases(verdict) == [("Queue", 3.0), ("Start", 2.0), ("Run", 30.0)]
    cluster = {
        "pulled_at": NOON + timedelta(seconds=2),  # in whole seconds, so it can be before what it follows
        "staged_at": NOON + timedelta(seconds=4),
        "launched_at": NOON + timedelta(seconds=4),
    }
    assert list_phases(verdict.model_copy(update=cluster)) == [
        ("Queue", 3.0),
        ("Node", 0.0),
        ("Stage", 1.0),
        ("Image", 0.0),
        ("Start", 1.0),
        ("Run", 30.0),
    ]


def test_ranks_over_time_end_with_the_ranks_and_start_level() -> None:
    got = board(
        ("early", (scored("a", 0.6, 0.6), scored("b", 0.6, 0.6))),
        ("best", (scored("a", 0.5, 0.9), scored("b", 0.5, 0.9))),
    )
    over_time = ranks_over_budget(got.rows, ("a", "b"), RULES)
    names = [row.submission.team for row in got.rows]
    assert names == ["best", "early"]
    assert over_time[:, 0].tolist() == [1.5, 1.5]
    assert over_time[:, -1].tolist() == [1, 2]
    at_two = next(i for i, moment in enumerate(budget_moments(RULES)) if 2 < moment < 3)
    assert over_time[:, at_two].tolist() == [2, 1]


def test_a_long_table_is_cut_and_says_so() -> None:
    teams = [(f"team-{i}", (scored("a", 0.5 + i / 1000), scored("b", 0.5))) for i in range(120)]
    lines = as_text(board(*teams)).splitlines()
    assert len(lines) == 102
    assert lines[-1] == "… and 20 more in the store's table.json"


def test_the_leaders_are_on_one_line_of_whole_rows() -> None:
    two = board(("red", (scored("a", 0.9), scored("b", 0.9))), ("blue", (scored("a", 0.8), scored("b", 0.8))))
    assert as_status(two, NOON).leaders == "1 red, 2 blue"
    many = [(f"team-{i}", (scored("a", 0.9 - i / 100), scored("b", 0.9 - i / 100))) for i in range(9)]
    assert as_status(board(*many), NOON).leaders == "1 team-0, 2 team-1"
    assert as_status(board(), NOON).leaders == ""


@pytest.mark.parametrize("curve", ["trapezoid", "step"])
def test_ranks_over_scales_are_those_of_the_areas_on_that_axis(curve: Literal["trapezoid", "step"]) -> None:
    settings = resolve_rules(30, curve=curve)
    draw = np.random.default_rng(9)
    runs = [scored("a", *draw.random(int(draw.integers(1, 9)))) for _ in range(10)]
    got = board(*((f"team-{i:02}", (run,)) for i, run in enumerate(runs)))
    found = ranks_over_scales(got.rows, ("a",), settings)
    for column, scale in enumerate(list_scales(settings)):
        areas = [
            area_under_curve(
                [Point(i, p.t, p.score) for i, p in enumerate(row.runs["a"].points)],
                replace(settings, t0=scale),
            )
            for row in got.rows
        ]
        assert found[:, column].tolist() == stats.rankdata([-area for area in areas]).tolist()
    # A large t0 makes the axis linear in time.
    linear = [
        sum(
            (later.t - point.t) * (point.score if curve == "step" else (point.score + later.score) / 2)
            for point, later in zip(row.runs["a"].points, row.runs["a"].points[1:], strict=False)
        )
        + (30 - row.runs["a"].points[-1].t) * row.runs["a"].points[-1].score
        + row.runs["a"].points[0].t * (0.5 if curve == "step" else (0.5 + row.runs["a"].points[0].score) / 2)
        for row in got.rows
    ]
    assert found[:, -1].tolist() == stats.rankdata([-area for area in linear]).tolist()


def test_the_page_shows_the_places_by_each_method_and_by_the_time_axis() -> None:
    got = board(
        ("early", (scored("a", 0.6, 0.6), scored("b", 0.6, 0.6))),
        ("best", (scored("a", 0.5, 0.9), scored("b", 0.5, 0.9))),
    )
    page = board_html(got, NOON)
    assert "What hangs on the method" in page
    assert "Ranks by the time axis" in page
    assert "mathdefault" not in page
    assert "The first against the others" in page
    assert "2 datasets tell no two places apart" in page
    row = page[page.index("Kemeny–Young") :]
    assert row.index(">best") < row.index(">early")


def test_the_page_says_why_a_method_gives_no_places() -> None:
    scores = np.array([[0.5, 0.2], [0.4, 0.1]])
    shown = tabulate_methods(["a", "b"], scores, [0, 1])
    assert shown is not None
    assert "Relative difference" in cast("list[str]", shown["headings"])
    assert shown["left_out"] == []
    shown = tabulate_methods(["a", "b"], scores - 0.3, [0, 1])
    assert shown is not None
    assert "Relative difference" not in cast("list[str]", shown["headings"])
    assert "scores of at least 0" in str(shown["left_out"])
    many = np.random.default_rng(0).random((201, 2))
    shown = tabulate_methods([str(i) for i in range(201)], many, range(201))
    assert shown is not None
    assert "Kemeny–Young is left out" in str(shown["left_out"])


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("average", None),
        ("mean-minus-std", None),
        ("copeland", "Copeland's score"),
        ("relative", "mean error relative to chance"),
    ],
)
def test_pictures_of_mean_ranks_say_when_the_board_has_another_order(method: str, said: str | None) -> None:
    got = board(("low", (scored("a", 0.5),)), ("high", (scored("a", 0.9),)), method=method)
    page = html.unescape(board_html(got, NOON))
    other = "The board itself is in the order of another value: "
    for title in ("Ranks as the budget passes", "Ranks by the time axis"):
        of_picture = page[page.index(title) :].partition("</figure>")[0]
        assert (other in of_picture) == (said is not None)
        assert said is None or other + said in of_picture


def test_a_board_with_a_score_below_zero_says_which_method_is_left_out() -> None:
    got = board(("low", (scored("a", -0.5),)), ("high", (scored("a", 0.9),)))
    assert "Relative difference is left out: it is of scores of at least 0" in board_html(got, NOON)


@pytest.mark.parametrize("method", ["average", "copeland", "mean-minus-std", "relative"])
def test_every_method_of_a_competition_makes_a_board(method: str) -> None:
    got = board(
        ("crashed", (scored("a", cause="OutOfMemory"), scored("b", 0.6))),
        ("good", (scored("a", 0.8), scored("b", 0.9))),
        method=method,
    )
    assert [row.submission.team for row in got.rows] == ["good", "crashed"]
    assert "OutOfMemory" in board_html(got, NOON)


@pytest.mark.parametrize(
    ("scheme", "curve"), [("hackathon", "trapezoid"), ("autodl", "step"), ("hackathon", "step")]
)
def test_ranks_over_the_budget_are_those_of_the_areas_up_to_there(
    scheme: str, curve: Literal["trapezoid", "step"]
) -> None:
    settings = resolve_rules(30, scheme, curve=curve)
    draw = np.random.default_rng(7)
    runs = [scored("a", *draw.random(int(draw.integers(0, 9)))) for _ in range(12)]
    got = board(*((f"team-{i:02}", (run,)) for i, run in enumerate(runs)))
    over_time = ranks_over_budget(got.rows, ("a",), settings)
    for column, moment in enumerate(budget_moments(settings)):
        areas = []
        for row in got.rows:
            points = [Point(i, p.t, p.score) for i, p in enumerate(row.runs["a"].points) if p.t <= moment]
            areas.append(area_under_curve(points, replace(settings, budget=moment)) if points else -math.inf)
        better = [sum(other > area + 1e-12 for other in areas) for area in areas]
        level = [sum(abs(other - area) <= 1e-12 or other == area for other in areas) for area in areas]
        expected = [ahead + (same + 1) / 2 for ahead, same in zip(better, level, strict=True)]
        assert over_time[:, column].tolist() == expected


def past(generation: int, *teams: str) -> PastRanks:
    return PastRanks(generation=generation, at=NOON + timedelta(hours=generation), teams=teams)


def test_history_is_carried_on_where_the_ranks_have_changed() -> None:
    now = board(("red", (scored("a", 0.9),)), ("blue", (scored("a", 0.8),)), generation=3)
    same = BoardHistory(boards=(past(1, "blue"), past(2, "red", "blue")))
    assert append_board(same, now, NOON).boards == same.boards
    other = BoardHistory(boards=(past(1, "blue"), past(2, "blue", "red")))
    history = append_board(other, now, NOON)
    assert [(p.generation, p.teams) for p in history.boards] == [
        (1, ("blue",)),
        (2, ("blue", "red")),
        (3, ("red", "blue")),
    ]
    ranks = ranks_on_boards(history, ("red", "blue"))
    assert ranks[1].tolist() == [1, 1, 2]
    assert math.isnan(ranks[0, 0])
    # A board that comes late, or a second time, leaves nothing behind that was not before it.
    assert append_board(BoardHistory(boards=(*other.boards, past(9, "red"))), now, NOON) == history


def test_a_board_names_its_page_and_those_before_it_and_no_others() -> None:
    made = board(("red", (scored("a", 0.9),)), generation=2)
    history = BoardHistory()
    for generation in (1, 2):
        request = made.request.model_copy(update={"generation": generation})
        files = render_board(replace(made, request=request), history, NOON)
        history = BoardHistory.model_validate_json(files["history.json"])
        assert history.pages[-1] == PastPage(
            generation=generation, sha256=hashlib.sha256(files["leaderboard.html"]).hexdigest()
        )
    assert [past.generation for past in history.pages] == [1, 2]
    again = append_page(history, 2, b"another")
    assert [past.generation for past in again.pages] == [1, 2], "a second time"
    assert again.pages[-1].sha256 == hashlib.sha256(b"another").hexdigest()
    for generation in range(3, MAX_PAGES + 10):
        history = append_page(history, generation, b"")
    assert len(history.pages) == MAX_PAGES
    assert history.pages[-1].generation == MAX_PAGES + 9


@pytest.mark.parametrize("generation", [1, 2, 9])
def test_a_competition_made_anew_under_the_old_name_carries_nothing_on(generation: int) -> None:
    """Whichever of its boards is the first that does not fail."""
    made = board(("red", (scored("a", 0.9),)), ("blue", (scored("a", 0.8),)))

    def carry_on(uid: str, number: int, history: BoardHistory) -> BoardHistory:
        request = made.request.replace(competition_uid=uid, generation=number)
        return append_page(append_board(history, replace(made, request=request), NOON), number, b"page")

    old = BoardHistory()
    for number, uid in enumerate(("", "first", "first"), 1):
        old = carry_on(uid, number, old)
    assert [past.generation for past in old.pages] == [1, 2, 3], "what had no UID yet is carried on"
    assert carry_on("second", generation, old) == carry_on("second", generation, BoardHistory())


def test_history_is_bounded_and_keeps_its_beginning_and_its_end() -> None:
    history = BoardHistory()
    red, blue = (board((team, (scored("a", 0.9), scored("b", 0.5)))) for team in ("red", "blue"))
    for generation in range(1, 1000):
        made = (red, blue)[generation % 2]
        request = made.request.model_copy(update={"generation": generation})
        history = append_board(history, replace(made, request=request), NOON)
        assert len(history.boards) <= MAX_BOARDS
    generations = [p.generation for p in history.boards]
    assert generations[0] == 1
    assert generations[-50:] == list(range(950, 1000))


def test_a_report_shows_others_on_the_same_terms_and_never_the_teams_own() -> None:
    points = tuple(0.5 + i / 100 for i in range(28))
    got = board(
        ("red", (scored("a", *points),)),
        ("blue", (scored("a", 0.123456),)),
        ("none", (scored("b", 0.9),)),
        max_snapshots=9,
    )
    curves = collect_board_curves(got, NOON)
    assert "red" not in curves.canonical().decode()
    assert "blue" not in curves.canonical().decode()
    assert all(len(curve.points) <= 9 for curve in curves.curves)
    asked = request_for("red", "a")
    assert select_peer_curves(curves, asked, "a") == []  # scored by other rules
    same = {"scoring_digest": asked.scoring_digest()}
    curves = curves.model_copy(update={"curves": tuple(c.model_copy(update=same) for c in curves.curves)})
    assert [[p.score for p in points] for points in select_peer_curves(curves, asked, "a")] == [[0.1235]]
    assert len(select_peer_curves(curves, request_for("blue", "a"), "a")[0]) <= 9
    assert select_peer_curves(None, asked, "a") == []


def request_for(team: str, *aliases: str) -> ScoreRequest:
    return ScoreRequest(
        submission_uid="u",
        namespace=team,
        submission="later",
        competition_namespace="n",
        competition=HOSTILE,
        phase="p",
        budget_seconds=30,
        scoring=Scoring(),
        feedback=Feedback(),
        datasets=tuple(
            ScoreDataset(alias=alias, name=alias, solution_sha256="0" * 64, n_test=4, n_labels=2)
            for alias in aliases
        ),
    )


def test_a_crash_a_zero_and_a_negative_score_are_told_apart() -> None:
    crashed, empty = scored("a", cause="OutOfMemory"), scored("a", cause="NoPredictions")
    runs = (crashed, empty, scored("a", 0.0), scored("a", -0.25))
    page = board_html(board(*((f"team-{i}", (run,)) for i, run in enumerate(runs))), NOON)
    words = '"n x">OutOfMemory', '"n x">NoPredictions', '"n">0.0000', '"n neg">−0.2500'
    assert all(said in page for said in words)
    sections = [ReportRun(run, None, [Point(0, 2, p.score) for p in run.points]) for run in runs]
    page = report_html(request_for("team", "a"), RULES, sections)
    words = 'tag bad">OutOfMemory', 'tag empty">NoPredictions', '"n">0.0000', '"n neg">−0.2500'
    assert all(said in page for said in words)
    assert page.count("ranks below every run that has a score") == 2


def test_a_report_says_mean_and_spread_of_repeats_as_the_board_does() -> None:
    runs = (scored("a", 0.25), scored("a.2", -0.75), scored("b", 0.5), scored("b.2", cause="OutOfMemory"))
    request = request_for("team", "a", "a.2", "b", "b.2")
    page = report_html(request, RULES, [ReportRun(run, None, ()) for run in runs])
    assert '<tr><td>a, mean of 2<td class="n neg">−0.2500 ± 0.5000' in page
    assert '<tr><td>b, mean of 2<td class="n">– ± –' in page
    unfinished = report_html(request, RULES, [ReportRun(run, None, ()) for run in runs[:3]])
    assert "a, mean of 2" in unfinished
    assert "b, mean of" not in unfinished
    single = report_html(request_for("team", "a"), RULES, [ReportRun(runs[0], None, ())])
    assert "mean of" not in single


def test_a_failed_run_says_why() -> None:
    verdict = Verdict(
        submission_uid="u", alias="a", attempt=1, pod_uid="p", phase="Done", cause="ExitCode",
        charged_to="Participant", message="It ended with 1.\n<b>",
    )  # fmt: skip
    page = report_html(
        request_for("team", "a"), RULES, [ReportRun(scored("a", 0.7, cause="ExitCode"), verdict, ())]
    )
    assert 'tag bad">ExitCode' in page
    assert "It ended with 1.\n&lt;b&gt;" in page


def test_the_command_line_writes_the_page_of_a_run(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command("score")(score_command)
    app.callback()(lambda: None)
    (tmp_path / "adult.solution").write_text("1 0\n0 1\n1 0\n0 1\n")
    run = tmp_path / "my run"
    run.mkdir()
    (run / "a.predict").write_text("1 0\n0 1\n1 0\n1 1\n")
    (run / "b.predict").write_text("1 0\n")
    (run / "times.csv").write_text("file,seconds\na.predict,5\nb.predict,6\n")
    asked = [
        "score",
        "--solution",
        tmp_path / "adult.solution",
        "--snapshots",
        run,
        "--budget",
        60,
        "--report",
    ]
    page = tmp_path / "report.html"
    scored = CliRunner().invoke(app, [str(a) for a in (*asked, page)])
    assert scored.exit_code == 0, scored.output
    text = page.read_text()
    assert all(
        said in text
        for said in ("<bdi>my run</bdi>", "Budget 1 min.", "adult · ALC", "b.predict", "1 refused")
    )
    assert "Team" not in text
    refused = CliRunner().invoke(app, [str(a) for a in (*asked, tmp_path / "absent" / "report.html")])
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "absent/report.html: cannot be written" in refused.stderr


def test_the_command_line_writes_the_page_of_a_table(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command("rank")(rank_command)
    app.callback()(lambda: None)
    (tmp_path / "sc<b>ores.csv").write_text("team,a,b\nx & y,0.5,-0.25\nnobody,,\nz,0.75,0\n")
    page = tmp_path / "leaderboard.html"
    asked = ["rank", str(tmp_path / "sc<b>ores.csv"), "--report"]
    ranked = CliRunner().invoke(app, [*asked, str(page)])
    assert ranked.exit_code == 0, ranked.output
    text = page.read_text()
    assert all(
        said in text
        for said in ("sc&lt;b&gt;ores.csv", "3 participants", "x &amp; y", "−0.2500", "no run", "0.0000")
    )
    assert text.count("<svg") == 3
    refused = CliRunner().invoke(app, [*asked, str(tmp_path / "absent" / "leaderboard.html")])
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "absent/leaderboard.html: cannot be written" in refused.stderr


def test_whether_participants_differ_is_said_at_the_level_of_the_critical_difference() -> None:
    test = Friedman(chi2=5.0, p=0.08, f=3.0, f_p=0.07)
    assert "differ more than chance" in describe_tests(test, 0.5, 1.2, 0.1)
    assert "by chance alone" in describe_tests(test, 0.5, 1.2, 0.05)
