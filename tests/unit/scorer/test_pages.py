"""What is shown to people: escaped, the same for the same input, and no more than may be shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from alcove_crds.documents import (
    SCORER_VERSION,
    AggregateRequest,
    BoardSubmission,
    CurvePoint,
    Feedback,
    Refusal,
    ScoredRun,
    ScoreRequest,
    ScoreResult,
    Scoring,
    Verdict,
)
from alcove_scorer.board import Board, as_status, as_text, make_board
from alcove_scorer.board_page import board_html, moments, ranks_over_time
from alcove_scorer.curves import Point, rules
from alcove_scorer.pictures import critical_difference_svg, groups, run_svg
from alcove_scorer.report import ReportRun, phases, report_html

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RULES = rules(30)
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
        datasets=("a", "b"),
        budget_seconds=30,
        entries=tuple(entries),
        **changes,
    )
    return make_board(request, results)


def report() -> str:
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
    shown = (Point(0, 2.0, 0.61),)
    run = scored("a", 0.612345, 0.712345)
    return report_html(request, RULES, [ReportRun(run, None, shown, run_svg(HOSTILE, shown, RULES))])


@pytest.mark.parametrize("page", ["report", "board"])
def test_pages_hold_no_tag_and_no_address_of_others(page: str) -> None:
    text = report() if page == "report" else board_html(board((HOSTILE, (scored("a", 0.7),))), NOON)
    tags = Tags(text)
    assert "script" not in tags.found
    assert all(source.startswith("data:image/svg+xml;base64,") for source in tags.sources)
    assert "default-src 'none'" in text
    assert "secret" not in text


def test_pictures_hold_no_tag_of_others_and_are_the_same_each_time() -> None:
    svg = run_svg(HOSTILE, (Point(0, 2.0, 0.6),), RULES)
    assert b"<script" not in svg
    assert svg == run_svg(HOSTILE, (Point(0, 2.0, 0.6),), RULES)


def test_a_report_shows_rounded_scores_and_only_the_points_that_may_be_shown() -> None:
    text = report()
    assert "0.71" in text
    assert "0.712" not in text
    assert "0.612" not in text
    assert "1 more were scored" in text


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
    assert phases(verdict) == [("Queue", 3.0), ("Stage", 2.0), ("Run", 30.0)]


@pytest.mark.parametrize(
    ("ranks", "cd", "expected"),
    [
        ([1, 2, 3, 4], 0.5, []),
        ([1, 2, 3, 4], 1, [(0, 1), (1, 2), (2, 3)]),
        ([1, 2, 3, 4], 3, [(0, 3)]),
        ([1, 1, 3, 3.5], 1, [(0, 1), (2, 3)]),
        ([1, 2, 2.5, 5], 1.5, [(0, 2)]),
    ],
)
def test_groups_that_cannot_be_told_apart(
    ranks: list[float], cd: float, expected: list[tuple[int, int]]
) -> None:
    assert groups(ranks, cd) == expected


def test_the_diagram_names_everyone() -> None:
    svg = critical_difference_svg(["one", "two", "three"], [1.2, 1.8, 3.0], 1.5).decode()
    assert all(f"{name} " in svg for name in ("one", "two", "three"))


def test_ranks_over_time_end_with_the_ranks_and_start_level() -> None:
    got = board(
        ("early", (scored("a", 0.6, 0.6), scored("b", 0.6, 0.6))),
        ("best", (scored("a", 0.5, 0.9), scored("b", 0.5, 0.9))),
    )
    over_time = ranks_over_time(got.rows, ("a", "b"), RULES)
    names = [row.submission.team for row in got.rows]
    assert names == ["best", "early"]
    assert over_time[:, 0].tolist() == [1.5, 1.5]
    assert over_time[:, -1].tolist() == [1, 2]
    at_two = next(i for i, moment in enumerate(moments(RULES)) if 2 < moment < 3)
    assert over_time[:, at_two].tolist() == [2, 1]


def test_a_long_table_is_cut_and_says_so() -> None:
    teams = [(f"team-{i}", (scored("a", 0.5 + i / 1000), scored("b", 0.5))) for i in range(120)]
    lines = as_text(board(*teams)).splitlines()
    assert len(lines) == 102
    assert lines[-1] == "… and 20 more in the store's table.json"


def test_the_leaders_are_on_one_line_of_whole_rows() -> None:
    two = board(("red", (scored("a", 0.9), scored("b", 0.9))), ("blue", (scored("a", 0.8), scored("b", 0.8))))
    assert as_status(two, NOON).leaders == "1 red (1.00), 2 blue (2.00)"
    many = [
        (f"{'team' * 15}-{i}", (scored("a", 0.9 - i / 100), scored("b", 0.9 - i / 100))) for i in range(9)
    ]
    said = as_status(board(*many), NOON).leaders
    assert len(said) <= 256
    assert said.endswith(")")
    assert said.count("(") == 3
    assert as_status(board(), NOON).leaders == ""


@pytest.mark.parametrize("method", ["average", "copeland", "mean-minus-std", "relative"])
def test_every_method_of_a_competition_makes_a_board(method: str) -> None:
    got = board(
        ("crashed", (scored("a", cause="OutOfMemory"), scored("b", 0.6))),
        ("good", (scored("a", 0.8), scored("b", 0.9))),
        method=method,
    )
    assert [row.submission.team for row in got.rows] == ["good", "crashed"]
    assert "OutOfMemory" in board_html(got, NOON)
