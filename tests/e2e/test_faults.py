"""The platform's own faults: the operator is killed, the store goes away; nobody's result changes."""

from __future__ import annotations

import json
import subprocess
from itertools import pairwise

import pytest

from tests.demo.hackathon import Hackathon, wait_for
from tests.e2e import models
from tests.e2e.conftest import Team

pytestmark = pytest.mark.e2e


def _container_pids(hackathon: Hackathon, component: str) -> list[int]:
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


def _signal(pids: list[int], name: str) -> None:
    assert pids, "no process to signal"
    subprocess.run(["kill", f"-{name}", *map(str, pids)], check=True)


def test_an_operator_killed_while_runs_go_on_changes_nothing(
    red: Team, blue: Team, hackathon: Hackathon
) -> None:
    blue.submit("undisturbed", models.SCHEDULED)
    blue.until("undisturbed")
    red.submit("disturbed", models.SCHEDULED)
    red.until_run("disturbed", ("Pending", "Staging", "Running"))
    _signal(_container_pids(hackathon, "operator"), "KILL")
    red.until("disturbed")
    ours, theirs = red.run("disturbed"), blue.run("undisturbed")
    assert ours["attempt"] == 1
    assert len(red.manifests("disturbed")) == 1, "a second pod ran"
    assert (ours["cause"], ours["snapshots"]) == (theirs["cause"], theirs["snapshots"])
    # The same predictions a second apart: only the noise of this machine's timing is left.
    assert ours["alc"] == pytest.approx(theirs["alc"], abs=0.01)


def test_the_store_away_for_thirty_seconds_loses_nothing(red: Team, hackathon: Hackathon) -> None:
    red.submit("away", models.STEADY, phase="long")
    wait_for("the first predictions", lambda: red.run("away").get("snapshots", 0) >= 2, 90)
    pids = _container_pids(hackathon, "store")
    _signal(pids, "STOP")
    try:
        # The outage itself is what is tested, so this waits for time and nothing else.
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(["sleep", "infinity"], timeout=30, check=False)
    finally:
        _signal(pids, "CONT")
    red.until("away", seconds=180)
    (manifest,) = red.manifests("away")
    stamps = [record.t_ns / 1e9 for record in manifest.records]
    gaps = [later - earlier for earlier, later in pairwise(stamps)]
    assert len(stamps) >= 40, "a snapshot is missing"
    assert max(gaps) < 5, "a snapshot was stamped by the outage, not by the clock"
    assert red.run("away")["cause"] == "DeadlineReached"
