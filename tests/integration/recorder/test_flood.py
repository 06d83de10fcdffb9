"""A program that floods its folder, or takes what the kernel counts per uid, harms itself and is found out."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from .conftest import Start
from .harness import Recorder, npy, wait_for

EVENTS = 30_000
NO_INOTIFY = ["max_inotify_instances", "max_inotify_watches"]


def flood(recorder: Recorder, suffix: str, events: int = EVENTS) -> None:
    for number in range(events):
        name = f"{number:06d}\N{FISH}".ljust(240, "x") + suffix
        path = os.fspath(recorder.out / name)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        os.unlink(path)


def test_a_flood_of_names_takes_no_memory_and_is_reported(start: Start) -> None:
    """The recorder is held up meanwhile, so that it finds as much at once as the kernel queues."""
    recorder = start(max_snapshots=1000)
    supervisor = recorder.supervisor()
    supervisor.go()
    recorder.save("first.npy", npy())
    recorder.wait_records(1)
    assert not recorder.report().flooded
    before = recorder.peak_kib()
    assert recorder.process is not None
    recorder.process.send_signal(signal.SIGSTOP)
    flood(recorder, ".npy")
    recorder.process.send_signal(signal.SIGCONT)
    recorder.wait_records(900)
    supervisor.end()
    assert recorder.peak_kib() - before < 16 << 10
    assert recorder.report().flooded
    assert len(recorder.sealed().records) <= 1001


def test_a_flood_is_remembered_over_a_restart(start: Start) -> None:
    recorder = start()
    recorder.supervisor().go()
    flood(recorder, ".tmp")
    wait_for(lambda: recorder.report().flooded, what="a report of the flood")
    recorder.kill()
    (recorder.root / "termination-log").unlink()
    recorder.start()
    again, _ = recorder.resume()
    assert recorder.report().flooded
    recorder.save("good.npy", npy())
    again.end()
    assert [record.name for record in recorder.sealed().records] == ["good.npy"]


def limited(limit: str) -> list[str]:
    """In a user namespace of its own, where root may set what each uid may have of inotify."""
    return [
        "unshare", "--user", "--map-root-user", "sh", "-c", f'echo 0 > /proc/sys/user/{limit} && exec "$@"', "sh",
    ]  # fmt: skip


def may_limit() -> bool:
    command = [*limited("max_inotify_instances"), "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("limit", NO_INOTIFY)
def test_without_inotify_it_looks_into_the_folder(start: Start, limit: str) -> None:
    """As when the participant, of the same uid, holds all instances or watches that the uid may have."""
    if not may_limit():
        pytest.skip("a user namespace with limits of its own cannot be had here")
    recorder = start(within=limited(limit))
    supervisor = recorder.supervisor()
    supervisor.go()
    recorder.save("a.npy", npy(0.1))
    [record] = recorder.wait_records(1)
    assert "no-inotify" in recorder.log_text()
    recorder.save("a.npy", npy(0.2))
    recorder.wait_records(2)
    assert recorder.process is not None
    give_back = f"echo 100 > /proc/sys/user/{limit}"
    subprocess.run(
        ["nsenter", f"--user=/proc/{recorder.process.pid}/ns/user", "sh", "-c", give_back], check=True
    )
    wait_for(lambda: '"watching"' in recorder.log_text(), what="the watch that is free again")
    recorder.save("b.npy", npy(0.3))
    recorder.wait_records(3)
    supervisor.end()
    assert [r.refused for r in recorder.sealed().records] == [None] * 3
    assert record.t_ns >= record.seen_ns
    assert not recorder.report().flooded  # it was so before the go, so the program has not done it


def test_inotify_used_up_when_it_restarts_is_the_programs_doing(start: Start) -> None:
    """The uid is the run's own: nobody else can have taken what there is."""
    if not may_limit():
        pytest.skip("a user namespace with limits of its own cannot be had here")
    recorder = start()
    recorder.supervisor().go()
    assert not recorder.report().flooded
    recorder.kill()
    recorder.within = limited("max_inotify_instances")
    recorder.start()
    again, _ = recorder.resume()
    wait_for(lambda: recorder.report().flooded, what="a report of it")
    recorder.save("good.npy", npy())
    again.end()
    assert [record.name for record in recorder.sealed().records] == ["good.npy"]


def test_without_inotify_it_is_idle_all_the_same(start: Start) -> None:
    if not may_limit():
        pytest.skip("a user namespace with limits of its own cannot be had here")
    recorder = start(within=limited("max_inotify_instances"))
    recorder.supervisor().go()
    assert recorder.cpu_share(seconds=5) <= 0.02


def test_what_it_holds_on_the_disk_is_reported_and_remembered(start: Start) -> None:
    recorder = start({"ALCOVE_DISK_BYTES": str(1 << 20)})
    recorder.supervisor().go()
    (recorder.root / "tmp" / "checkpoint").write_bytes(bytes(1 << 19))
    recorder.save("a.npy", npy())
    recorder.wait_records(1)
    assert not recorder.report().disk_exceeded
    (recorder.root / "tmp" / "folder").mkdir()
    (recorder.root / "tmp" / "folder" / "more").write_bytes(bytes(1 << 20))
    wait_for(lambda: recorder.report().disk_exceeded, what="a report of it")
    recorder.kill()
    (recorder.root / "termination-log").unlink()
    recorder.start()
    (recorder.root / "tmp" / "folder" / "more").unlink()
    again, _ = recorder.resume()
    assert recorder.report().disk_exceeded
    again.end()
    assert [record.name for record in recorder.sealed().records] == ["a.npy"]
