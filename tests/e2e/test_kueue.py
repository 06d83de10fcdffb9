"""Kueue, from its own chart with its webhooks, starts the runs of a competition that names its queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster import kueue
from tests.conftest import say
from tests.demo.hackathon import DemoError, Hackathon, condition, wait_for
from tests.e2e import models
from tests.e2e.conftest import Object, Team

pytestmark = pytest.mark.e2e
QUEUE = "runs"
WAITS = f"Waiting in the queue {QUEUE} of Kueue."


def of_kueue(kind: str, name: str, **more: object) -> Object:
    return {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": {"name": name}, **more}


def make_queue(hackathon: Hackathon) -> None:
    """Room for one pod at a time, which one of a higher priority may take."""
    amounts = {"cpu": "8", "memory": "100Gi", "ephemeral-storage": "1Ti", "pods": "1"}
    quotas = [{"name": name, "nominalQuota": amount} for name, amount in amounts.items()]
    group = {"coveredResources": list(amounts), "flavors": [{"name": "any", "resources": quotas}]}
    preemption = {"withinClusterQueue": "LowerPriority"}
    spec = {"namespaceSelector": {}, "resourceGroups": [group], "preemption": preemption}
    local = of_kueue("LocalQueue", QUEUE, spec={"clusterQueue": "one"})
    local["metadata"]["namespace"] = hackathon.name
    made = [
        of_kueue("ResourceFlavor", "any", spec={}), of_kueue("WorkloadPriorityClass", "urgent", value=1000),
        of_kueue("ClusterQueue", "one", spec=spec), local,
    ]  # fmt: skip
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
    hackathon.kubectl("apply", "-f", "-", stdin=text)


def start_urgent(hackathon: Hackathon) -> None:
    """A Job of somebody else on the cluster. It does not ask to be suspended: Kueue's webhook sees to that."""
    images = json.loads((hackathon.cluster.state / "images.json").read_text())
    container = {
        "name": "main", "image": images["operator"], "command": ["python", "-c", "import time; time.sleep(600)"],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi", "ephemeral-storage": "16Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }  # fmt: skip
    security = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {"restartPolicy": "Never", "containers": [container], "securityContext": security}
    labels = {"kueue.x-k8s.io/queue-name": QUEUE, "kueue.x-k8s.io/priority-class": "urgent"}
    metadata = {"name": "urgent", "namespace": hackathon.name, "labels": labels}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": pod}}}
    made = json.loads(hackathon.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(job)))
    assert made["spec"]["suspend"] is True
    ready = "--for=jsonpath={.status.ready}=1"
    hackathon.kubectl("wait", "job/urgent", "-n", hackathon.name, ready, "--timeout=110s")


def end_urgent(hackathon: Hackathon) -> None:
    hackathon.kubectl("delete", "job", "urgent", "-n", hackathon.name)


def name_queue(hackathon: Hackathon, queue: str | None) -> None:
    name = hackathon.name
    patch = json.dumps({"spec": {"localQueue": queue}})
    hackathon.kubectl("patch", "competition", name, "-n", name, "--type=merge", "-p", patch)


def reason(hackathon: Hackathon) -> str:
    return str(condition(hackathon.get("competition", hackathon.name), "Ready").get("reason"))


@contextmanager
def queue(hackathon: Hackathon, *teams: Team) -> Iterator[None]:
    """Kueue, and the competition's queue there; both go again, and before them what ``teams`` have waiting in it."""
    kueue.install(hackathon.cluster, say)
    try:
        name_queue(hackathon, QUEUE)
        wait_for("the missing queue said", lambda: reason(hackathon) == "QueueMissing")
        make_queue(hackathon)
        wait_for("the queue seen", lambda: reason(hackathon) != "QueueMissing")
        yield
    finally:
        for team in teams:
            hackathon.kubectl("delete", "submissions", "--all", "-n", team.namespace, "--timeout=60s")
        name_queue(hackathon, None)
        kueue.remove(hackathon.cluster, say)


def run_jobs(team: Team, name: str) -> list[Object]:
    """Of its only run, the attempts whose Jobs are there."""
    selector = f"alcove.dev/submission-uid={team.uid(name)},alcove.dev/role=run"
    listed = team.hackathon.kubectl("get", "jobs", "-n", team.hackathon.name, "-l", selector, "-o", "json")
    jobs: list[Object] = json.loads(listed)["items"]
    return jobs


def is_suspended(team: Team, name: str) -> bool:
    return any(job["spec"].get("suspend") for job in run_jobs(team, name))


def turned_away(hackathon: Hackathon) -> list[str]:
    """What Kueue says of each Job that it has no room for."""
    listed = hackathon.kubectl("get", "workloads", "-n", hackathon.name, "-o", "json")
    found = (condition(workload, "QuotaReserved") for workload in json.loads(listed)["items"])
    return [c["message"] for c in found if c.get("status") == "False"]


@pytest.mark.timeout(600)
def test_two_teams_of_unequal_use_a_full_queue_and_a_preemption(
    hackathon: Hackathon, red: Team, blue: Team
) -> None:
    # It runs while Kueue is installed.
    red.submit("one", models.SCHEDULED)
    with queue(hackathon, red, blue):
        red.until("one")
        _wait_in_the_full_queue(hackathon, red, blue)
        end_urgent(hackathon)
        _lose_the_place(hackathon, red, blue)
        end_urgent(hackathon)
        for team, name, attempt in ((blue, "first", 1), (red, "two", 2), (red, "three", 1)):
            assert team.until(name)["phase"] == "Done"
            assert team.run(name)["attempt"] == attempt
        assert blue.run("first")["startedAt"] < red.run("three")["startedAt"]


def _wait_in_the_full_queue(hackathon: Hackathon, red: Team, blue: Team) -> None:
    """One run waits there; which of the others is next is the operator's to say, by what the teams have used."""
    start_urgent(hackathon)
    move = ("label", "job/urgent", "kueue.x-k8s.io/queue-name=other", "--overwrite", "-n", hackathon.name)
    with pytest.raises(DemoError, match=r"admission webhook \"vjob\.kb\.io\" denied the request"):
        hackathon.kubectl(*move)
    red.submit("two", models.LASTS, phase="long")
    wait_for("what its team is told", lambda: red.status("two").get("message") == WAITS)
    assert (red.status("two")["phase"], is_suspended(red, "two")) == ("Queued", True)
    wait_for(
        "the full queue", lambda: any("insufficient unused quota" in said for said in turned_away(hackathon))
    )
    red.submit("three", models.SCHEDULED)
    blue.submit("first", models.SCHEDULED)
    wait_for("its place", lambda: "goes next once Kueue has room" in blue.run("first").get("message", ""))
    assert not run_jobs(blue, "first"), "one at a time waits in Kueue"


def _lose_the_place(hackathon: Hackathon, red: Team, blue: Team) -> None:
    """It runs, and is stopped for an urgent Job: its pod goes, it waits again, and so does who has used less."""
    red.until_run("two", ("Running",))
    (preempted,) = red.pods("two")
    start_urgent(hackathon)
    given = f"Attempt 2 of 2: Its place in the queue {QUEUE} was given to another"
    wait_for("the preemption", lambda: red.run("two").get("message", "").startswith(given))
    assert preempted["metadata"]["uid"] not in [pod["metadata"]["uid"] for pod in red.pods("two")]
    wait_for("the team that has used less", lambda: is_suspended(blue, "first"))
    assert not run_jobs(red, "three")
