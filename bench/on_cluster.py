"""What a user waits for and what the operator costs, each beside a baseline measured in the same minutes."""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alcove_api.run_documents import Manifest
from bench.reading import processor_time_of
from tests.cluster.layout import Cluster
from tests.demo import hackathon as steps
from tests.demo.hackathon import Hackathon, wait_for
from tests.e2e import models
from tests.e2e.conftest import Team

Say = Callable[[str], None]
MANY = 20

FIRST_LINE = "import time\nprint('FIRST', time.time(), flush=True)\n" + models.SCHEDULED
SLEEPS_DEAF = (
    "import signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "while True:\n    print(time.time(), flush=True)\n    time.sleep(0.005)\n"
)


@dataclass(frozen=True)
class Row:
    """One figure: ours, the baseline's, what the baseline is, and what ours is to be."""

    what: str
    ours: str
    baseline: str
    named: str
    ratio: float | None = None
    goal: str = "–"


def table(rows: Sequence[Row]) -> str:
    lines = ["| figure | Alcove | baseline | ratio | the baseline | goal |", "|---|---|---|---|---|---|"]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        lines.append(f"| {row.what} | {row.ours} | {row.baseline} | {ratio} | {row.named} | {row.goal} |")
    return "\n".join(lines) + "\n"


def measure(cluster: Cluster, times: int, say: Say) -> list[Row]:
    hackathon = install(cluster, say)
    team = Team(hackathon, "red")
    rows = [_first_line(team, times, say), _overshoot(team, times, say), *_leaderboard(team, times, say)]
    rows += _operator(team, say)
    hackathon.kubectl("delete", "submissions,configmaps", "--all", "-n", team.namespace, "--timeout=120s")
    return rows


def install(cluster: Cluster, say: Say) -> Hackathon:
    """A hackathon with one team and one dataset, in three phases."""
    from tests.cluster import api

    images = api.images(cluster, progress=say)
    folder = cluster.state / "datasets"
    steps.make_datasets(folder)

    def phase(name: str, budget: int, cpu: str, memory: str) -> dict[str, Any]:
        resources = {"gpus": 0, "cpu": cpu, "memory": memory, "disk": "256Mi", "processes": 128}
        return {
            "name": name, "datasets": ["digits"], "budget": {"seconds": budget}, "resources": resources,
            "feedback": {"mode": "final"},
        }  # fmt: skip

    spec = {
        "capacity": MANY,
        "limits": {"perDay": 1000, "total": 10000, "parallel": MANY},
        "phases": [
            phase("quick", 5, "1", "400Mi"),
            phase("ample", 600, "1", "400Mi"),
            phase("many", 40, "40m", "150Mi"),
        ],
    }
    values = steps.chart_values(cluster, images, ("red",), spec, "minio")
    say("helm install")
    hackathon = steps.install(cluster, "bench", values)
    steps.publish_datasets(hackathon, folder, say)
    wait_for(
        "the dataset becoming Ready",
        lambda: steps.condition(hackathon.get("dataset", "digits"), "Ready").get("status") == "True",
        180,
    )
    return hackathon


def _first_line(team: Team, times: int, say: Say) -> Row:
    """Create → the participant's first line, against a bare Job of the same image that prints the time."""
    image = find_image(team.hackathon, "INGESTION_NUMPY")
    ours, bare = [], []
    for number in range(times + 1):
        began = wait_for_any_moment()
        team.submit(f"first-{number}", FIRST_LINE, phase="quick")
        team.until(f"first-{number}")
        line = next(text for text in team.log(f"first-{number}").splitlines() if text.startswith("FIRST "))
        ours.append(float(line.split()[1]) - began)
        began, printed = run_bare_job(
            team.hackathon, f"bare-{number}", image, "import time; print(time.time())"
        )
        bare.append(float(printed) - began)
        say(f"create → first line: {ours[-1]:.2f} s; a bare Job {bare[-1]:.2f} s")
    # The first of each pulls the image.
    mine, theirs = statistics.median(ours[1:]), statistics.median(bare[1:])
    return Row(
        "create → participant's first line, median",
        f"{mine:.2f} s",
        f"{theirs:.2f} s",
        "a bare Job of the same image that prints the time",
        mine / theirs,
        "ratio ≤ 2",
    )


def find_image(hackathon: Hackathon, part: str) -> str:
    """The image that the operator was told to use for ``part``."""
    found = hackathon.get("deployment", "alcove-operator")
    variables = found["spec"]["template"]["spec"]["containers"][0]["env"]
    return str(next(v["value"] for v in variables if v["name"] == f"ALCOVE_IMAGE_{part}"))


