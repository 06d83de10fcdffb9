"""Raising a cluster and taking it down again, with nothing left behind."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import certs, cgroups, config, network
from .binaries import binaries
from .console import ClusterError, Progress, elapsed, say, step, tail
from .deps import missing_packages
from .images import ensure_pause
from .kube import Api, ApiError
from .layout import (
    CLUSTER_DOMAIN,
    DEFAULT_NAME,
    Cluster,
    Plan,
    cgroup_name,
    clusters_dir,
    init_pid,
    is_running,
    load_plan,
    state_dir,
)

UP_TIMEOUT = 180.0
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


def _status(state: Path) -> dict[str, Any]:
    try:
        status: dict[str, Any] = json.loads((state / "status.json").read_text())
        return status
    except (OSError, ValueError):
        return {"step": "its first process", "failed": "", "restarts": {}}


def _explain(plan: Plan, waiting_for: str) -> ClusterError:
    """Says why the wait ended, with the end of the log that is most likely to tell."""
    status = _status(plan.state)
    restarts: dict[str, int] = status["restarts"]
    suspects = {
        "the node is ready": "kubelet",
        "the cluster's DNS answers": "coredns",
        "NetworkPolicies are enforced": "kube-router",
    }
    culprit = (
        max(restarts, key=lambda name: restarts[name])
        if restarts
        else suspects.get(waiting_for, "kube-apiserver")
    )
    if status["failed"]:
        cause = str(status["failed"])
        culprit = cause.split(" ", 1)[0] if not restarts else culprit
    elif init_pid(plan.state) is None:
        cause, culprit = "its first process is gone", "init"
    else:
        cause = (
            f"waiting until {waiting_for} took longer than {UP_TIMEOUT:.0f} s (last step: {status['step']})"
        )
    log = plan.log / f"{culprit}.log"
    return ClusterError(
        f"The cluster '{plan.name}' did not come up: {cause}. Restarts so far: {restarts or 'none'}. "
        f"It is not removed, so that you can read its logs in {plan.log}. Remove it with: "
        f"python -m tests.cluster down --name {plan.name}\nThe end of {log}:\n{tail(log)}"
    )


def _await(plan: Plan, what: str, condition: Callable[[], bool], deadline: float) -> None:
    while True:
        try:
            if condition():
                return
        except (OSError, ApiError, http.client.HTTPException):
            pass  # not there yet; the deadline bounds it
        gone = init_pid(plan.state) is None
        if gone or _status(plan.state)["failed"] or time.monotonic() > deadline:
            raise _explain(plan, what)
        time.sleep(0.1)


def _node_ready(api: Api, plan: Plan) -> bool:
    node = api.get(f"/api/v1/nodes/{plan.hostname}")
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))


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


def _enforces_policies(plan: Plan) -> bool:
    pid = init_pid(plan.state)
    return pid is not None and network.policies_are_enforced(pid)


def _await_all(plan: Plan, progress: Progress) -> None:
    deadline = time.monotonic() + UP_TIMEOUT
    api = Api(plan)
    with step(progress, f"waiting for the API server at {plan.server}"):
        _await(plan, "the API server is ready", api.ready, deadline)
    if not plan.node:
        return
    for user, reads in _READS.items():
        _allow_reading(api, user, reads)
    dns, name = plan.addresses.dns, f"kubernetes.default.svc.{CLUSTER_DOMAIN}"
    with step(progress, "waiting for the node and the cluster's DNS"):
        _await(plan, "the node is ready", lambda: _node_ready(api, plan), deadline)
        _await(plan, "the cluster's DNS answers", lambda: dns_answers(dns, name), deadline)
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        _await(plan, "the default service account exists", lambda: bool(api.get(account)), deadline)
        _await(plan, "NetworkPolicies are enforced", lambda: _enforces_policies(plan), deadline)


def _launch(name: str, node: bool, audit: bool, progress: Progress) -> Plan:
    state = state_dir(name)
    for folder in ("conf", "log", "lib"):
        (state / folder).mkdir(parents=True)
    plan = Plan(name, network.plug_in(name, progress), node, audit)
    plan.save()
    certs.create(plan)
    if node:
        config.registry_storage().mkdir(parents=True, exist_ok=True)
        config.write_files(plan)
    if audit:
        config.write_audit_policy(plan)
    (state / "spec.json").write_text(json.dumps(config.spec(plan, cgroups.create(plan.cgroup)), indent=1))
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
        raise _explain(plan, "its first process runs")
    network.connect(plan.addresses, pid)
    return plan


def _raise(name: str, node: bool, progress: Progress, audit: bool = False) -> Plan:
    """Verifies a running cluster, or clears what is left of a dead one and starts afresh."""
    _check_host()
    plan = load_plan(name)
    if plan is not None and is_running(name):
        if node and not plan.node:
            raise ClusterError(
                f"'{name}' is an API server without a node, so no pod can run there. Choose another name, or take it "
                f"down first: python -m tests.cluster down --name {name}"
            )
        progress(f"The cluster '{name}' is running already; checking it.")
        _await_all(plan, progress)
        return plan
    _remove(name)
    if node:
        binaries(progress=progress)
        ensure_pause(progress)
    else:
        binaries(["kube-apiserver", "kubectl", "helm"], progress)
    with step(progress, f"starting the processes of '{name}'"):
        plan = _launch(name, node, audit, progress)
    _await_all(plan, progress)
    return plan


def up(name: str = DEFAULT_NAME, gpus: int = 0, progress: Progress = say, audit: bool = False) -> Cluster:
    """Raises a whole node; a cluster of that name which runs already is verified and returned.

    ``audit``: as of :func:`control_plane`.
    """
    start = time.monotonic()
    with _locked(name, progress):
        plan = _raise(name, True, progress, audit)
    if gpus:
        set_extended_resource(name, _GPU, gpus)
    progress(f"The cluster '{name}' is up ({elapsed(start)}): {plan.server}, registry {plan.registry}")
    return plan.cluster()


def control_plane(name: str, progress: Progress = say, audit: bool = False) -> Cluster:
    """Raises etcd and kube-apiserver alone, in seconds, for tests that need no pod to run.

    ``audit``: the API server writes each change that it is asked for into :attr:`.layout.Plan.audit_log`.
    """
    with _locked(name, progress):
        return _raise(name, False, progress, audit).cluster()


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

    _await(plan, f"the node offers {resource}", offered, time.monotonic() + 60)


def _remove(name: str) -> None:
    """Takes away whatever exists of a cluster, in whatever state it is."""
    state = state_dir(name)
    pid = init_pid(state)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)  # and the kernel kills all else in its PID namespace
    cgroups.kill_all(cgroup_name(name))
    cgroups.remove(cgroup_name(name))
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
