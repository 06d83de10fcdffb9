"""Datasets on a real API server: those that lie on volumes, and what becomes of checks that nobody waits for."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from alcove_api.documents import CheckRequest, CheckResult
from alcove_api.run_documents import RunConfig
from alcove_kube.errors import ApiError
from alcove_kube.resources import DATASETS, JOBS, PODS, SECRETS
from tests.integration.operator_wiring.world import (
    GREEN,
    NAMESPACE,
    World,
    container,
    ready,
    secret_file,
    wait_for,
)

pytestmark = pytest.mark.integration
CLAIM = {"claimName": "clips", "path": "sets/clips.data"}
MOUNT = {"name": "data", "mountPath": "/alcove/data", "readOnly": True, "subPath": "sets/clips.data"}
VOLUME = {"name": "data", "persistentVolumeClaim": {"claimName": "clips", "readOnly": True}}


def make(world: World, name: str, **spec: Any) -> None:
    digests = {"alias": name, "dataSha256": "a" * 64, "solutionSha256": "b" * 64}
    world.create(DATASETS, {"kind": "Dataset", "metadata": {"name": name}, "spec": digests | spec})


def change(world: World, name: str, **spec: Any) -> None:
    world.ask("PATCH", DATASETS.path(NAMESPACE, name), {"spec": spec}, "application/merge-patch+json")


def checks(world: World, alias: str) -> list[str]:
    """Names of its check Jobs that nobody has deleted."""
    found = [j["metadata"] for j in world.list(JOBS)]
    return [m["name"] for m in found if m["name"].startswith(f"c-{alias}-") and "deletionTimestamp" not in m]


def told(job: dict[str, Any], name: str, variable: str) -> str:
    spec = job["spec"]["template"]["spec"]
    found = next(c for c in spec["containers"] + spec.get("initContainers", []) if c["name"] == name)
    return str(next(e["value"] for e in found["env"] if e["name"] == variable))


def data_of(job: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """How a container of the Job sees /alcove/data."""
    spec = job["spec"]["template"]["spec"]
    found = next(c for c in spec["containers"] + spec.get("initContainers", []) if c["name"] == name)
    return [m for m in found["volumeMounts"] if m["mountPath"] == "/alcove/data"]


def test_a_dataset_on_a_volume_is_checked_and_read_where_it_is(world: World) -> None:
    world.join(GREEN, "volume")
    make(world, "volume-digits", volumeClaim=CLAIM)
    world.competition("volume", limits={"recordedBytes": 5_000_000})
    check = world.job("c-volume-digits-")
    assert VOLUME in check["spec"]["template"]["spec"]["volumes"]
    assert data_of(check, "check") == [MOUNT]
    assert CheckRequest.model_validate_json(told(check, "check", "ALCOVE_REQUEST")).on_volume
    world.dataset_passes("volume-digits")

    uid = world.submission("reads", "volume", GREEN)["metadata"]["uid"]
    job = world.job(f"r-{uid[:8]}")
    # Pod Security admission of the API server lets it in.
    world.pod_of(job)
    assert VOLUME in job["spec"]["template"]["spec"]["volumes"]
    assert (data_of(job, "main"), data_of(job, "recorder")) == ([MOUNT], [])
    run = RunConfig.model_validate_json(told(job, "recorder", "ALCOVE_RUN"))
    assert (run.data_sha256, run.max_bytes) == (None, 5_000_000)
    assert secret_file(
        wait_for("its Secret", lambda: world.find(SECRETS, job["metadata"]["name"])), "stage.json"
    )


def test_a_volume_that_is_not_there_is_named_while_the_check_waits(world: World) -> None:
    make(world, "nowhere", volumeClaim={"claimName": "none"})
    pod = world.pod_of(world.job("c-nowhere-"))
    why = 'persistentvolumeclaim "none" not found'
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}
    world.status(PODS, pod, {"phase": "Pending", "conditions": [scheduled]})
    wait_for("the reason", lambda: why in message(world, "nowhere"))
    waiting = container(
        "check", {"waiting": {"reason": "CreateContainerConfigError", "message": "no subPath"}}
    )
    world.status(PODS, pod, {"phase": "Pending", "containerStatuses": [waiting]})
    wait_for("the other reason", lambda: "no subPath" in message(world, "nowhere"))
    world.delete(DATASETS, "nowhere")


def message(world: World, name: str) -> str:
    conditions = ((world.find(DATASETS, name) or {}).get("status") or {}).get("conditions") or []
    return next((c["message"] for c in conditions if c["type"] == "Ready"), "")


@pytest.mark.parametrize("path", ["/sets/clips", "sets/../../secrets", ".."])
def test_a_path_that_leads_out_of_the_volume_is_refused(world: World, path: str) -> None:
    with pytest.raises(ApiError, match="relative to the volume's root") as caught:
        make(world, "outside", volumeClaim={"claimName": "clips", "path": path})
    assert caught.value.status == 422


def test_checks_of_what_a_dataset_named_before_are_swept(world: World) -> None:
    make(world, "swept")
    first = wait_for("a check", lambda: checks(world, "swept"))
    change(world, "swept", dataSha256="c" * 64)
    second = wait_for("another", lambda: [n for n in checks(world, "swept") if n not in first])
    wait_for("the first is gone", lambda: checks(world, "swept") == second)
    # Under another alias, too: whose check it is does not depend on it.
    change(world, "swept", alias="swept-anew")
    wait_for("a check of the other alias", lambda: checks(world, "swept-anew"))
    wait_for("the second is gone", lambda: not set(second) & set(checks(world, "swept")))
    world.delete(DATASETS, "swept")


def test_a_dataset_that_is_made_again_is_checked_again(world: World) -> None:
    """On a volume, other files may lie there by now."""
    make(world, "again", volumeClaim=CLAIM)
    first = world.job("c-again-")["metadata"]
    owner = world.find(DATASETS, "again")
    assert owner is not None
    assert [o["uid"] for o in first["ownerReferences"]] == [owner["metadata"]["uid"]]
    # Found unsound just before it is deleted: its finished check is no verdict on the next of that name.
    result = CheckResult(ok=False, problems=("Out of date.",))
    job = world.job("c-again-")
    world.said(world.pod_of(job), "check", result.model_dump_json(), 1)
    world.delete(DATASETS, "again")
    make(world, "again", volumeClaim=CLAIM)
    other = wait_for("a new check", lambda: [n for n in checks(world, "again") if n != first["name"]])
    passed = CheckResult(ok=True, n_train=1, n_test=1, n_labels=1, bytes=1)
    world.said(world.pod_of(world.job(other[0])), "check", passed.model_dump_json())
    world.finish(world.job(other[0]))
    wait_for("Ready", lambda: ready(world.find(DATASETS, "again")) == "True")


def test_a_dataset_whose_store_was_repaired_is_ready_once_a_check_is_asked_for(
    world: World,
) -> None:
    """The same digests, so the spec does not change."""
    make(world, "repaired")
    job = world.job("c-repaired-")
    result = CheckResult(ok=False, problems=("train/sample-00000 is not what its digest says.",))
    world.said(world.pod_of(job), "check", result.model_dump_json(), 1)
    world.finish(job, ok=False)
    wait_for("the finding", lambda: ready(world.find(DATASETS, "repaired")) == "False")
    command = re.search(r"`(alcove dataset recheck [^`]*)`", message(world, "repaired"))
    assert command is not None
    wait_for("the old check is gone", lambda: not checks(world, "repaired"))

    typed = [sys.executable, "-m", "alcove_cli.main", *command[1].split()[1:]]
    done = subprocess.run(
        [*typed, "--kubeconfig", str(world.cluster.kubeconfig)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

    wait_for("Unknown", lambda: ready(world.find(DATASETS, "repaired")) == "Unknown")
    world.dataset_passes("repaired")
    # Asked once, answered once.
    wait_for("no check", lambda: not checks(world, "repaired"))
