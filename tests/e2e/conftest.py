"""One cluster and one hackathon for all end-to-end tests; each test hands in submissions of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from alcove_api import keys
from alcove_api.run_documents import Manifest
from alcove_api.score_documents import ScoreResult
from alcove_toolkit.practice import PRACTICE
from tests.cluster import api
from tests.cluster.node_config import SECOND_HANDLER
from tests.conftest import say
from tests.demo import hackathon as steps
from tests.demo.hackathon import Hackathon, wait_for

SWAPPED = bool(os.environ.get("ALCOVE_SWAP_STORES"))
DEMO_STORE, REHEARSAL_STORE = ("seaweedfs", "minio") if SWAPPED else ("minio", "seaweedfs")
"""Between them the demo and the rehearsal are on both servers; ``make e2e-swapped`` has each on the other one."""
BUDGET = 8
NEVER = "2099-01-01T00:00:00Z"
ENDED = ("Done", "Failed", "Rejected")
Object = dict[str, Any]
RUNTIME_CLASS: Object = {
    "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "second"},
    "handler": SECOND_HANDLER,
    "overhead": {"podFixed": {"memory": "8Mi"}},
}  # fmt: skip


def _phase(name: str, datasets: list[str], budget: int, **more: Any) -> Object:
    resources = {"gpus": 0, "cpu": "400m", "memory": "600Mi", "disk": "1Gi", "processes": 256}
    resources |= more.pop("resources", {})
    return {
        "name": name, "datasets": datasets, "budget": {"seconds": budget}, "resources": resources,
        "feedback": {"mode": "live"}, **more,
    }  # fmt: skip


@pytest.fixture(scope="session")
def hackathon(cluster: api.Cluster) -> Hackathon:
    images = api.images(cluster, progress=say)
    folder = cluster.state / "datasets"
    steps.make_datasets(folder)
    spec = {
        "capacity": 4,
        "maxAttempts": 2,
        "limits": {"perDay": 500, "total": 5000, "parallel": 4},
        "images": {"allowed": [cluster.registry]},
        "phases": [
            steps.practice_phase(30, closesAt=NEVER),
            _phase("single", ["digits"], BUDGET),
            _phase("long", ["digits"], 45),
            _phase("gpu", ["digits"], BUDGET, resources={"gpus": 1}),
            _phase("broken", ["broken"], BUDGET),
            _phase(
                "live",
                ["digits"],
                16,
                feedback={"mode": "live", "decimals": 2, "testFraction": 0.5, "maxSnapshots": 8},
            ),
            _phase("blind", ["digits"], BUDGET, feedback={"mode": "none", "decimals": 6}, revealsAt=NEVER),
        ],
    }
    # MinIO, which tells how full it is. The rehearsal and the example run on the chart's default.
    values = steps.chart_values(cluster, images, ("red", "blue"), spec, "minio")
    # What the operator's metrics tell is looked at from this host.
    values["networkPolicy"]["metricsClients"] = values["networkPolicy"]["storeClients"]
    # The other releases of the tests leave the choice to the node.
    steps.kubectl(cluster, "apply", "-f", "-", stdin=json.dumps(RUNTIME_CLASS))
    values["runs"] = {"runtimeClass": RUNTIME_CLASS["metadata"]["name"]}
    installed = steps.install(cluster, "hack", values)
    steps.publish_datasets(installed, folder, say)
    wait_for("the Datasets becoming Ready", lambda: _ready(installed), 180)
    return installed


def _ready(hackathon: Hackathon) -> bool:
    found = json.loads(hackathon.kubectl("get", "datasets", "-n", hackathon.name, "-o", "json"))["items"]
    states = {d["metadata"]["name"]: steps.condition(d, "Ready").get("status") for d in found}
    states.pop("broken", None)
    return len(states) == len(PRACTICE) and set(states.values()) == {"True"}


@dataclass
class Team:
    """A team, and what it hands in; everything is deleted when the test is over."""

    hackathon: Hackathon
    name: str

    @property
    def namespace(self) -> str:
        return self.hackathon.team_namespace(self.name)

    def submit(self, name: str, code: str | Object, phase: str = "single") -> None:
        """``code``: the text of model.py, or the ``code`` field itself."""
        documents: list[Object] = []
        if isinstance(code, str):
            documents.append(
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": name, "namespace": self.namespace},
                    "data": {"model.py": code},
                }
            )
            code = {"configMap": {"name": name}, "framework": "numpy"}
        reference = {"namespace": self.hackathon.name, "name": self.hackathon.name}
        documents.append(
            {
                "apiVersion": "alcove.dev/v1alpha1",
                "kind": "Submission",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {"competition": reference, "phase": phase, "code": code},
            }
        )
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
        self.hackathon.kubectl("apply", "-f", "-", stdin=text)

    def status(self, name: str) -> Object:
        status: Object = self.hackathon.get("submission", name, self.namespace).get("status", {})
        return status

    def run(self, name: str, dataset: str = "digits") -> Object:
        """The status of one run; {} while there is none."""
        runs = self.status(name).get("runs", [])
        return next((run for run in runs if run["dataset"] == dataset), {})

    def uid(self, name: str) -> str:
        return str(self.hackathon.get("submission", name, self.namespace)["metadata"]["uid"])

    def until(self, name: str, phases: tuple[str, ...] = ENDED, seconds: float = 150) -> Object:
        """Waits until the Submission is in one of ``phases``; returns its status."""
        wait_for(
            f"{self.namespace}/{name} getting to {' or '.join(phases)} (it is {self.status(name)})",
            lambda: self.status(name).get("phase") in phases,
            seconds,
        )
        return self.status(name)

    def until_run(self, name: str, phases: tuple[str, ...], seconds: float = 90) -> Object:
        wait_for(
            f"the run of {self.namespace}/{name} getting to {' or '.join(phases)}",
            lambda: self.run(name).get("phase") in phases,
            seconds,
        )
        return self.run(name)

    def pods(self, name: str) -> list[Object]:
        """The run pods of a submission, as the organizer sees them."""
        selector = f"alcove.dev/submission-uid={self.uid(name)},alcove.dev/role=run"
        out = self.hackathon.kubectl("get", "pods", "-n", self.hackathon.name, "-l", selector, "-o", "json")
        items: list[Object] = json.loads(out)["items"]
        return items

    def manifests(self, name: str, alias: str = "digits") -> list[Manifest]:
        """What recorders sealed, one for each pod that there ever was."""
        store = self.hackathon.store("scorer")
        prefix = f"runs/{self.uid(name)}/{alias}/"
        found = [o.object_name for o in store.list_objects(keys.MAIN_BUCKET, prefix=prefix, recursive=True)]
        return [
            Manifest.model_validate_json(store.get_object(keys.MAIN_BUCKET, key).read())
            for key in found
            if key.endswith("/manifest.json")
        ]

    def results(self, name: str) -> dict[str, ScoreResult]:
        """Every score of it that the store holds, by its digest."""
        store = self.hackathon.store("scorer")
        listed = store.list_objects(keys.MAIN_BUCKET, prefix=f"scores/{self.uid(name)}/")
        found = [
            o.object_name for o in listed if re.fullmatch(r"[0-9a-f]{16}\.json", Path(o.object_name).name)
        ]
        read = (store.get_object(keys.MAIN_BUCKET, key).read() for key in found)
        return {result.scoring_digest: result for result in map(ScoreResult.model_validate_json, read)}

    def log(self, name: str, alias: str = "digits") -> str:
        store = self.hackathon.store("scorer")
        prefix = f"runs/{self.uid(name)}/{alias}/"
        for found in store.list_objects(keys.MAIN_BUCKET, prefix=prefix, recursive=True):
            if found.object_name.endswith("/log.txt"):
                return bytes(store.get_object(keys.MAIN_BUCKET, found.object_name).read()).decode(
                    errors="replace"
                )
        return ""


class Organizer(Team):
    """Hands in baselines: in the competition's own namespace."""

    @property
    def namespace(self) -> str:
        return self.hackathon.name


