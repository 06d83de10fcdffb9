"""Which processes there are to kill, and in which order a seed has it done."""

from __future__ import annotations

import os
import random
import re
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.cluster import cgroups
from tests.cluster.layout import cgroup_name

DAEMONS = ("etcd", "kube-apiserver", "kube-controller-manager", "kubelet", "containerd")
MODULES = {"operator": "alcove_operator", "recorder": "alcove_recorder", "participant": "alcove_ingestion"}
JOBS = ("score", "aggregate", "check")
KINDS = (*DAEMONS, *MODULES, *JOBS, "supervisor", "store")
REPLACED = (*DAEMONS, "operator", "store", "recorder")
"""What another process takes the place of."""
PAUSE = (4.0, 12.0)
"""Seconds between two faults."""
_POD = re.compile(r"pod([0-9a-f]{8}[-_][0-9a-f_-]{27})")


@dataclass(frozen=True)
class Process:
    pid: int
    kind: str
    pod_uid: str = ""
    """"" of a daemon."""
    pod: str = ""
    """Name of the pod, which is also its host name."""


@dataclass(frozen=True)
class Kill:
    """One fault, as it is logged."""

    at: float
    """Unix time."""
    kind: str
    pid: int
    pod_uid: str

    def describe(self) -> dict[str, Any]:
        return asdict(self)


def draw(seed: int, seconds: float) -> Iterator[tuple[float, str]]:
    """Seconds after the beginning, and what is to be killed then; each kind as often as any other."""
    chance, at = random.Random(seed), 0.0
    while True:
        for kind in chance.sample(KINDS, len(KINDS)):
            at += chance.uniform(*PAUSE)
            if at > seconds:
                return
            yield at, kind


def find_kind(arguments: list[str]) -> str:
    """Of a process by its command line; "" of one that is never killed."""
    # Our own builds carry their versions in their names.
    program = re.sub(r"-v[0-9].*$", "", os.path.basename(arguments[0])) if arguments else ""
    if program in DAEMONS:
        return program
    if program in ("alcove-supervisor", "minio"):
        return "supervisor" if program == "alcove-supervisor" else "store"
    for kind, module in MODULES.items():
        if module in arguments:
            return kind
    if "alcove_scorer" in arguments:
        return next((job for job in JOBS if job in arguments), "")
    return ""


def list_processes(cluster: str) -> list[Process]:
    """Those of a cluster that can be killed, as this host numbers them."""
    found = []
    for pid in cgroups.processes(cgroup_name(cluster)):
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
            kind = find_kind(arguments)
            pod = _POD.search(Path(f"/proc/{pid}/cgroup").read_text()) if kind else None
            name = Path(f"/proc/{pid}/root/etc/hostname").read_text().strip() if pod else ""
        except OSError:
            continue  # gone meanwhile
        # What a program in a pod calls itself is its own affair: daemons are in no pod.
        if kind and (kind in DAEMONS) == (pod is None):
            found.append(Process(pid, kind, pod[1].replace("_", "-") if pod else "", name))
    return found


def kill(process: Process, now: float) -> Kill | None:
    """None where it has ended by itself."""
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return None
    return Kill(now, process.kind, process.pid, process.pod_uid)
