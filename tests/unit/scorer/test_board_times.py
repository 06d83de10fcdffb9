"""A board that ranks by how soon targets are reached."""

from __future__ import annotations

import pytest

from alcove_scorer.board import Board, as_document, as_text
from alcove_scorer.board_page import board_html
from alcove_scorer.board_status import as_status

from .test_pages import NOON, board, scored

TARGETS = {"a": 0.8, "b": 0.5}
TEAMS = (
    # Predictions are made at 2 s, 3 s and so on.
    ("never", (scored("a", 0.1), scored("b", 0.4, 0.4))),
    ("slow", (scored("a", 0.1, 0.9), scored("b", 0.1, 0.1, 0.6))),
    ("fast", (scored("a", 0.8, 0.2), scored("b", 0.5))),
    ("crash", (scored("a", cause="OutOfMemory"), scored("b", 0.5))),
)


def profile_board(**changes: object) -> Board:
    return board(*TEAMS, **{"method": "performance-profile", "targets": TARGETS, **changes})


def test_teams_are_ranked_by_the_area_under_their_profile() -> None:
    made = profile_board()
    assert [row.submission.team for row in made.rows] == ["fast", "slow", "crash", "never"]
    # (4 − ratio) / 3 on each dataset; a target that was not reached adds nothing.
    slow = ((4 - 3 / 2) + (4 - 4 / 2)) / 3 / 2
    assert [row.value for row in made.rows] == [1.0, pytest.approx(slow), 0.5, 0.0]
    assert [dict(row.seconds) for row in made.rows] == [
        {"a": 2.0, "b": 2.0}, {"a": 3.0, "b": 4.0}, {"a": None, "b": 2.0}, {"a": None, "b": None},
    ]  # fmt: skip
    assert made.problems == ()


def test_seconds_are_shown_where_ranks_are() -> None:
    made = profile_board()
    lines = as_text(made).splitlines()
    assert "2.0 s (1)" in lines[1]
    assert "OutOfMemory" in lines[3], "a crash is not a target that was missed"
    assert "not reached (3.5)" in lines[4]
    assert [s.seconds for s in as_status(made, NOON).entries[1].scores] == [3.0, 4.0]
    entries = as_document(made, NOON)["entries"]
    assert isinstance(entries, list)
    assert [score["seconds"] for score in entries[3]["scores"]] == [None, None]
    page = board_html(made, NOON)
    assert "Targets: a 0.8, b 0.5." in page
    assert "Performance profiles" in page
    assert "the area under the performance profile" in page


def test_a_dataset_without_a_target_is_told() -> None:
    (problem,) = profile_board(targets={"a": 0.8}).problems
    assert problem == "No target is set for b: nobody can reach it. Set spec.target of the Dataset."


def test_other_rankings_show_no_seconds() -> None:
    made = board(*TEAMS)
    assert all(not row.seconds for row in made.rows)
    assert " s (" not in as_text(made)
    assert "Performance profiles" not in board_html(made, NOON)
