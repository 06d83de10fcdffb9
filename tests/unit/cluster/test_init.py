"""The cluster's first process, where it runs without privileges: starting, waiting, restarting, reporting."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.init import Supervisor


@pytest.fixture
def supervisor(tmp_path: Path) -> Supervisor:
    (tmp_path / "log").mkdir()
    return Supervisor({"state": str(tmp_path), "env": {"PATH": os.environ["PATH"]}, "steps": []})


def _daemon(code: str) -> dict[str, Any]:
    return {"do": "start", "name": "daemon", "argv": [sys.executable, "-c", code]}


def test_a_daemon_that_dies_is_started_again(supervisor: Supervisor, tmp_path: Path) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    try:
        supervisor.take(_daemon("print('began', flush=True)"))
        deadline = time.monotonic() + 10
        while supervisor.restarts.get("daemon", 0) < 2 and time.monotonic() < deadline:
            supervisor.tick(0.1)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    assert (tmp_path / "log" / "daemon.log").read_text().count("began") >= 2
    assert json.loads((tmp_path / "status.json").read_text())["restarts"]["daemon"] >= 2


def test_a_failing_command_is_named(supervisor: Supervisor) -> None:
    assert supervisor.take({"do": "run", "name": "import-pause", "argv": ["false"]}).startswith(
        "import-pause failed"
    )


def test_waiting_ends_when_the_condition_holds(supervisor: Supervisor, tmp_path: Path) -> None:
    assert supervisor.take({"do": "wait", "name": "a file", "path": str(tmp_path)}) == ""
