"""Processes of the release's pods, as this host sees them: to stop and to kill them."""

from __future__ import annotations

import json
import subprocess

from tests.demo.hackathon import Hackathon


def find_pids(hackathon: Hackathon, component: str) -> list[int]:
    """Pids, on this host, of the processes of a component's pod, found by the pod's uid in their control group."""
    out = hackathon.kubectl(
        "get", "pods", "-n", hackathon.name, "-l", f"alcove.dev/role={component}", "-o", "json"
    )
    uids = [pod["metadata"]["uid"] for pod in json.loads(out)["items"]]
    found = []
    for line in subprocess.run(
        ["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True
    ).stdout.splitlines():
        pid, _, arguments = line.strip().partition(" ")
        if "pause" in arguments:
            continue
        try:
            with open(f"/proc/{pid}/cgroup") as handle:
                groups = handle.read()
        except OSError:
            continue
        if any(uid in groups for uid in uids):
            found.append(int(pid))
    return found


def send_signal(pids: list[int], name: str) -> None:
    assert pids, "no process to signal"
    subprocess.run(["kill", f"-{name}", *map(str, pids)], check=True)
