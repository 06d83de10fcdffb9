"""The tests themselves: what they start goes with them, even where they are killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .harness import MARK, Workshop, as_uid, may_unshare, wait_until

SPINNING = """
import os, time
for _ in range(4):
    if os.fork() == 0: os.setsid()
while True: time.sleep(0.01)
"""
TEST_RUN = """
import sys
from pathlib import Path
from tests.integration.supervisor.harness import workshop
with workshop(Path(sys.argv[1]), sys.argv[2]) as place:
    place.recorder(budget_s=300)
    run = place.python(sys.argv[3])
    print(run.mark, place.folder, flush=True)
    run.process.wait()
"""


def test_a_killed_test_run_leaves_no_process(any_shop: Workshop) -> None:
    if any_shop.scope == "subreaper" and not may_unshare():
        pytest.skip("a PID namespace needs root with CAP_SYS_ADMIN here")
    command = [sys.executable, "-c", TEST_RUN, str(any_shop.binary), any_shop.scope, SPINNING]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as tests:
        assert tests.stdout is not None
        mark, folder = tests.stdout.readline().split()
        try:
            wait_until(lambda: len(_marked(mark)) > 16)
        finally:
            os.kill(tests.pid, signal.SIGKILL)
    try:
        wait_until(lambda: not _marked(mark))
    finally:
        for pid in _marked(mark):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder)


def _marked(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"{MARK}={mark}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_a_change_of_uid_does_not_undo_it() -> None:
    shown = subprocess.run(
        [*as_uid(54321), "setpriv", "--dump"], capture_output=True, text=True, check=True
    ).stdout
    assert "Parent death signal: KILL" in shown
