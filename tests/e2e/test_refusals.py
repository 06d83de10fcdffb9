"""What is wrong with a submission or a dataset: each gets a sentence that says what to do, and breaks nothing else."""

from __future__ import annotations

import hashlib
import json

import pytest

from alcove_cli.upload import upload_bundle
from alcove_kube.client import KubeClient
from alcove_kube.resources import SUBMISSIONS
from alcove_toolkit.publish import dataset_yaml, publish
from tests.demo import hackathon as steps
from tests.demo.hackathon import Hackathon, condition, wait_for
from tests.e2e import models
from tests.e2e.conftest import Team

pytestmark = pytest.mark.e2e


def _refused(team: Team, name: str) -> str:
    status = team.until(name)
    assert status["phase"] == "Rejected"
    found = condition({"status": status}, "Admitted")
    assert found["status"] == "False"
    return f"{found['reason']}: {found['message']}"


def test_a_bundle_that_is_not_what_its_digest_says_is_rejected(red: Team) -> None:
    content, digest = b"not what was promised", hashlib.sha256(b"promised").hexdigest()
    red.submit("wrong-digest", {"bundle": {"sha256": digest}})
    kube = KubeClient.from_kubeconfig(str(red.hackathon.cluster.kubeconfig))
    made = kube.get(SUBMISSIONS, red.namespace, "wrong-digest")
    assert upload_bundle(kube, made, content, red.hackathon.store_url())
    assert "digest" in _refused(red, "wrong-digest").lower()


def test_an_image_that_does_not_exist_is_the_participants_and_not_retried_forever(
    red: Team,
) -> None:
    reference = f"{red.hackathon.cluster.registry}/nobody/nothing@sha256:{'0' * 64}"
    red.submit("no-image", {"image": {"reference": reference, "command": ["/bin/true"]}})
    red.until("no-image")
    run = red.run("no-image")
    assert (run["chargedTo"], run["attempt"]) == ("Participant", 1)
    assert "image" in run["message"].lower()


def test_an_image_that_is_not_allowed_is_rejected(red: Team) -> None:
    reference = f"elsewhere.invalid/x@sha256:{'0' * 64}"
    red.submit("foreign", {"image": {"reference": reference, "command": ["/bin/true"]}})
    assert "allowed" in _refused(red, "foreign").lower()


def test_a_dataset_whose_solution_has_the_wrong_shape_is_not_ready_and_burns_nothing(
    red: Team, hackathon: Hackathon
) -> None:
    folder = hackathon.cluster.state / "datasets"
    short = folder / "broken.solution"
    short.write_bytes(b"".join((folder / "digits.solution").read_bytes().splitlines(keepends=True)[:-3]))
    data, solution, manifest = publish(folder / "digits.data", short, hackathon.store())
    hackathon.kubectl(
        "apply",
        "-n",
        hackathon.name,
        "-f",
        "-",
        stdin=dataset_yaml("broken", data, solution, manifest.domain),
    )
    wait_for(
        "the broken Dataset being checked",
        lambda: condition(hackathon.get("dataset", "broken"), "Ready").get("status") == "False",
    )
    message = condition(hackathon.get("dataset", "broken"), "Ready")["message"]
    assert "row" in message
    red.submit("waits", models.SCHEDULED, phase="broken")
    red.until("waits", ("Queued",))
    wait_for("a reason for waiting", lambda: "broken" in json.dumps(red.status("waits")))
    assert red.pods("waits") == []


def test_the_operator_outlives_all_of_it(red: Team, hackathon: Hackathon) -> None:
    red.submit("after", models.SCHEDULED)
    assert red.until("after")["phase"] == "Done"
    pods = hackathon.kubectl(
        "get", "pods", "-n", hackathon.name, "-l", "alcove.dev/role=operator", "-o", "json"
    )
    restarts = [
        c["restartCount"] for p in json.loads(pods)["items"] for c in p["status"]["containerStatuses"]
    ]
    assert restarts
    # The fault tests kill it on purpose; a crash of its own would leave a non-zero exit that is no signal.
    for pod in json.loads(pods)["items"]:
        for container in pod["status"]["containerStatuses"]:
            last = container.get("lastState", {}).get("terminated", {})
            assert last.get("exitCode", 137) in (0, 137), last


def test_a_wrong_object_is_refused_at_apply_with_field_and_reason(hackathon: Hackathon) -> None:
    wrong = {
        "apiVersion": "alcove.dev/v1alpha1",
        "kind": "Submission",
        "metadata": {"name": "wrong", "namespace": hackathon.team_namespace("red")},
        "spec": {"competition": {"namespace": "hack", "name": "hack"}, "phase": "Practice!", "code": {}},
    }
    with pytest.raises(steps.DemoError) as refused:
        hackathon.kubectl("apply", "-f", "-", stdin=json.dumps(wrong))
    assert "spec.phase" in str(refused.value)
    assert "exactly one of code.configMap" in str(refused.value)


def test_a_submission_cannot_be_changed(red: Team, hackathon: Hackathon) -> None:
    red.submit("fixed", models.SCHEDULED)
    with pytest.raises(steps.DemoError, match="cannot be changed"):
        hackathon.kubectl(
            "patch",
            "submission",
            "fixed",
            "-n",
            red.namespace,
            "--type=merge",
            "-p",
            '{"spec":{"phase":"long"}}',
        )
