"""Faults of a whole node among several: it is lost, restarted, cut off, drained, full, or slow to reach."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tests.cluster import node_lifecycle
from tests.cluster.console import ClusterError
from tests.cluster.layout import Node, load_plan
from tests.demo.hackathon import DemoError, Hackathon

LOST, REBOOTED, CUT_OFF = "node-lost", "node-rebooted", "node-cut-off"
DRAINED, FULL, SLOW = "node-drained", "node-full", "node-slow"
KINDS = (LOST, REBOOTED, CUT_OFF, DRAINED, FULL, SLOW)
DISK_MIB = 16384
"""What the node has for its kubelet's files: room for the requests of three runs. It takes up what is written."""
SLOW_KBIT = 4000
"""Of its cable, in a second and each way."""
FILLER = "chaos-filler"


@dataclass
class NodeFaults:
    """Of one further node, one at a time. Both methods raise DemoError."""

    hackathon: Hackathon
    node: Node
    kinds: tuple[str, ...] = KINDS
    _drains: list[subprocess.Popen[bytes]] = field(default_factory=list)
    """``kubectl drain`` waits until every pod is gone, which can be after the fault."""

    def apply(self, kind: str) -> None:
        self._do(_APPLY[kind])

    def undo(self, kind: str) -> None:
        self._do(_UNDO[kind])

    def _do(self, act: Callable[[NodeFaults], None]) -> None:
        try:
            act(self)
        except (ClusterError, OSError) as error:
            raise DemoError(str(error)) from error

    def lose(self) -> None:
        node_lifecycle.lose(self.node)

    def bring_back(self) -> None:
        node_lifecycle.bring_back(self.node)

    def cut_off(self) -> None:
        node_lifecycle.set_cable(self.node, plugged=False)

    def plug_in(self) -> None:
        node_lifecycle.set_cable(self.node, plugged=True)

    def drain(self) -> None:
        cluster = self.hackathon.cluster
        command = [str(cluster.kubectl), "--kubeconfig", str(cluster.kubeconfig), "drain", self.node.hostname]
        with (cluster.state / "log" / "drain.log").open("a") as log:
            self._drains.append(
                subprocess.Popen(
                    [*command, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=150s"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )

    def uncordon(self) -> None:
        while self._drains:
            drain = self._drains.pop()
            drain.kill()
            drain.wait()
        self.hackathon.kubectl("uncordon", self.node.hostname)

    def fill(self) -> None:
        folder = node_lifecycle.find_kubelet_folder(self.node)
        with (folder / FILLER).open("wb") as file:
            # Others write meanwhile, so how much room there is now is not how much can be taken.
            taken = take_room(file.fileno(), 0, 256 << 20)
            take_room(file.fileno(), taken, 1 << 20)

    def free(self) -> None:
        (node_lifecycle.find_kubelet_folder(self.node) / FILLER).unlink(missing_ok=True)

    def slow_down(self) -> None:
        node_lifecycle.limit_rate(self.node, SLOW_KBIT)

    def speed_up(self) -> None:
        node_lifecycle.limit_rate(self.node, None)


def take_room(file: int, begin: int, piece: int) -> int:
    """Up to which byte a file has room, once there is none for another ``piece`` of so many bytes behind ``begin``.

    Room that is taken and never written: nothing of it reaches this machine's disk. Raises OSError.
    """
    try:
        while True:
            os.posix_fallocate(file, begin, piece)
            begin += piece
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    return begin


_APPLY: Mapping[str, Callable[[NodeFaults], None]] = MappingProxyType({
    LOST: NodeFaults.lose, REBOOTED: NodeFaults.lose, CUT_OFF: NodeFaults.cut_off,
    DRAINED: NodeFaults.drain, FULL: NodeFaults.fill, SLOW: NodeFaults.slow_down,
})  # fmt: skip
_UNDO: Mapping[str, Callable[[NodeFaults], None]] = MappingProxyType({
    LOST: NodeFaults.bring_back, REBOOTED: NodeFaults.bring_back, CUT_OFF: NodeFaults.plug_in,
    DRAINED: NodeFaults.uncordon, FULL: NodeFaults.free, SLOW: NodeFaults.speed_up,
})  # fmt: skip


def find_victim(hackathon: Hackathon) -> NodeFaults | None:
    """The last node of a cluster of several; None of a single one, which all else is on."""
    plan = load_plan(hackathon.cluster.name)
    assert plan is not None
    return NodeFaults(hackathon, plan.nodes[-1]) if plan.size > 1 else None


def place_platform(values: Mapping[str, Any], node: Node) -> dict[str, Any]:
    """Values of the chart by which operator, store and boards are on ``node``, as an administrator keeps them apart
    from runs."""
    selector = {"nodeSelector": {"kubernetes.io/hostname": node.hostname}}
    store = {**values["store"], "server": {**values["store"]["server"], **selector}}
    placed = {name: {**values[name], **selector} for name in ("operator", "board")}
    return {**values, **placed, "store": store}


def works(objects: Mapping[str, Any], hostname: str, since: float, moment: Callable[[str], float]) -> bool:
    """Whether a node is Ready, by a kubelet that said so after ``since``, and takes pods.

    Args:
        objects: a List of Nodes and Leases.
        since: Unix time.
        moment: makes one of a text.
    """
    named = [one for one in objects["items"] if one["metadata"]["name"] == hostname]
    node = next((one for one in named if one["kind"] == "Node"), None)
    lease = next((one for one in named if one["kind"] == "Lease"), None)
    renewed = (lease or {}).get("spec", {}).get("renewTime")
    if node is None or not renewed or moment(renewed) <= since:
        return False
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"]["conditions"])
    return ready and not node["spec"].get("taints")
