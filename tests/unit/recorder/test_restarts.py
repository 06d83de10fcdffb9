"""The parent of the recorder, with children that end as a test has them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.children import WITH_US

BEGIN = """
import os, signal, sys
from alcove_recorder.restarts import keep_running
def serve(restarts):
    with open("starts", "a") as file:
        print(os.getpid(), file=file)
"""
END = """
sys.exit(keep_running(serve, pause=lambda seconds: None))
"""
HEEDS_TERM = """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(%d))
    print("waits", flush=True)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    while True:
        signal.pause()
"""


def start(folder: Path, body: str) -> subprocess.Popen[str]:
    program = BEGIN + body + END
    return subprocess.Popen(
        [*WITH_US, sys.executable, "-I", "-c", program], cwd=folder, stdout=subprocess.PIPE, text=True
    )


def list_starts(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "starts").read_text().split()]


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(1)", "raise MemoryError"])
def test_one_that_failed_is_started_again_and_knows(tmp_path: Path, end: str) -> None:
    body = f"    if restarts < 3: {end}\n    return 2 if restarts != 3 else 0\n"
    assert start(tmp_path, body).wait(30) == 0
    assert len(set(list_starts(tmp_path))) == 4


@pytest.mark.parametrize("status", [0, 2, 3])
def test_one_that_ended_for_good_is_not(tmp_path: Path, status: int) -> None:
    assert start(tmp_path, f"    return {status}\n").wait(30) == status
    assert len(list_starts(tmp_path)) == 1


def test_it_gives_up(tmp_path: Path) -> None:
    assert start(tmp_path, "    return 1\n").wait(30) == 1
    assert len(list_starts(tmp_path)) == 21


@pytest.mark.parametrize("status", [0, 1])
def test_one_that_is_told_to_stop_is_not_started_again(tmp_path: Path, status: int) -> None:
    parent = start(tmp_path, HEEDS_TERM % status)
    assert parent.stdout is not None
    parent.stdout.readline()
    parent.terminate()
    assert parent.wait(30) == status
    assert len(list_starts(tmp_path)) == 1


def test_one_that_is_killed_while_it_stops_is_started_again_and_told(tmp_path: Path) -> None:
    dies = "    if not restarts: signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))\n"
    parent = start(
        tmp_path, dies + (HEEDS_TERM % 5).replace("    signal.signal", "    if restarts: signal.signal")
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    parent.terminate()
    assert parent.wait(30) == 5
    assert len(list_starts(tmp_path)) == 2


def test_a_child_does_not_outlive_its_parent(tmp_path: Path) -> None:
    parent = start(tmp_path, HEEDS_TERM % 0)
    assert parent.stdout is not None
    parent.stdout.readline()
    parent.kill()
    parent.wait()
    # The child alone holds the pipe by now: this ends with it.
    assert parent.stdout.read() == ""