def build_container(image: str, program: str) -> dict[str, Any]:
    """One that a namespace with restricted pod security takes."""
    return {
        "name": "main", "image": image, "command": ["/opt/alcove/bin/python", "-I", "-c", program],
        "securityContext": {
            "runAsNonRoot": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }  # fmt: skip


def run_bare_job(hackathon: Hackathon, name: str, image: str, program: str) -> tuple[float, str]:
    """Runs a Job of one container; as :func:`run_job`."""
    return run_job(hackathon, name, build_bare_pod(image, program))


def wait_for_any_moment() -> float:
    """Up to a second, and returns the time (Unix time, s).

    The kubelet looks at its containers once a second, and what was awaited before this was seen by such a look: all
    repetitions would begin at one and the same moment of that second.
    """
    time.sleep(random.random())
    return time.time()


def build_bare_pod(image: str, program: str) -> dict[str, Any]:
    """The spec of a pod whose one container, ``main``, runs a Python program."""
    container = build_container(image, program)
    container["resources"] = {"limits": {"cpu": "1", "memory": "400Mi"}, "requests": {"cpu": "1"}}
    return {"restartPolicy": "Never", "containers": [container], "terminationGracePeriodSeconds": 1}


def run_job(hackathon: Hackathon, name: str, pod: dict[str, Any]) -> tuple[float, str]:
    """Runs a Job of this pod; returns when it was created (Unix time, s) and the last line of its ``main``."""
    job = {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": hackathon.name},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }  # fmt: skip
    began = wait_for_any_moment()
    hackathon.kubectl("create", "-f", "-", stdin=json.dumps(job))
    wait_for(f"the Job {name}", lambda: bool(hackathon.get("job", name)["status"].get("conditions")), 120)
    output = hackathon.kubectl(
        "logs", "-n", hackathon.name, f"job/{name}", "--container=main", "--tail=1"
    ).strip()
    hackathon.kubectl("delete", "job", name, "-n", hackathon.name, "--wait=false")
    return began, output


def _overshoot(team: Team, times: int, say: Say) -> Row:
    """Budget → the participant's processes gone, against the kubelet's own deadline on a pod."""
    names = [f"over-{number}" for number in range(times * 4)]
    for name in names:
        team.submit(name, models.NEVER_STOPS, phase="quick")
    found = []
    for name in names:
        team.until(name, seconds=300)
        (manifest,) = team.manifests(name)
        found.append(manifest.overshoot_ns / 1e6)
    say("overshoot, ms: " + ", ".join(f"{value:.1f}" for value in found))
    image = find_image(team.hackathon, "INGESTION_NUMPY")
    late = [1000 * _kubelet_overshoot(team.hackathon, f"deadline-{number}", image) for number in range(2)]
    worst, theirs = max(found), statistics.median(late)
    return Row(
        f"budget → processes gone, worst of {len(found)} (median {statistics.median(found):.1f} ms)",
        f"{worst:.1f} ms",
        f"{theirs:.0f} ms",
        "the kubelet's activeDeadlineSeconds on a bare pod with 1 s grace",
        worst / theirs,
    )


def _kubelet_overshoot(hackathon: Hackathon, name: str, image: str) -> float:
    """Seconds between a pod's deadline and the last line of a program that ignores SIGTERM."""
    deadline = 5
    container = build_container(image, SLEEPS_DEAF)
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": hackathon.name},
        "spec": {
            "restartPolicy": "Never", "containers": [container], "terminationGracePeriodSeconds": 1,
            "activeDeadlineSeconds": deadline,
        },
    }  # fmt: skip
    hackathon.kubectl("create", "-f", "-", stdin=json.dumps(pod))
    wait_for("the pod's end", lambda: hackathon.get("pod", name)["status"]["phase"] == "Failed", 120)
    lines = hackathon.kubectl("logs", "-n", hackathon.name, name).split()
    hackathon.kubectl("delete", "pod", name, "-n", hackathon.name, "--wait=false")
    # The kubelet counts from the pod's start, a little before the first line: this flatters the baseline.
    return float(lines[-1]) - float(lines[0]) - deadline


def _leaderboard(team: Team, times: int, say: Say) -> list[Row]:
    """Last run ends → Leaderboard shows it, against a bare Job of the scorer's image that does nothing.

    In the phase ``quick`` the scorer waits for the budget's end; in ``ample`` nobody can foresee when a run ends.
    """
    waits: dict[str, list[float]] = {"quick": [], "ample": []}
    bare = []
    image = find_image(team.hackathon, "SCORER")
    for number in range(times):
        for phase, found in waits.items():
            found.append(_wait_for_board(team, f"board-{phase}-{number}", phase))
        began = time.time()
        run_bare_job(team.hackathon, f"nothing-{number}", image, "pass")
        bare.append(time.time() - began)
        say(
            f"last run ends → Leaderboard: {waits['quick'][-1]:.2f} s at the budget, {waits['ample'][-1]:.2f} s before "
            f"it; a bare Job {bare[-1]:.2f} s"
        )
    theirs = statistics.median(bare)
    return [
        Row(
            f"last run ends {when} → Leaderboard shows it, median",
            f"{statistics.median(waits[phase]):.2f} s",
            f"{theirs:.2f} s",
            "one bare Job of the scorer's image that does nothing",
            statistics.median(waits[phase]) / theirs,
            goal,
        )
        for phase, when, goal in (
            ("quick", "near its budget's end", "≤ 3 s"),
            ("ample", "long before its budget's end", "≤ 5 s"),
        )
    ]


def _wait_for_board(team: Team, name: str, phase: str) -> float:
    """Seconds from the end of a submission's run until the Leaderboard has it."""
    team.submit(name, models.SCHEDULED, phase=phase)
    uid = team.uid(name)
    wait_for("the board", lambda: uid in list_board_uids(team.hackathon, phase), 120)
    seen = time.time()
    (manifest,) = team.manifests(name)
    return seen - find_end(manifest)


def list_board_uids(hackathon: Hackathon, phase: str) -> set[str]:
    """UIDs of the Submissions that the Leaderboard of a phase shows."""
    entries = hackathon.get("leaderboard", phase).get("status", {}).get("entries", [])
    return {entry["submissionUid"] for entry in entries}


def find_end(manifest: Manifest) -> float:
    """When a run ended (Unix time, s)."""
    assert manifest.go_at is not None
    return manifest.go_at.timestamp() + manifest.end.ended_ns / 1e9


def _operator(team: Team, say: Say) -> list[Row]:
    """Processor and memory of the operator, idle and with many submissions, beside kube-controller-manager's."""
    operator = _pid_of("alcove_operator", team.hackathon)
    manager = _pid_of("kube-controller-manager", team.hackathon)
    wait_for("quiet", lambda: _share(operator, 5)[0] < 0.05, 120)
    idle, idle_manager = _shares((operator, manager), 30)
    say(f"operator idle: {100 * idle:.2f} % of a core")
    began = time.monotonic()
    before = processor_time_of(operator), processor_time_of(manager)
    for number in range(MANY):
        team.submit(f"many-{number}", models.STEADY, phase="many")
    for number in range(MANY):
        team.until(f"many-{number}", seconds=600)
    took = time.monotonic() - began
    busy, busy_manager = (
        (processor_time_of(p) - b) / took for p, b in zip((operator, manager), before, strict=True)
    )
    say(
        f"{MANY} submissions: {took:.0f} s, operator {100 * busy:.1f} % of a core, {_memory(operator):.0f} MiB"
    )
    named = "kube-controller-manager in the same seconds"
    return [
        Row(
            "operator, idle, share of a core",
            f"{100 * idle:.2f} %",
            f"{100 * idle_manager:.2f} %",
            named,
            idle / idle_manager,
        ),
        Row(
            f"operator while {MANY} submissions run, share of a core",
            f"{100 * busy:.1f} %",
            f"{100 * busy_manager:.1f} %",
            named,
            busy / busy_manager,
        ),
        Row(
            "operator's memory after that",
            f"{_memory(operator):.0f} MiB",
            f"{_memory(manager):.0f} MiB",
            named,
            _memory(operator) / _memory(manager),
        ),
    ]


def _shares(pids: tuple[int, int], seconds: float) -> tuple[float, float]:
    before = [processor_time_of(pid) for pid in pids]
    time.sleep(seconds)
    first, second = (processor_time_of(pid) - was for pid, was in zip(pids, before, strict=True))
    return first / seconds, second / seconds


def _share(pid: int, seconds: float) -> tuple[float, float]:
    return _shares((pid, pid), seconds)


def _memory(pid: int) -> float:
    """Resident memory, MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _pid_of(program: str, hackathon: Hackathon) -> int:
    """The process of that name in this cluster and no other: the cluster's processes share a network namespace."""
    marker = f"/{hackathon.cluster.name}"
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().decode().replace("\0", " ")
            inside = (
                marker in arguments or f"alcove-{hackathon.cluster.name}" in (folder / "cgroup").read_text()
            )
        except OSError:
            continue
        if program in arguments and inside:
            return int(folder.name)
    raise steps.DemoError(f"No process of {program} was found, so its cost cannot be measured.")
