from __future__ import annotations

from typing import get_args

import pytest

from alcove_api.board_documents import BoardExclusion
from alcove_api.schemes import BoardRanking
from alcove_scorer.board import (
    MOST_EXCLUDED,
    TABLE_CHARACTERS,
    as_document,
    as_text,
)
from alcove_scorer.board_page import board_html
from alcove_scorer.board_status import LEADERS_CELLS, as_status
from alcove_scorer.written_text import count_cells

from .test_pages import HOSTILE, NOON, board, scored


@pytest.mark.parametrize("method", [m for m in get_args(BoardRanking) if m != "performance-profile"])
def test_a_crash_a_zero_and_a_negative_score_are_three_things_on_the_board(method: str) -> None:
    # The crash came first: a tie would be its.
    made = board(
        ("crash", (scored("a", 0.0), scored("b", cause="OutOfMemory"))),
        ("zero", (scored("a", 0.0), scored("b", 0.0))),
        ("negative", (scored("a", 0.0), scored("b", -0.5))),
        ("best", (scored("a", 0.6), scored("b", 0.7))),
        method=method,
    )
    document = as_document(made, NOON)
    entries = document["entries"]
    assert isinstance(entries, list)
    assert [entry["team"] for entry in entries] == ["best", "zero", "negative", "crash"]
    cells = [entry["scores"][1] for entry in entries]
    assert [(cell["alc"], cell["cause"], cell["rank"]) for cell in cells] == [
        (0.7, "Finished", 1),
        (0.0, "Finished", 2),
        (-0.5, "Finished", 3),
        (None, "OutOfMemory", 4),
    ]
    status = as_status(made, NOON)
    assert [entry.scores[1].alc for entry in status.entries] == [0.7, 0.0, -0.5, None]
    lines = as_text(made).splitlines()[1:5]
    for line, cell in zip(lines, ("0.7000 (1)", "0.0000 (2)", "-0.5000 (3)", "OutOfMemory"), strict=True):
        assert cell in line


def test_an_error_relative_to_chance_says_no_more_digits_than_the_scores() -> None:
    made = board(("red", (scored("a", 0.87654321), scored("b", 0.87654321))), method="relative")
    document = as_document(made, NOON)
    entries = document["entries"]
    assert isinstance(entries, list)
    assert (entries[0]["scores"][0]["alc"], entries[0]["value"]) == (0.8765, 0.2469)


NAMED = {"hack-red": HOSTILE[:40], "hack-blue": "深層学習チーム", "hack-long": "A" * 40}


def test_a_display_name_stands_for_the_team_wherever_people_read() -> None:
    teams = ("hack-red", "hack-blue", "hack-long", "hack-plain")
    made = board(
        *((team, (scored("a", 0.9 - i / 10), scored("b", 0.9 - i / 10))) for i, team in enumerate(teams)),
        display_names=NAMED,
    )
    status, document = as_status(made, NOON), as_document(made, NOON)
    assert [(e.team, e.display_name) for e in status.entries] == [(t, NAMED.get(t, "")) for t in teams]
    entries = document["entries"]
    assert isinstance(entries, list)
    assert [entry["display_name"] for entry in entries] == [NAMED.get(team, "") for team in teams]
    header, *lines = as_text(made).splitlines()[:5]
    starts = [count_cells(line.partition(f" s{i} ")[0]) for i, line in enumerate(lines)]
    assert starts == [header.index("SUBMISSION") - 1] * 4, "columns stand below each other, wide letters too"
    assert all(count_cells(line) <= 80 for line in as_text(made).splitlines())
    assert "深層学習チーム" in lines[1]
    assert "hack-plain" in lines[3]
    page = board_html(made, NOON)
    assert "<script" not in page
    assert page.count("深層学習チーム") >= 3, "table, key and pictures"
    assert "<small>hack-blue</small>" in page
    assert "<small>hack-plain</small>" not in page


def test_the_leaders_fit_their_column_whatever_they_are_called() -> None:
    for name in ("A" * 40, "深" * 40, "x"):
        made = board(
            ("one", (scored("a", 0.9), scored("b", 0.9))), ("two", (scored("a", 0.8), scored("b", 0.8))),
            display_names={"one": name, "two": name},
        )  # fmt: skip
        leaders = as_status(made, NOON).leaders
        assert leaders.startswith("1 ")
        assert leaders.split()[1][0] == name[0]
        assert count_cells(leaders) <= LEADERS_CELLS


def test_whom_the_organizer_leaves_out_is_named_with_the_reason() -> None:
    excluded = (
        BoardExclusion(team="hack-red", reason="Two <b>accounts</b>"),
        *(BoardExclusion(team="hack-blue", submission=f"s-{i}", reason="Leaked") for i in range(30)),
    )
    made = board(
        ("hack-plain", (scored("a", 0.5), scored("b", 0.5))),
        excluded=excluded,
        display_names={"hack-red": "Red Pandas"},
    )
    assert "Left out by the organizer: Red Pandas: Two <b>accounts</b>" in as_text(made)
    assert as_text(made).count("Left out") == MOST_EXCLUDED
    assert [left.submission for left in as_status(made, NOON).excluded] == [
        "",
        *(f"s-{i}" for i in range(30)),
    ]
    page = board_html(made, NOON)
    assert page.count("Left out by the organizer") == 31
    assert "&lt;b&gt;accounts" in page
    longest = (BoardExclusion(team="t" * 63, submission="s" * 253, reason="r" * 200),) * 200
    teams = [(f"t{i}", (scored("a", 0.5), scored("b", 0.5))) for i in range(3)]
    assert len(as_text(board(*teams, excluded=longest))) <= TABLE_CHARACTERS
