"""Raising a cluster and taking it down again, with nothing left behind."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from . import certs, cgroups, config, network, node_lifecycle
from .binaries import binaries
from .console import ClusterError, Progress, elapsed, say, step
from .deps import missing_packages
from .images import ensure_pause
from .kube import Api
from .layout import (
    CLUSTER_DOMAIN,
    DEFAULT_NAME,
    MOST_NODES,
    Cluster,
    Node,
    Plan,
    cgroup_name,
    clusters_dir,
    init_pid,
    is_running,
    load_plan,
    state_dir,
)
from .namespaces import find_holder
from .waiting import UP_TIMEOUT, await_condition, explain

_GPU = "nvidia.com/gpu"


@contextmanager
def _locked(name: str, progress: Progress) -> Iterator[None]:
    """One command at a time a cluster. The file goes when the cluster goes, so it is looked at twice."""
    path = clusters_dir() / f".{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress(f"Another command is working on the cluster '{name}'; waiting for it …")
                fcntl.flock(handle, fcntl.LOCK_EX)
            try:
                current = path.stat().st_ino == os.fstat(handle.fileno()).st_ino
            except FileNotFoundError:
                current = False
            if not current:
                continue
            try:
                yield
            finally:
                if not state_dir(name).exists():
                    path.unlink(missing_ok=True)
            return


def _check_host() -> None:
    if os.geteuid() != 0:
        raise ClusterError(
            "The cluster needs root, because it makes namespaces, mounts and a network link of its own. "
            f"Run it again as root: sudo {sys.executable} -m tests.cluster …"
        )
    missing = missing_packages()
    if missing:
        raise ClusterError(
            f"These packages are not installed: {', '.join(missing)}. The cluster cannot start without them. "
            "Install them with: python -m tests.cluster deps"
        )
    for hidden in ("/var/lib", "/var/log", "/run"):
        if clusters_dir().resolve().is_relative_to(hidden):
            raise ClusterError(
                f"The cache folder {clusters_dir().parent} is under {hidden}, which the cluster's own folders cover, "
                "so its programs would not be found. Set XDG_CACHE_HOME to a folder elsewhere."
            )


def _node_ready(api: Api, node: Node) -> bool:
    found = api.get(f"/api/v1/nodes/{node.hostname}")
    return any(c["type"] == "Ready" and c["status"] == "True" for c in found["status"].get("conditions", []))


def dns_answers(server: str, name: str) -> bool:
    """Asks for an address record; true if one comes back."""
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    packet = b"\xa1\xc0\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + question + b"\x00\x01\x00\x01"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.connect((server, 53))
        sock.send(packet)
        answer = sock.recv(512)
    # Byte 3 carries the return code; bytes 6 and 7 count the answers.
    return answer[:2] == packet[:2] and answer[3] & 0x0F == 0 and int.from_bytes(answer[6:8], "big") > 0


# What the daemons that Kubernetes does not know by name may read: API group, and kinds.
_READS = {
    "alcove:coredns": {"": ["services", "pods", "namespaces"], "discovery.k8s.io": ["endpointslices"]},
    "alcove:kube-router": {
        "": ["services", "pods", "namespaces", "endpoints", "nodes"],
        "discovery.k8s.io": ["endpointslices"],
        "networking.k8s.io": ["networkpolicies"],
    },
}


def _allow_reading(api: Api, user: str, reads: dict[str, list[str]]) -> None:
    group = "rbac.authorization.k8s.io"
    about = {"apiVersion": f"{group}/v1", "metadata": {"name": user}}
    rules = [
        {"apiGroups": [name], "resources": kinds, "verbs": ["get", "list", "watch"]}
        for name, kinds in reads.items()
    ]
    binding = {
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": user},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
    api.ensure(f"/apis/{group}/v1/clusterroles", {**about, "kind": "ClusterRole", "rules": rules})
    api.ensure(f"/apis/{group}/v1/clusterrolebindings", {**about, "kind": "ClusterRoleBinding", **binding})


def _enforces_policies(node: Node) -> bool:
    pid = find_holder(node)
    return pid is not None and network.policies_are_enforced(pid)


def _await_all(plan: Plan, progress: Progress) -> None:
    deadline = time.monotonic() + UP_TIMEOUT
    api = Api(plan)
    with step(progress, f"waiting for the API server at {plan.server}"):
        await_condition(plan, "the API server is ready", api.ready, deadline)
    if not plan.node:
        return
    for user, reads in _READS.items():
        _allow_reading(api, user, reads)
    dns, name = plan.addresses.dns, f"kubernetes.default.svc.{CLUSTER_DOMAIN}"
    with step(progress, "waiting for the node and the cluster's DNS"):
        await_condition(
            plan, "the node is ready", lambda: all(_node_ready(api, n) for n in plan.nodes), deadline
        )
        await_condition(plan, "the cluster's DNS answers", lambda: dns_answers(dns, name), deadline)
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        await_condition(plan, "the default service account exists", lambda: bool(api.get(account)), deadline)
        await_condition(
            plan, "NetworkPolicies are enforced", lambda: all(map(_enforces_policies, plan.nodes)), deadline
        )


def _launch(wanted: Plan, progress: Progress) -> Plan:
    """``wanted``: all but the slot."""
    state = wanted.state
    (state / "conf").mkdir(parents=True)
    plan = replace(wanted, slot=network.plug_in(wanted.name, wanted.size, progress))
    for one in plan.nodes or (Node(plan, 1),):
        one.lib.mkdir()
        one.log.mkdir()
    plan.save()
    certs.create(plan)
    if plan.node:
        config.registry_storage().mkdir(parents=True, exist_ok=True)
        config.write_files(plan)
    for one in plan.nodes[1:] if plan.disk_mib else ():
        node_lifecycle.make_disk(one)
    if plan.audit:
        config.write_audit_policy(plan)
    doors = cgroups.create(plan.cgroup, [one.cgroup_part for one in plan.nodes[1:]])
    (state / "spec.json").write_text(json.dumps(config.spec(plan, doors), indent=1))
    script = Path(__file__).with_name("init.py")
    log = plan.log / "init.log"
    with log.open("ab") as output:
        # Returns once the namespaces are made and the cluster's process 1 has forked off.
        started = subprocess.run(
            [sys.executable, "-I", str(script), str(state / "spec.json")], cwd="/", check=False,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    pid = init_pid(state)
    if started.returncode != 0 or pid is None:
        raise explain(plan, "its first process runs")
    network.hand_over(plan.addresses, pid)
    network.connect(Node(plan, 1), pid)
    for one in plan.nodes[1:]:
        node_lifecycle.connect(one)
    return plan


def _raise(wanted: Plan, progress: Progress) -> Plan:
    """Verifies a running cluster, or clears what is left of a dead one and starts afresh."""
    _check_host()
    name = wanted.name
    plan = load_plan(name)
    if plan is not None and is_running(name):
        if wanted.node and not plan.node:
            raise ClusterError(
                f"'{name}' is an API server without a node, so no pod can run there. Choose another name, or take it "
                f"down first: python -m tests.cluster down --name {name}"
            )
        if wanted.size > plan.size:
            raise ClusterError(
                f"'{name}' has no more than {plan.size} of the {wanted.size} nodes that are asked for. Choose another "
                f"name, or take it down first: python -m tests.cluster down --name {name}"
            )
        progress(f"The cluster '{name}' is running already; checking it.")
        _await_all(plan, progress)
        return plan
    _remove(name)
    if wanted.node:
        binaries(progress=progress)
        ensure_pause(progress)
    else:
        binaries(["kube-apiserver", "kubectl", "helm"], progress)
    with step(progress, f"starting the processes of '{name}'"):
        plan = _launch(wanted, progress)
    _await_all(plan, progress)
    return plan


def up(
    name: str = DEFAULT_NAME,
    gpus: int = 0,
    progress: Progress = say,
    audit: bool = False,
    nodes: int = 1,
    disk_mib: int = 0,
) -> Cluster:
    """Raises a cluster with nodes; one of that name which runs already is verified and returned.

    Args:
        name: of the cluster.
        gpus: what the first node pretends to have.
        progress: is told what goes on.
        audit: as of :func:`control_plane`.
        nodes: how many.
        disk_mib: what the second and further nodes have for their kubelets' files, each in a file system of its own;
            0: what this machine has.
    """
    if not 1 <= nodes <= MOST_NODES:
        raise ClusterError(f"{nodes} nodes are asked for; there can be 1 to {MOST_NODES}.")
    start = time.monotonic()
    with _locked(name, progress):
        plan = _raise(Plan(name, 0, True, audit, nodes, disk_mib), progress)
    if gpus:
        set_extended_resource(name, _GPU, gpus)
    progress(f"The cluster '{name}' is up ({elapsed(start)}): {plan.server}, registry {plan.registry}")
    return plan.cluster()


def control_plane(name: str, progress: Progress = say, audit: bool = False) -> Cluster:
    """Raises etcd and kube-apiserver alone, in seconds, for tests that need no pod to run.

    ``audit``: the API server writes each change that it is asked for into :attr:`.layout.Plan.audit_log`.
    """
    with _locked(name, progress):
        return _raise(Plan(name, 0, False, audit), progress).cluster()


def get(name: str = DEFAULT_NAME) -> Cluster:
    """A cluster that runs already."""
    plan = load_plan(name)
    if plan is None or not is_running(name):
        raise ClusterError(
            f"No cluster named '{name}' is running, so there is nothing to work with. "
            f"Start it with: python -m tests.cluster up --name {name}"
        )
    return plan.cluster()


def set_extended_resource(name: str, resource: str, count: int) -> None:
    """Makes the node offer `count` of a resource that it does not have, and waits until pods can ask for it."""
    get(name)
    plan = load_plan(name)
    assert plan is not None
    api, path = Api(plan), f"/api/v1/nodes/{plan.hostname}"
    key = resource.replace("~", "~0").replace("/", "~1")
    api.patch(f"{path}/status", [{"op": "add", "path": f"/status/capacity/{key}", "value": str(count)}])

    def offered() -> bool:
        return str(api.get(path)["status"]["allocatable"].get(resource)) == str(count)

    await_condition(plan, f"the node offers {resource}", offered, time.monotonic() + 60)


def _remove(name: str) -> None:
    """Takes away whatever exists of a cluster, in whatever state it is."""
    state = state_dir(name)
    pid = init_pid(state)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)  # and the kernel kills all else in its PID namespace
    cgroups.kill_all(partial(cgroups.processes, cgroup_name(name)))
    cgroups.remove(cgroup_name(name))
    node_lifecycle.await_unmounted(state)
    network.unplug(name)
    if state.exists():
        shutil.rmtree(state)


def leftovers(name: str) -> list[str]:
    """What is still there of a cluster, in words; empty when it is gone without a trace."""
    state, found = state_dir(name), []
    found += [f"process {pid}" for pid in sorted(cgroups.processes(cgroup_name(name)))]
    found += [f"control group {group}" for group in cgroups.groups(cgroup_name(name))]
    found += [f"network interface {link}" for link in network.links_of(name)]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found += [f"mount {line.split()[4]}" for line in mounts if f"{state}/" in line]
    found += [f"loop device {device}" for device in node_lifecycle.list_loop_devices(state)]
    if state.exists():
        found.append(f"folder {state}")
    return found


def down(name: str = DEFAULT_NAME, progress: Progress = say) -> None:
    """Takes a cluster down, also a half-made one or one from before a reboot, and verifies that nothing is left."""
    if os.geteuid() != 0:
        raise ClusterError(
            "Taking a cluster down needs root, as starting it did. Run the command again with sudo."
        )
    with _locked(name, progress):
        if not leftovers(name):
            progress(f"There is no cluster '{name}'.")
            return
        with step(progress, f"taking down '{name}'"):
            _remove(name)
        left = leftovers(name)
    if left:
        raise ClusterError(
            f"The cluster '{name}' is down, but this is left: {'; '.join(left)}. Run the command again; if it "
            "stays, remove it by hand."
        )
    progress(f"Nothing of '{name}' is left: no process, mount, network interface, control group or file.")
