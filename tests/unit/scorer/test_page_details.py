"""Ties, colours, times and titles on the pages."""

from __future__ import annotations

import re
from datetime import timedelta

from markupsafe import escape

from alcove_api.board_documents import BoardHistory
from alcove_api.run_documents import Verdict
from alcove_scorer.board import as_text
from alcove_scorer.board_page import board_html
from alcove_scorer.history import append_board
from alcove_scorer.report import ReportRun, report_html

from .test_pages import NOON, RULES, board, request_for, scored


def test_equal_teams_are_marked_and_agreement_without_bound_is_put_in_words() -> None:
    crossed = board(
        ("red", (scored("a", 0.9), scored("b", 0.1))),
        ("blue", (scored("a", 0.1), scored("b", 0.9))),
        ("green", (scored("a", 0.0), scored("b", 0.0))),
    )
    assert [(row.rank, row.tied) for row in crossed.rows] == [(1, True), (1, True), (3, False)]
    html, text = board_html(crossed, NOON), as_text(crossed)
    assert re.findall(r"<b>([^<]*)</b>", html) == ["1=", "1=", "3"]
    assert (
        "=: several have the same mean rank and share the rank; the earlier submission is listed first."
        in html
    )
    assert [line.split()[0] for line in text.splitlines()] == ["RANK", "1=", "1=", "3"]
    before = append_board(BoardHistory(), crossed, NOON - timedelta(hours=1))
    drawn = re.findall(r"<svg.*?</svg>", board_html(crossed, NOON, before), re.S)
    ends = [re.findall(r'font-weight="700"[^>]*>(\d=?)<', svg) for svg in drawn]
    of_curves = ["1=", "1=", "3"]
    assert [sorted(found) for found in ends if found] == [of_curves] * 5, (
        "three courses of ranks, and two datasets"
    )
    alike = board(
        ("red", (scored("a", 0.9), scored("b", 0.9))),
        ("blue", (scored("a", 0.5), scored("b", 0.5))),
    )
    html = board_html(alike, NOON)
    assert "Iman–Davenport F has no bound, since all rank them alike" in html
    assert "∞" not in html
    assert "1=" not in html


def test_a_team_has_its_colour_on_the_next_board_whatever_its_rank() -> None:
    def colours(html: str) -> dict[str, str]:
        return {
            team: dot for dot, team in re.findall(r'<i class="dot (d\d+)"></i>\d <bdi>(\w+)</bdi></li>', html)
        }

    first = board(("red", (scored("a", 0.9),)), ("blue", (scored("a", 0.8),)), generation=1)
    history = append_board(BoardHistory(), first, NOON)
    before = colours(board_html(first, NOON, history))
    later = board(
        ("green", (scored("a", 0.95),)),
        ("blue", (scored("a", 0.9),)),
        ("red", (scored("a", 0.1),)),
        generation=2,
    )
    history = append_board(BoardHistory.model_validate_json(history.canonical()), later, NOON)
    after = colours(board_html(later, NOON, history))
    assert before.keys() == {"red", "blue"}
    assert {team: after[team] for team in before} == before
    assert len(set(after.values())) == 3


def test_times_that_are_known_to_a_second_are_shown_in_seconds() -> None:
    verdict = Verdict(
        submission_uid="u", alias="a", attempt=1, pod_uid="p", phase="Done", cause="DeadlineReached",
        charged_to="Participant", queued_at=NOON, created_at=NOON + timedelta(seconds=0.0851),
        pulled_at=NOON + timedelta(seconds=3), staged_at=NOON + timedelta(seconds=5),
        launched_at=NOON + timedelta(seconds=66), started_at=NOON + timedelta(seconds=70.25),
        ended_at=NOON + timedelta(seconds=82.5), message="It was ended at its budget; what it had saved counts.",
    )  # fmt: skip
    html = report_html(
        request_for("team", "a"), RULES, [ReportRun(scored("a", 0.5, cause="DeadlineReached"), verdict, ())]
    )
    spent = re.search(r"<tr><td>a(.*?)</tr>", html)
    assert spent is not None
    assert re.findall(r">([^<]+)", spent[1]) == ["&lt; 1 s", "3 s", "2 s", "61 s", "4 s", "12.2 s"]
    assert "0.0851" not in html
    assert '<span class="tag good">DeadlineReached</span>' in html


def test_a_page_has_the_title_of_the_competition_and_where_there_is_none_its_name() -> None:
    titled, plain = board(title="Learning on a budget"), board()
    assert "<title>Learning on a budget – p</title>" in board_html(titled, NOON)
    assert "Learning on a budget" not in board_html(plain, NOON)
    request = request_for("team", "a")
    assert f'<p class="over">{escape(request.competition)} · ' in report_html(request, RULES, [])
    assert '<p class="over">On a budget · ' in report_html(request.replace(title="On a budget"), RULES, [])
