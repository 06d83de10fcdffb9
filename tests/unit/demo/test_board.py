"""What `make demo` waits for before it prints a board."""

from __future__ import annotations

from typing import Any

import pytest

from tests.demo.__main__ import board_holds

WANTED = [("red", "first"), ("blue", "only"), ("red", "second")]


def board(**entries: str) -> dict[str, Any]:
    return {"entries": [{"team": team, "submission": name} for team, name in entries.items()]}


@pytest.mark.parametrize(
    ("status", "holds"),
    [
        ({}, False),
        (board(red="second"), False),
        (board(red="first", blue="only"), False),  # both teams, and an older submission of one
        (board(red="second", blue="only"), True),
    ],
)
def test_a_board_is_right_once_it_holds_the_last_of_each_team(status: dict[str, Any], holds: bool) -> None:
    assert board_holds(status, WANTED) is holds
