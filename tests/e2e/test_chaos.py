"""Five minutes of ``make chaos``, as it is typed: a cluster of its own, faults at random, and the judge."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.chaos.evidence import read_evidence
from tests.conftest import say

pytestmark = [pytest.mark.e2e, pytest.mark.own_cluster]
MINUTES, SEED = 5, 17
FEWEST_KILLS = 20
"""A kill waits until there is something to kill, so a busy machine has fewer than were drawn."""
FEWEST_SUBMISSIONS = 6
"""Three are under way all the time, and each takes a minute where nothing breaks."""


@pytest.mark.timeout(1800)
def test_faults_of_five_minutes_leave_no_violation(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.chaos", "--minutes", str(MINUTES), "--seed", str(SEED)]
    done = subprocess.run([*command, "--out", str(tmp_path)], stdout=subprocess.PIPE, text=True, check=False)
    say(done.stdout)
    assert done.returncode == 0, done.stdout
    happened = [json.loads(line) for line in (tmp_path / f"{SEED}.jsonl").read_text().splitlines()]
    assert sum("pid" in one for one in happened) >= FEWEST_KILLS
    assert any("until" in one and one["applied"] for one in happened)
    evidence = read_evidence(tmp_path / f"{SEED}.evidence.json")
    assert len(evidence.runs) >= FEWEST_SUBMISSIONS
