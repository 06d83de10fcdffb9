"""A real Kueue admits, holds back and preempts the runs of a competition that names its queue.

The API server, the Job controller, Kueue and the operator are real; the test says how pods fare, as a node would.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from alcove_api.documents import CheckResult
from alcove_api.run_documents import End
from alcove_kube.client import Object
from alcove_kube.resources import COMPETITIONS, DATASETS, JOBS, PODS, Resource
from tests.cluster.kueue import job_controller, kueue
from tests.cluster.lifecycle import control_plane, down
from tests.cluster.minio import minio_server
from tests.integration.operator_wiring.conftest import run_world
from tests.integration.operator_wiring.world import World, ready, wait_for

pytestmark = pytest.mark.integration
API = "kueue.x-k8s.io/v1beta2"
FLAVORS, CLUSTER_QUEUES = Resource(API, "resourceflavors"), Resource(API, "clusterqueues")
QUEUES, WORKLOADS = Resource(API, "localqueues"), Resource(API, "workloads")
PRIORITIES = Resource(API, "workloadpriorityclasses")
CUP, RED, BLUE = "kueued", "kueued-red", "kueued-blue"
QUEUE = "runs"
FINISHED = End(cause="finished", ended_ns=5_000_000_000)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    name = f"kueue-{os.getpid()}"
    with ExitStack() as stack:
        stack.callback(down, name)
        cluster = control_plane(name)
        store = stack.enter_context(minio_server())
        stack.enter_context(job_controller(cluster, tmp_path_factory.mktemp("controller")))
        stack.enter_context(kueue(cluster, tmp_path_factory.mktemp("kueue")))
        folder = tmp_path_factory.mktemp("operator")
        yield stack.enter_context(run_world(cluster, store, folder, CUP, (RED, BLUE)))


def make_queue(world: World) -> None:
    """Room for one run at a time, which an urgent Job may take."""
    world.ask("POST", FLAVORS.path(None), _object(FLAVORS, "ResourceFlavor", "any", {}))
    amounts = {"cpu": "900m", "memory": "100Gi", "ephemeral-storage": "1Ti"}
    quotas = [{"name": name, "nominalQuota": amount} for name, amount in amounts.items()]
    group = {"coveredResources": list(amounts), "flavors": [{"name": "any", "resources": quotas}]}
    spec = {
        "namespaceSelector": {},
        "resourceGroups": [group],
        "preemption": {"withinClusterQueue": "LowerPriority"},
    }
    world.ask("POST", CLUSTER_QUEUES.path(None), _object(CLUSTER_QUEUES, "ClusterQueue", "one", spec))
    world.create(
        QUEUES, {"kind": "LocalQueue", "metadata": {"name": QUEUE}, "spec": {"clusterQueue": "one"}}, CUP
    )
    urgent = {
        "apiVersion": API,
        "kind": "WorkloadPriorityClass",
        "metadata": {"name": "urgent"},
        "value": 1000,
    }
    world.ask("POST", PRIORITIES.path(None), urgent)


def _object(resource: Resource, kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": resource.api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def reason(world: World) -> str:
    status = (world.find(COMPETITIONS, CUP) or {}).get("status") or {}
    return next((c["reason"] for c in status.get("conditions", ()) if c["type"] == "Ready"), "")


def pod_of(world: World, job: Object) -> str:
    """Name of the pod that the Job controller has made."""
    name = job["metadata"]["name"]

    def look() -> str | None:
        pods = [p for p in world.list(PODS) if p["metadata"]["labels"].get("job-name") == name]
        return next((str(p["metadata"]["name"]) for p in pods), None)

    return wait_for(f"the pod of {name}", look)


def run_of(world: World, team: str, name: str) -> dict[str, Any]:
    return dict((world.submission_status(name, team).get("runs") or [{}])[0])


def run_job(world: World, submission: Object, attempt: int = 1) -> Object | None:
    uid = submission["metadata"]["uid"]
    wanted = {"alcove.dev/submission-uid": uid, "alcove.dev/role": "run", "alcove.dev/attempt": str(attempt)}
    return next((j for j in world.list(JOBS) if wanted.items() <= j["metadata"]["labels"].items()), None)


def is_suspended(job: Object | None) -> bool:
    return job is not None and bool(job["spec"].get("suspend"))


def admitted(world: World, submission: Object, attempt: int = 1) -> Object | None:
    job = run_job(world, submission, attempt)
    return job if job is not None and not is_suspended(job) else None


def begins(world: World, submission: Object, attempt: int = 1) -> str:
    """Waits until Kueue has admitted the run; its pod's name, once that runs."""
    name = submission["metadata"]["name"]
    pod = pod_of(world, wait_for(f"{name} admitted", lambda: admitted(world, submission, attempt)))
    world.running(pod)
    return pod


