"""What everyone may see of a phase's runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from alcove_api.board_documents import PhaseActivity, WaitingRun
from alcove_api.competition import CompetitionSpec, CompetitionStatus
from alcove_api.submission import SubmissionSpec, SubmissionStatus
from alcove_operator.activity import ActivityPublisher
from alcove_operator.core.activity import CURVES, MAX_LISTED, POINTS, list_activity
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
    assert found.queue == (WaitingRun(team="green", submission="first", dataset="e"),)


def test_the_queue_is_listed_from_who_has_waited_longest_with_a_bound() -> None:
    def waits(team: str, seconds: int) -> SubmissionView:
        at = (NOON - timedelta(seconds=seconds)).isoformat()
        return submission(team, run(attempt=0, phase="Queued", startedAt=None, queuedAt=at), state="Queued")

    views = [waits("blue", 5), waits("red", 60), *(waits(f"t{i:03}", 4) for i in range(MAX_LISTED))]
    found = list_activity(rules(), views, NOON)
    assert found is not None
    assert (found.waiting, len(found.queue)) == (MAX_LISTED + 2, MAX_LISTED)
    assert [run.team for run in found.queue[:3]] == ["Red Pandas", "blue", "t000"]
    blind = rules(revealsAt=(NOON + timedelta(hours=1)).isoformat())
    assert list_activity(blind, views, NOON) is None


def test_of_a_blind_phase_nothing_is_told_before_its_reveal() -> None:
    busy = [submission("red", run())]
    reveal = NOON + timedelta(hours=1)
    assert list_activity(rules(revealsAt=reveal.isoformat()), busy, NOON) is None
    assert list_activity(rules(revealsAt=reveal.isoformat()), busy, reveal) is not None
    hidden = rules(feedback={"mode": "none"}, revealsAt=reveal.isoformat())
    assert list_activity(hidden, busy, NOON) is None


def test_the_list_has_a_bound() -> None:
    found = list_activity(rules(), [submission(f"t{i}", run()) for i in range(MAX_LISTED + 7)], NOON)
    assert found is not None
    assert (len(found.running), found.more) == (MAX_LISTED, 7)


def curve(points: int) -> list[dict[str, float]]:
    return [{"t": float(i), "score": i / 100} for i in range(points)]


def test_a_curve_is_shown_while_it_grows_where_feedback_is_live_alone() -> None:
    found = list_activity(rules(), [submission("red", run(curve=curve(3)))], NOON)
    assert found is not None
    assert [(point.t, point.score) for point in found.running[0].curve] == [
        (0.0, 0.0),
        (1.0, 0.01),
        (2.0, 0.02),
    ]
    for mode in ("final", "ladder"):
        found = list_activity(rules(feedback={"mode": mode}), [submission("red", run(curve=curve(3)))], NOON)
        assert found is not None
        assert found.running[0].curve == ()


def test_curves_have_a_bound_and_keep_their_first_and_last_points() -> None:
    found = list_activity(
        rules(), [submission(f"t{i}", run(curve=curve(32))) for i in range(MAX_LISTED)], NOON
    )
    assert found is not None
    shown = [run.curve for run in found.running if run.curve]
    assert len(shown) == CURVES
    assert {(len(points), points[0].t, points[-1].t) for points in shown} == {(POINTS, 0.0, 31.0)}


@dataclass
class Store:
    """Keeps what is written."""

    written: list[PhaseActivity] = field(default_factory=list)

    def write_activity(
        self, _namespace: str, _competition: str, _phase: str, activity: PhaseActivity
    ) -> None:
        self.written.append(activity)


def test_where_only_curves_grow_it_is_written_now_and_then() -> None:
    store = Store()
    publisher = ActivityPublisher(store)  # type: ignore[arg-type]

    def publish(seconds: float, *submissions: SubmissionView) -> float | None:
        at = NOON + timedelta(seconds=seconds)
        return asyncio.run(publisher.publish(rules().competition, submissions, at))

    red = [submission("red", run(curve=curve(points))) for points in range(4)]
    assert publish(0, red[0]) is None
    assert publish(1, red[1]) == 4.0
    assert publish(1, red[1], submission("blue", run())) is None, "who runs is written at once"
    assert publish(5, red[2], submission("blue", run())) == 1.0
    assert publish(6, red[3], submission("blue", run())) is None
    assert publish(7, red[3], submission("blue", run())) is None
    assert [len(activity.running[0].curve) for activity in store.written] == [0, 1, 3]


def test_what_an_operator_left_that_has_ended_is_replaced_also_where_nothing_runs_now() -> None:
    store = Store()
    publisher = ActivityPublisher(store)  # type: ignore[arg-type]
    for _ in range(2):
        assert asyncio.run(publisher.publish(rules().competition, [], NOON)) is None
    assert store.written == [PhaseActivity()]
