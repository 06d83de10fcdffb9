"""What a participant may try in its directory and on the socket. Whatever it does, the recorder goes on."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from alcove_api import keys
from alcove_api.run_documents import Record

from .conftest import Start
from .harness import Recorder, Supervisor, digest, npy, wait_for


def refusals(records: tuple[Record, ...]) -> dict[str, str]:
    return {record.name: record.refused for record in records if record.refused is not None}


def fifo(path: Path) -> None:
    os.mkfifo(path)


def symlink(path: Path) -> None:
    path.symlink_to("/proc/self/environ")


def symlink_to_a_good_file(path: Path) -> None:
    (path.parent / "good").write_bytes(npy())
    path.symlink_to("good")


def folder(path: Path) -> None:
    path.mkdir()


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(path.parent, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)


def huge_and_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def a_little_too_large(path: Path) -> None:
    path.write_bytes(npy() + bytes(2000))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (fifo, "not a regular file"),
        (symlink, "symbolic link"),
        (symlink_to_a_good_file, "symbolic link"),
        (folder, "not a regular file"),
        (bound_socket, "not a regular file"),
        (huge_and_sparse, "at most"),
        (a_little_too_large, "at most"),
    ],
)
def test_what_is_no_prediction_is_refused(start: Start, make: Callable[[Path], None], reason: str) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    make(recorder.out / "aside")
    (recorder.out / "aside").rename(recorder.out / "odd.npy")
    recorder.save("good.npy", npy())
    supervisor.end()
    records = recorder.sealed().records
    assert [r.name for r in records] == ["odd.npy", "good.npy"]
    assert reason in refusals(records)["odd.npy"]


def test_a_device_is_refused(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    try:
        os.mknod(recorder.out / "zero", 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("making a device needs CAP_MKNOD, which no participant has either")
    (recorder.out / "zero").rename(recorder.out / "zero.npy")
    supervisor.end()
    assert "not a regular file" in refusals(recorder.sealed().records)["zero.npy"]


def test_a_file_under_a_lease_cannot_stall_the_clock(start: Start) -> None:
    """Without O_NONBLOCK the open would wait for the holder, 45 s by default, and every other stamp with it."""
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    path = recorder.out / "held"
    path.write_bytes(npy())
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        path.rename(recorder.out / "held.npy")
        recorder.save("good.npy", npy())
        records = recorder.wait_records(2)
    finally:
        os.close(descriptor)
    assert "lease" in refusals(tuple(records))["held.npy"]
    assert records[1].refused is None


def test_names_of_any_bytes_end_as_printable_text(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    names = [b"\xff\xfe.npy", b"a\nb\x1b[31m.npy", "é☃.npy".encode(), b"x" * 251 + b".npy"]
    for name in names:
        (recorder.out / "aside").write_bytes(npy())
        os.rename(recorder.out / "aside", os.fsencode(recorder.out) + b"/" + name)
    supervisor.end()
    recorded = [r.name for r in recorder.sealed().records]
    assert recorded == ["\ufffd\ufffd.npy", "a\ufffdb\ufffd[31m.npy", "é☃.npy", "x" * 251 + ".npy"]


def test_files_of_mode_0600_are_read(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    (recorder.out / "aside").write_bytes(npy())
    (recorder.out / "aside").chmod(0o600)
    (recorder.out / "aside").rename(recorder.out / "private.npy")
    supervisor.end()
    assert refusals(recorder.sealed().records) == {}


def test_a_write_after_the_stamp_changes_nothing(start: Start) -> None:
    """Through a mapping made before the rename: it moves neither ctime nor mtime once the page is dirty."""
    recorder = start()
    supervisor = recorder.supervisor()
    t0 = supervisor.go()
    weak, strong = npy(0.1), npy(0.9)
    aside = recorder.out / "aside"
    aside.write_bytes(weak)
    with aside.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        mapping[-1:] = weak[-1:]
        before = time.monotonic_ns() - t0
        aside.rename(recorder.out / "p.npy")
        [record] = recorder.wait_records(1)
        after = time.monotonic_ns() - t0
        mapping[:] = strong
        assert (recorder.out / "p.npy").read_bytes() == strong
    supervisor.end()
    assert before <= record.t_ns <= after
    assert record.sha256 == digest(weak)
    assert recorder.store(keys.snapshot(recorder.prefix, 0)) == weak
    # Closing the descriptor was a new event, and so a new snapshot with a later stamp.
    for later in recorder.sealed().records[1:]:
        assert later.t_ns > record.t_ns


def test_a_file_replaced_again_and_again_is_recorded_as_copied(start: Start) -> None:
    """Whatever the interleaving: each copy is one whole version, and its digest is that of the stored bytes."""
    recorder = start(max_snapshots=200)
    supervisor = recorder.supervisor()
    supervisor.go()
    versions = {digest(npy(float(index))) for index in range(300)}
    for index in range(300):
        recorder.save("p.npy", npy(float(index)))
    supervisor.end()
    records = recorder.sealed().records
    taken = [r for r in records if r.refused is None]
    assert taken
    assert {r.sha256 for r in taken} <= versions
    assert taken[-1].sha256 == digest(npy(299.0)) or len(records) > 200


def test_thousands_of_renames_cost_the_participant_alone(start: Start) -> None:
    recorder = start(max_snapshots=50)
    supervisor = recorder.supervisor()
    supervisor.go()
    there, back = recorder.out / "a.npy", recorder.out / "b.npy"
    recorder.save("a.npy", npy())
    for _ in range(5000):
        there.rename(back)
        there, back = back, there
    supervisor.end()
    records = recorder.sealed().records
    assert len(records) <= 51
    assert any(r.refused is None for r in records)


def test_more_events_than_the_kernel_queues_are_made_good_by_a_rescan(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    assert recorder.process is not None
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    recorder.process.send_signal(signal.SIGSTOP)
    path = os.fspath(recorder.out / "noise.tmp")
    other = os.fspath(recorder.out / "noise.tmp2")
    for _ in range(limit // 2 + 100):  # two names, so that equal events in a row are not merged
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
        os.close(os.open(other, os.O_WRONLY | os.O_CREAT))
    recorder.save("lost.npy", npy())
    before = time.monotonic_ns()
    recorder.process.send_signal(signal.SIGCONT)
    [record] = recorder.wait_records(1)
    assert "inotify-overflow" in recorder.log_text()
    supervisor.end()
    assert record.name == "lost.npy"
    manifest = recorder.sealed()
    assert manifest.go_at is not None
    assert len(manifest.records) == 1
    state = (recorder.root / "run" / "state.json").read_text()
    t0 = int(state.split('"t0_ns": ')[1].split(",")[0])
    assert record.t_ns >= before - t0


def is_unanswered(supervisor: Supervisor) -> bool:
    try:
        supervisor.say("resume 00")
        supervisor.say("go")
        return supervisor.hear() is None
    except ConnectionError:
        return True


def test_a_second_connection_is_closed_unanswered(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    forged = recorder.supervisor()
    assert is_unanswered(forged)
    recorder.save("a.npy", npy())
    supervisor.end()
    manifest = recorder.sealed()
    assert manifest.end.cause == "finished"
    assert len(manifest.records) == 1
    assert "second-connection" in recorder.log_text()


@pytest.mark.parametrize("line", [b"nonsense\n", b"\n", b" go\n", b"GO\n", b"\xff\0\n", b"x" * 4000 + b"\n"])
def test_nonsense_on_the_socket_is_ignored(start: Start, line: bytes) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    supervisor._socket.sendall(line)
    supervisor.end()
    assert recorder.sealed().end.cause == "finished"


@pytest.mark.parametrize(
    "data",
    [b"x" * 4096, b"log\n", b"log -1\n", b"log 1 2\n", b"log 65537\n", b"log 9999999999\n", b"log \xb2\n"],
)
def test_what_leaves_no_way_to_read_on_ends_the_connection(start: Start, data: bytes) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    supervisor._socket.sendall(data)
    assert supervisor.hear() is None
    wait_for(lambda: recorder.store(keys.manifest(recorder.prefix)), what="the manifest")
    assert recorder.sealed().end.cause == "recorder-saw-eof"


def test_an_end_that_cannot_be_read_is_still_an_end(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    supervisor.end("a-cause-of-its-own", ended_ns="soon")
    assert recorder.sealed().end.cause == "unknown"


def test_the_socket_has_a_path_and_no_abstract_name(start: Start) -> None:
    recorder = start()
    recorder.supervisor()
    names = [
        line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines()[1:] if "go.sock" in line
    ]
    assert names
    assert not any(name.startswith("@") for name in names)
    assert (recorder.root / "run" / "go.sock").stat().st_mode & 0o777 == 0o600


def test_large_hostile_files_cost_little_memory(start: Start) -> None:
    """A text file of the size of the largest that is allowed, all on one line."""
    n_test, n_labels = 20_000, 50
    recorder = start(n_test=n_test, n_labels=n_labels)
    supervisor = recorder.supervisor()
    supervisor.go()
    with (recorder.out / "aside").open("wb") as file:
        for _ in range(30):
            file.write(b"0 " * (1 << 19))
    (recorder.out / "aside").rename(recorder.out / "line.predict")
    supervisor.end()
    assert "longer than" in refusals(recorder.sealed().records)["line.predict"]
    assert recorder.peak_kib() < 120_000


def is_in(text: str, path: Path) -> bool:
    return text in path.read_text()


def test_stamps_stay_prompt_while_the_worker_is_busy(start: Start) -> None:
    """Checking a large text file is Python at work; copying beside it must not wait for its turns."""
    n_test, n_labels = 100_000, 10
    recorder = start(n_test=n_test, n_labels=n_labels)
    supervisor = recorder.supervisor()
    supervisor.go()
    taken = recorder.root / "spool" / "taken.jsonl"
    recorder.save("large.predict", b"0.123456 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1\n" * n_test)
    for index in range(20):
        recorder.save(f"{index}.predict", b"x")
        wait_for(partial(is_in, f'"{index}.predict"', taken))
    supervisor.end()
    lags = sorted(r.t_ns - r.seen_ns for r in recorder.sealed().records[1:])
    assert lags[len(lags) // 2] < 20_000_000


def test_a_recorder_never_makes_a_thread_or_process_after_the_go(start: Start) -> None:
    """The participant shares its uid and so its process limit: it could keep a later one from starting."""
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.say_hello()
    before = tasks(recorder)
    supervisor.say_go()
    forbid_new_tasks(recorder)
    recorder.save("a.npy", npy())
    recorder.save("b.predict", b"0 0 0\n" * 20)
    supervisor.end()
    assert tasks(recorder) <= before
    assert len(recorder.sealed().records) == 2
    assert recorder.stop() == 0


def tasks(recorder: Recorder) -> int:
    assert recorder.process is not None
    return len(os.listdir(f"/proc/{recorder.process.pid}/task"))


def forbid_new_tasks(recorder: Recorder) -> None:
    """Root is exempt from this limit; the count of threads above is what fails there."""
    assert recorder.process is not None
    limits = (ctypes.c_uint64 * 2)(1, 1)
    rlimit_nproc = 6
    ctypes.CDLL(None).prlimit(recorder.process.pid, rlimit_nproc, limits, None)


def test_the_report_is_current_before_the_end(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    recorder.save("a.npy", npy())
    wait_for(lambda: recorder.report().snapshots == 1, what="a report of the snapshot")
    recorder.kill()
    report = recorder.report()
    assert report.go_at is not None
    assert report.manifest_sha256 is None
    assert (recorder.root / "termination-log").stat().st_size <= 4096
