"""GPUs, simulated as an extended resource of the node: asked for, waited for, and the wait is free."""

from __future__ import annotations

import pytest

from tests.cluster import api
from tests.demo.hackathon import Hackathon, wait_for
from tests.e2e import models
from tests.e2e.conftest import BUDGET, Team

pytestmark = pytest.mark.e2e


def test_a_run_waits_for_a_gpu_and_loses_nothing_by_it(red: Team, blue: Team, hackathon: Hackathon) -> None:
    api.set_extended_resource(hackathon.cluster.name, "nvidia.com/gpu", 1)
    try:
        red.submit("first", models.NEVER_STOPS, phase="gpu")
        red.until_run("first", ("Running",))
        blue.submit("second", models.STEADY, phase="gpu")
        wait_for("a pod of the second", lambda: len(blue.pods("second")) == 1)
        (pod,) = blue.pods("second")
        main = pod["spec"]["containers"][0]
        assert main["resources"]["limits"]["nvidia.com/gpu"] == "1"
        waits = "Waiting for a node since "
        wait_for("why it waits", lambda: blue.status("second").get("message", "").startswith(waits))
        assert (blue.status("second")["phase"], blue.status("second")["cause"]) == ("Queued", "Waiting")
        assert "Insufficient nvidia.com/gpu" in blue.run("second")["message"]
        assert blue.run("second")["attempt"] == 1
        blue.until("second")
        red.until("first")
        ours, theirs = blue.run("second"), red.run("first")
        assert ours["startedAt"] >= theirs["startedAt"]
        (manifest,) = blue.manifests("second")
        assert manifest.budget_ns == BUDGET * 10**9
        assert len(manifest.records) >= BUDGET - 3, "the wait was charged to the budget"
        assert ours["attempt"] == 1
    finally:
        api.set_extended_resource(hackathon.cluster.name, "nvidia.com/gpu", 0)