def alcove(cluster: api.Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line as it is typed, with the cluster's own kubeconfig: the organizer's."""
    return subprocess.run(
        [sys.executable, "-m", "alcove_cli.main", *arguments, "--kubeconfig", str(cluster.kubeconfig)],
        capture_output=True, text=True, check=False, timeout=240,
        env={"PATH": os.environ["PATH"], "HOME": str(cluster.state)},
    )  # fmt: skip


def as_participant(hackathon: Hackathon, namespace: str, folder: Path) -> api.Cluster:
    """The cluster as a team sees it: a kubeconfig with the team's token and no certificate."""
    config = yaml.safe_load(hackathon.cluster.kubeconfig.read_text())
    token = hackathon.kubectl("create", "token", "participant", "-n", namespace).strip()
    for user in config["users"]:
        user["user"] = {"token": token}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return replace(hackathon.cluster, kubeconfig=path)


def _team(hackathon: Hackathon, name: str) -> Iterator[Team]:
    team = Team(hackathon, name)
    yield team
    hackathon.kubectl("delete", "submissions,configmaps", "--all", "-n", team.namespace, "--timeout=60s")


@pytest.fixture
def red(hackathon: Hackathon) -> Iterator[Team]:
    yield from _team(hackathon, "red")


@pytest.fixture
def blue(hackathon: Hackathon) -> Iterator[Team]:
    yield from _team(hackathon, "blue")
