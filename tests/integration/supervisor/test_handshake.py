"""What the recorder is told and the pod's exit status, for every way a run can end."""

from __future__ import annotations

import os
import signal
import time

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from .harness import PYTHON, Run, Workshop, ready, wait_until, workshop

RUNNER = """
import os, socket, sys
go = socket.socket(fileno=int(os.environ['ALCOVE_GO_FD']))
go.sendall(b'go\\n')
print(go.makefile().readline(), end='')
go.close()
"""


@pytest.mark.parametrize(
    ("script", "status", "end"),
    [
        ("exit 0", 0, {"cause": "finished", "code": 0, "signal": 0}),
        ("exit 7", 10, {"cause": "failed", "code": 7, "signal": 0}),
        ("kill -SEGV $$", 11, {"cause": "signalled", "code": 0, "signal": signal.SIGSEGV}),
        ("kill -TERM $$", 11, {"cause": "signalled", "code": 0, "signal": signal.SIGTERM}),
    ],
)
def test_end_says_what_the_program_did(
    any_shop: Workshop, script: str, status: int, end: dict[str, object]
) -> None:
    recorder = any_shop.recorder()
    run = any_shop.start("/bin/sh", "-c", script)
    assert run.wait() == status
    assert {key: recorder.end[key] for key in end} == end
    assert recorder.t0_ns <= recorder.end["ended_ns"] <= recorder.ended_seen_ns
    assert [m["type"] for m in recorder.messages] == ["hello", "go", "end"]
    assert recorder.messages[0] == {"type": "hello"}


def test_budget_ends_the_run_after_and_never_before_it(any_shop: Workshop) -> None:
    recorder = any_shop.recorder(budget_s=0.4)
    run = any_shop.start("sleep", "1000")
    assert run.wait() == 12
    overshoot = recorder.end["ended_ns"] - recorder.t0_ns - recorder.budget_ns
    assert recorder.end["cause"] == "budget"
    assert 0 <= overshoot < 10e9
    assert b"time budget is used up" in recorder.log


def test_a_missing_program_could_not_start(any_shop: Workshop) -> None:
    recorder = any_shop.recorder()
    run = any_shop.start("/no/such/program")
    assert run.wait() == 21
    assert (recorder.end["cause"], recorder.end["code"]) == ("could-not-start", 2)
    assert run.stderr.decode().count("\n") == 1
    assert "cannot start /no/such/program: No such file or directory." in run.stderr.decode()
    assert b"cannot start /no/such/program" in recorder.log
    assert run.stdout == b""


def test_a_program_without_the_right_to_run_it_could_not_start(shop: Workshop) -> None:
    recorder = shop.recorder()
    (shop.folder / "plain").write_text("no program")
    assert shop.start("./plain").wait() == 21
    assert (recorder.end["cause"], recorder.end["code"]) == ("could-not-start", 13)


def test_runner_is_given_t0_and_budget(any_shop: Workshop) -> None:
    recorder = any_shop.recorder(budget_s=20)
    run = any_shop.python(RUNNER, options=("--go", "runner"))
    assert run.wait() == 0
    assert run.stdout.decode() == f"started {recorder.t0_ns} {recorder.budget_ns}\n"


def test_an_undisclosed_budget_is_kept_from_the_runner_and_still_ends_it(shop: Workshop) -> None:
    recorder = shop.recorder(budget_s=0.5, disclosed=False)
    run = shop.python(RUNNER + "import time; time.sleep(1000)", options=("--go", "runner"))
    assert run.wait() == 12
    assert run.stdout.decode().splitlines()[0] == f"started {recorder.t0_ns} 0"


def test_loading_before_the_go_is_not_charged(shop: Workshop) -> None:
    recorder = shop.recorder()
    gate = shop.folder / "gate"
    wait = "import os, time\nwhile not os.path.exists('gate'): time.sleep(0.01)\n"
    run = shop.python(wait + RUNNER, options=("--go", "runner"))
    recorder.wait_for("hello")
    opened = time.monotonic_ns()
    assert recorder.of("go") == []
    gate.touch()
    assert run.wait() == 0
    assert recorder.t0_ns >= opened


def test_the_go_is_given_once(shop: Workshop) -> None:
    recorder = shop.recorder()
    again = RUNNER.replace("go.close()", "go.sendall(b'go\\n') if go.recv(1) else print('closed')")
    run = shop.python(again, options=("--go", "runner"))
    assert run.wait() == 0
    assert len(recorder.of("go")) == 1
    assert run.stdout.decode().endswith("closed\n")


@pytest.mark.parametrize(
    ("code", "timeout", "errno"),
    [("import time; time.sleep(1000)", "0.3", 110), ("import sys; sys.exit(3)", "30", 3), ("x", "30", 1)],
    ids=["never asks", "ends first", "fails to load"],
)
def test_a_runner_that_does_not_ask_could_not_start(
    any_shop: Workshop, code: str, timeout: str, errno: int
) -> None:
    recorder = any_shop.recorder()
    run = any_shop.python(code, options=("--go", "runner", "--go-timeout", timeout))
    assert run.wait() == 21
    assert (recorder.end["cause"], recorder.end["code"]) == ("could-not-start", errno)
    assert recorder.of("go") == []
    assert run.marked() == []


@pytest.mark.parametrize("said", ["stop\\n", "go", "go\\ngo\\n"])
def test_anything_but_go_on_the_runners_socket_is_no_go(shop: Workshop, said: str) -> None:
    recorder = shop.recorder()
    code = RUNNER.replace("go\\n", said, 1)
    assert shop.python(code, options=("--go", "runner")).wait() == 21
    assert recorder.of("go") == []


