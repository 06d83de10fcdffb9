"""Who reaches what behind the chart's NetworkPolicies: each role against each destination, both ways.

A pod with the labels of a role tries all destinations. Each of them is open to a pod here or, where no pod may reach
it, to its readiness probe, so none counts as closed because nothing listens. The participant's own process, which has
no sockets at all, is attacked in tests/conformance.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from alcove_operator.core import names
from alcove_operator.records import AGGREGATE, CHECK
from tests.cluster.layout import load_plan
from tests.cluster.network import METADATA, OUTSIDE
from tests.cluster.versions import KUBERNETES
from tests.demo.hackathon import CHART, Hackathon, helm, values_file, wait_for
from tests.e2e.conftest import Object

pytestmark = pytest.mark.e2e

OPEN = "network-allowed"
"""Namespace with the policies of a competition that allows the network."""
STRANGER = "default"
"""Namespace without policies."""
PORT = 8080

DNS = {"dns over udp", "dns over tcp"}
API = {"api server", "api server on its node"}
NODE = {"resolver, not dns", "kubelet", "metadata", "outside"}
INSIDE = {"store", *DNS}

REACHES: dict[str, set[str]] = {
    names.RUN: INSIDE,
    names.SCORE: INSIDE,
    names.RESCORE: INSIDE,
    CHECK: INSIDE,
    "store-setup": INSIDE,
    AGGREGATE: INSIDE | API,
    "operator": INSIDE | API,
    "board": INSIDE | API,
    "crds-upgrade": INSIDE | API,
    "resolvers": INSIDE | API,
    "test": INSIDE | API,
    "store": set(),
    "": set(),
}
"""What a pod with each role reaches in the competition's namespace."""
ALLOWED = {*INSIDE, "outside"}
"""What a run reaches where the competition allows the network."""
UNGUARDED = {*DNS, *API, *NODE, "pod of a team"}
"""What a pod without policies reaches: all but the pods that are guarded themselves."""


def _pod(name: str, namespace: str, image: str, arguments: list[str], role: str = "") -> Object:
    restricted = {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    container = {
        "name": "main", "image": image, "command": ["/opt/alcove/bin/python", "-I", *arguments],
        "securityContext": restricted, "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"network-{name}", "namespace": namespace,
            "labels": {"tests": "network", **({names.ROLE: role} if role else {})},
        },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        },
    }  # fmt: skip


def _listener(name: str, namespace: str, image: str, port: int = PORT, role: str = "") -> Object:
    pod = _pod(name, namespace, image, ["-m", "http.server", str(port)], role)
    pod["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": port}, "periodSeconds": 1}
    return pod


def _listener_on_the_node(image: str) -> Object:
    """Answers on port 80 of every address of the node."""
    pod = _listener("node", STRANGER, image, 80)
    pod["spec"] |= {"hostNetwork": True, "securityContext": {"runAsUser": 0}}
    del pod["spec"]["containers"][0]["securityContext"]
    return pod


class Probes:
    """Pods that listen and pods that try; all are gone at the end."""

    def __init__(self, hackathon: Hackathon) -> None:
        self._hackathon = hackathon
        deployment = hackathon.get("deployment", "alcove-operator")
        self.image: str = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
        self._script = (Path(__file__).with_name("network_probe.py")).read_text()

    def apply(self, *objects: Object) -> None:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self._hackathon.kubectl("apply", "-f", "-", stdin=text)

    def probe(self, role: str, namespace: str, targets: dict[str, list[Any]], expected: set[str]) -> Object:
        pod = _pod(f"probe-{role or 'none'}", namespace, self.image, ["-c", self._script], role)
        (container,) = pod["spec"]["containers"]
        container["env"] = [
            {"name": "TARGETS", "value": json.dumps(targets)},
            {"name": "EXPECTED", "value": json.dumps(sorted(expected))},
        ]
        # Never ready: a Service that selects its role must not send anyone here.
        container["readinessProbe"] = {"exec": {"command": ["/bin/false"]}}
        return pod

    def pods(self) -> list[Object]:
        found = self._hackathon.kubectl("get", "pods", "-A", "-l", "tests=network", "-o", "json")
        items: list[Object] = json.loads(found)["items"]
        return items

    def addresses(self) -> dict[str, str]:
        """Of each pod that is ready."""
        return {
            pod["metadata"]["name"]: pod["status"]["podIP"]
            for pod in self.pods()
            for condition in pod["status"].get("conditions", ())
            if condition["type"] == "Ready" and condition["status"] == "True"
        }

    def reports(self) -> dict[tuple[str, str], set[str]]:
        """What each probe reached, by namespace and role; of those that have ended."""
        found = {}
        for pod in self.pods():
            about = pod["metadata"]
            for status in pod["status"].get("containerStatuses", ()):
                if ended := status["state"].get("terminated"):
                    assert ended["exitCode"] == 0, ended
                    key = about["namespace"], about["labels"].get(names.ROLE, "")
                    found[key] = set(json.loads(ended["message"]))
        return found


