"""The control-group subtree of a cluster, on hosts of either cgroup version."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from .console import ClusterError

ROOT = Path("/sys/fs/cgroup")
_V2_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")


def hierarchies() -> list[Path]:
    """The mount points of all hierarchies: one with version 2, one a controller with version 1."""
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    found: list[Path] = []
    for entry in sorted(ROOT.iterdir()):
        real = entry.resolve()  # cpu and cpuacct are often links to one hierarchy
        if (real / "cgroup.procs").exists() and real not in found:
            found.append(real)
    return found


def _delegate(group: Path) -> None:
    """Version 2: lets children of this group have controllers of their own."""
    available = (group / "cgroup.controllers").read_text().split()
    wanted = [f"+{c}" for c in _V2_CONTROLLERS if c in available]
    try:
        (group / "cgroup.subtree_control").write_text(" ".join(wanted))
    except OSError as error:
        raise ClusterError(
            f"The control group {group} cannot hand controllers on to its children ({error.strerror}), so kubelet "
            "could not limit pods. Inside a container, give it a control-group namespace of its own; or use a "
            "virtual machine."
        ) from error


def _inherit_cpuset(group: Path) -> None:
    """Version 1: a new cpuset is empty, and takes no process until it names processors and memory nodes."""
    for setting in ("cpuset.cpus", "cpuset.mems"):
        own, above = group / setting, group.parent / setting
        if own.exists() and above.exists() and not own.read_text().strip():
            own.write_text(above.read_text())


def create(name: str, parts: Sequence[str] = ()) -> list[Path]:
    """Makes the subtree; returns the files that move a process into its part for the daemons.

    ``parts``: names of further parts that it is to have, for pods.
    """
    doors: list[Path] = []
    for hierarchy in hierarchies():
        top, daemons = hierarchy / name, hierarchy / name / "daemons"
        top.mkdir(exist_ok=True)
        version2 = (hierarchy / "cgroup.subtree_control").exists()
        if version2 and hierarchy == ROOT:
            _delegate(hierarchy)
            _delegate(top)
        _inherit_cpuset(top)
        for part in parts:
            (top / part).mkdir(exist_ok=True)
            _inherit_cpuset(top / part)
            if version2 and hierarchy == ROOT:
                _delegate(top / part)
        daemons.mkdir(exist_ok=True)
        _inherit_cpuset(daemons)
        doors.append(daemons / "cgroup.procs")
    return doors


def groups(name: str) -> list[Path]:
    """Every group of the subtree, deepest first."""
    found: list[Path] = []
    for hierarchy in hierarchies():
        for folder, _, _ in os.walk(hierarchy / name, topdown=False):
            found.append(Path(folder))
    return found


def processes(name: str) -> set[int]:
    """Every process inside the subtree, as the host numbers them."""
    pids: set[int] = set()
    for group in groups(name):
        try:
            pids.update(int(line) for line in (group / "cgroup.procs").read_text().split())
        except OSError:
            continue  # gone meanwhile
    pids.discard(0)  # a process of a namespace that we cannot see into
    return pids


def kill_all(find: Callable[[], Iterable[int]], patience: float = 20.0) -> bool:
    """Kills what is found until nothing is; False if something outlives the patience."""
    deadline = time.monotonic() + patience
    while pids := list(find()):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def remove(name: str, patience: float = 10.0) -> None:
    """Removes the subtree; the kernel refuses for a moment after the last process died."""
    deadline = time.monotonic() + patience
    while remaining := groups(name):
        for group in remaining:
            try:
                group.rmdir()
            except OSError:
                continue
        if time.monotonic() > deadline:
            return
        if groups(name):
            time.sleep(0.05)
