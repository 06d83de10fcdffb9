"""Nothing of a run is left when the supervisor has ended, whatever it did to stay."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

from .harness import Workshop

DAEMONS = """
import os, signal, time
def stay(name):
    for number in range(1, 65):
        try: signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError): pass
    while True:
        with open(name, 'a') as out: out.write('x')
        time.sleep(0.005)
for n in range(5):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            stay(f'daemon-{n}')
        os._exit(0)
"""

WAIT_FOR_DAEMONS = "while not all(os.path.exists(f'daemon-{n}') for n in range(5)): time.sleep(0.01)\n"


def _sizes(folder: Path) -> list[int]:
    return [(folder / f"daemon-{n}").stat().st_size for n in range(5)]


def test_daemons_are_gone_at_the_budget(any_shop: Workshop) -> None:
    recorder = any_shop.recorder(budget_s=1.5)
    run = any_shop.python(DAEMONS + WAIT_FOR_DAEMONS + "print('up')\nstay('main')\n")
    recorder.wait_for("log")
    assert len(run.marked()) >= 6
    recorder.wait_for("end")
    before = _sizes(any_shop.folder)
    assert run.wait() == 12
    assert run.marked() == []
    assert _sizes(any_shop.folder) == before  # not a byte after the end was said
    assert recorder.end["ended_ns"] >= recorder.t0_ns + recorder.budget_ns


def test_daemons_are_gone_when_the_program_ends(any_shop: Workshop) -> None:
    recorder = any_shop.recorder()
    run = any_shop.python(DAEMONS + WAIT_FOR_DAEMONS)
    assert run.wait() == 0
    assert recorder.end["cause"] == "finished"
    assert run.marked() == []


# A subreaper follows parentage, and promises nothing of what races it on purpose (docs/limitations.md): on a loaded
# machine a bomb of full rate outran it. Runs in pods have process 1.
@pytest.mark.parametrize("any_shop", ["pid1", "namespace"], indirect=True)
def test_a_fork_bomb_is_limited_and_ended(any_shop: Workshop) -> None:
    recorder = any_shop.recorder(budget_s=1.0)
    bomb = (
        "import os\nwhile True:\n    try:\n        if os.fork() == 0: os.setsid()\n    except OSError: pass\n"
    )
    run = any_shop.python(bomb, options=("--max-processes", "40"))
    assert run.wait() == 12
    assert recorder.end["cause"] == "budget"
    assert run.marked() == []


def test_processes_that_flee_from_generation_to_generation_are_caught(any_shop: Workshop) -> None:
    recorder = any_shop.recorder(budget_s=1.0)
    flee = "import os\nwhile True:\n    if os.fork(): os._exit(0)\n"
    run = any_shop.python(f"import os, time\nif os.fork() == 0:\n    exec({flee!r})\ntime.sleep(1000)")
    assert run.wait() == 12
    assert recorder.end["cause"] == "budget"
    assert run.marked() == []


def test_stopped_and_nested_reapers_are_gone(any_shop: Workshop) -> None:
    recorder = any_shop.recorder(budget_s=1.0)
    code = (
        "import ctypes, os, signal, time\n"
        "ctypes.CDLL(None).prctl(36, 1)\n"  # PR_SET_CHILD_SUBREAPER
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0: os.kill(os.getpid(), signal.SIGSTOP)\n"
        "    os._exit(0)\n"
        "print('up'); time.sleep(1000)\n"
    )
    run = any_shop.python(code)
    recorder.wait_for("log")
    assert run.wait() == 12
    assert run.marked() == []


def test_a_program_that_stops_itself_is_ended_at_the_budget(any_shop: Workshop) -> None:
    recorder = any_shop.recorder(budget_s=1.0)
    run = any_shop.python(
        "import os, signal\nprint('up', flush=True)\nos.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    recorder.wait_for("log")
    assert run.wait() == 12
    assert run.marked() == []
    assert recorder.end["cause"] == "budget"


def test_processes_of_others_are_left_alone(any_shop: Workshop) -> None:
    """Same uid, same parent as the supervisor: exactly what a kill by uid or group would hit."""
    user = ["setpriv", "--pdeathsig", "KILL"]
    user += [f"--reuid={any_shop.uid}", "--clear-groups"] if os.geteuid() == 0 else []
    with subprocess.Popen([*user, "sleep", "1000"]) as bystander:
        any_shop.recorder(budget_s=0.5)
        assert any_shop.python(DAEMONS + "stay('main')").wait() == 12
        assert bystander.poll() is None
        bystander.kill()


def test_a_burst_of_signals_from_inside_changes_nothing(any_shop: Workshop) -> None:
    recorder = any_shop.recorder()
    code = (
        "import os, signal\n"
        "for number in range(1, 65):\n"
        "    try: os.kill(os.getppid(), number)\n"
        "    except (OSError, ValueError): pass\n"
    )
    assert any_shop.python(code).wait() == 0
    assert recorder.end["cause"] == "finished"


def test_when_the_supervisor_is_killed_the_command_goes_with_it(any_shop: Workshop) -> None:
    """SIGKILL from outside, such as the kernel's for memory: nothing runs on unwatched."""
    any_shop.walled = False  # the wall would take it along
    recorder = any_shop.recorder()
    run = any_shop.start("/bin/sh", "-c", "echo up; exec sleep 1000")
    recorder.wait_for("log")
    os.kill(any_shop.supervisor_pid(run), signal.SIGKILL)
    run.wait()
    for pid in run.marked():
        _wait_gone(pid)
    assert run.marked() == []


def _wait_gone(pid: int) -> None:
    """It was told to go, and is no child of ours that could be waited for."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    assert select.select([fd], [], [], 30)[0], f"process {pid} is still there"
    os.close(fd)
