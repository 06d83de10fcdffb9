"""Which rows a page of a large board has, and how the others are reached."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache

import pytest

from alcove_api.board_documents import ActiveRun, PhaseActivity, WaitingRun
from alcove_board.pages import (
    LEADING_TEAMS,
    PROJECTED_TEAMS,
    PROJECTED_WAITING,
    board_page,
)
from alcove_board.published import PublishedPhase, read_phases
from alcove_scorer.board_page import board_html
from tests.unit.board.test_documents import leaderboard
from tests.unit.scorer.test_pages import board, scored

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEAMS = LEADING_TEAMS + 3


def phase() -> PublishedPhase:
    (found,) = read_phases([leaderboard("practice")]).phases.values()
    return found


@cache
def stored(teams: int) -> bytes:
    made = board(*((f"team-{number:03}", (scored("a", 0.9 - number / 1000),)) for number in range(teams)))
    return board_html(made, NOON).encode()


def teams_on(page: bytes) -> list[str]:
    return re.findall(r'<tr data-team="([^"]+)"', page.decode())


@pytest.mark.parametrize(
    ("view", "shown"),
    [("board", LEADING_TEAMS), ("all", TEAMS), ("past", TEAMS), ("projector", PROJECTED_TEAMS)],
)
def test_a_large_board_shows_the_teams_that_lead(view: str, shown: int) -> None:
    page = board_page(phase(), stored(TEAMS), view)
    assert teams_on(page) == [f"team-{number:03}" for number in range(shown)]
    said = f"leading {LEADING_TEAMS} of {TEAMS} teams" in page.decode()
    linked = 'href="/cup/practice/all"' in page.decode()
    assert (said, linked) == ((True, True) if view == "board" else (False, False))
    assert page.count(b"</table>") >= 1
    assert page.count(b"<table") == page.count(b"</table>")
    assert page.count(b"<section") == page.count(b"</section>")


@pytest.mark.parametrize("view", ["board", "all", "past"])
def test_a_board_that_fits_is_whole(view: str) -> None:
    page = board_page(phase(), stored(5), view).decode()
    assert len(teams_on(page.encode())) == 5
    assert "/all" not in page
    body = stored(5).decode().partition("<body>")[2].rpartition("</body>")[0]
    assert body.strip() in page


def test_the_projector_has_the_table_and_no_pictures() -> None:
    page = board_page(phase(), stored(5), "projector").decode()
    assert len(teams_on(page.encode())) == 5
    assert (page.count("<table"), page.count("<svg")) == (1, 0)
    assert page.count("<h1>Leaderboard: ") == 1


def test_a_hall_sees_who_has_waited_longest_and_how_many_wait() -> None:
    waits = [
        WaitingRun(team=f"<{i}>", submission="first", dataset="digits") for i in range(PROJECTED_WAITING + 2)
    ]
    runs = (ActiveRun(team="red", submission="first", dataset="digits"),) * 2
    activity = PhaseActivity(running=runs, more=1, waiting=len(waits) + 3, queue=tuple(waits))
    page = board_page(phase(), stored(TEAMS), "projector", activity).decode()
    assert len(teams_on(page.encode())) == PROJECTED_TEAMS
    assert f"<b>3</b> runs go on, <b>{len(waits) + 3}</b> wait." in page
    assert re.findall(r"<li><bdi>(.*?)</bdi>, <bdi>first</bdi> on digits</li>", page) == [
        f"&lt;{i}&gt;" for i in range(PROJECTED_WAITING)
    ]
    assert "5 more wait." in page
    # Where only curves grow, nothing changes.
    grown = activity.replace(running=(*runs[1:], runs[0].replace(dataset="waves")))
    assert board_page(phase(), stored(TEAMS), "projector", grown).decode() == page


def test_where_nothing_waits_a_hall_sees_teams_alone() -> None:
    activity = PhaseActivity(running=(ActiveRun(team="red", submission="first", dataset="digits"),))
    page = board_page(phase(), stored(TEAMS), "projector", activity)
    assert len(teams_on(page)) == PROJECTED_TEAMS
    assert b"go on" not in page
    assert b"goes on" not in page
