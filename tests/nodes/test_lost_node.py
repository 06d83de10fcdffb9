"""The node of a run dies: the platform pays, the run is repeated elsewhere, and nothing that comes later changes that.

It prints what a node's death costs. An attempt on a node that does not answer is given up once its deadline has passed,
since it may go on: five minutes here. That is why ``make test`` leaves these out.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from alcove_api import keys
from bench.chaos.load import WRAPS, read_moments, write_program
from tests.cluster import api, node_lifecycle
from tests.cluster.layout import Node, load_plan
from tests.conftest import say
from tests.demo import hackathon as steps
from tests.demo.hackathon import Hackathon, wait_for
from tests.e2e.conftest import Team

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
DATASET, BUDGET, START_TIMEOUT = "digits", 60, 30
PREDICTIONS = 40
"""Of a run: one a second. So one that is repeated ends by itself."""
UPLOADED = 5
"""Predictions that the store has when the node dies."""


@dataclass(frozen=True)
class Stage:
    """A hackathon over two nodes: the platform on the first, runs on both."""

    hackathon: Hackathon
    team: Team
    first: Node
    second: Node

    def start_on_second(self, name: str) -> None:
        """Hands in a submission whose run is on the second node; returns once the store has some predictions."""
        self.hackathon.kubectl("cordon", self.first.hostname)
        try:
            self.team.submit(name, write_program(PREDICTIONS))
            self.team.until_run(name, ("Running",), 180)
        finally:
            self.hackathon.kubectl("uncordon", self.first.hostname)
        (pod,) = self.team.pods(name)
        assert pod["spec"]["nodeName"] == self.second.hostname
        wait_for("predictions in the store", lambda: len(self.list_uploaded(name, 1)) >= UPLOADED)

    def list_uploaded(self, name: str, attempt: int) -> list[str]:
        """Keys of the predictions of an attempt, in their order."""
        prefix = f"runs/{self.team.uid(name)}/{DATASET}/{attempt}-"
        listed = self.hackathon.store("scorer").list_objects(keys.MAIN_BUCKET, prefix=prefix, recursive=True)
        return sorted(str(entry.object_name) for entry in listed if "/snap/" in str(entry.object_name))

    def read_verdict(self, name: str) -> dict[str, Any]:
        key = f"runs/{self.team.uid(name)}/{DATASET}/verdict.json"
        verdict: dict[str, Any] = json.loads(
            self.hackathon.store("scorer").get_object(keys.MAIN_BUCKET, key).read()
        )
        return verdict

    def is_ready(self, node: Node) -> bool:
        found = json.loads(self.hackathon.kubectl("get", "nodes", "-o", "json"))["items"]
        named = [one for one in found if one["metadata"]["name"] == node.hostname]
        return bool(named) and steps.condition(named[0], "Ready").get("status") == "True"

    def assert_repeated_once(self, name: str) -> None:
        """The second attempt is the last, counts, has all predictions, and is what is scored."""
        status = self.team.until(name, ("Done",), 300)
        (run,) = status["runs"]
        assert (run["attempt"], run["cause"]) == (2, "Finished")
        assert self.read_verdict(name)["attempt"] == 2
        (result,) = self.team.results(name).values()
        (scored,) = result.runs
        assert scored.attempt == 2
        assert len(self.list_uploaded(name, 2)) == PREDICTIONS

    def await_attempt(self, name: str, died: float) -> tuple[float, float]:
        """Seconds from the node's death until the next attempt has a pod, and until its first prediction is there."""
        wait_for("the next attempt", lambda: self.team.run(name).get("attempt") == 2, 600)
        begun = time.time() - died
        wait_for("its first prediction", lambda: bool(self.list_uploaded(name, 2)), 180)
        return begun, time.time() - died


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    name = f"lost-{os.getpid()}"
    try:
        cluster = api.up(name, progress=say, nodes=2)
        plan = load_plan(name)
        assert plan is not None
        first, second = plan.nodes
        hackathon = _install(cluster, first)
        yield Stage(hackathon, Team(hackathon, "red"), first, second)
    finally:
        api.down(name, say)


