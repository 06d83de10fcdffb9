"""A status that a newer operator wrote, or a person: the Submission is left alone, not started again."""

from __future__ import annotations

from typing import Any

import pytest

from alcove_api.competition import CompetitionStatus
from alcove_operator.core import actions, model, parse_objects
from alcove_operator.core.reconcile import reconcile
from tests.unit.operator_core.cluster import SETTINGS, Cluster


@pytest.mark.parametrize("deleting", [False, True])
@pytest.mark.parametrize(
    "damage", [{"phase": "Paused"}, {"runs": [{"attempt": "second"}]}, {"admittedAt": "yesterday"}]
)
def test_it_gets_one_event_and_nothing_else(damage: dict[str, Any], deleting: bool) -> None:
    cluster = Cluster({"d0": ["exit"]})
    cluster.settle()
    assert cluster.submission is not None
    raw = {**cluster.submission, "status": {**cluster.submission["status"], **damage}}
    if deleting:
        raw["metadata"] = {**raw["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    view = parse_objects.submission_view(raw)
    outcome = reconcile(
        view,
        model.CompetitionView(
            "comp", "cup", "u", cluster.spec, CompetitionStatus(), {"team-a": cluster.usage}
        ),
        {},
        [parse_objects.job_view(job) for job in cluster.jobs.values()],
        [parse_objects.pod_view(pod.raw) for pod in cluster.pods],
        cluster.facts,
        SETTINGS,
        cluster.now,
    )
    assert (outcome.status, outcome.fenced, outcome.requeue_at) == (view.status, False, None)
    [event] = outcome.actions
    assert isinstance(event, actions.Emit)
    assert event.reason == "StatusUnreadable"
    assert next(iter(damage)) in event.message
    assert "install the version" in event.message
    assert len(event.message) <= 1024
