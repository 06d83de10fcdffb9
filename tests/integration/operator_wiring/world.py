"""A real API server and a real store, the operator under the chart's own rights, and a test that plays the node.

There is no controller and no kubelet here: the test makes the pod of a Job and says how it fares.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import yaml

from alcove_api.documents import CheckResult
from alcove_api.run_documents import End, RecorderReport
from alcove_kube.client import KubeClient, Object, Verb
from alcove_kube.errors import ApiError
from alcove_kube.resources import COMPETITIONS, CONFIG_MAPS, DATASETS, JOBS, PODS, SUBMISSIONS, Resource
from alcove_operator.api import Api
from tests.cluster.children import WITH_US
from tests.cluster.layout import Cluster
from tests.cluster.stores import StoreServer

ROOT = Path(__file__).parents[3]
NAMESPACE = "hack"
RED, BLUE, GREEN, GREY, GOLD = TEAMS = tuple(f"hack-{c}" for c in ("red", "blue", "green", "grey", "gold"))
T = TypeVar("T")


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def wait_for(what: str, look: Callable[[], T | None], seconds: float = 120.0) -> T:
    """What ``look`` finds, once it finds something true. The bound is for what never comes, not for slow machines."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.05)


def cpu_seconds(pid: int) -> float:
    """Processor time of a process since its start."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Operator:
    """The operator as a process of its own."""

    environment: dict[str, str]
    log: Path
    program: tuple[str, ...] = ("-m", "alcove_operator")
    """What Python is to run."""
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Seconds until it said that it works."""
        began = time.monotonic()
        before = self.text().count("The operator started")
        with self.log.open("ab") as output:
            command = [*WITH_US, sys.executable, *self.program]
            self.process = subprocess.Popen(command, env=self.environment, stdout=output, stderr=output)

        def started() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, f"the operator died:\n{self.text()[-3000:]}"
            return self.text().count("The operator started") > before

        wait_for("the operator's start", started)
        return time.monotonic() - began

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(120)

    def text(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def memory_mib(self) -> float:
        return self._memory("VmRSS")

    def peak_memory_mib(self) -> float:
        """Since its start."""
        return self._memory("VmHWM")

    def _memory(self, which: str) -> float:
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith(which)).split()[1]) / 1024

    def cpu_seconds(self) -> float:
        assert self.process is not None
        return cpu_seconds(self.process.pid)


