"""The recorder goes away, comes back, or never was."""

from __future__ import annotations

import time

import pytest

from .harness import PYTHON, Message, Workshop, ready


def test_a_recorder_that_comes_later_is_waited_for(shop: Workshop) -> None:
    run = shop.start("echo", "hello")
    recorder = shop.recorder()
    assert run.wait() == 0
    assert recorder.log == b"hello\n"


def test_the_run_goes_on_while_the_recorder_restarts(any_shop: Workshop) -> None:
    recorder = any_shop.recorder()
    run = any_shop.start(
        "/bin/sh", "-c",
        "echo before; while ! [ -e gone ]; do sleep 0.02; done; echo during; touch spoke;"
        " while ! [ -e back ]; do sleep 0.02; done; echo after; exit 3",
    )  # fmt: skip
    recorder.wait_for("log")
    recorder.vanish()
    (any_shop.folder / "gone").touch()
    while not (any_shop.folder / "spoke").exists():
        assert run.process.poll() is None
    recorder.listen()
    assert recorder.wait_for("resume") == {"type": "resume", "token": recorder.token}
    (any_shop.folder / "back").touch()
    assert run.wait() == 10
    assert recorder.end["code"] == 3
    assert len(recorder.of("go")) == 1
    assert recorder.log == b"before\nduring\nafter\n"


def test_the_budget_holds_while_the_recorder_is_away(any_shop: Workshop) -> None:
    recorder = any_shop.recorder(budget_s=1.0)
    run = any_shop.start("/bin/sh", "-c", "echo up; exec sleep 1000")
    recorder.wait_for("log")
    recorder.vanish()
    while any_shop.commands(run):
        assert run.process.poll() is None
    recorder.listen()
    assert run.wait() == 12
    assert 0 <= recorder.end["ended_ns"] - recorder.t0_ns - recorder.budget_ns < 5e9


def test_a_restart_before_the_answer_to_go_gives_the_first_t0(shop: Workshop) -> None:
    recorder = shop.recorder()
    started = recorder.replies["go"]

    def die(message: Message) -> None:
        started(message)
        recorder.vanish()
        recorder.listen()

    recorder.replies["go"] = die
    assert shop.start("true").wait() == 0
    assert len(recorder.of("go")) == 1
    assert recorder.t0_ns < recorder.end["ended_ns"]


def test_a_go_that_was_lost_is_asked_for_again(shop: Workshop) -> None:
    recorder = shop.recorder()
    started = recorder.replies["go"]

    def die(_: Message) -> None:
        recorder.replies["go"] = started
        recorder.vanish()
        recorder.listen()

    recorder.replies["go"] = die
    assert shop.start("true").wait() == 0
    assert len(recorder.of("go")) == 2


def test_a_restart_while_sealing_is_told_the_end_again(shop: Workshop) -> None:
    recorder = shop.recorder()
    sealed = recorder.replies["end"]

    def die(_: Message) -> None:
        recorder.replies["end"] = sealed
        recorder.vanish()
        recorder.listen()

    recorder.replies["end"] = die
    assert shop.start("/bin/sh", "-c", "exit 5").wait() == 10
    assert recorder.of("end")[0] == recorder.of("end")[1]


def test_a_recorder_that_forgot_the_run_is_a_lost_one(any_shop: Workshop) -> None:
    recorder = any_shop.recorder()
    run = any_shop.start("/bin/sh", "-c", "echo up; exec sleep 1000")
    recorder.wait_for("log")
    recorder.vanish()
    recorder.replies["resume"] = lambda _: ready(recorder.budget_ns, "t")
    recorder.listen()
    assert run.wait() == 20
    assert run.marked() == []
    assert b"came back without this run's start" in run.stderr


def test_a_recorder_that_never_comes_ends_it_with_20(shop: Workshop) -> None:
    run = shop.start("touch", "ran", options=("--start-timeout", "0.3"))
    assert run.wait() == 20
    assert b"cannot be reached" in run.stderr
    assert not (shop.folder / "ran").exists()


