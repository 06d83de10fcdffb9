"""A team's colour stays from board to board, and no two leaders have the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alcove_scorer.colours import COLOURS as SHADES
from alcove_scorer.colours import SERIES
from alcove_scorer.team_colours import COLOURS, LEADERS, assign_colours

BOARDS = st.lists(st.lists(st.sampled_from([f"team-{i}" for i in range(14)]), max_size=LEADERS, unique=True))


@given(BOARDS)
def test_leaders_keep_their_colours_and_share_none(boards: list[list[str]]) -> None:
    known: dict[str, int] = {}
    for leaders in boards:
        found = assign_colours(leaders, known)
        assert set(leaders) <= set(found)
        assert len(set(found.values())) == len(found) <= COLOURS
        assert set(found.values()) <= set(range(COLOURS))
        assert all(found[team] == known[team] for team in leaders if team in known)
        known = found


def test_who_falls_behind_comes_back_in_the_same_colour() -> None:
    first = ["red", "blue", "green", "white", "black"]
    known = assign_colours(first, {})
    later = assign_colours(["a", "b", "c", "d", "e"], known)
    again = assign_colours(first[::-1], later)
    assert {team: again[team] for team in first} == known
    # The eleventh takes the colour of the one that has not led for longest.
    last = assign_colours(["f"], again)
    assert last["f"] == again["a"]
    assert "a" not in last


def test_there_are_as_many_colours_as_numbers() -> None:
    assert len(SERIES) == len(set(SERIES)) == COLOURS
    assert all(colour in SHADES for colour in SERIES)
