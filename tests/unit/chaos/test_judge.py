"""The judge of ``make chaos`` finds what it is there to find, and nothing in what is as it must be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.chaos import faults
from bench.chaos.judge import Attempt, Evidence, Prediction, Run, find_violations
from bench.chaos.load import PREDICTIONS, WRAPS

GO = 1_780_000_000.0


def attempt(
    number: int = 1,
    pod: str = "pod-1",
    go_at: float = GO,
    count: int = PREDICTIONS,
    made_from: float | None = None,
) -> Attempt:
    """``made_from``: when the program's clock began, where that is not the recorder's ``go_at``."""
    moments = [i + 0.01 for i in range(1, count + 1)]
    began = go_at if made_from is None else made_from
    predictions = tuple(Prediction(t, int((began + t - 0.004) * 1000) % WRAPS, t - 0.3) for t in moments)
    return Attempt(number, pod, go_at, count + 0.5, count, predictions)


def run(*attempts: Attempt, cause: str = "Finished", payer: str = "") -> Run:
    last = attempts[-1]
    ended = {
        "dataset": "digits", "attempt": last.number, "podUid": last.pod_uid, "cause": cause, "chargedTo": payer,
        "phase": "Done",
    }  # fmt: skip
    verdict = {"attempt": last.number, "pod_uid": last.pod_uid}
    scored = {"attempt": last.number, "alc": 0.51}
    status = {"phase": "Done", "runs": [ended]}
    return Run("red/one", "uid-1", GO - 9, (last.go_at or 0) + 30, status, attempts, verdict, scored, 0.51)


def evidence(one: Run, *kills: tuple[float, str, str]) -> Evidence:
    return Evidence(
        [one], kills, {"r-1": 1}, totals={"red": (1, 1)}, together=[frozenset({"r-1-digits-1-abcde"})]
    )


UNDISTURBED = run(attempt())
REPEATED = run(attempt(1, "pod-1", GO - 40, 3), attempt(2, "pod-2"))
CUT = run(attempt(count=5), cause="Signalled", payer="Participant")
SOUND = {
    "nothing was killed": evidence(UNDISTURBED),
    "the operator was killed beside it": evidence(UNDISTURBED, (GO + 2, "operator", "pod-of-operator")),
    "the recorder was killed, and went on": evidence(UNDISTURBED, (GO + 2, "recorder", "pod-1")),
    "the recorder was killed, and the run repeated": evidence(REPEATED, (GO - 37, "recorder", "pod-1")),
    "the store was slow, and the run repeated": replace(
        evidence(REPEATED), lasted=[(GO - 5, GO + 5, "store-slow")]
    ),
    "its node was lost, and the run repeated": replace(
        evidence(REPEATED), lasted=[(GO - 39, GO + 5, "node-lost")]
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


def early(one: Attempt, by: float = 0.2) -> Attempt:
    """Stamped before it was made."""
    first, *later = one.predictions
    return replace(one, predictions=(replace(first, stamp=first.stamp - by), *later))


def with_run(one: Run, **update: Any) -> Run:
    (ended,) = one.status["runs"]
    return replace(one, status={**one.status, "runs": [{**ended, **update}]})


BROKEN: dict[str, tuple[Evidence, str]] = {
    "a snapshot is lost": (evidence(run(attempt(count=PREDICTIONS - 1))), "7 are there"),
    "a snapshot is lost before a kill": (
        evidence(
            run(attempt(count=2), cause="Signalled", payer="Participant"), (GO + 6, "participant", "pod-1")
        ),
        "2 are there",
    ),
    "a snapshot that the manifest names is lost": (
        evidence(run(replace(attempt(), records=PREDICTIONS + 1))),
        "9 predictions were acknowledged",
    ),
    "a stamp is too early": (evidence(run(early(attempt()))), "before it was made"),
    "a stamp is too early, by the only clock that was right": (
        replace(
            evidence(run(early(attempt(go_at=GO + 3600, made_from=GO), 0.5))),
            lasted=[(GO - 5, GO + 5, "recorder-clock-ahead")],
        ),
        "before it was made",
    ),
    "the recorder's clock is wrong, and nothing stepped it": (
        evidence(run(attempt(go_at=GO - 3600, made_from=GO))),
        "before it was made",
    ),
    "the operator's clock costs an attempt": (
        replace(evidence(REPEATED), lasted=[(GO - 5, GO + 5, "operator-clock-ahead")]),
        "nothing was killed that excuses it",
    ),
    "what lasted was over before": (
        replace(evidence(REPEATED), lasted=[(GO - 900, GO - 800, "store-slow")]),
        "nothing was killed that excuses it",
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
    "the score is of another attempt": (
        evidence(replace(REPEATED, scored={"attempt": 1, "alc": 0.51}), (GO - 37, "recorder", "pod-1")),
        "attempt 1 is scored",
    ),
    "a score differs": (evidence(replace(UNDISTURBED, recomputed=0.52)), "computed again"),
    "a score is missing": (evidence(replace(UNDISTURBED, scored=None)), "no score"),
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
    "a Job is left": (replace(evidence(UNDISTURBED), left=["job.batch/r-1"]), "left behind"),
    "a ticket is lost": (replace(evidence(UNDISTURBED), settling=["uid-1"]), "never given back"),
    "a quota does not balance": (replace(evidence(UNDISTURBED), totals={"red": (2, 1)}), "2 are counted"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_found_and_nothing_else(case: str) -> None:
    broken, said = BROKEN[case]
    found = find_violations(broken)
    assert any(said in one for one in found), found


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
        (["/alcove/bin/alcove-supervisor", "run"], "supervisor"),
        (["/pause"], ""),
        ([], ""),
    ],
)
def test_a_process_is_known_by_its_command(arguments: list[str], kind: str) -> None:
    assert faults.find_kind(arguments) == kind
