"""GPUs, simulated as an extended resource of the node: asked for, waited for, and the wait is free."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.cluster import api
from tests.demo.hackathon import Hackathon, condition, wait_for
from tests.e2e import models
from tests.e2e.conftest import BUDGET, Team

pytestmark = pytest.mark.e2e
GPU = "nvidia.com/gpu"


def says_that_it_waits(team: Team, name: str) -> bool:
    status = team.status(name)
    shown = (status.get("phase"), status.get("cause"), status.get("message", "")[:25])
    waits = shown == ("Queued", "Waiting", "Waiting for a node since ")
    return waits and f"Insufficient {GPU}" in status["runs"][0]["message"]


def nodes_fit(hackathon: Hackathon) -> str:
    """What the organizer is told."""
    return str(condition(hackathon.get("competition", hackathon.name), "NodesFit").get("reason"))


def test_a_run_waits_for_a_gpu_and_loses_nothing_by_it(blue: Team, hackathon: Hackathon) -> None:
    api.set_extended_resource(hackathon.cluster.name, GPU, 0)
    try:
        blue.submit("patient", models.STEADY, phase="gpu")
        wait_for("what its team is told", lambda: says_that_it_waits(blue, "patient"))
        wait_for("what the organizer is told", lambda: nodes_fit(hackathon) == "NoNodeFits")
        (pod,) = blue.pods("patient")
        limits = {one["name"]: one["resources"]["limits"].get(GPU) for one in pod["spec"]["containers"]}
        assert limits == {"recorder": None, "main": "1"}
        until = datetime.fromisoformat(pod["metadata"]["creationTimestamp"]) + timedelta(seconds=BUDGET)
        wait_for("a wait as long as the whole budget", lambda: datetime.now(UTC) > until)
        api.set_extended_resource(hackathon.cluster.name, GPU, 1)
        blue.until("patient")
        (manifest,) = blue.manifests("patient")
        assert manifest.budget_ns == BUDGET * 10**9
        assert len(manifest.records) >= BUDGET - 3, "the wait was charged to the budget"
        assert blue.run("patient")["attempt"] == 1
        wait_for("that all is well", lambda: nodes_fit(hackathon) == "Fits")
    finally:
        api.set_extended_resource(hackathon.cluster.name, GPU, 0)
