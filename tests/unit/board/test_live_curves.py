"""Pictures of runs that go on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from alcove_api.board_documents import ActiveRun, PhaseActivity, WaitingRun
from alcove_api.leaderboard import PublishedRules
from alcove_api.score_documents import CurvePoint
from alcove_board import pages
from alcove_board.live_curves import HEIGHT, MARGIN, WIDTH, draw_curves
from alcove_board.published import PublishedPhase

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def run(*points: tuple[float, float], team: str = "red") -> ActiveRun:
    curve = tuple(CurvePoint(t=t, score=score) for t, score in points)
    return ActiveRun(team=team, submission="first", dataset="digits", started_at=NOON, curve=curve)


def places(line: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.split())]


def test_the_axes_go_from_the_go_to_the_budget_and_from_0_to_1() -> None:
    (live,) = draw_curves([run((0.0, 0.0), (15.0, 0.5), (255.0, 1.0))], 255)
    left, middle, right = places(live.line)
    assert left == (MARGIN, HEIGHT - MARGIN)
    assert right == live.end == (WIDTH - MARGIN, MARGIN)
    # ln 16 is half of ln 256.
    assert middle == pytest.approx((WIDTH / 2, HEIGHT / 2))
    assert live.zero == HEIGHT - MARGIN


def test_scores_below_chance_and_a_budget_that_is_not_disclosed_fit() -> None:
    (live,) = draw_curves([run((1.0, -0.5), (40.0, 0.25))], None)
    low, newest = places(live.line)
    assert low[1] == HEIGHT - MARGIN > live.zero
    assert newest[0] == WIDTH - MARGIN


def test_the_page_shows_each_curve_once_in_words_and_lists_what_has_none() -> None:
    rules = PublishedRules(budget_seconds=60)
    phase = PublishedPhase("cup", "live", rules, 0, 0, "", None, {}, "digest")
    running = (run((1.0, 0.25), (9.5, -0.8125), team="red & co"), run(team="starting"))
    page = pages.board_page(phase, None, "board", PhaseActivity(running=running)).decode()
    assert page.count("<polyline") == 1
    assert 'red &amp; co</bdi> on digits: <b>−0.8125</b> after <span class="n">9.50 s</span>' in page
    assert "<bdi>starting</bdi>" in page
    waits = tuple(WaitingRun(team=team, submission="first", dataset="digits") for team in ("<b>", "blue"))
    queued = pages.board_page(phase, None, "board", PhaseActivity(waiting=9, queue=waits)).decode()
    assert queued.index("<bdi>&lt;b&gt;</bdi>, <bdi>first</bdi> on digits") < queued.index("<bdi>blue</bdi>")
    assert "7 more wait" in queued
    later = (run((1.0, 0.25), (9.5, -0.8125), (20.0, 0.5), team="red & co"), run(team="starting"))
    assert pages.board_page(phase, None, "board", PhaseActivity(running=later)).decode() != page
