"""The platform's own faults: the operator is killed, the store goes away; nobody's result changes."""

from __future__ import annotations

import subprocess
from itertools import pairwise

import pytest

from tests.demo.hackathon import Hackathon, wait_for
from tests.e2e import models
from tests.e2e.conftest import Team
from tests.e2e.processes import find_pids, send_signal

pytestmark = pytest.mark.e2e


def test_an_operator_killed_while_runs_go_on_changes_nothing(
    red: Team, blue: Team, hackathon: Hackathon
) -> None:
    blue.submit("undisturbed", models.SCHEDULED)
    blue.until("undisturbed")
    red.submit("disturbed", models.SCHEDULED)
    red.until_run("disturbed", ("Pending", "Staging", "Running"))
    send_signal(find_pids(hackathon, "operator"), "KILL")
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
    pids = find_pids(hackathon, "store")
    send_signal(pids, "STOP")
    try:
        # The outage itself is what is tested, so this waits for time and nothing else.
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(["sleep", "infinity"], timeout=30, check=False)
    finally:
        send_signal(pids, "CONT")
    red.until("away", seconds=180)
    (manifest,) = red.manifests("away")
    stamps = [record.t_ns / 1e9 for record in manifest.records]
    gaps = [later - earlier for earlier, later in pairwise(stamps)]
    assert len(stamps) >= 40, "a snapshot is missing"
    assert max(gaps) < 5, "a snapshot was stamped by the outage, not by the clock"
    assert red.run("away")["cause"] == "DeadlineReached"
