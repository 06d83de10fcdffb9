"""What was begun stands for its team, whatever it deletes; what cannot be scored holds no object up."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.operator_core import scorer
from tests.unit.operator_core.cluster import Cluster
from tests.unit.operator_core.test_reconcile_paths import play


def deleted_while_it_runs(rule: str = "stand", **options: Any) -> Cluster:
    """Once its live curve shows a point."""
    cluster = Cluster({"d0": ["finished"]}, **options)
    phase = cluster.spec.phases[0].model_copy(update={"deleted_submissions": rule})
    cluster.spec = cluster.spec.model_copy(update={"phases": (phase,)})
    for _ in range(200):
        play(cluster, ("round", None))
        if any(c["phase"] == "Running" for c in (cluster.history or [{}])[-1].get("runs", ())):
            break
        cluster.controllers()
        cluster.kubelet(0)
        cluster.wait(1)
    scorer.snapshot(cluster, "d0")
    cluster.cancel()
    return cluster


def test_a_run_that_was_begun_is_ended_scored_and_then_gone() -> None:
    cluster = deleted_while_it_runs()
    cluster.settle()
    assert cluster.submission is None
    assert not cluster.jobs
    assert not [pod for pod in cluster.pods if cluster.alive(pod)]
    last = cluster.history[-1]
    (run,) = last["runs"]
    assert (last["phase"], run["cause"], run["chargedTo"]) == ("Done", "Deleted", "Participant")
    assert run["alc"] is not None
    assert (cluster.usage.total, cluster.usage.settling) == (1, ())


@pytest.mark.parametrize("fate", ["damaged", "fault"])
def test_what_cannot_be_scored_goes_all_the_same(fate: str) -> None:
    cluster = deleted_while_it_runs(scored=(fate,))
    cluster.settle()
    assert cluster.submission is None
    assert not cluster.jobs


def test_where_the_organizer_lets_teams_choose_it_goes_at_once() -> None:
    cluster = deleted_while_it_runs("withdraw")
    cluster.settle()
    assert cluster.submission is None
    assert not cluster.scores
