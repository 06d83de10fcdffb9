"""How runs end on a real cluster: what is kept, which cause is named, who pays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.layout import load_plan
from tests.cluster.namespaces import find_holder
from tests.cluster.node_config import SECOND_ROOT
from tests.demo.hackathon import wait_for
from tests.e2e import models
from tests.e2e.conftest import BUDGET, RUNTIME_CLASS, Team

pytestmark = pytest.mark.e2e


def test_a_run_that_finishes_is_scored_and_ranked(red: Team) -> None:
    red.submit("scheduled", models.SCHEDULED)
    status = red.until("scheduled")
    run = red.run("scheduled")
    assert status["phase"] == "Done"
    assert (run["phase"], run["cause"], run["chargedTo"]) == ("Done", "Finished", "")
    assert run["snapshots"] == 4
    assert 0.0 < run["alc"] < 1.0
    assert run["alc"] == round(run["alc"], 4)
    wait_for("a rank", lambda: red.status("scheduled").get("rank") is not None)


def test_a_submission_that_never_stops_is_ended_at_its_budget(red: Team) -> None:
    red.submit("never-stops", models.NEVER_STOPS)
    red.until("never-stops")
    run = red.run("never-stops")
    assert (run["cause"], run["snapshots"]) == ("DeadlineReached", 3)
    assert run["alc"] is not None
    (manifest,) = red.manifests("never-stops")
    assert manifest.end.cause == "budget"
    assert manifest.end.ended_ns - manifest.budget_ns == manifest.overshoot_ns > 0
    assert run["overshootMs"] == pytest.approx(manifest.overshoot_ns / 1e6, abs=0.1)


def test_a_crash_keeps_what_was_saved_before_and_shows_why(red: Team) -> None:
    red.submit("crashes", models.CRASHES)
    red.until("crashes")
    run = red.run("crashes")
    assert (run["cause"], run["chargedTo"], run["snapshots"]) == ("ExitCode", "Participant", 2)
    assert run["alc"] is not None
    assert "the third prediction went wrong" in run["message"]
    assert "ExitCode" in red.hackathon.kubectl("get", "submission", "crashes", "-n", red.namespace)
    assert len(red.pods("crashes")) <= 1, "what the participant bears is never run again"


def test_a_syntax_error_is_shown_and_not_retried(red: Team) -> None:
    red.submit("syntax", models.SYNTAX_ERROR)
    red.until("syntax")
    run = red.run("syntax")
    assert (run["cause"], run["chargedTo"], run["attempt"]) == ("ExitCode", "Participant", 1)
    assert "SyntaxError" in run["message"]
    assert run.get("alc") is None


def test_deleting_a_submission_stops_its_pods_within_five_seconds(red: Team) -> None:
    red.submit("sleeps", models.SLEEPS, phase="long")
    red.until_run("sleeps", ("Running",))
    (pod,) = red.pods("sleeps")
    name = pod["metadata"]["name"]
    red.hackathon.kubectl("delete", "submission", "sleeps", "-n", red.namespace, "--wait=false")

    def gone() -> bool:
        listed = red.hackathon.kubectl(
            "get", "pods", "-n", red.hackathon.name, "--field-selector", f"metadata.name={name}"
        )
        return name not in listed

    # Five seconds are the promise itself, not a guess at this machine's speed.
    wait_for("the pod of a deleted submission being gone", gone, 5)


def test_runs_are_started_by_the_runtime_that_the_values_name(red: Team) -> None:
    """All runs of this release are; here one is looked at while it lives."""
    red.submit("elsewhere", models.SLEEPS, phase="long")
    red.until_run("elsewhere", ("Running",))
    (pod,) = red.pods("elsewhere")
    assert pod["spec"]["runtimeClassName"] == RUNTIME_CLASS["metadata"]["name"]
    assert pod["spec"]["overhead"] == RUNTIME_CLASS["overhead"]["podFixed"]
    main = next(one for one in pod["status"]["containerStatuses"] if one["name"] == "main")
    plan = load_plan(red.hackathon.cluster.name)
    assert plan is not None
    root = Path(f"/proc/{find_holder(plan.nodes[0])}/root{SECOND_ROOT}")
    assert (root / "k8s.io" / main["containerID"].removeprefix("containerd://")).is_dir()


def test_the_budget_is_the_participants_alone(red: Team) -> None:
    """Staging, pulling and starting are recorded, and none of it is charged: a prediction at 1 s is stamped 1 s."""
    red.submit("steady", models.STEADY)
    red.until("steady")
    (manifest,) = red.manifests("steady")
    stamps = [record.t_ns / 1e9 for record in manifest.records]
    assert len(stamps) >= BUDGET - 3
    assert stamps == sorted(stamps)
    assert stamps[0] >= 1.0
    assert all(stamp <= BUDGET for stamp in stamps)