@dataclass
class World:
    cluster: Cluster
    minio: StoreServer
    operator: Operator
    namespace: str = NAMESPACE
    """Of the competitions; where a call names none, it is meant."""
    api: Api = field(init=False)

    def __post_init__(self) -> None:
        self.api = Api(KubeClient.from_kubeconfig(str(self.cluster.kubeconfig)))

    def ask(self, verb: Verb, path: str, body: Any = None, content: str = "application/json") -> Object:
        return self.api.client.request(verb, path, body, content)

    def find(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        try:
            return self.ask("GET", resource.path(namespace or self.namespace, name))
        except ApiError as error:
            if error.not_found:
                return None
            raise

    def list(self, resource: Resource, namespace: str | None = None) -> list[Object]:
        return list(self.ask("GET", resource.path(namespace or self.namespace))["items"])

    def create(self, resource: Resource, body: Object, namespace: str | None = None) -> Object:
        return self.ask(
            "POST", resource.path(namespace or self.namespace), {"apiVersion": resource.api_version, **body}
        )

    def delete(self, resource: Resource, name: str, namespace: str | None = None) -> None:
        body = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
        self.ask("DELETE", resource.path(namespace or self.namespace, name), body)

    def status(self, resource: Resource, name: str, status: Object, namespace: str | None = None) -> None:
        path = resource.path(namespace or self.namespace, name, "status")
        self.ask("PATCH", path, {"status": status}, "application/merge-patch+json")

    # --- what people apply

    def competition(self, name: str, budget_seconds: int = 20, **spec: Any) -> None:
        phase: Object = {
            "name": f"{name}-practice",
            "datasets": [f"{name}-digits"],
            "budget": {"seconds": budget_seconds},
        }
        phase["resources"] = {"gpus": 0, "cpu": "500m", "memory": "512Mi", "disk": "256Mi"}
        body = {"kind": "Competition", "metadata": {"name": name}, "spec": {"phases": [phase], **spec}}
        self.create(COMPETITIONS, body)

    def dataset(self, name: str) -> None:
        spec = {"alias": name, "dataSha256": "a" * 64, "solutionSha256": "b" * 64}
        self.create(DATASETS, {"kind": "Dataset", "metadata": {"name": name}, "spec": spec})

    def submission(
        self, name: str, competition: str, team: str = RED, code: Object | None = None, phase: str = ""
    ) -> Object:
        """``phase``: by default the one that :meth:`competition` makes."""
        if code is None:
            files = {"model.py": "class Model: ...\n"}
            self.create(CONFIG_MAPS, {"kind": "ConfigMap", "metadata": {"name": name}, "data": files}, team)
            code = {"configMap": {"name": name}}
        spec = {
            "competition": {"namespace": self.namespace, "name": competition},
            "phase": phase or f"{competition}-practice",
            "code": code,
        }
        return self.create(
            SUBMISSIONS, {"kind": "Submission", "metadata": {"name": name}, "spec": spec}, team
        )

    def submission_status(self, name: str, team: str = RED) -> Object:
        found = self.find(SUBMISSIONS, name, team)
        return dict((found or {}).get("status") or {})

    # --- what a node would do

    def job(self, prefix: str) -> Object:
        def look() -> Object | None:
            return next((j for j in self.list(JOBS) if j["metadata"]["name"].startswith(prefix)), None)

        return wait_for(f"a Job {prefix}…", look)

    def pod_of(self, job: Object) -> str:
        """Makes the pod that the Job controller would make; the API server's own admission looks at it."""
        name = job["metadata"]["name"]
        template = job["spec"]["template"]
        labels = {**template["metadata"]["labels"], "batch.kubernetes.io/job-name": name}
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job["metadata"]["uid"]}
        metadata = {
            "name": f"{name}-pod",
            "labels": labels,
            "ownerReferences": [{**owner, "controller": True}],
        }
        body = {"kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        return str(self.create(PODS, body)["metadata"]["name"])

    def running(self, pod: str) -> None:
        """The participant's container runs."""
        at = now()
        self.status(
            PODS,
            pod,
            {
                "phase": "Running",
                "startTime": at,
                "containerStatuses": [
                    container(name, {"running": {"startedAt": at}}) for name in ("recorder", "main")
                ],
            },
        )

    def ended(self, pod: str, code: int, end: End, snapshots: int = 3) -> None:
        """The supervisor exited with ``code``, and the recorder left its report."""
        report = RecorderReport(
            go_at=datetime.now(UTC),
            end=end,
            snapshots=snapshots,
            refused=0,
            overshoot_ns=1_600_000,
            head="c" * 64,
            manifest_sha256="d" * 64,
        )
        self.reported(pod, code, report)

    def reported(self, pod: str, code: int, report: RecorderReport) -> None:
        """The same with a report of the test's."""
        at = now()
        told = {"exitCode": 0, "message": report.model_dump_json(), "startedAt": at, "finishedAt": at}
        main = {
            "exitCode": code,
            "startedAt": at,
            "finishedAt": at,
            "reason": "Error" if code else "Completed",
        }
        self.status(
            PODS,
            pod,
            {
                "phase": "Failed" if code else "Succeeded",
                "containerStatuses": [
                    container("recorder", {"terminated": told}),
                    container("main", {"terminated": main}),
                ],
            },
        )

    def said(self, pod: str, task: str, message: str, code: int = 0) -> None:
        """A container of the scorer ended with a termination message."""
        ended = {"exitCode": code, "message": message, "startedAt": now(), "finishedAt": now()}
        self.status(
            PODS,
            pod,
            {
                "phase": "Failed" if code else "Succeeded",
                "containerStatuses": [container(task, {"terminated": ended})],
            },
        )

    def finish(self, job: Object, ok: bool = True, reason: str = "Test") -> None:
        at = now()
        kind, before = ("Complete", "SuccessCriteriaMet") if ok else ("Failed", "FailureTarget")
        conditions = [
            {"type": t, "status": "True", "reason": reason, "lastTransitionTime": at} for t in (before, kind)
        ]
        status: Object = {"startTime": at, "conditions": conditions}
        if ok:
            status |= {"completionTime": at, "succeeded": 1}
        self.status(JOBS, job["metadata"]["name"], status)

    def dataset_passes(self, alias: str, n_test: int = 50) -> None:
        job = self.job(f"c-{alias}-")
        result = CheckResult(ok=True, n_train=100, n_test=n_test, n_labels=10, bytes=1000, chance_score=0.5)
        # What an older operator can read as well: it refuses fields that it does not know.
        self.said(self.pod_of(job), "check", result.model_dump_json(exclude_unset=True))
        self.finish(job)
        wait_for(f"Dataset {alias} Ready", lambda: ready(self.find(DATASETS, alias)) == "True")

    def join(self, team: str, competition: str) -> None:
        """The organizer makes a team take part in a competition."""
        labels = {"alcove.dev/competition": f"{self.namespace}.{competition}"}
        body = {"metadata": {"labels": labels}}
        self.ask("PATCH", f"/api/v1/namespaces/{team}", body, "application/merge-patch+json")

    def open_competition(self, name: str, n_test: int = 50, **spec: Any) -> None:
        """A competition with one dataset that has passed its check."""
        self.dataset(f"{name}-digits")
        self.competition(name, **spec)
        self.dataset_passes(f"{name}-digits", n_test)
        wait_for(f"Competition {name} Ready", lambda: ready(self.find(COMPETITIONS, name)) == "True")


def container(name: str, state: Object) -> Object:
    ready_now = "running" in state
    return {
        "name": name,
        "state": state,
        "ready": ready_now,
        "restartCount": 0,
        "image": "x",
        "imageID": "x",
        "started": ready_now,
    }


def ready(found: Object | None) -> str:
    conditions = ((found or {}).get("status") or {}).get("conditions") or []
    return next((c["status"] for c in conditions if c["type"] == "Ready"), "")


def secret_file(found: Object, key: str) -> dict[str, Any]:
    return dict(json.loads(base64.b64decode(found["data"][key])))


def manifests(text: str) -> list[Object]:
    return [document for document in yaml.safe_load_all(text) if document]
