"""What everyone may see of a phase's runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from alcove_api.competition import CompetitionSpec, CompetitionStatus
from alcove_api.submission import SubmissionSpec, SubmissionStatus
from alcove_operator.core.activity import MOST, list_activity
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def rules(**phase: Any) -> PhaseRules:
    described = {"name": "p", "datasets": ["d"], "budget": {"seconds": 9}, **phase}
    teams = [{"namespace": "red", "displayName": "Red Pandas"}]
    spec = CompetitionSpec.model_validate({"phases": [described], "teams": teams})
    view = CompetitionView("ns", "cup", "u", spec, CompetitionStatus())
    return PhaseRules(view, spec.phases[0])


def run(**more: Any) -> dict[str, Any]:
    return {"dataset": "d", "attempt": 1, "phase": "Running", "startedAt": NOON.isoformat(), **more}


def submission(team: str, *found: dict[str, Any], phase: str = "p", state: str = "Running") -> SubmissionView:
    code = {"configMap": {"name": "c"}, "framework": "numpy"}
    spec = {"competition": {"namespace": "ns", "name": "cup"}, "phase": phase, "code": code}
    status = SubmissionStatus.model_validate({"phase": state, "runs": found})
    told = SubmissionSpec.model_validate(spec)
    return SubmissionView(f"u-{team}", team, "first", 1, "1", NOON, False, (), told, status)


def test_runs_are_listed_in_the_order_in_which_they_started_and_those_that_wait_are_counted() -> None:
    later = (NOON + timedelta(seconds=5)).isoformat()
    found = list_activity(
        rules(),
        [
            submission("blue", run(startedAt=later)),
            submission("red", run()),
            submission(
                "green", run(phase="Staging", startedAt=None), run(dataset="e", attempt=0, phase="Queued")
            ),
            submission("done", run(), state="Done"),
            submission("over", run(phase="Done")),
            submission("elsewhere", run(), phase="q"),
        ],
        NOON,
    )
    assert found is not None
    assert [(r.team, r.started_at is None) for r in found.running] == [
        ("Red Pandas", False), ("blue", False), ("green", True),
    ]  # fmt: skip
    assert (found.waiting, found.more) == (1, 0)


def test_of_a_blind_phase_nothing_is_told_before_its_reveal() -> None:
    busy = [submission("red", run())]
    reveal = NOON + timedelta(hours=1)
    assert list_activity(rules(revealsAt=reveal.isoformat()), busy, NOON) is None
    assert list_activity(rules(revealsAt=reveal.isoformat()), busy, reveal) is not None
    hidden = rules(feedback={"mode": "none"}, revealsAt=reveal.isoformat())
    assert list_activity(hidden, busy, NOON) is None


def test_the_list_has_a_bound() -> None:
    found = list_activity(rules(), [submission(f"t{i}", run()) for i in range(MOST + 7)], NOON)
    assert found is not None
    assert (len(found.running), found.more) == (MOST, 7)