def test_command_has_no_descriptor_but_the_standard_ones(shop: Workshop) -> None:
    shop.recorder()
    left_open = os.open("/", os.O_RDONLY)  # whoever started the supervisor forgot it
    code = "import os; print(os.environ.get('ALCOVE_GO_FD'), sorted(os.listdir('/proc/self/fd')))"
    run = shop.start(PYTHON, "-c", code, inherit=(left_open,))
    os.close(left_open)
    assert run.wait() == 0
    assert run.stdout == b"None ['0', '1', '2', '3']\n"  # 3 is the listing's own


def test_sigterm_from_outside_ends_the_run_at_once(any_shop: Workshop) -> None:
    recorder = any_shop.recorder()
    run = any_shop.start("/bin/sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done")
    recorder.wait_for("log")
    assert run.process.poll() is None
    _terminate(any_shop, run)
    assert run.wait() == 11
    assert (recorder.end["cause"], recorder.end["signal"]) == ("signalled", signal.SIGTERM)
    assert run.marked() == []


def _terminate(shop: Workshop, run: Run) -> None:
    os.kill(shop.supervisor_pid(run), signal.SIGTERM)


def test_sigterm_is_not_held_up_by_a_recorder_that_does_not_seal(any_shop: Workshop) -> None:
    recorder = any_shop.recorder()
    recorder.replies["end"] = lambda _: None
    run = any_shop.start("/bin/sh", "-c", "echo up; exec sleep 1000", options=("--seal-timeout", "1000"))
    recorder.wait_for("log")
    began = time.monotonic()
    _terminate(any_shop, run)
    assert run.wait() == 11
    assert time.monotonic() - began < 20


def test_seal_is_awaited_but_not_for_ever(shop: Workshop) -> None:
    recorder = shop.recorder()
    recorder.replies["end"] = lambda _: None
    run = shop.start("true", options=("--seal-timeout", "0.3"))
    assert run.wait() == 0
    assert time.monotonic_ns() - recorder.end["ended_ns"] >= 0.3e9
    assert b"has not confirmed that everything is saved" in run.stderr


def test_a_clock_that_is_not_ours_is_refused(shop: Workshop) -> None:
    recorder = shop.recorder()
    recorder.replies["go"] = lambda _: {"type": "started", "t0_ns": 1}
    run = shop.start("touch", "ran")
    assert run.wait() == 20
    assert b"clock" in run.stderr
    assert not (shop.folder / "ran").exists()


def test_a_run_that_was_started_before_is_not_started_again(shop: Workshop) -> None:
    recorder = shop.recorder()
    recorder.replies["hello"] = lambda _: ready(10**9, "t", 5)
    assert shop.start("touch", "ran").wait() == 20
    assert not (shop.folder / "ran").exists()


@pytest.mark.parametrize("token", ["", "t" * 65, "a\tb", "a/b", "é"])
def test_a_recorder_that_gives_no_token_starts_nothing(shop: Workshop, token: str) -> None:
    recorder = shop.recorder()
    recorder.replies["hello"] = lambda _: ready(10**9, token)
    run = shop.start("touch", "ran")
    assert run.wait() == 20
    assert run.stderr
    assert not (shop.folder / "ran").exists()


def test_sigterm_before_the_recorder_is_there_ends_it_too(any_shop: Workshop) -> None:
    run = any_shop.start("touch", "ran", options=("--recorder-timeout", "1000"))
    wait_until(lambda: _waits_for_signals(any_shop, run))
    _terminate(any_shop, run)
    assert run.wait() == 11
    assert not (any_shop.folder / "ran").exists()


def _waits_for_signals(shop: Workshop, run: Run) -> bool:
    """Its signalfd is there: the loop has begun."""
    try:
        pid = shop.supervisor_pid(run)
        return any("signalfd" in os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    except (OSError, ValueError):
        return False


WELL_FORMED = b"ready 30000000000 1 t -1"
words = st.sampled_from(
    [b"ready", b"started", b"sealed", b"-1", b"0", b"1", b"-", b"", b"9" * 30, b"0x10", b"1.5", b"t"]
)
hostile = st.binary(max_size=200) | st.lists(words, max_size=8).map(b" ".join)


@pytest.mark.parametrize("line", [WELL_FORMED, b"ready 1000000000 0 " + b"t" * 64 + b" -1"])
def test_a_well_formed_ready_starts_the_run(shop: Workshop, line: bytes) -> None:
    assert _run_with_first_answer(shop, line) in (0, 12)


@pytest.mark.parametrize(
    "line",
    [
        WELL_FORMED + b" ", WELL_FORMED + b" 1", WELL_FORMED + b"\0", WELL_FORMED + b"\r", b" " + WELL_FORMED,
        WELL_FORMED.replace(b" ", b"  ", 1), b"ready 30000000000 2 t -1", b"ready 30000000000 1 t",
        b"ready 99999999999999999999 1 t -1", b"ready -5 1 t -1", b"ready 0 1 t -1", b"READY 30000000000 1 t -1",
    ],
)  # fmt: skip
def test_what_is_nearly_a_ready_starts_nothing(shop: Workshop, line: bytes) -> None:
    assert _run_with_first_answer(shop, line) == 20


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=hostile)
def test_nonsense_from_the_socket_starts_nothing(shop: Workshop, line: bytes) -> None:
    assume(line.split(b" ")[:1] != [b"ready"] or len(line.split(b" ")) != 5)
    assert _run_with_first_answer(shop, line.replace(b"\n", b"")) == 20


def _run_with_first_answer(shop: Workshop, line: bytes) -> int:
    with workshop(shop.binary, "subreaper") as place:
        recorder = place.recorder()
        recorder.raw_ready = line
        return place.start("true").wait()
