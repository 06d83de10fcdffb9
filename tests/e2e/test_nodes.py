"""A throwaway cluster of two nodes: pods of both reach each other, Services and names, and policies hold on both."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import api
from tests.cluster.layout import load_plan
from tests.conftest import say
from tests.demo.hackathon import kubectl, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.own_cluster]
PORT = 8080
REACHED_BY_ALL = {"open-1", "open-2", "service", "dns"}
TARGETS = REACHED_BY_ALL | {"guarded-1", "guarded-2"}
Object = dict[str, Any]


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[tuple[api.Cluster, str]]:
    """And an image with Python, which neither of them has yet."""
    name = f"nodes-{os.getpid()}"
    try:
        cluster = api.up(name, progress=say, nodes=2)
        yield cluster, api.images(cluster, ["operator"], progress=say)["operator"]
    finally:
        api.down(name, say)


def _pod(name: str, node: str, image: str, arguments: list[str], **labels: str) -> Object:
    container = {
        "name": "main",
        "image": image,
        "command": ["/opt/alcove/bin/python", "-I", *arguments],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "nodeSelector": {"kubernetes.io/hostname": node},
            "containers": [container],
        },
    }


def _listener(name: str, node: str, image: str) -> Object:
    pod = _pod(name, node, image, ["-m", "http.server", str(PORT)], kind=name.partition("-")[0])
    pod["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": PORT}, "periodSeconds": 1}
    return pod


def _probe(name: str, node: str, image: str, targets: dict[str, list[Any]], expected: set[str]) -> Object:
    script = Path(__file__).with_name("network_probe.py").read_text()
    pod = _pod(name, node, image, ["-c", script], kind=name.partition("-")[0])
    pod["spec"]["containers"][0]["env"] = [
        {"name": "TARGETS", "value": json.dumps(targets)},
        {"name": "EXPECTED", "value": json.dumps(sorted(expected))},
    ]
    return pod


def _find_pods(cluster: api.Cluster) -> dict[str, Object]:
    items = json.loads(kubectl(cluster, "get", "pods", "-o", "json"))["items"]
    return {pod["metadata"]["name"]: pod for pod in items}


def _is_ready(pod: Object) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))


def _apply(cluster: api.Cluster, *objects: Object) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    kubectl(cluster, "apply", "-f", "-", stdin=text)


def test_two_nodes_are_one_cluster(two_nodes: tuple[api.Cluster, str]) -> None:
    """The listeners that are guarded let in pods of the kind friend alone; every image is pulled by both nodes."""
    cluster, image = two_nodes
    plan = load_plan(cluster.name)
    assert plan is not None
    hosts = {str(node.number): node.hostname for node in plan.nodes}
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "open"},
        "spec": {"selector": {"kind": "open"}, "ports": [{"port": 80, "targetPort": PORT}]},
    }  # fmt: skip
    friend = {"podSelector": {"matchLabels": {"kind": "friend"}}}
    policy = {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "guard"},
        "spec": {
            "podSelector": {"matchLabels": {"kind": "guarded"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [friend]}],
        },
    }  # fmt: skip
    listeners = [
        _listener(f"{kind}-{number}", host, image)
        for kind in ("open", "guarded")
        for number, host in hosts.items()
    ]
    # What the kubelet asks for a guarded pod's readiness comes from its own node, which policies let through.
    _apply(cluster, service, policy, *listeners)
    wait_for("the listeners being ready", lambda: all(map(_is_ready, _find_pods(cluster).values())))
    pods = _find_pods(cluster)
    assert {pods[f"open-{number}"]["status"]["hostIP"] for number in hosts} == {n.address for n in plan.nodes}
    targets: dict[str, list[Any]] = {
        name: ["tcp", pod["status"]["podIP"], PORT] for name, pod in pods.items()
    }
    address = json.loads(kubectl(cluster, "get", "service", "open", "-o", "json"))["spec"]["clusterIP"]
    targets |= {"service": ["tcp", address, 80], "dns": ["udp", plan.addresses.dns, 53]}
    probes = {
        f"{kind}-{number}": expected
        for kind, expected in (("friend", TARGETS), ("stranger", REACHED_BY_ALL))
        for number in hosts
    }
    _apply(
        cluster,
        *(
            _probe(name, hosts[name.rpartition("-")[2]], image, targets, expected)
            for name, expected in probes.items()
        ),
    )

    def ended() -> bool:
        return all(_find_pods(cluster)[name]["status"]["phase"] == "Succeeded" for name in probes)

    wait_for("the probes ending", ended)
    pods = _find_pods(cluster)
    reached = {
        name: set(json.loads(pods[name]["status"]["containerStatuses"][0]["state"]["terminated"]["message"]))
        for name in probes
    }
    assert reached == probes
