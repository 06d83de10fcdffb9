"""Output reaches both readers within the limit, and no reader and no writer can hold up the kill."""

from __future__ import annotations

import os
import signal
import subprocess
import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .harness import Workshop, wait_until, workshop

NOTE = b"alcove: the output limit of"


def test_both_streams_reach_stdout_and_the_recorder(any_shop: Workshop) -> None:
    recorder = any_shop.recorder()
    run = any_shop.start("/bin/sh", "-c", "echo one; echo two >&2; printf three")
    assert run.wait() == 0
    assert run.stdout == recorder.log == b"one\ntwo\nthree"
    assert run.stderr == b""


def test_what_daemons_wrote_last_is_kept(any_shop: Workshop) -> None:
    recorder = any_shop.recorder()
    run = any_shop.start(
        "/bin/sh", "-c", "(setsid sh -c 'echo from afar; sleep 1000' &) ; sleep 0.3; echo done"
    )
    assert run.wait() == 0
    assert sorted(recorder.log.split(b"\n")) == [b"", b"done", b"from afar"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=70_000), limit=st.integers(0, 70_000))
def test_output_is_cut_at_the_limit_to_the_byte(shop: Workshop, data: bytes, limit: int) -> None:
    with workshop(shop.binary, "subreaper") as place:
        (place.folder / "data").write_bytes(data)
        recorder = place.recorder()
        run = place.start("cat", "data", options=("--log-limit", str(limit)))
        assert run.wait() == 0
        assert run.stdout == recorder.log
        assert run.stdout[: min(limit, len(data))] == data[:limit]
        rest = run.stdout[min(limit, len(data)) :]
        assert (
            (rest == b"")
            if len(data) <= limit
            else (rest.startswith(b"\n" + NOTE) and rest.count(b"\n") == 2)
        )


def test_a_flood_is_dropped_past_the_limit_and_does_not_hold_up_the_kill(any_shop: Workshop) -> None:
    recorder = any_shop.recorder(budget_s=1.5)
    flood = "import os\nblock = b'x' * 65536\nn = 0\nwhile True: n += os.write(1, block)\n"
    run = any_shop.python(flood, options=("--log-limit", "100000"))
    assert run.wait() == 12
    assert recorder.end["ended_ns"] - recorder.t0_ns - recorder.budget_ns < 5e9
    assert len(recorder.log) < 101_000
    assert recorder.log.count(NOTE) == 1


def test_200_megabytes_pass_through_a_program_that_ends(shop: Workshop) -> None:
    recorder = shop.recorder()
    run = shop.start("head", "-c", "200000000", "/dev/zero")
    assert run.wait() == 0
    assert recorder.end["cause"] == "finished"
    assert NOTE in recorder.log


def test_a_stuck_reader_of_stdout_holds_up_neither_program_nor_kill(shop: Workshop) -> None:
    recorder = shop.recorder(budget_s=1.0)
    reading, writing = os.pipe()
    run = shop.start(
        "/bin/sh", "-c", "head -c 900000 /dev/zero; echo written >&2; sleep 1000", stdout=writing
    )
    try:
        os.close(writing)
        assert run.wait() == 12
        assert b"written" in recorder.log
        assert recorder.end["ended_ns"] - recorder.t0_ns - recorder.budget_ns < 5e9
    finally:
        os.close(reading)


def test_a_recorder_that_does_not_read_holds_up_neither_program_nor_kill(shop: Workshop) -> None:
    recorder = shop.recorder(budget_s=1.0)
    started = recorder.replies["go"]

    def stall(message: dict[str, object]) -> dict[str, object] | None:
        recorder.reading.clear()
        return started(message)

    recorder.replies["go"] = stall
    run = shop.start(
        "/bin/sh", "-c", "head -c 5000000 /dev/zero; touch written; sleep 1000",
        options=("--log-limit", "4000000"), stdout=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until(lambda: 0 < recorder.t0_ns < time.monotonic_ns() - recorder.budget_ns)
    wait_until(lambda: shop.commands(run) == [])  # killed, though nobody reads
    recorder.reading.set()
    assert run.wait() == 12
    assert (shop.folder / "written").exists()
    assert recorder.end["ended_ns"] - recorder.t0_ns - recorder.budget_ns < 5e9


def test_a_closed_stdout_does_no_harm(shop: Workshop) -> None:
    recorder = shop.recorder()
    reading, writing = os.pipe()
    os.close(reading)
    run = shop.start("echo", "hello", stdout=writing)
    os.close(writing)
    assert run.wait() == 0
    assert recorder.log == b"hello\n"


def test_a_program_that_closes_its_output_goes_on(shop: Workshop) -> None:
    recorder = shop.recorder()
    run = shop.start("/bin/sh", "-c", "exec >&- 2>&-; sleep 0.3; touch ran")
    assert run.wait() == 0
    assert recorder.end["cause"] == "finished"
    assert (shop.folder / "ran").exists()


def test_what_was_still_in_the_pipe_at_the_end_is_kept(shop: Workshop) -> None:
    recorder = shop.recorder()
    code = (
        "import fcntl, os, time\n"
        "fcntl.fcntl(1, 1031, 1 << 20)\n"  # F_SETPIPE_SZ
        "os.write(1, b'up')\n"
        "while not os.path.exists('gate'): time.sleep(0.01)\n"
        "os.write(1, b'x' * 900_000)\n"
    )
    run = shop.python(code)
    recorder.wait_for("log")
    # Stopped, so that it finds output and end at the same time.
    os.kill(shop.supervisor_pid(run), signal.SIGSTOP)
    (shop.folder / "gate").touch()
    wait_until(lambda: shop.commands(run) == [])
    os.kill(shop.supervisor_pid(run), signal.SIGCONT)
    assert run.wait() == 0
    assert recorder.log == b"up" + b"x" * 900_000
