"""What retention deletes, and what it never does."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from alcove_api.base import Condition
from alcove_api.competition import CompetitionSpec, CompetitionStatus
from alcove_api.submission import PrunedParts, RunStatus, SubmissionSpec, SubmissionStatus
from alcove_operator.core import boards, choice, names, scoring
from alcove_operator.core.model import CompetitionView, DatasetView, Facts, JobView, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules
from alcove_operator.core.retention import (
    CODE_NEEDED,
    COUNTS,
    RECENT,
    PrunePlan,
    RetentionInput,
    plan_prune,
)
from alcove_operator.core.status import SCORED
from tests.unit.operator_core.cluster import START

DATASET = DatasetView("ds", "digits", "d" * 64, "e" * 64, True, "", 100, 3)
RETENTION = {"snapshotsDays": 10, "logsDays": 5, "bundlesDays": 20}
DAY = timedelta(days=1)
LATE = START + 30 * DAY


def competition(retention: Any = RETENTION, later: Any = None, /, **phase: Any) -> CompetitionView:
    practice = {"name": "practice", "datasets": ["ds"], "budget": {"seconds": 20}, **phase}
    spec = CompetitionSpec.model_validate(
        {"phases": [practice, *([later] if later else [])], "retention": retention}
    )
    return CompetitionView("comp", "cup", "u", spec, CompetitionStatus())


def digest_of(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def submission(
    name: str,
    at: float = 0.0,
    team: str = "red",
    code: str = "",
    of: CompetitionView | None = None,
    **status: Any,
) -> SubmissionView:
    """Done and scored by the settings of now, ``at`` days after the start."""
    made = START + at * DAY
    spec = {"competition": {"namespace": "comp", "name": "cup"}, "phase": "practice",
            "code": {"bundle": {"sha256": digest_of(code or name)}}}  # fmt: skip
    run = RunStatus(dataset="digits", phase="Done", alc=0.5, ended_at=made)
    found = SubmissionStatus(phase="Done", runs=(run,), code_sha256=digest_of(code or name))
    view = SubmissionView(
        f"{team}-{name}", team, name, 1, "1", made, False, (), SubmissionSpec.model_validate(spec), found
    )
    rules = PhaseRules(of or competition(), (of or competition()).spec.phases[0])
    digest = boards.compute_digests([view], rules, {"ds": DATASET})[view.uid]
    return replace(view, status=found.replace(**{"scoring_digest": digest, **status}))


def plan(
    views: list[SubmissionView], of: CompetitionView | None = None, now: datetime = LATE, **given: Any
) -> PrunePlan:
    of = of or competition()
    base: dict[str, Any] = {
        "competitions": [of], "submissions": views, "datasets": {"ds": DATASET}, "counted": {}, "jobs": (), "now": now,
    }  # fmt: skip
    return plan_prune(RetentionInput(**base | given), of)


def goes(found: PrunePlan) -> dict[str, tuple[str, ...]]:
    return {one.view.name: one.parts for one in found.prunable}


ALL = ("snapshots", "logs", "bundle")


def test_what_does_not_count_goes_and_what_counts_stays() -> None:
    found = plan([submission("a"), submission("b", 1), submission("c", team="blue")])
    assert goes(found) == {"a": ALL}
    assert found.retained == {COUNTS: 2}


@pytest.mark.parametrize(
    ("days", "parts"),
    [(4.9, ()), (5, ("logs",)), (9.9, ("logs",)), (10, ("snapshots", "logs")), (20, ALL)],
)
def test_each_part_goes_after_its_own_days_from_the_end(days: float, parts: tuple[str, ...]) -> None:
    views = [submission("a"), submission("b", 1)]
    found = plan(views, now=START + days * DAY)
    assert goes(found).get("a", ()) == parts
    assert found.retained.get(RECENT, 0) == (not parts)


def test_nothing_goes_without_a_retention_or_without_days() -> None:
    views = [submission("a"), submission("b", 1)]
    assert goes(plan(views, competition(None))) == {}
    assert goes(plan(views, competition({}))) == {}
    assert goes(plan(views, competition({"logsDays": 1}))) == {"a": ("logs",)}


FINAL = {"name": "final", "datasets": ["other"], "budget": {"seconds": 20}, "from": {"phase": "practice"},
         "opensAt": "2026-01-06T00:00:00Z", "revealsAt": "2026-12-01T00:00:00Z"}  # fmt: skip
REVEALED = FINAL | {"revealsAt": "2026-01-20T00:00:00Z"}
CLOSED = {"closesAt": "2026-01-10T00:00:00Z"}


@pytest.mark.parametrize(
    ("phase", "later", "reason"),
    [
        ({"revealsAt": "2026-12-01T00:00:00Z"}, None, "not revealed"),
        ({"feedback": {"mode": "ladder"}}, None, "Ladder"),
        ({"deletedSubmissions": "withdraw"}, None, "withdraw"),
        ({"counts": "best"}, None, "may come to count"),
        ({"counts": "chosen"}, None, "may come to count"),
        ({"counts": "best", **CLOSED}, None, ""),
        ({"counts": "chosen", **CLOSED}, None, ""),
        ({}, FINAL, "the phase final"),
        ({}, REVEALED, ""),
    ],
)
def test_a_phase_whose_rules_may_still_need_a_submission_keeps_all(
    phase: Any, later: Any, reason: str
) -> None:
    of = competition(RETENTION, later, **phase)
    found = plan([submission("a", of=of), submission("b", 1, of=of)], of)
    # Of equal scores the best is the earliest.
    other = "b" if phase.get("counts") == "best" else "a"
    assert goes(found) == ({} if reason else {other: ALL})
    assert any(reason in why for why in found.retained)


def test_what_is_under_way_scored_again_excluded_or_the_organizers_stays() -> None:
    running = submission("r", phase="Running")
    old = submission("o", scoring_digest="0" * 16)
    out = submission("x")
    baseline = submission("base", team="comp")
    spec = competition().spec.model_dump(by_alias=True, exclude_none=True)
    excluded = {"excluded": [{"team": "red", "submission": "x", "reason": "cheating"}]}
    of = replace(competition(), spec=CompetitionSpec.model_validate({**spec, **excluded}))
    views = [running, old, out, baseline, submission("z", 2)]
    assert goes(plan(views, of)) == {}
    job = JobView("s", "u", "red-a", names.SCORE, "", 1, START)
    assert goes(plan([submission("a"), submission("b", 1)], jobs=[job])) == {}


def test_a_score_that_the_reveal_has_not_shown_yet_keeps_its_submission() -> None:
    of = competition(
        RETENTION, None, counts="best", closesAt="2026-01-10T00:00:00Z", revealsAt="2026-01-20T00:00:00Z"
    )
    held = Condition(type=SCORED, status="True", reason=scoring.HELD_BACK, last_transition_time=START)
    hidden = (RunStatus(dataset="digits", phase="Done", ended_at=START),)
    views = [
        submission(name, at, of=of, conditions=(held,), runs=hidden) for name, at in (("a", 0), ("b", 1))
    ]
    found = plan(views, of)
    assert goes(found) == {}, "either may be the best"
    assert found.retained == {COUNTS: 1, "its score is not shown yet": 1}


def test_what_counts_for_a_deleted_submission_keeps_its_code() -> None:
    old = submission("a", code="k")
    rules = PhaseRules(competition(), competition().spec.phases[0])
    gone = submission("g", 3, code="k")
    admitted = replace(gone, status=gone.status.replace(admitted_at=START))
    counted = {("comp", "cup", "practice"): (boards.build_entry(admitted),)}
    found = plan([old], counted=counted)
    assert goes(found) == {"a": ("snapshots", "logs")}
    assert found.retained == {CODE_NEEDED: 1}
    assert rules.phase.counts == "last"


def test_code_that_one_who_is_kept_has_too_stays() -> None:
    same = [submission("a", code="k"), submission("b", 1, code="k")]
    assert goes(plan(same)) == {"a": ("snapshots", "logs")}
    other = [submission("a", code="k"), submission("b", 1), submission("w", team="blue", code="k", phase="")]
    assert goes(plan(other)) == {"a": ("snapshots", "logs")}
    assert goes(plan([submission("a"), submission("b", 1)], code_kept="it is shared")) == {
        "a": ("snapshots", "logs")
    }


PRUNED = PrunedParts(snapshots=LATE)


def test_a_pruned_submission_never_comes_onto_a_board_that_would_need_it_scored_again() -> None:
    only = submission("a", pruned=PRUNED)
    rules = PhaseRules(competition(), competition().spec.phases[0])
    assert boards.select_ranked(rules, [only], (), {"ds": DATASET}) == [only], "its score is of now"
    behind = replace(only, status=only.status.replace(scoring_digest="0" * 16))
    assert boards.select_ranked(rules, [behind], (), {"ds": DATASET}) == []


def test_a_mark_on_a_pruned_submission_says_that_it_came_too_late() -> None:
    of = competition(RETENTION, None, counts="chosen", **CLOSED)
    marked = replace(submission("a", pruned=PRUNED, of=of), chosen=True)
    status = choice.note_mark(marked, of.spec.phases[0], marked.status, Facts(), LATE)
    assert status.chosen_at is None
    (condition,) = status.conditions
    assert (condition.status, condition.reason) == ("False", "Pruned")
    assert "deleted by the competition's retention on 2026-02-04" in condition.message