def _policies_of_an_allowed_network(hackathon: Hackathon) -> list[Object]:
    """The chart's, with what the hook wrote in the release that is installed."""
    rendered = helm(
        hackathon.cluster, "template", OPEN, str(CHART), "-n", OPEN, "--show-only", "templates/networkpolicies.yaml",
        "-f", str(values_file(hackathon.cluster, hackathon.name)), "--set", "competition.spec.allowNetwork=true",
        "--kube-version", KUBERNETES,
    )  # fmt: skip
    policies = [document for document in yaml.safe_load_all(rendered) if document]
    resolvers = hackathon.get("networkpolicy", "alcove-resolvers")["spec"]["egress"]
    for policy in policies:
        policy["metadata"]["namespace"] = OPEN
        if policy["metadata"]["name"] == "alcove-resolvers":
            policy["spec"]["egress"] = resolvers
    return policies


def _targets(hackathon: Hackathon, addresses: dict[str, str]) -> dict[str, list[Any]]:
    plan = load_plan(hackathon.cluster.name)
    assert plan is not None
    node, resolver = plan.addresses.node, plan.addresses.dns
    operator = json.loads(
        hackathon.kubectl(
            "get", "pods", "-n", hackathon.name, "-l", "alcove.dev/role=operator,tests!=network", "-o", "json"
        )
    )
    return {
        "store": ["tcp", hackathon.get("service", "alcove-store")["spec"]["clusterIP"], 9000],
        "dns over udp": ["udp", resolver, 53],
        "dns over tcp": ["tcp", resolver, 53],
        "resolver, not dns": ["tcp", resolver, 80],
        "api server": ["tcp", plan.addresses.api_service, 443],
        "api server on its node": ["tcp", node, 6443],
        "kubelet": ["tcp", node, 10250],
        "metadata": ["tcp", METADATA, 80],
        "outside": ["tcp", OUTSIDE, 80],
        "operator": ["tcp", operator["items"][0]["status"]["podIP"], 9090],
        "pod of a run": ["tcp", addresses["network-run"], PORT],
        "pod of a team": ["tcp", addresses["network-team"], PORT],
    }


@pytest.fixture(scope="module")
def reached(hackathon: Hackathon) -> Iterator[dict[tuple[str, str], set[str]]]:
    probes, own, team = Probes(hackathon), hackathon.name, hackathon.team_namespace("red")
    listeners = [
        _listener("run", own, probes.image, role=names.RUN),
        _listener("team", team, probes.image),
        _listener("store", OPEN, probes.image, 9000, role="store"),
        _listener_on_the_node(probes.image),
    ]
    try:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OPEN}}
        probes.apply(namespace, *_policies_of_an_allowed_network(hackathon), *listeners)
        wait_for("the listening pods being ready", lambda: len(probes.addresses()) == len(listeners))
        addresses = probes.addresses()
        targets = _targets(hackathon, addresses)
        with_own_store = {**targets, "store": ["tcp", addresses["network-store"], 9000]}
        probe_pods = [
            *(probes.probe(role, own, targets, expected) for role, expected in REACHES.items()),
            probes.probe(names.RUN, OPEN, with_own_store, ALLOWED),
            probes.probe("", STRANGER, targets, UNGUARDED),
        ]
        probes.apply(*probe_pods)
        wait_for("the probes ending", lambda: len(probes.reports()) == len(probe_pods))
        yield probes.reports()
    finally:
        hackathon.kubectl("delete", "namespace", OPEN, "--ignore-not-found", "--wait=false")
        for where in (own, team, STRANGER):
            hackathon.kubectl("delete", "pods", "-n", where, "-l", "tests=network", "--wait=false")


@pytest.mark.parametrize("role", REACHES)
def test_a_pod_of_the_competition_reaches_what_its_role_needs_and_no_more(
    hackathon: Hackathon, reached: dict[tuple[str, str], set[str]], role: str
) -> None:
    assert reached[hackathon.name, role] == REACHES[role]


def test_an_allowed_network_is_the_outside_and_no_more(reached: dict[tuple[str, str], set[str]]) -> None:
    assert reached[OPEN, names.RUN] == ALLOWED


def test_without_policies_a_pod_reaches_all_that_is_not_guarded_itself(
    reached: dict[tuple[str, str], set[str]],
) -> None:
    assert reached[STRANGER, ""] == UNGUARDED


def test_the_resolvers_that_the_hook_found_are_those_of_a_pod(hackathon: Hackathon) -> None:
    (rule,) = hackathon.get("networkpolicy", "alcove-resolvers")["spec"]["egress"]
    plan = load_plan(hackathon.cluster.name)
    assert plan is not None
    assert rule["to"] == [{"ipBlock": {"cidr": f"{plan.addresses.dns}/32"}}]
    assert {port["port"] for port in rule["ports"]} == {53}
