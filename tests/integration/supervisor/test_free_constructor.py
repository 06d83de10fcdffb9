"""``--free-constructor``: the participant's code runs before the go, and every end of it is still its own."""

from __future__ import annotations

import signal
import time

import pytest

from .harness import Workshop, wait_until

CONSTRUCT = """
import os, signal, socket, subprocess, sys, time
go = socket.socket(fileno=int(os.environ['ALCOVE_GO_FD']))
lines = go.makefile()
go.sendall(b'construct\\n')
assert lines.readline() == 'constructing\\n'
"""
ASK = """
try:
    go.sendall(b'go\\n')
except BrokenPipeError:
    print('given')
print(lines.readline(), end='')
"""
FREE = ("--go", "runner", "--free-constructor", "60")


def test_what_is_constructed_before_the_go_is_not_charged(any_shop: Workshop) -> None:
    recorder = any_shop.recorder()
    gate = any_shop.folder / "gate"
    run = any_shop.python(
        CONSTRUCT + "while not os.path.exists('gate'): time.sleep(0.01)\n" + ASK, options=FREE
    )
    recorder.wait_for("construct")
    opened = time.monotonic_ns()
    assert recorder.of("go") == []
    gate.touch()
    assert run.wait() == 0
    assert recorder.t0_ns >= opened
    assert run.stdout.decode() == f"started {recorder.t0_ns} {recorder.budget_ns}\n"
    assert [m["type"] for m in recorder.messages if m["type"] != "log"] == ["hello", "construct", "go", "end"]


def test_nothing_runs_before_the_recorder_knows_of_it(shop: Workshop) -> None:
    recorder = shop.recorder()
    recorder.replies["construct"] = lambda _: None
    run = shop.python(CONSTRUCT + "open('ran', 'w')", options=(*FREE, "--recorder-timeout", "0.3"))
    assert run.wait() == 20
    assert not (shop.folder / "ran").exists()


def test_the_budget_begins_when_the_free_time_is_over(any_shop: Workshop) -> None:
    recorder = any_shop.recorder(budget_s=0.3)
    run = any_shop.python(
        CONSTRUCT + "time.sleep(1000)", options=("--go", "runner", "--free-constructor", "0.3")
    )
    assert run.wait() == 12
    assert recorder.end["cause"] == "budget"
    assert 0 <= recorder.end["ended_ns"] - recorder.t0_ns - recorder.budget_ns < 10e9


def test_a_go_that_was_given_unasked_is_still_told(shop: Workshop) -> None:
    recorder = shop.recorder()
    code = CONSTRUCT + "while not os.path.exists('given'): time.sleep(0.01)\n" + ASK
    run = shop.python(code, options=("--go", "runner", "--free-constructor", "0.1"))
    recorder.wait_for("go")
    wait_until(lambda: recorder.t0_ns > 0)
    (shop.folder / "given").touch()
    assert run.wait() == 0
    assert f"started {recorder.t0_ns} {recorder.budget_ns}\n" in run.stdout.decode()


@pytest.mark.parametrize(
    ("code", "status", "end"),
    [
        ("sys.exit(3)", 10, {"cause": "failed", "code": 3}),
        ("os.kill(os.getpid(), signal.SIGKILL)", 11, {"cause": "signalled", "signal": signal.SIGKILL}),
        ("sys.exit(0)", 0, {"cause": "finished", "code": 0}),
        (
            "subprocess.Popen(['sleep', '1000'], start_new_session=True); sys.exit(3)",
            10,
            {"cause": "failed", "code": 3},
        ),
        ("go.sendall(b'stop\\n'); sys.exit(3)", 10, {"cause": "failed", "code": 3}),
        ("lines.close(); go.close(); sys.exit(3)", 10, {"cause": "failed", "code": 3}),
    ],
    ids=["fails", "is killed", "ends", "leaves a process", "writes nonsense", "closes the socket"],
)
def test_an_end_before_the_go_is_the_programs(
    any_shop: Workshop, code: str, status: int, end: dict[str, object]
) -> None:
    """The go is asked for first, so that the end is recorded as any other."""
    recorder = any_shop.recorder()
    run = any_shop.python(CONSTRUCT + code, options=FREE)
    assert run.wait() == status, run.stderr
    assert len(recorder.of("go")) == 1
    assert {key: recorder.end[key] for key in end} == end
    assert recorder.end["ended_ns"] >= recorder.t0_ns > 0
    assert run.marked() == []


def test_who_is_not_asked_to_construct_may_ask_for_the_go_at_once(shop: Workshop) -> None:
    recorder = shop.recorder()
    code = CONSTRUCT.split("go.sendall", maxsplit=1)[0] + ASK
    assert shop.python(code, options=FREE).wait() == 0
    assert [m["type"] for m in recorder.messages if m["type"] != "log"] == ["hello", "go", "end"]


def test_without_the_option_nobody_constructs_before_the_go(shop: Workshop) -> None:
    recorder = shop.recorder()
    assert shop.python(CONSTRUCT, options=("--go", "runner")).wait() == 21
    assert (recorder.of("construct"), recorder.of("go")) == ([], [])


def test_the_recorder_may_restart_while_something_is_constructed(shop: Workshop) -> None:
    recorder = shop.recorder()
    gate = shop.folder / "gate"
    code = CONSTRUCT + "print('up')\nwhile not os.path.exists('gate'): time.sleep(0.01)\n" + ASK
    run = shop.python(code, options=FREE)
    recorder.wait_for("log")
    recorder.vanish()
    recorder.listen()
    assert recorder.wait_for("resume")["token"] == recorder.token
    gate.touch()
    assert run.wait() == 0
    assert len(recorder.of("construct")) == 1


def test_a_recorder_that_is_lost_while_something_is_constructed_ends_it(any_shop: Workshop) -> None:
    recorder = any_shop.recorder()
    run = any_shop.python(CONSTRUCT + "time.sleep(1000)", options=(*FREE, "--recorder-timeout", "0.3"))
    recorder.wait_for("construct")
    recorder.vanish()
    assert run.wait() == 20
    assert run.marked() == []
