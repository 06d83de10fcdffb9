"""The judge of ``make chaos`` finds scores and counts that are wrong, and what is left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.chaos.history import Evidence, Score
from bench.chaos.judge import find_violations
from tests.unit.chaos.histories import (
    DIGEST,
    GO,
    REPEATED,
    UNDISTURBED,
    as_of_earlier_times,
    evidence,
    with_run,
)

SCORED = UNDISTURBED.scored
OTHER = "0123456789abcdef"
OWED = with_run(UNDISTURBED, phase="Failed", chargedTo="Platform", cause="NodeLost", alc=None)


def with_usage(**update: Any) -> Evidence:
    found = evidence(UNDISTURBED)
    assert found.usage is not None
    return replace(found, usage={"red": {**found.usage["red"], **update}})


def phases(**update: Any) -> list[dict[str, Any]]:
    found = with_usage().usage
    assert found is not None
    return [{**found["red"]["phases"][0], **update}]


def with_scores(*scores: Score) -> Evidence:
    return evidence(replace(UNDISTURBED, scores=scores))


def test_an_older_score_that_is_not_shown_is_no_violation() -> None:
    shown = Score(DIGEST, GO + 20, "s", SCORED)
    assert find_violations(with_scores(Score(OTHER, GO + 10, "t", SCORED), shown)) == []


BROKEN: dict[str, tuple[Evidence, str]] = {
    "a score differs": (evidence(replace(UNDISTURBED, recomputed=0.52)), "computed again"),
    "a score is missing": (evidence(replace(UNDISTURBED, scored=None)), "no score"),
    "there is no ALC, and none was computed again": (
        evidence(replace(UNDISTURBED, scored={**(SCORED or {}), "alc": None}, recomputed=None)),
        "it is to have an ALC, and has none",
    ),
    "the score is of another attempt": (
        evidence(
            replace(REPEATED, scored={"attempt": 1, "alc": 0.51, "verdict_sha256": "v"}),
            (GO - 37, "recorder", "pod-1"),
        ),
        "attempt 1 is scored",
    ),
    "the score is by another verdict": (
        evidence(replace(UNDISTURBED, scored={**(SCORED or {}), "verdict_sha256": "w"})),
        "by another verdict",
    ),
    "another ALC is shown": (evidence(with_run(UNDISTURBED, alc=0.512)), "and 0.512 is shown"),
    "no ALC is shown": (evidence(with_run(UNDISTURBED, alc=None)), "and None is shown"),
    "an older score is shown": (
        with_scores(Score(DIGEST, GO + 20, "s", SCORED), Score(OTHER, GO + 30, "t", SCORED)),
        f"the score {OTHER} is the newest, and {DIGEST} is shown",
    ),
    "the score was written again": (
        with_scores(Score(DIGEST, GO + 20, "t", SCORED)),
        "not the one that was shown",
    ),
    "a score has no run": (
        with_scores(Score(OTHER, GO + 10, "t", None), Score(DIGEST, GO + 20, "s", SCORED)),
        f"the score {OTHER} has no run",
    ),
    "a Job is left": (
        replace(evidence(UNDISTURBED), left=["Secret hack/r-1"]),
        "Secret hack/r-1 is left behind",
    ),
    "a ticket is lost": (replace(evidence(UNDISTURBED), settling=["uid-1"]), "never given back"),
    "a quota of earlier times does not balance": (
        replace(as_of_earlier_times(evidence(UNDISTURBED)), totals={"red": (2, 1)}),
        "2 are counted",
    ),
    "one Submission is counted twice": (with_usage(total=2), "red has 1 Submissions, and 2 are counted"),
    "one is counted though the platform owes it": (
        replace(evidence(OWED), usage=with_usage().usage),
        "red has 0 Submissions, and 1 are counted",
    ),
    "the count of the day does not balance": (
        with_usage(today=2),
        "red has 1 Submissions of 2026-05-28, and 2",
    ),
    "the day is another": (with_usage(day="2026-05-29"), "red has 0 Submissions of 2026-05-29, and 1"),
    "the count of the phase does not balance": (
        with_usage(phases=phases(total=0)),
        "red has 1 Submissions to single, and 0 are counted",
    ),
    "the phase's count of the day does not balance": (
        with_usage(phases=phases(today=3)),
        "red in single has 1 Submissions of 2026-05-28, and 3",
    ),
    "the phase is not counted": (with_usage(phases=[]), "counts of []"),
    "another phase is counted": (
        with_usage(phases=[*phases(), *phases(name="final")]),
        "red has 0 Submissions to final, and 1 are counted",
    ),
    "the team has no counts": (replace(evidence(UNDISTURBED), usage={}), "and 0 are counted"),
    "compute does not balance": (with_usage(computeSeconds=9.9), "2.400 s of compute, and 9.9 s are counted"),
    "a Submission is charged for more than it used": (
        evidence(with_run(UNDISTURBED, endedAt="2026-05-28T20:26:55Z")),
        "red/one: 4.5 s of compute are charged, and it used 2.5 s",
    ),
    "a Submission is charged for an hour": (
        evidence(with_run(UNDISTURBED, endedAt="2026-05-28T21:26:48Z")),
        "red/one: 1082.4 s of compute are charged",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_found(case: str) -> None:
    broken, said = BROKEN[case]
    found = find_violations(broken)
    assert any(said in one for one in found), found
