"""``python -m bench.timeline --cluster NAME``: where the seconds of one submission go, and of a bare Job.

A watch of everything that a submission is made of is stamped as its lines arrive, and what nodes did is read from
containerd's log: the times in Kubernetes objects have whole seconds only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

from bench import on_cluster
from tests.cluster import api
from tests.demo.hackathon import Hackathon, wait_for
from tests.e2e.conftest import Team

Object = dict[str, Any]
KINDS = ("submissions", "jobs", "pods", "leaderboards")


@dataclass(frozen=True, order=True)
class Moment:
    """What happened when (Unix time, s)."""

    at: float
    what: str


@dataclass
class Watcher:
    """Stamps each change of ``KINDS`` in the competition's namespace and in one team's."""

    hackathon: Hackathon
    team: str
    moments: list[Moment] = field(default_factory=list)
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def __enter__(self) -> Watcher:
        for kind in KINDS:
            namespace = self.team if kind == "submissions" else self.hackathon.name
            cluster = self.hackathon.cluster
            command = [
                str(cluster.kubectl), "--kubeconfig", str(cluster.kubeconfig), "get", kind, "-n", namespace,
                "--watch", "-o", "json", "--output-watch-events",
            ]  # fmt: skip
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            self.processes.append(process)
            Thread(target=self._follow, args=(process,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.terminate()
            process.wait()

    def _follow(self, process: subprocess.Popen[str]) -> None:
        seen: dict[str, str] = {}
        assert process.stdout is not None
        for line in process.stdout:
            at, changed = time.time(), json.loads(line)
            found = changed["object"]
            name = f"{found['kind']} {found['metadata']['name']}"
            said = changed["type"] if changed["type"] == "DELETED" else _describe(found)
            if seen.get(name) != said:
                seen[name] = said
                self.moments.append(Moment(at, f"{name}: {said}"))


def _describe(found: Object) -> str:
    """The part of an object's status that moves a submission on."""
    status = found.get("status") or {}
    if found["kind"] == "Submission":
        runs = [f"{run['dataset']} {run['phase']}" for run in status.get("runs", [])]
        return " ".join([status.get("phase", "new"), *runs])
    if found["kind"] == "Leaderboard":
        return f"{len(status.get('entries', []))} entries, board {status.get('generation', 0)}"
    conditions = [c["type"] for c in status.get("conditions", []) if c["status"] == "True"]
    if found["kind"] == "Job":
        return " ".join(conditions) or "there"
    states = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    shown = [f"{state['name']} {next(iter(state['state']))}" for state in states]
    where = "scheduled" if "PodScheduled" in conditions else "there"
    return ", ".join([status.get("phase", ""), where, *shown])


STARTED = re.compile(r'^time="([^"]+)".*msg="StartContainer for \\"(\w+)\\" returns successfully"')
ENDED = re.compile(r'^time="([^"]+)".*msg="shim disconnected" id=(\w+)')
CREATED = re.compile(r'ContainerMetadata\{Name:(\w[\w-]*),.* returns container id \\"(\w+)\\"')
SANDBOX = re.compile(
    r'^time="([^"]+)".*RunPodSandbox for &PodSandboxMetadata\{Name:([\w.-]+),.* returns sandbox'
)


def read_containerd(log: Path, since: float) -> list[Moment]:
    """Sandboxes made, containers started and ended, by containerd's own clock."""
    names: dict[str, str] = {}
    found: list[Moment] = []
    for line in log.read_text(errors="replace").splitlines():
        if created := CREATED.search(line):
            names[created[2]] = created[1]
        for pattern, said in ((SANDBOX, "sandbox made"), (STARTED, "started"), (ENDED, "ended")):
            if (match := pattern.search(line)) and (at := _parse_time(match[1])) >= since:
                name = match[2] if pattern is SANDBOX else names.get(match[2])
                if name:
                    found.append(Moment(at, f"node: {name} {said}"))
    return found


def _parse_time(text: str) -> float:
    whole, _, rest = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp() + float(f"0.{rest or 0}")


def trace_submission(team: Team) -> tuple[float, list[Moment]]:
    """When it was created (Unix time, s), and what its run itself says."""
    began = time.time()
    team.submit("traced", on_cluster.FIRST_LINE, phase="quick")
    uid = team.uid("traced")
    wait_for("the board", lambda: uid in on_cluster.list_board_uids(team.hackathon, "quick"), 120)
    (manifest,) = team.manifests("traced")
    line = next(text for text in team.log("traced").splitlines() if text.startswith("FIRST "))
    found = [
        Moment(float(line.split()[1]), "the participant's first line"),
        Moment(on_cluster.find_end(manifest), "the run ends"),
    ]
    if manifest.go_at is not None:
        found.append(Moment(manifest.go_at.timestamp(), "the go"))
    return began, found


def trace_bare_job(hackathon: Hackathon) -> tuple[float, list[Moment]]:
    """The same of a Job that prints the time."""
    image = on_cluster.find_image(hackathon, "INGESTION")
    began, printed = on_cluster.run_bare_job(hackathon, "bare", image, "import time; print(time.time())")
    return began, [Moment(float(printed), "its first line")]


def print_moments(began: float, moments: list[Moment]) -> None:
    for moment in sorted(moments):
        if moment.at >= began:
            print(f"{moment.at - began:7.2f} s  {moment.what}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.timeline", description=__doc__)
    parser.add_argument("--cluster", required=True, help="one that is up; it stays so")
    arguments = parser.parse_args()

    def say(message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    cluster = api.up(arguments.cluster, progress=say)
    hackathon = on_cluster.install(cluster, say)
    team = Team(hackathon, "red")
    # It pulls the images.
    team.submit("first", on_cluster.FIRST_LINE, phase="quick")
    team.until("first")
    with Watcher(hackathon, team.namespace) as watcher:
        wait_for("the watches", lambda: len(watcher.moments) >= 3)
        traced = [trace_submission(team), trace_bare_job(hackathon)]
    log = cluster.state / "log" / "containerd.log"
    seen = [*watcher.moments, *read_containerd(log, traced[0][0])]
    (began, said), (bare_began, bare_said) = traced
    print(f"a submission, load {os.getloadavg()[0]:.1f}")
    print_moments(began, [*said, *(moment for moment in seen if moment.at < bare_began)])
    print("a bare Job")
    print_moments(bare_began, [*bare_said, *(moment for moment in seen if " bare" in moment.what)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
