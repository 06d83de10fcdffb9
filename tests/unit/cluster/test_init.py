"""The cluster's first process, where it runs without privileges: starting, waiting, restarting, reporting."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import init
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


@pytest.fixture
def two_nodes(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """The second node is a process without namespaces of its own, which need privileges."""
    monkeypatch.setattr(init, "_make_node", lambda _: subprocess.Popen(["sleep", "60"]).pid)
    monkeypatch.setattr(init, "_enter", lambda _: [])
    supervisor.spec["steps"] = [
        {"do": "make-node", "name": "node-2", "node": "2"},
        {**_daemon("import time; time.sleep(60)"), "node": "2"},
    ]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    for step in supervisor.spec["steps"]:
        assert supervisor.take(step) == ""
    yield supervisor
    for pid in [*supervisor.nodes.values(), *supervisor.running]:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _tick_until(supervisor: Supervisor, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        supervisor.tick(0.05)


def _lose(supervisor: Supervisor) -> None:
    for pid in [*supervisor.nodes.values(), *supervisor.running]:
        os.kill(pid, signal.SIGKILL)
    _tick_until(supervisor, lambda: not supervisor.nodes and not supervisor.running and not supervisor.due)


def test_a_lost_node_stays_away_until_it_may_come_back(two_nodes: Supervisor, tmp_path: Path) -> None:
    away = tmp_path / "away-2"
    away.touch()
    _lose(two_nodes)
    two_nodes.bring_back("2")
    assert not two_nodes.nodes
    assert not two_nodes.running
    assert json.loads((tmp_path / "status.json").read_text())["nodes"] == {}
    away.unlink()
    two_nodes.bring_back("2")
    assert two_nodes.nodes.keys() == {"2"}
    assert len(two_nodes.running) == 1
    assert two_nodes.failed == ""


def test_nothing_of_a_lost_node_runs_in_the_namespaces_of_the_first(two_nodes: Supervisor) -> None:
    _lose(two_nodes)
    assert "its node is gone" in two_nodes.take(two_nodes.spec["steps"][1])
    assert not two_nodes.running
