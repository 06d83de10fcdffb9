"""Runs that wait for Kueue or for a node: how long, who is next, what shows, and what becomes of a place taken away."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcove_operator.core import capacity, names
from alcove_operator.core.run_ends import HIDDEN
from tests.unit.operator_core.cluster import Cluster, Pod

KINDS = ("submission", "competition", "jobs", "pods")
START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def turn(cluster: Cluster) -> None:
    """All is seen, and the operator acts on it."""
    cluster.deliver(KINDS)
    cluster.plan()
    for _ in range(3):
        cluster.reconcile()
        cluster.deliver(KINDS)


def run_of(cluster: Cluster) -> dict[str, Any]:
    assert cluster.submission is not None
    found: dict[str, Any] = cluster.submission["status"]["runs"][0]
    return found


def wait_in_kueue(cluster: Cluster) -> None:
    for _ in range(5):
        turn(cluster)
    assert [job["spec"]["suspend"] for job in cluster.jobs.values()] == [True]


def start(cluster: Cluster) -> Pod:
    """Until the only run's main container runs, and the operator has seen it."""
    wait_in_kueue(cluster)
    cluster.kueue()
    cluster.controllers()
    while cluster.pods[0].raw["status"]["phase"] != "Running":
        cluster.kubelet(0)
    turn(cluster)
    assert run_of(cluster)["podUid"] == "pod-0"
    return cluster.pods[0]


def test_a_run_that_waits_in_kueue_is_queued_however_long_it_takes() -> None:
    cluster = Cluster({"d0": ["finished"]}, local_queue="gpus")
    wait_in_kueue(cluster)
    cluster.controllers()
    assert not cluster.pods
    cluster.now += timedelta(days=3)
    turn(cluster)
    assert cluster.submission is not None
    shown = cluster.submission["status"]
    assert (shown["phase"], shown["cause"]) == ("Queued", "Waiting")
    assert shown["message"] == "Waiting in the queue gpus of Kueue."
    assert (run_of(cluster)["phase"], run_of(cluster)["attempt"]) == ("Queued", 1)
    cluster.kueue()
    turn(cluster)
    assert (run_of(cluster)["phase"], run_of(cluster)["message"]) == ("Pending", "")
    cluster.settle()
    assert (run_of(cluster)["phase"], run_of(cluster)["attempt"]) == ("Done", 1)


def wait_for_node(cluster: Cluster) -> None:
    """The pod is there, and the scheduler has said that no node has room."""
    for _ in range(5):
        turn(cluster)
    cluster.controllers()
    cluster.kubelet(0)
    turn(cluster)


def test_a_run_that_waits_for_a_node_is_queued_and_says_since_when() -> None:
    cluster = Cluster({"d0": ["no-room"]})
    wait_for_node(cluster)
    cluster.now += timedelta(hours=3)
    turn(cluster)
    assert cluster.submission is not None
    shown = cluster.submission["status"]
    assert (shown["phase"], shown["cause"]) == ("Queued", "Waiting")
    assert shown["message"] == "Waiting for a node since 12:00 UTC: 0/1…"
    assert (run_of(cluster)["phase"], run_of(cluster)["attempt"]) == ("Queued", 1)
    assert run_of(cluster)["message"] == "Waiting for a node since 12:00 UTC: 0/1 nodes"


def test_what_no_node_has_is_not_said_where_teams_may_not_know_what_runs_get() -> None:
    cluster = Cluster({"d0": ["no-room"]})
    (phase,) = cluster.spec.phases
    undisclosed = phase.resources.replace(disclosed=False)
    cluster.spec = cluster.spec.replace(phases=(phase.replace(resources=undisclosed),))
    wait_for_node(cluster)
    assert run_of(cluster)["message"] == "Waiting for a node since 12:00 UTC."


@pytest.mark.parametrize("queue", [None, "gpus"])
def test_that_a_run_of_a_blind_phase_waits_for_kueue_or_a_node_does_not_show(queue: str | None) -> None:
    """Or how long it ran could be told from how long it waited."""
    cluster = Cluster({"d0": ["no-room"]}, local_queue=queue, feedback="none")
    if queue:
        wait_in_kueue(cluster)
    else:
        wait_for_node(cluster)
    assert cluster.submission is not None
    shown = cluster.submission["status"]
    assert (shown["phase"], shown.get("cause", ""), shown.get("message", "")) == ("Running", "", "")
    assert (run_of(cluster)["phase"], run_of(cluster)["message"]) == ("Pending", HIDDEN)


