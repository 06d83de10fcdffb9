"""What can happen to a further node of a cluster: it joins, is lost, comes back, is cut off."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

from . import cgroups, network
from .console import ClusterError, run
from .layout import Node
from .namespaces import find_holder
from .waiting import UP_TIMEOUT, await_condition


def make_disk(node: Node) -> None:
    """A file system of a size of its own for what the node's kubelet keeps."""
    run(["truncate", "--size", f"{node.plan.disk_mib}M", str(node.disk)])
    run(["mkfs.ext4", "-q", "-F", "-m", "0", str(node.disk)])


def connect(node: Node) -> None:
    """Plugs its cable in, as soon as it has namespaces. Raises ClusterError."""
    there = partial(_has_namespaces, node)
    await_condition(node.plan, f"{node.hostname} has namespaces", there, time.monotonic() + UP_TIMEOUT)
    holder = find_holder(node)
    assert holder is not None
    network.hand_over(node.plan.addresses, holder, node.number)
    network.connect(node, holder)


def _has_namespaces(node: Node) -> bool:
    return find_holder(node) is not None


def lose(node: Node) -> None:
    """Kills all that runs there, and its namespaces with it, as if its power were cut. It stays away.

    What it has on its disk stays; what it has in memory is gone. Raises ClusterError.
    """
    holder = find_holder(node)
    if node.number == 1 or holder is None:
        raise ClusterError(
            f"{node.hostname} is the first of its cluster, or away already: it cannot be lost."
        )
    space = os.readlink(f"/proc/{holder}/ns/net")
    node.away.touch()
    os.kill(holder, signal.SIGKILL)
    if not cgroups.kill_all(partial(_list_processes, node, space)):
        raise ClusterError(
            f"Processes of {node.hostname} outlived SIGKILL, so it is not lost as it should be."
        )
    network.remove_cable(node.plan.addresses, node.number)
    cgroups.remove(node.cgroup)
    await_unmounted(node.disk)


def bring_back(node: Node) -> None:
    """As a machine that starts anew; returns once it has its network. Raises ClusterError, and can be tried again."""
    plan = node.plan
    # Of a try that failed halfway.
    network.remove_cable(plan.addresses, node.number)
    cgroups.create(plan.cgroup, [node.cgroup_part])
    network.lay_cable(plan.name, plan.addresses, node.number)
    node.away.unlink(missing_ok=True)
    connect(node)


def _list_processes(node: Node, space: str) -> set[int]:
    """Its pods' and its daemons'. ``space``: of its network, which names it when nothing holds it any more."""
    daemons = {pid for pid in cgroups.processes(node.plan.cgroup) if _read_network(pid) == space}
    return daemons | cgroups.processes(node.cgroup)


def _read_network(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""  # gone meanwhile


def set_cable(node: Node, plugged: bool) -> None:
    """Cuts a node off, or puts an end to that."""
    run(["ip", "link", "set", node.plan.addresses.port(node.number), "up" if plugged else "down"])


def limit_rate(node: Node, kbit: int | None) -> None:
    """Of its cable, in a second and each way; None: as fast as it goes. Raises ClusterError."""
    holder, port = find_holder(node), node.plan.addresses.port(node.number)
    if holder is None:
        raise ClusterError(f"{node.hostname} is away, so its cable has no end to slow down.")
    for where, end in (([], port), (network.inside(holder), "eth0")):
        if kbit is None:
            if "tbf" in run([*where, "tc", "qdisc", "show", "dev", end]):
                run([*where, "tc", "qdisc", "delete", "dev", end, "root"])
        else:
            bucket = ["tbf", "rate", f"{kbit}kbit", "burst", "32kbit", "latency", "2s"]
            run([*where, "tc", "qdisc", "replace", "dev", end, "root", *bucket])


def list_loop_devices(path: Path) -> list[str]:
    """Those whose file this is, or lies below it."""
    found = []
    for entry in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            if Path(entry.read_text().strip()).is_relative_to(path):
                found.append(entry.parts[3])
        except OSError:
            continue  # gone meanwhile
    return found


def await_unmounted(path: Path, patience: float = 10.0) -> None:
    """The kernel lets go of a file system a moment after the last process that saw it. Returns in any case."""
    deadline = time.monotonic() + patience
    while list_loop_devices(path) and time.monotonic() < deadline:
        time.sleep(0.05)


def find_kubelet_folder(node: Node) -> Path:
    """Where this machine sees what the node's kubelet keeps. Raises ClusterError where the node is away."""
    holder = find_holder(node)
    if holder is None:
        raise ClusterError(f"{node.hostname} is away, so nobody sees its disk.")
    return Path(f"/proc/{holder}/root/var/lib/kubelet")