def test_kueue_starts_runs_in_the_order_of_use_and_preempts_at_the_platforms_cost(world: World) -> None:
    for team in (RED, BLUE):
        world.join(team, CUP)
    world.dataset(f"{CUP}-digits")
    world.competition(CUP, localQueue=QUEUE, capacity=1)
    checked = CheckResult(ok=True, n_train=100, n_test=50, n_labels=10, bytes=1000, chance_score=0.5)
    world.said(pod_of(world, world.job(f"c-{CUP}-digits-")), "check", checked.model_dump_json())
    wait_for("the dataset", lambda: ready(world.find(DATASETS, f"{CUP}-digits")) == "True")
    wait_for("the missing queue said", lambda: reason(world) == "QueueMissing")
    make_queue(world)
    wait_for("the queue seen", lambda: reason(world) == "Ready")

    one = world.submission("one", CUP, RED)
    pod = begins(world, one)
    assert run_job(world, one)["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == QUEUE  # type: ignore[index]
    two = world.submission("two", CUP, RED)
    wait_for("the full queue", lambda: is_suspended(run_job(world, two)))
    said = f"Waiting in the queue {QUEUE} of Kueue."
    wait_for("what its team is told", lambda: world.submission_status("two", RED).get("message") == said)
    assert world.submission_status("two", RED)["phase"] == "Queued"
    full = wait_for("Kueue's reason", lambda: [w for w in world.list(WORKLOADS) if _waits_for_quota(w)])
    assert len(full) == 1

    three, blue = world.submission("three", CUP, RED), world.submission("blue", CUP, BLUE)
    wait_for("its place", lambda: "in the queue" in run_of(world, BLUE, "blue").get("message", ""))
    assert run_job(world, blue) is None, "one at a time waits in Kueue"
    world.ended(pod, 0, FINISHED)
    pod = begins(world, two)
    wait_for("the team that has used less", lambda: is_suspended(run_job(world, blue)))
    assert run_job(world, three) is None

    _urgent_job(world)
    again = wait_for("the second attempt", lambda: run_job(world, two, 2))
    assert again["spec"]["suspend"] is True
    assert not [p for p in world.list(PODS) if p["metadata"]["name"] == pod], "the pod was taken off"
    shown = wait_for("why", lambda: _waiting(run_of(world, RED, "two")))
    assert shown["message"].startswith(f"Attempt 2 of 3: Its place in the queue {QUEUE} was given to another")
    world.delete(JOBS, "urgent")

    # Kueue compares creation times in whole seconds, and may look at a new Job before one that it has turned away. So
    # which of these two it admits first is its own matter; the third is not given to it until then.
    left = [(blue, 1), (two, 2)]
    while left:
        first = wait_for(
            "one of them admitted", lambda: next((one for one in left if admitted(world, *one)), None)
        )
        left.remove(first)
        assert not (left and run_job(world, three)), "one at a time waits in Kueue"
        world.ended(begins(world, *first), 0, FINISHED)
    world.ended(begins(world, three), 0, FINISHED)
    wait_for("the end", lambda: run_of(world, RED, "three").get("cause") == "Finished")
    assert run_of(world, RED, "two")["attempt"] == 2
    assert run_of(world, BLUE, "blue")["attempt"] == run_of(world, RED, "three")["attempt"] == 1


def _waiting(run: dict[str, Any]) -> dict[str, Any] | None:
    return run if run.get("phase") == "Queued" and run.get("message", "").startswith("Attempt 2") else None


def _waits_for_quota(workload: Object) -> bool:
    conditions = (workload.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "QuotaReserved" and c["status"] == "False" for c in conditions)


def _urgent_job(world: World) -> None:
    """Of somebody else on the cluster, with a higher priority."""
    requests = {"cpu": "500m", "memory": "64Mi", "ephemeral-storage": "64Mi"}
    container = {
        "name": "main", "image": "x", "resources": {"requests": requests},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }  # fmt: skip
    security = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {"restartPolicy": "Never", "containers": [container], "securityContext": security}
    labels = {"kueue.x-k8s.io/queue-name": QUEUE, "kueue.x-k8s.io/priority-class": "urgent"}
    body = {
        "kind": "Job",
        "metadata": {"name": "urgent", "labels": labels},
        "spec": {"suspend": True, "template": {"spec": pod}},
    }
    world.create(JOBS, body)
