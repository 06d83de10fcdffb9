"""A node works again when its own kubelet says so after the fault, and it takes pods."""

from __future__ import annotations

from typing import Any

import pytest

from bench.chaos import clock_faults, excuses, faults
from bench.chaos.history import moment
from bench.chaos.node_faults import KINDS, place_platform, works
from tests.cluster.layout import Plan

SINCE = moment("2026-12-01T10:00:00Z")
READY = {"type": "Ready", "status": "True"}


def list_objects(renewed: str = "2026-12-01T10:00:05Z", ready: str = "True", **spec: Any) -> dict[str, Any]:
    node = {
        "kind": "Node", "metadata": {"name": "two"}, "spec": spec,
        "status": {"conditions": [{"type": "DiskPressure", "status": "False"}, {**READY, "status": ready}]},
    }  # fmt: skip
    lease = {"kind": "Lease", "metadata": {"name": "two"}, "spec": {"renewTime": renewed}}
    other = {"kind": "Lease", "metadata": {"name": "one"}, "spec": {"renewTime": "2026-12-01T10:00:09Z"}}
    return {"items": [lease, other, node]}


def test_a_node_works_that_is_ready_and_was_heard_of_since() -> None:
    assert works(list_objects(), "two", SINCE, moment)


@pytest.mark.parametrize(
    "objects",
    [
        list_objects(renewed="2026-12-01T09:59:59Z"),
        list_objects(ready="Unknown"),
        list_objects(taints=[{"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}]),
        {"items": []},
    ],
    ids=["not heard of", "not ready", "takes no pods", "not there"],
)
def test_a_node_does_not_work(objects: dict[str, Any]) -> None:
    assert not works(objects, "two", SINCE, moment)


def test_the_platform_is_kept_on_one_node() -> None:
    node = Plan("c", 1, True, size=2).nodes[0]
    placed = place_platform(
        {"operator": {"a": 1}, "board": {}, "store": {"kind": "minio", "server": {}}}, node
    )
    selector = {"kubernetes.io/hostname": "alcove-c"}
    assert placed["operator"] == {"a": 1, "nodeSelector": selector}
    assert placed["store"] == {"kind": "minio", "server": {"nodeSelector": selector}}
    assert placed["board"] == {"nodeSelector": selector}


def test_the_judge_knows_each_fault_of_a_node() -> None:
    assert {*KINDS, *clock_faults.NODES} <= set(excuses.UNKNOWN.beside)


def test_a_node_is_lost_for_longer_than_kubernetes_waits() -> None:
    drawn = list(faults.draw(3, 3600, (), KINDS))
    lost = [one.lasts for one in drawn if one.kind == "node-lost" and one.at + 120 < 3600]
    assert lost
    assert min(lost) >= 70
    assert {one.lasts for one in drawn if one.kind == "node-cut-off" and one.at + 60 < 3600} == {60.0}


def test_a_kubelet_says_which_node_is_its_own() -> None:
    assert faults.find_node(["kubelet", "--hostname-override=alcove-c-2"]) == "alcove-c-2"
    assert faults.find_node(["etcd"]) == ""