def _install(cluster: api.Cluster, first: Node) -> Hackathon:
    images = api.images(cluster, progress=say)
    folder = cluster.state / "datasets"
    steps.make_datasets(folder, (DATASET,))
    phase = {
        "name": "single", "datasets": [DATASET], "budget": {"seconds": BUDGET}, "feedback": {"mode": "final"},
        "resources": {"gpus": 0, "cpu": "300m", "memory": "600Mi", "disk": "1Gi", "processes": 256},
    }  # fmt: skip
    limits = {"perDay": 100, "total": 100, "parallel": 3}
    spec = {
        "capacity": 2, "maxAttempts": 3, "limits": limits, "startTimeoutSeconds": START_TIMEOUT, "phases": [phase],
    }  # fmt: skip
    values = steps.chart_values(cluster, images, ("red",), spec, "minio")
    selector = {"kubernetes.io/hostname": first.hostname}
    values["operator"]["nodeSelector"] = values["board"]["nodeSelector"] = selector
    values["store"]["server"]["nodeSelector"] = selector
    hackathon = steps.install(cluster, "hack", values)
    steps.publish_datasets(hackathon, folder, say, (DATASET,))
    steps.wait_ready(hackathon, say)
    return hackathon


def _tell_cost(what: str, stage: Stage, name: str, died: float, after: tuple[float, float]) -> None:
    """By what the program wrote into the last prediction that the store has."""
    *_, last = stage.list_uploaded(name, 1)
    made, _ = read_moments(stage.hackathon.store("scorer").get_object(keys.MAIN_BUCKET, last).read())
    say(
        f"{what}: the last prediction in the store was made {(int(died * 1000) - made) % WRAPS / 1000:.2f} s before "
        f"the death; the next attempt came after {after[0]:.0f} s, its first prediction after {after[1]:.0f} s."
    )


def test_a_node_that_restarts_costs_its_runs_an_attempt(stage: Stage) -> None:
    stage.start_on_second("restarted")
    died = time.time()
    node_lifecycle.lose(stage.second)
    node_lifecycle.bring_back(stage.second)
    after = stage.await_attempt("restarted", died)
    _tell_cost("restarted at once", stage, "restarted", died, after)
    stage.assert_repeated_once("restarted")


def test_an_administrator_says_that_a_node_is_gone(stage: Stage) -> None:
    """By ``kubectl delete node``: nobody waits for the deadline then."""
    stage.start_on_second("deleted")
    died = time.time()
    node_lifecycle.lose(stage.second)
    stage.hackathon.kubectl("delete", "node", stage.second.hostname, "--wait=false")
    after = stage.await_attempt("deleted", died)
    _tell_cost("its Node deleted", stage, "deleted", died, after)
    stage.assert_repeated_once("deleted")
    node_lifecycle.bring_back(stage.second)
    wait_for("the node's return", lambda: stage.is_ready(stage.second), 180)


def test_a_node_that_is_lost_is_waited_for_until_the_deadline_alone(stage: Stage) -> None:
    stage.start_on_second("lost")
    died = time.time()
    node_lifecycle.lose(stage.second)
    wait_for(
        "the participant being told",
        lambda: "The node does not answer." in stage.team.run("lost").get("message", ""),
        180,
    )
    after = stage.await_attempt("lost", died)
    _tell_cost("lost", stage, "lost", died, after)
    stage.assert_repeated_once("lost")
    before = stage.team.status("lost"), stage.read_verdict("lost")
    node_lifecycle.bring_back(stage.second)
    wait_for("the node's return", lambda: stage.is_ready(stage.second), 180)
    wait_for("the end of the late pod", lambda: not stage.team.pods("lost"), 180)
    assert (stage.team.status("lost"), stage.read_verdict("lost")) == before