def test_an_evicted_run_is_repeated_at_the_platforms_cost_and_says_why_while_it_waits() -> None:
    cluster = Cluster({"d0": ["evicted", "finished"]}, local_queue="gpus")
    start(cluster)
    cluster.kubelet(0)
    turn(cluster)
    cluster.kubelet(0)
    for _ in range(3):
        turn(cluster)
    again = run_of(cluster)
    assert (again["attempt"], again["phase"]) == (2, "Queued")
    assert again["message"].startswith("Attempt 2 of 3: Its place in the queue gpus was given to another")
    cluster.settle()
    assert (run_of(cluster)["cause"], run_of(cluster)["attempt"]) == ("Finished", 2)


def test_no_attempt_begins_beside_a_pod_that_kueue_let_an_evicted_job_make() -> None:
    """:meth:`Cluster.controllers` asserts it: the second attempt's pod comes once that of the first's Job is gone."""
    cluster = Cluster({"d0": ["evicted", "finished"]}, local_queue="gpus")
    start(cluster)
    cluster.kubelet(0)
    cluster.kueue()
    cluster.controllers()
    assert len(cluster.pods) == 2
    turn(cluster)
    for _ in range(3):
        cluster.kueue()
        cluster.controllers()
        turn(cluster)
    assert run_of(cluster)["podUid"] == "pod-0", "what ended the attempt is the first pod's end"
    cluster.settle()
    assert (run_of(cluster)["cause"], run_of(cluster)["attempt"]) == ("Finished", 2)


def test_a_second_pod_of_one_job_is_no_second_go() -> None:
    """The eviction was not seen: only that the pod is another one."""
    cluster = Cluster({"d0": ["evicted", "finished"]}, local_queue="gpus")
    first = start(cluster)
    while not first.gone:
        cluster.kubelet(0)
    cluster.kueue()
    cluster.controllers()
    turn(cluster)
    assert (run_of(cluster)["cause"], run_of(cluster)["chargedTo"]) == ("Preempted", "Platform")
    cluster.settle()
    assert (run_of(cluster)["cause"], run_of(cluster)["attempt"]) == ("Finished", 2)


@pytest.mark.parametrize("queue", [None, "more-gpus"])
def test_a_run_does_not_wait_in_a_queue_that_the_competition_names_no_longer(queue: str | None) -> None:
    cluster = Cluster({"d0": ["finished", "finished"]}, local_queue="gpus")
    wait_in_kueue(cluster)
    cluster.local_queue, cluster.spec = queue, cluster.spec.replace(local_queue=queue)
    for _ in range(4):
        turn(cluster)
    assert [job["metadata"]["labels"].get(names.LOCAL_QUEUE) for job in cluster.jobs.values()] == [queue]
    assert (run_of(cluster)["attempt"], cluster.pods) == (2, [])
    assert (
        "Its Job waited in the queue gpus, which the competition no longer names"
        in run_of(cluster)["message"]
    )
    cluster.settle()
    assert (run_of(cluster)["cause"], run_of(cluster)["attempt"]) == ("Finished", 2)


WAITING = st.lists(
    st.builds(
        lambda second, uid, alias, team: capacity.Waiting(
            START + timedelta(seconds=second), uid, 0, alias, team
        ),
        st.integers(0, 9),
        st.sampled_from(("a", "b", "c", "d")),
        st.sampled_from(("cpu", "gpu")),
        st.sampled_from(("red", "blue", "green")),
    ),
    max_size=12,
    unique_by=lambda w: (w.submission_uid, w.alias),
)


@given(
    waiting=WAITING,
    used=st.dictionaries(st.sampled_from(("red", "blue", "green")), st.floats(0, 100)),
    parallel=st.integers(1, 4),
    asked=st.sets(st.sampled_from(("cpu", "gpu"))),
    elsewhere=st.dictionaries(st.sampled_from(("red", "blue", "green")), st.integers(0, 5)),
)
def test_kueue_is_asked_for_one_run_of_each_demand_and_for_that_of_least_use(
    waiting: list[capacity.Waiting],
    used: dict[str, float],
    parallel: int,
    asked: set[str],
    elsewhere: dict[str, int],
) -> None:
    plan = capacity.hand_to_kueue(waiting, {}, used, parallel, asked, lambda key: key[1], elsewhere)
    by_key = {(w.submission_uid, w.alias): w for w in waiting}
    assert plan.grants.isdisjoint(plan.places)
    assert plan.grants | plan.places.keys() == by_key.keys()
    demands = [alias for _, alias in plan.grants]
    assert len(demands) == len(set(demands))
    assert asked.isdisjoint(demands)
    for granted in plan.grants:
        rivals = [w for key, w in by_key.items() if key[1] == granted[1]]
        held = Counter(by_key[key].team for key in plan.grants if key != granted) + Counter(elsewhere)
        able = [w for w in rivals if held[w.team] < parallel]
        assert min(used.get(w.team, 0.0) for w in able) == used.get(by_key[granted].team, 0.0)
