from __future__ import annotations

from typing import get_args

import pytest

from alcove_api.schemes import BoardRanking
from alcove_scorer.board import as_document, as_status, as_text

from .test_pages import NOON, board, scored


@pytest.mark.parametrize("method", get_args(BoardRanking))
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
