"""Which submission of a team counts: its last, its best, or the one that it has marked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcove_api.submission import RunStatus, SubmissionStatus
from alcove_operator.core import boards, choice
from alcove_operator.core.conditions import find_condition
from alcove_operator.core.model import Facts, SubmissionView
from tests.unit.operator_core.cluster import START
from tests.unit.operator_core.test_boards import rules, view


def submission(number: int, *alcs: float | None, marked: int | None = None) -> SubmissionView:
    """The team's ``number``-th, with these ALC on d0, d1 …; ``marked``: when its mark was seen, in minutes."""
    made = view("red", "x")
    runs = tuple(RunStatus(dataset=f"d{i}", alc=alc) for i, alc in enumerate(alcs))
    at = None if marked is None else START + timedelta(minutes=marked)
    status = made.status.replace(runs=runs, chosen_at=at, admitted_at=START, code_sha256="c" * 64)
    created = START + timedelta(hours=number)
    return replace(
        made,
        uid=f"uid-{number}",
        name=f"n{number}",
        created_at=created,
        status=status,
        chosen=marked is not None,
    )


def counted(counts: str, *views: SubmissionView, **phase: Any) -> str:
    (found,) = boards.select_counted(rules("practice", phase={"counts": counts, **phase}), views)
    return found.name


def test_the_last_counts_unless_the_phase_says_otherwise() -> None:
    assert counted("last", submission(1, 0.9, marked=5), submission(2, 0.3)) == "n2"


def test_the_best_counts_and_of_equals_the_earliest() -> None:
    assert (
        counted("best", submission(1, 0.5), submission(2, 0.9), submission(3, 0.9), submission(4, 0.2))
        == "n2"
    )


def test_one_with_all_scores_is_better_than_one_without() -> None:
    assert counted("best", submission(1, 0.9, None), submission(2, 0.1, 0.1)) == "n2"


def test_the_best_is_by_what_the_phase_ranks() -> None:
    steady, wild = submission(1, 0.6), submission(2, 0.5)
    steady = replace(steady, status=steady.status.replace(runs=_repeats(0.6, 0.6)))
    wild = replace(wild, status=wild.status.replace(runs=_repeats(0.3, 1.0)))
    assert counted("best", steady, wild) == "n2"
    assert counted("best", steady, wild, ranking="mean-minus-std", stdPenalty=0.5, repeats=2) == "n1"


def _repeats(*alcs: float) -> tuple[RunStatus, ...]:
    return tuple(RunStatus(dataset=name, alc=alc) for name, alc in zip(("d0", "d0.2"), alcs, strict=True))


def test_the_newest_mark_counts_and_without_one_the_last() -> None:
    first, second, third = submission(1, 0.5, marked=7), submission(2, 0.5, marked=3), submission(3, 0.5)
    assert counted("chosen", first, second, third) == "n1"
    assert counted("chosen", submission(1, 0.5), submission(2, 0.5), third) == "n3"


def test_a_marked_one_without_a_score_does_not_count() -> None:
    assert counted("chosen", submission(1, 0.5), submission(2, None, marked=3)) == "n1"


TEAM = st.lists(
    st.tuples(st.sampled_from([None, 0.1, 0.5, 0.9]), st.sampled_from([None, 1, 2, 3])),
    min_size=1,
    max_size=5,
)


@given(TEAM, st.sampled_from(["last", "best", "chosen"]), st.data())
def test_what_counted_stands_when_it_is_deleted(team: list[Any], counts: str, data: st.DataObject) -> None:
    """In whatever order they are deleted, what is left never counts before what counted among all."""
    views = [submission(i, alc, marked=mark) for i, (alc, mark) in enumerate(team)]
    scored = [v for v in views if v.status.runs[0].alc is not None]
    current = rules("practice", phase={"counts": counts})
    if not scored:
        return
    wanted = boards.pick_counted(current, scored).uid
    counted = boards.update_counted({}, scored, current)
    left = data.draw(st.permutations(scored))
    while left:
        left = left[1:]
        counted = boards.update_counted(counted, left, current)
        assert counted["red"].submission_uid == wanted


def test_what_stands_keeps_its_code_for_a_final() -> None:
    current = rules("practice")
    (entry,) = boards.update_counted({}, [submission(1, 0.5)], current).values()
    code = boards.admitted_code(boards.view_deleted(entry, current))
    assert code is not None
    assert code.bundle is not None
    assert code.bundle.sha256 == "c" * 64


@pytest.mark.parametrize(
    ("counts", "instead", "reason"),
    [
        ("chosen", "", "Chosen"),
        ("chosen", "n2", "AnotherChosen"),
        ("last", "", "NoChoice"),
        ("best", "", "NoChoice"),
    ],
)
def test_a_condition_says_what_a_mark_does(counts: str, instead: str, reason: str) -> None:
    marked = replace(submission(1, 0.5), chosen=True)
    phase = rules("practice", phase={"counts": counts}).phase
    status = choice.note_mark(marked, phase, marked.status, Facts(chosen_instead=instead), START)
    found = find_condition(status.conditions, choice.CONDITION)
    assert found is not None
    assert found.reason == reason
    assert (status.chosen_at is not None) is (counts == "chosen")
    assert ("kubectl label" in found.message) is (reason != "Chosen")


def test_a_mark_that_is_taken_off_is_forgotten_and_set_again_is_newer() -> None:
    phase, later = rules("practice", phase={"counts": "chosen"}).phase, START + timedelta(hours=1)
    marked = replace(submission(1, 0.5), chosen=True)
    once = choice.note_mark(marked, phase, marked.status, Facts(), START)
    off = choice.note_mark(replace(marked, chosen=False), phase, once, Facts(), later)
    assert off.chosen_at is None
    again = choice.note_mark(marked, phase, off, Facts(), later)
    assert again.chosen_at == later


def test_of_several_marks_the_newest_is_named() -> None:
    one, two = submission(1, 0.5, marked=2), submission(2, 0.5, marked=1)
    assert choice.find_chosen_instead(two, (one, two)) == "n1"
    assert choice.find_chosen_instead(one, (one, two)) == ""
    assert choice.find_chosen_instead(replace(two, status=SubmissionStatus()), (one, two)) == ""
