"""The judge of ``make chaos`` finds predictions that are lost, and stamps that are not of the moment."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from bench.chaos.history import Attempt, Evidence
from bench.chaos.judge import find_violations
from bench.chaos.load import PREDICTIONS
from tests.unit.chaos.histories import GO, UNDISTURBED, as_of_earlier_times, attempt, evidence, run


def without(one: Attempt, lost: Collection[int], acknowledged: bool = False) -> Attempt:
    """``acknowledged``: whether the manifest names those that are lost."""
    left = tuple(said for said in one.predictions if said.number not in lost)
    return replace(one, predictions=left, records=one.records if acknowledged else len(left))


def shift(one: Attempt, by: float, number: int = 1) -> Attempt:
    """With a stamp that is later by so many seconds."""
    moved = tuple(
        replace(said, stamp=said.stamp + by) if said.number == number else said for said in one.predictions
    )
    return replace(one, predictions=moved)


def cut(one: Attempt, at: float) -> Evidence:
    """Its program was killed so many seconds after the go."""
    return evidence(run(one, cause="Signalled", payer="Participant"), (GO + at, "participant", one.pod_uid))


WRONG_CLOCK = attempt(go_at=GO + 3600, made_from=GO)


def with_wrong_clock(one: Attempt) -> Evidence:
    found = evidence(replace(run(one), ended_at=GO + 30))
    return replace(found, lasted=[(GO - 5, GO + 5, "recorder-clock-ahead")])


SOUND = {
    "it was killed with all but the last two seconds saved": cut(attempt(count=5), 7.4),
    "it was killed at once": cut(attempt(count=0), 1.5),
    "a recorder that was killed stamped late": evidence(
        run(shift(attempt(), 9.0, 3)), (GO + 2.5, "recorder", "pod-1")
    ),
    "its recorder had not come back when its supervisor was killed": replace(
        evidence(
            run(attempt(count=6), cause="Signalled", payer="Participant"),
            (GO + 6.8, "recorder", "pod-1"),
            (GO + 17.6, "supervisor", "pod-1"),
        ),
        restored=[],
    ),
    "its node was full": replace(evidence(run(shift(attempt(), 9.0))), lasted=[(GO, GO + 9, "node-full")]),
    "the machine was slow": evidence(run(shift(attempt(), 1.5))),
    "the clock of the recorder was wrong": with_wrong_clock(WRONG_CLOCK),
}


@pytest.mark.parametrize("case", SOUND)
def test_what_is_as_it_must_be_is_no_violation(case: str) -> None:
    assert find_violations(SOUND[case]) == []


BROKEN: dict[str, tuple[Evidence, str]] = {
    "the last is lost": (
        evidence(run(without(attempt(), {8}))),
        "it saved 8 predictions, and 7 are there: 8 is lost.",
    ),
    "the first and one in the middle are lost": (
        evidence(run(without(attempt(), {1, 5}))),
        "it saved 8 predictions, and 6 are there: 1, 5 are lost.",
    ),
    "one is lost, and of earlier times": (
        as_of_earlier_times(evidence(run(without(attempt(), {5})))),
        "it saved 8 predictions, and 7 are there.",
    ),
    "those before a kill are lost": (
        cut(attempt(count=2), 6.4),
        "4 predictions were saved when it was killed, and 2 are there: 3, 4 are lost.",
    ),
    "those after a kill of the recorder are lost, though it came back": (
        evidence(
            run(attempt(count=6), cause="Signalled", payer="Participant"),
            (GO + 6.8, "recorder", "pod-1"),
            (GO + 17.6, "supervisor", "pod-1"),
        ),
        "8 predictions were saved when it was killed, and 6 are there: 7, 8 are lost.",
    ),
    "one in the middle is lost, and the newest is there": (
        cut(without(attempt(count=6), {3}), 6.4),
        "it saved later predictions, and of its 6: 3 is lost.",
    ),
    "none is there though it was killed late, by a clock that was wrong": (
        replace(
            cut(without(WRONG_CLOCK, {3, 4, 5, 6, 7, 8}), 7.4), lasted=[(GO, GO + 5, "recorder-clock-ahead")]
        ),
        "and 2 are there: 3, 4, 5 are lost",
    ),
    "one that the manifest names is lost": (
        evidence(run(without(attempt(), {4}, acknowledged=True))),
        "8 predictions were acknowledged, and 7 are there",
    ),
    "one is recorded twice": (
        evidence(
            run(replace(attempt(), predictions=(*attempt().predictions[:-1], attempt().predictions[0])))
        ),
        "its predictions are recorded as [1, 2, 3, 4, 5, 6, 7, 1]",
    ),
    "a stamp is too early": (evidence(run(shift(attempt(), -0.2))), "before it was made"),
    "a stamp is too early, by the only clock that was right": (
        with_wrong_clock(shift(WRONG_CLOCK, -0.5)),
        "before it was made",
    ),
    "the recorder's clock is wrong, and nothing stepped it": (
        evidence(run(attempt(go_at=GO - 3600, made_from=GO))),
        "before it was made",
    ),
    "a stamp is late": (
        evidence(run(shift(attempt(), 2.5, 8))),
        "a prediction is stamped 2.5 s after it was made, and 2 s are allowed",
    ),
    "a stamp is late, though the clock of the go was wrong": (
        with_wrong_clock(shift(WRONG_CLOCK, 2.5, 8)),
        "a prediction is stamped 2.5 s after it was made",
    ),
    "a stamp is late, and the recorder was killed after it": (
        evidence(run(shift(attempt(), 2.9, 2)), (GO + 7.5, "recorder", "pod-1")),
        "after it was made, and 2 s are allowed",
    ),
    "a stamp is later than a recorder may be away": (
        evidence(run(shift(attempt(), 40, 3)), (GO + 2.5, "recorder", "pod-1")),
        "and 32 s are allowed",
    ),
    "it has Finished, and has no go": (
        evidence(run(replace(attempt(), go_at=None))),
        "the store has no go of it",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_found(case: str) -> None:
    broken, said = BROKEN[case]
    found = find_violations(broken)
    assert any(said in one for one in found), found


def test_the_histories_have_all_that_a_program_saves() -> None:
    assert len(UNDISTURBED.attempts[0].predictions) == PREDICTIONS
