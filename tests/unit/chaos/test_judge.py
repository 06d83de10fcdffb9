"""The judge of ``make chaos`` finds what it is there to find, and nothing in what is as it must be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.chaos import faults
from bench.chaos.history import Evidence, Run, Told
from bench.chaos.judge import find_violations, list_unjudged, measure_union
from bench.chaos.load import PREDICTIONS
from tests.unit.chaos.histories import (
    AGAIN_FOR_STORE,
    CUT,
    GO,
    REPEATED,
    UNDISTURBED,
    as_of_earlier_times,
    attempt,
    evidence,
    run,
    told,
    with_run,
)


def with_told(one: Run, *said: Told) -> Run:
    return replace(one, told=[*said, *(one.told or ())])


GIVEN_UP = with_run(
    replace(
        run(
            *(attempt(n, f"pod-{n}", GO - 200 + 50 * n, 3) for n in range(1, 5)), cause="RecorderLost", payer="Platform"
        ),
        scored=None, scores=[], recomputed=None,
    ),
    phase="Failed", alc=None,
)  # fmt: skip
OVERLAP = [
    (GO - 1000, GO - 850, "node-lost"),
    (GO - 890, GO - 850, "store-slow"),
    (GO - 10, None, "api-silent"),
]
SOUND = {
    "nothing was killed": evidence(UNDISTURBED),
    "the operator was killed beside it": evidence(UNDISTURBED, (GO + 2, "operator", "pod-of-operator")),
    "the recorder was killed, and went on": evidence(UNDISTURBED, (GO + 2, "recorder", "pod-1")),
    "the recorder was killed, and the run repeated": evidence(REPEATED, (GO - 37, "recorder", "pod-1")),
    "the store was slow, and the run repeated": replace(
        evidence(AGAIN_FOR_STORE), lasted=[(GO - 39, GO - 20, "store-slow")]
    ),
    "its node was lost, and the run repeated": replace(
        evidence(REPEATED), lasted=[(GO - 39, GO + 5, "node-lost")]
    ),
    "the store was killed before the attempt, and came back only while it ran": replace(
        evidence(AGAIN_FOR_STORE, (GO - 90, "store", "s")), restored=[(GO - 90, GO - 30, "store")]
    ),
    "the supervisor was killed before the go, in a pod that left nothing": evidence(
        with_told(
            run(attempt(2, "pod-2")),
            told(1, GO - 30, "pod-1"),
            told(2, GO - 9, message="Attempt 2 of 4: The pod ended before the go."),
        ),
        (GO - 20, "supervisor", "pod-1"),
    ),
    "the runner was killed while it loaded its libraries": evidence(
        run(
            replace(attempt(1, "pod-1", GO - 40, 0), go_at=None),
            attempt(2, "pod-2"),
            why="The platform's runner could not be started.",
        ),
        (GO - 37, "participant", "pod-1"),
    ),
    "the supervisor was killed in a pod that the operator never saw": replace(
        evidence(
            with_told(
                run(attempt(2, "pod-2")),
                told(2, GO - 9, message="Attempt 2 of 4: The pod ended before the go."),
            ),
            (GO - 20, "supervisor", "pod-1"),
        ),
        pods={"pod-1": "r-uid1-digits-1-abcde"},
    ),
    "it was given up": evidence(
        GIVEN_UP, *((GO - 200 + 50 * n, "recorder", f"pod-{n}") for n in range(1, 5))
    ),
    "a fault that never ended, long ago": replace(
        evidence(AGAIN_FOR_STORE), lasted=[(GO - 4000, None, "store-slow")]
    ),
    "of earlier times, one that left nothing was killed": as_of_earlier_times(
        evidence(run(attempt(2, "pod-2")), (GO - 8, "supervisor", "pod-1"))
    ),
    "it waited for its node": replace(
        evidence(replace(UNDISTURBED, submitted_at=GO - 640)), lasted=[(GO - 600, GO - 500, "node-lost")]
    ),
    "the recorder's clock was an hour ahead": replace(
        evidence(replace(run(attempt(go_at=GO + 3600, made_from=GO)), ended_at=GO + 30)),
        lasted=[(GO - 5, GO + 5, "recorder-clock-ahead")],
    ),
    "the program was killed": evidence(CUT, (GO + 5.6, "participant", "pod-1")),
    "the supervisor was killed while it waited for the seal": evidence(
        UNDISTURBED, (GO + PREDICTIONS + 0.3, "supervisor", "pod-1")
    ),
}


@pytest.mark.parametrize("case", SOUND)
def test_what_is_as_it_must_be_is_no_violation(case: str) -> None:
    assert find_violations(SOUND[case]) == []


BROKEN: dict[str, tuple[Evidence, str]] = {
    "the operator's clock costs an attempt": (
        replace(evidence(REPEATED), lasted=[(GO - 5, GO + 5, "operator-clock-ahead")]),
        "nothing was killed that excuses it",
    ),
    "what lasted was over before": (
        replace(evidence(AGAIN_FOR_STORE), lasted=[(GO - 900, GO - 800, "store-slow")]),
        "attempt 1 ended with StoreAway, with [] killed in its pod and [] beside it",
    ),
    "what lasted began later": (
        replace(evidence(AGAIN_FOR_STORE), lasted=[(GO - 2, GO + 5, "store-slow")]),
        "nothing was killed that excuses it",
    ),
    "the store was back long before": (
        replace(evidence(AGAIN_FOR_STORE, (GO - 90, "store", "s")), restored=[(GO - 90, GO - 70, "store")]),
        "nothing was killed that excuses it",
    ),
    "the fault does not fit the cause": (
        evidence(AGAIN_FOR_STORE, (GO - 37, "recorder", "pod-1")),
        "attempt 1 ended with StoreAway, with ['recorder'] killed in its pod",
    ),
    "another's recorder was killed": (
        evidence(REPEATED, (GO - 37, "recorder", "pod-of-another")),
        "nothing was killed that excuses it",
    ),
    "the recorder of the next attempt was killed": (
        evidence(REPEATED, (GO + 2, "recorder", "pod-2")),
        "nothing was killed that excuses it",
    ),
    "one of two repeats has no excuse": (
        evidence(
            run(attempt(1, "pod-1", GO - 80, 3), attempt(2, "pod-2", GO - 40, 3), attempt(3, "pod-3")),
            (GO - 77, "recorder", "pod-1"),
        ),
        "attempt 2 ended with RecorderLost",
    ),
    "a fault that could not be brought about": (
        replace(evidence(AGAIN_FOR_STORE), failed=[(GO - 41, GO - 5, "store-slow")]),
        "nothing was killed that excuses it",
    ),
    "it is repeated though the participant pays": (
        evidence(
            with_told(REPEATED, told(1, GO - 30, "pod-1", "Signalled", "Participant")),
            (GO - 37, "participant", "pod-1"),
        ),
        "though Participant pays for Signalled",
    ),
    "it is repeated for no reason that is known": (
        evidence(run(attempt(1, "pod-1", GO - 40, 3), attempt(2, "pod-2"), why="Somebody wanted it.")),
        "a reason that is none: Somebody wanted it.",
    ),
    "the store is full": (
        evidence(
            run(attempt(1, "pod-1", GO - 40, 3), attempt(2, "pod-2"), why="The object store was full, so"),
            (GO - 38, "store", "s"),
        ),
        "attempt 1 ended with StoreFull",
    ),
    "it is given up too early": (
        evidence(
            with_run(REPEATED, cause="RecorderLost", chargedTo="Platform"),
            (GO - 37, "recorder", "pod-1"),
            (GO + 1, "recorder", "pod-2"),
        ),
        "given up after attempt 2 of 4",
    ),
    "it is given up, and one of four has no excuse": (
        evidence(GIVEN_UP, *((GO - 200 + 50 * n, "recorder", f"pod-{n}") for n in range(1, 4))),
        "it was given up, and nothing was killed that excuses it: attempt 4",
    ),
    "of earlier times, its supervisor was killed in another attempt's time": (
        as_of_earlier_times(evidence(REPEATED, (GO - 300, "supervisor", "pod-0"))),
        "nothing was killed that excuses it",
    ),
    "the participant pays for what its kill cannot bring about": (
        evidence(with_run(CUT, cause="OutOfMemory"), (GO + 5.6, "participant", "pod-1")),
        "the participant pays for OutOfMemory",
    ),
    "the organizer pays": (
        evidence(with_run(UNDISTURBED, cause="Cancelled", chargedTo="Organizer")),
        "it ended with Cancelled",
    ),
    "the verdict has another cause": (
        evidence(replace(UNDISTURBED, verdict={**(UNDISTURBED.verdict or {}), "cause": "StoreAway"})),
        "the verdict says",
    ),
    "it has Finished, and the store has no attempt": (
        evidence(replace(UNDISTURBED, attempts=[])),
        "of which the store has nothing",
    ),
    "it has Finished, and the verdict names no pod": (
        evidence(replace(UNDISTURBED, verdict={"attempt": 1, "pod_uid": None})),
        "the verdict names no pod",
    ),
    "it has no run": (
        evidence(replace(UNDISTURBED, status={"phase": "Rejected", "message": "No."})),
        "has no run: 'Rejected', 'No.'",
    ),
    "the verdict is damaged": (
        evidence(
            replace(
                UNDISTURBED,
                verdict={"created_at": "yesterday", "attempt": 1},
                status={**REPEATED.status},
                told=None,
            )
        ),
        "cannot be judged",
    ),
    "something could not be read": (
        replace(evidence(UNDISTURBED), unreadable=["The verdict of red/one cannot be read."]),
        "cannot be read",
    ),
    "two pods of one attempt ran": (evidence(run(attempt(1, "pod-0", GO - 60), attempt())), "had 2 pods"),
    "two pods ran at once": (
        evidence(run(attempt(1, "pod-1", GO - 2), attempt(2, "pod-2")), (GO - 1, "recorder", "pod-1")),
        "before the end of another",
    ),
    "an earlier attempt is scored": (
        evidence(
            replace(REPEATED, verdict={"attempt": 1, "pod_uid": "pod-1"}), (GO - 37, "recorder", "pod-1")
        ),
        "the verdict names 1",
    ),
    "the participant pays for the operator": (
        evidence(
            with_run(UNDISTURBED, cause="Signalled", chargedTo="Participant"), (GO + 2, "operator", "p")
        ),
        "the participant pays",
    ),
    "it is repeated for nothing": (evidence(REPEATED, (GO - 37, "operator", "pod-of-operator")), "repeated"),
    "it is given up for nothing": (
        evidence(with_run(UNDISTURBED, cause="PodGone", chargedTo="Platform"), (GO + 2, "operator", "p")),
        "nothing was killed that excuses it",
    ),
    "a program that was killed has finished": (
        evidence(UNDISTURBED, (GO + 2, "participant", "pod-1")),
        "were killed in its pod",
    ),
    "it never ends": (evidence(replace(UNDISTURBED, ended_at=None)), "never ended"),
    "two pods of one run were seen at once": (
        replace(
            evidence(UNDISTURBED),
            together=[frozenset({"r-1-digits-1-abcde", "r-1-digits-2-fghij", "r-2-digits-1-x"})],
        ),
        "2 pods of the run r-1-digits",
    ),
    "a submission is lost": (replace(evidence(UNDISTURBED), lost=["red/two"]), "red/two was taken"),
    "it takes too long": (evidence(replace(UNDISTURBED, submitted_at=GO - 900)), "600 s are allowed"),
    "it takes too long, for what lasted meanwhile": (
        replace(
            evidence(replace(UNDISTURBED, submitted_at=GO - 900)), lasted=[(GO - 1000, GO - 850, "node-lost")]
        ),
        "650 s are allowed",
    ),
    "it takes too long, and what lasted meanwhile overlapped": (
        replace(evidence(replace(UNDISTURBED, submitted_at=GO - 900)), lasted=OVERLAP),
        "690 s are allowed",
    ),
    "the participant pays for its node": (
        replace(
            evidence(with_run(UNDISTURBED, cause="ExitCode", chargedTo="Participant")),
            lasted=[(GO - 1, GO + 5, "node-full")],
        ),
        "the participant pays",
    ),
    "nothing was submitted": (Evidence([], (), {}), "Nothing was submitted"),
    "the audit log was not read": (replace(evidence(UNDISTURBED), jobs={}), "no Job of a run"),
    "a Job is made twice": (replace(evidence(UNDISTURBED), jobs={"r-1": 2}), "made 2 times"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_found_and_nothing_else(case: str) -> None:
    broken, said = BROKEN[case]
    found = find_violations(broken)
    assert any(said in one for one in found), found


def test_spans_that_overlap_count_once() -> None:
    assert measure_union([(0, 10), (2, 4), (8, 12), (20, 21), (30, 25)]) == 13
    assert measure_union([]) == 0


def test_it_is_said_what_could_not_be_judged() -> None:
    sound = evidence(REPEATED, (GO - 37, "recorder", "pod-1"))
    assert list_unjudged(sound) == []
    assert len(list_unjudged(as_of_earlier_times(sound))) == 5
    silent = evidence(replace(REPEATED, told=[one for one in REPEATED.told or () if not one.message]))
    assert list_unjudged(silent) == ["red/one: nobody noted why attempt 1 ended."]
    assert find_violations(silent), "a cause that was not noted still needs an excuse"


def test_a_seed_draws_the_same_faults_and_each_kind_as_often() -> None:
    lasting = ("slow", "late")
    drawn = list(faults.draw(7, 3600, faults.KINDS, lasting))
    assert drawn == list(faults.draw(7, 3600, faults.KINDS, lasting))
    assert [one.at for one in drawn] == sorted(one.at for one in drawn)
    assert drawn != list(faults.draw(8, 3600, faults.KINDS, lasting))
    for kinds in (faults.KINDS, lasting):
        counts = [sum(one.kind == kind for one in drawn) for kind in kinds]
        assert max(counts) - min(counts) <= 1
    assert all(one.at > 0 and one.at + one.lasts <= 3600 for one in drawn)
    assert {one.kind for one in drawn if one.lasts} == set(lasting)


def test_kills_are_the_same_whatever_lasts_beside_them() -> None:
    with_others = [one for one in faults.draw(7, 600, faults.KINDS, ("slow",)) if not one.lasts]
    assert list(faults.draw(7, 600, faults.KINDS, ())) == with_others


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["/root/.cache/alcove/bin/kubelet-v1.34.4", "--config=x"], "kubelet"),
        (["/usr/bin/containerd", "--config", "x"], "containerd"),
        (["/usr/bin/containerd-shim-runc-v2", "-namespace", "k8s.io"], ""),
        (["/opt/alcove/bin/python", "-I", "-m", "alcove_operator"], "operator"),
        (["/opt/alcove/bin/python", "-I", "-m", "alcove_scorer", "aggregate"], "aggregate"),
        (["/opt/alcove/bin/python", "-I", "-m", "alcove_scorer", "score"], "score"),
        (["/opt/alcove/bin/python", "-I", "-m", "alcove_recorder"], "recorder"),
        (["/opt/alcove/bin/alcove-supervisor", "run"], "supervisor"),
        (["/pause"], ""),
        ([], ""),
    ],
)
def test_a_process_is_known_by_its_command(arguments: list[str], kind: str) -> None:
    assert faults.find_kind(arguments) == kind
