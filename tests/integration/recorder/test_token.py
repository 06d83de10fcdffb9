"""After a restart only the supervisor is believed; the participant shares its uid and can reach the socket."""

from __future__ import annotations

import stat
import time

import pytest

from .conftest import Start
from .harness import Recorder, Supervisor, npy

RIGHT = "RIGHT"


def restarted(recorder: Recorder) -> Supervisor:
    supervisor = recorder.supervisor()
    supervisor.go()
    recorder.save("a.npy", npy())
    recorder.wait_records(1)
    recorder.kill()
    recorder.start()
    return supervisor


def closes(connection: Supervisor) -> bool:
    try:
        return connection.hear() is None
    except ConnectionError:
        return True


@pytest.mark.parametrize(
    "first",
    [
        "resume", "resume ", "resume é", f"resume {'0' * 32}", f"resume {RIGHT} {RIGHT}",
        f"Resume {RIGHT}", "hello", f"hello {RIGHT}", "go", "end finished 0 0 0 0", RIGHT, "",
    ],
)  # fmt: skip
def test_a_forged_resume_is_closed_and_the_real_one_answered(start: Start, first: str) -> None:
    recorder = start()
    supervisor = restarted(recorder)
    forged = recorder.supervisor()
    forged.say(first.replace(RIGHT, supervisor.token))
    assert closes(forged)
    again, _ = recorder.resume()
    recorder.save("b.npy", npy())
    again.end("failed", code=4)
    manifest = recorder.sealed()
    assert (manifest.end.cause, manifest.end.code) == ("failed", 4)
    assert [record.name for record in manifest.records] == ["a.npy", "b.npy"]


def test_refusals_do_not_fill_the_log(start: Start) -> None:
    recorder = start()
    supervisor = restarted(recorder)
    for _ in range(50):
        recorder.supervisor().say("go")
    again, _ = recorder.resume()
    for _ in range(50):
        assert closes(recorder.supervisor())
    again.end()
    assert supervisor.token
    assert recorder.log_text().count("refused") == 1


def test_silent_connections_do_not_keep_the_supervisor_out(start: Start) -> None:
    recorder = start()
    restarted(recorder)
    silent = [recorder.supervisor() for _ in range(10)]
    again, _ = recorder.resume()
    assert all(closes(connection) for connection in silent)
    again.end()
    assert recorder.sealed().end.cause == "finished"


def test_a_resume_before_the_go_needs_the_token_too(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.token = supervisor.say_hello().token
    recorder.kill()
    recorder.start()
    forged = recorder.supervisor()
    forged.say(f"resume {supervisor.token[::-1]}")
    assert closes(forged)
    again, ready = recorder.resume()
    assert ready.t0_ns == -1
    assert again.say_go() <= time.monotonic_ns()
    again.end()


def test_the_token_is_random_and_nowhere_that_the_participant_sees(start: Start) -> None:
    recorder = start()
    supervisor = restarted(recorder)
    token = supervisor.token.encode()
    assert len(set(token)) > 4
    for path in recorder.root.rglob("*"):
        if path.is_file() and path.parent.name in ("run", "out", "store"):
            assert token not in path.read_bytes()
    stored = recorder.root / "spool" / "token"
    assert stored.read_bytes() == token
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
