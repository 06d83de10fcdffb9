"""Kills, and in which order a seed has all faults happen. Those that last have modules of their own."""

from __future__ import annotations

import heapq
import os
import random
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from tests.cluster import cgroups
from tests.cluster.layout import cgroup_name

DAEMONS = ("etcd", "kube-apiserver", "kube-controller-manager", "kubelet", "containerd")
MODULES = {"operator": "alcove_operator", "recorder": "alcove_recorder", "participant": "alcove_ingestion"}
JOBS = ("score", "aggregate", "check")
PARENT = "recorder-parent"
"""The first process of a recorder's container, with which the container ends."""
KINDS = (*DAEMONS, *MODULES, *JOBS, PARENT, "supervisor", "store")
"""What is killed."""
REPLACED = (*DAEMONS, "operator", "store", "recorder")
"""What another process takes the place of."""
PAUSE = (4.0, 12.0)
"""Seconds between two moments at which something is killed."""
AT_ONCE = (1, 1, 2)
"""How many kinds are killed at one moment, each as likely as any other."""
LASTING_PAUSE, LASTS = (15.0, 45.0), (5.0, 40.0)
"""Seconds from the beginning of one fault that lasts to the next one's, and from its beginning to its end."""
LASTS_OF: Mapping[str, tuple[float, float]] = MappingProxyType({
    "node-cut-off": (60.0, 60.0),
    # Kubernetes takes a node for lost after 50 s.
    "node-lost": (70.0, 120.0),
    "node-rebooted": (1.0, 10.0),
})  # fmt: skip
"""Of kinds that last longer than others, or shorter."""
_NODE = "--hostname-override="
_POD = re.compile(r"pod([0-9a-f]{8}[-_][0-9a-f_-]{27})")


class LastingFaults(Protocol):
    """Faults that begin and end. Both methods raise DemoError."""

    @property
    def kinds(self) -> Sequence[str]: ...

    def apply(self, kind: str, /) -> None: ...

    def undo(self, kind: str, /) -> None: ...


@dataclass(frozen=True)
class Process:
    pid: int
    kind: str
    pod_uid: str = ""
    """"" of a daemon."""
    pod: str = ""
    """Name of the pod, which is also its host name."""
    node: str = ""
    """Of a kubelet, whose."""


@dataclass(frozen=True)
class Kill:
    """One kill, as it is logged."""

    at: float
    """Unix time."""
    kind: str
    pid: int
    pod_uid: str

    def describe(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, order=True)
class Drawn:
    at: float
    """Seconds after the beginning."""
    kind: str
    lasts: float = 0.0
    """Seconds; 0 of a kill."""


def draw(seed: int, seconds: float, kills: Sequence[str], lasting: Sequence[str]) -> Iterator[Drawn]:
    """In the order of time; each of ``kills`` as often as any other, and each of ``lasting``."""
    both = (
        _draw_kills(random.Random(f"{seed} kills"), kills),
        _draw_lasting(random.Random(f"{seed} lasting"), lasting),
    )
    for drawn in heapq.merge(*both):
        if drawn.at > seconds:
            return
        yield replace(drawn, lasts=min(drawn.lasts, seconds - drawn.at))


def _draw_kills(chance: random.Random, kinds: Sequence[str]) -> Iterator[Drawn]:
    at, together = 0.0, 0
    for kind in _repeat(chance, kinds):
        if not together:
            at, together = at + chance.uniform(*PAUSE), chance.choice(AT_ONCE)
        together -= 1
        yield Drawn(at, kind)


def _draw_lasting(chance: random.Random, kinds: Sequence[str]) -> Iterator[Drawn]:
    at = 0.0
    for kind in _repeat(chance, kinds):
        at += chance.uniform(*LASTING_PAUSE)
        yield Drawn(at, kind, chance.uniform(*LASTS_OF.get(kind, LASTS)))


def _repeat(chance: random.Random, kinds: Sequence[str]) -> Iterator[str]:
    """All of them again and again, each time in another order."""
    while kinds:
        yield from chance.sample(kinds, len(kinds))


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


def find_node(arguments: list[str]) -> str:
    """The node that a daemon was told it is; "" of one that was told none."""
    told = (one.removeprefix(_NODE) for one in arguments if one.startswith(_NODE))
    return next(told, "")


def find_pod(pid: int) -> str:
    """UID of the pod that a process is in; "" of one that is in none, or has ended."""
    try:
        found = _POD.search(Path(f"/proc/{pid}/cgroup").read_text())
    except OSError:
        return ""
    return found[1].replace("_", "-") if found else ""


def _is_first(pid: int) -> bool:
    """Whether it is process 1 of its container."""
    status = Path(f"/proc/{pid}/status").read_text()
    return status.partition("NSpid:")[2].partition("\n")[0].split()[-1:] == ["1"]


def list_processes(cluster: str) -> list[Process]:
    """Those of a cluster that can be killed, as this host numbers them."""
    found = []
    for pid in cgroups.processes(cgroup_name(cluster)):
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
            kind = find_kind(arguments)
            if kind == "recorder" and _is_first(pid):
                kind = PARENT
            pod = find_pod(pid) if kind else ""
            name = Path(f"/proc/{pid}/root/etc/hostname").read_text().strip() if pod else ""
        except OSError:
            continue  # gone meanwhile
        # What a program in a pod calls itself is its own affair: daemons are in no pod.
        if kind and (kind in DAEMONS) == (not pod):
            found.append(Process(pid, kind, pod, name, find_node(arguments)))
    return found


def kill(process: Process, now: float) -> Kill | None:
    """None where it has ended by itself."""
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return None
    return Kill(now, process.kind, process.pid, process.pod_uid)
