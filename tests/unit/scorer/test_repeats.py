"""Runs that are repeated count by their mean and spread, and baselines stand beside the ranks."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcove_api.score_documents import ScoredRun
from alcove_scorer.board import Board, as_document, as_text, make_board
from alcove_scorer.board_page import board_html
from alcove_scorer.board_status import as_status
from alcove_scorer.repeats import combine_repeats_by_alias

from .test_pages import NOON, board, results_of, scored

STEADY, WILD = (0.70, 0.72), (0.60, 0.86)


def repeated(first: tuple[float, ...], second: tuple[float, ...]) -> tuple[ScoredRun, ...]:
    """Two repeats on each of the datasets a and b."""
    named = zip(("a", "a.2", "b", "b.2"), (*first, *second), strict=True)
    return tuple(scored(name, alc) for name, alc in named)


def board_of(method: str = "average", **changes: object) -> Board:
    return board(
        ("steady", repeated(STEADY, STEADY)),
        ("wild", repeated(WILD, WILD)),
        repeats=2,
        method=method,
        **changes,
    )


def first_entry(made: Board) -> dict[str, object]:
    entries = as_document(made, NOON)["entries"]
    assert isinstance(entries, list)
    found: dict[str, object] = entries[0]
    return found


def test_the_score_of_a_dataset_is_the_mean_of_its_repeats_with_their_deviation() -> None:
    made = board_of()
    entry = as_status(made, NOON).entries[0]
    assert entry.team == "wild"
    assert [(score.alc, score.spread) for score in entry.scores] == [(0.73, 0.13), (0.73, 0.13)]
    assert first_entry(made)["scores"][0] == {  # type: ignore[index]
        "dataset": "a", "alc": 0.73, "spread": 0.13, "rank": 1.0, "cause": "Finished", "seconds": None}  # fmt: skip
    assert "0.7300±0.1300 (1)" in as_text(made)
    page = board_html(made, NOON)
    assert "0.7300 ± 0.1300" in page
    assert "run 2 times" in page


@pytest.mark.parametrize(
    ("penalty", "leader"), [(0.0, "wild"), (0.1, "wild"), (0.5, "steady"), (1.0, "steady")]
)
def test_a_penalty_on_the_deviation_puts_the_steady_one_first(penalty: float, leader: str) -> None:
    made = board_of("mean-minus-std", penalty=penalty)
    assert made.rows[0].submission.team == leader
    # What is shown is the mean all the same.
    shown = {row.submission.team: row.runs["a"].alc for row in made.rows}
    assert shown == pytest.approx({"steady": 0.71, "wild": 0.73})


def test_a_repeat_without_a_score_leaves_none_and_one_that_failed_late_counts_as_what_it_saved() -> None:
    lost = (
        scored("a", 0.9),
        scored("a.2", cause="OutOfMemory"),
        scored("b", 0.9),
        scored("b.2", 0.5, cause="ExitCode"),
    )
    made = board(("lost", lost), ("steady", repeated(STEADY, STEADY)), repeats=2)
    row = next(row for row in made.rows if row.submission.team == "lost")
    assert (row.runs["a"].alc, row.runs["a"].cause, row.spreads["a"]) == (None, "OutOfMemory", None)
    assert row.runs["b"].alc == pytest.approx(0.7)
    assert (row.ranks["a"], row.ranks["b"]) == (2.0, 2.0)
    assert "OutOfMemory" in as_text(made)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_mean_and_deviation_are_those_of_the_standard_library(alcs: list[float]) -> None:
    runs = [scored("d" if i == 0 else f"d.{i + 1}", alc) for i, alc in enumerate(alcs)]
    found = combine_repeats_by_alias(reversed(runs), ("d",), len(alcs))["d"]
    assert found.run.alias == "d"
    assert found.run.alc == pytest.approx(statistics.fmean(alcs))
    assert found.spread == pytest.approx(statistics.pstdev(alcs), abs=1e-9)
    # Its curve is that of a run that there was.
    assert found.run.points in [run.points for run in runs]


def with_baseline(method: str, compare_with: str, *alcs: float) -> Board:
    linear = tuple(scored(name, alc) for name, alc in zip("ab", alcs, strict=False))
    red, blue = (scored("a", 0.8), scored("b", 0.8)), (scored("a", 0.9), scored("b", 0.72))
    made = board(("red", red), ("blue", blue), ("hack", linear), method=method, compare_with=compare_with)
    # The third is the organizer's.
    entries = tuple(e.replace(baseline="linear") if e.team == "hack" else e for e in made.request.entries)
    return make_board(made.request.replace(entries=entries), results_of(made))


def test_a_baseline_is_shown_and_has_no_rank() -> None:
    made = with_baseline("average", "", 0.95, 0.95)
    assert [row.submission.team for row in made.rows] == ["red", "blue"]
    status = as_status(made, NOON)
    assert status.teams == 2
    assert [(b.submission, [s.alc for s in b.scores]) for b in status.baselines] == [("linear", [0.95, 0.95])]
    assert "(baseline)  linear" in as_text(made)
    assert "Baselines are the organizer" in board_html(made, NOON)
    assert [ranks for row in made.rows for ranks in row.ranks.values()] == [2.0, 1.0, 1.0, 2.0]


def test_errors_are_relative_to_the_named_baseline() -> None:
    """Red has errors of 0.2/0.5 and 0.2/0.3, blue of 0.1/0.5 and 0.28/0.3: means of 0.5333 and 0.5667."""
    made = with_baseline("relative", "linear", 0.5, 0.7)
    assert [(row.submission.team, row.value) for row in made.rows] == [("red", 0.5333), ("blue", 0.5667)]
    assert made.problems == ()
    # By chance (0.5 on both) they would be equal in sum: 0.4 + 0.4, and 0.2 + 0.56.
    assert with_baseline("relative", "", 0.5, 0.7).rows[0].submission.team == "blue"


def test_a_baseline_without_a_score_is_said_and_chance_takes_its_place() -> None:
    made = with_baseline("relative", "linear", 0.5)
    assert made.problems == (
        "The baseline linear has no score below 1 on b: errors there are relative to chance.",
    )