def test_a_recorder_that_does_not_come_back_ends_everything(shop: Workshop) -> None:
    recorder = shop.recorder(budget_s=300)
    run = shop.start("/bin/sh", "-c", "echo up; setsid sleep 1000", options=("--recorder-timeout", "0.5"))
    recorder.wait_for("log")
    recorder.vanish()
    assert run.wait() == 20
    assert run.marked() == []
    assert b"did not come back" in run.stderr


def test_a_recorder_that_does_not_answer_the_go_ends_it_with_20(shop: Workshop) -> None:
    recorder = shop.recorder()
    recorder.replies["go"] = lambda _: None
    run = shop.start("touch", "ran", options=("--recorder-timeout", "0.3"))
    assert run.wait() == 20
    assert b"did not answer the go" in run.stderr
    assert not (shop.folder / "ran").exists()


def staging(_: Message) -> Message:
    return {"type": "staging"}


def test_a_long_staging_is_waited_for_as_long_as_the_recorder_speaks(any_shop: Workshop) -> None:
    recorder = any_shop.recorder()
    started = recorder.replies["go"]
    recorder.replies["go"] = staging
    run = any_shop.start("echo", "hello", options=("--recorder-timeout", "1"))
    recorder.wait_for("go")
    began = time.monotonic()
    while (waited := time.monotonic() - began) < 3:
        recorder.tell({"type": "staging"})
        assert run.process.poll() is None, f"it gave up after {waited:.1f} s"
        any_shop.commands(run)
    answer = started({})
    assert answer is not None
    recorder.tell(answer)
    assert run.wait() == 0
    assert recorder.log == b"hello\n"


def test_a_recorder_that_falls_silent_while_it_stages_is_lost(any_shop: Workshop) -> None:
    recorder = any_shop.recorder()
    recorder.replies["go"] = staging
    run = any_shop.start("touch", "ran", options=("--recorder-timeout", "0.5"))
    assert run.wait() == 20
    assert not (any_shop.folder / "ran").exists()


def test_a_recorder_that_restarts_while_it_stages_is_asked_anew(shop: Workshop) -> None:
    recorder = shop.recorder()
    started = recorder.replies["go"]

    def die(_: Message) -> None:
        recorder.replies["go"] = started
        recorder.vanish()
        recorder.listen()

    recorder.replies["go"] = staging
    run = shop.start("echo", "hello")
    recorder.wait_for("go")
    die({})
    assert run.wait() == 0
    assert (len(recorder.of("resume")), len(recorder.of("go"))) == (1, 2)


WAITS_FOR_GO = (
    "import os, socket; go = socket.socket(fileno=int(os.environ['ALCOVE_GO_FD'])); go.sendall(b'go\\n');"
    "open('ran', 'w') if go.recv(100) else None"
)


@pytest.mark.parametrize("asker", ["start", "runner"])
def test_where_nothing_could_be_staged_nothing_is_started(any_shop: Workshop, asker: str) -> None:
    recorder = any_shop.recorder()
    recorder.replies["go"] = lambda _: {"type": "unstaged"}
    command = ("touch", "ran") if asker == "start" else (PYTHON, "-c", WAITS_FOR_GO)
    run = any_shop.start(*command, options=("--go", asker))
    assert run.wait() == 20
    assert run.marked() == []
    assert not (any_shop.folder / "ran").exists()


@pytest.mark.parametrize("late", ["staging", "unstaged"])
def test_nothing_is_staged_once_the_go_was_given(shop: Workshop, late: str) -> None:
    recorder = shop.recorder()
    run = shop.start("/bin/sh", "-c", "echo up; exec sleep 1000")
    recorder.wait_for("log")
    recorder.tell({"type": late})
    assert run.wait() == 20


def test_the_first_sign_of_a_recorder_may_come_late(shop: Workshop) -> None:
    """Its image may have to be pulled; one that was there has to come back soon."""
    run = shop.start("true", options=("--start-timeout", "60", "--recorder-timeout", "0.1"))
    began = time.monotonic()
    while time.monotonic() - began < 1:
        assert run.process.poll() is None
        shop.commands(run)
    shop.recorder()
    assert run.wait() == 0
