"""What a recorder records beside a participant who does what it should. Real processes, files, sockets."""

from __future__ import annotations

import time

from alcove_api import keys

from .conftest import Start
from .harness import SECOND, digest, npy, wait_for


def test_a_run_from_go_to_sealed(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    t0 = supervisor.go()
    assert 0 <= time.monotonic_ns() - t0 < 10 * SECOND
    recorder.save("a.npy", npy(0.1))
    recorder.wait_records(1)
    recorder.save("b.predict", b"0.5 0.5 0.5\n" * 20)
    recorder.wait_records(2)
    supervisor.say("log 8", b"epoch 1\n")
    manifest_sha256 = supervisor.end(code=0)

    manifest = recorder.sealed()
    assert [(r.name, r.kind, r.refused) for r in manifest.records] == [
        ("a.npy", "npy", None),
        ("b.predict", "predict", None),
    ]
    assert manifest.records[0].sha256 == digest(npy(0.1))
    assert manifest.end.cause == "finished"
    assert manifest.overshoot_ns == 0
    assert manifest.digest() == manifest_sha256
    log = recorder.store(keys.log(recorder.prefix))
    assert manifest.log_sha256 == digest(log or b"")
    run = recorder.run
    assert (manifest.data_sha256, manifest.code_sha256) == (run.data_sha256, run.code_sha256)
    assert log == b"epoch 1\n"
    assert recorder.stop() == 0
    report = recorder.report()
    assert (report.snapshots, report.refused, report.manifest_sha256) == (2, 0, manifest_sha256)
    assert report.head == manifest.head
    assert report.stamp_lag_ns == max(r.t_ns - r.seen_ns for r in manifest.records) > 0
    assert report.error is None


def test_refusals_are_records_with_the_reason_and_no_data(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    recorder.save("wrong.npy", npy(shape=(19, 3)))
    supervisor.end()
    [record] = recorder.sealed().records
    assert record.refused == "Its shape is (19, 3); it must be 20 × 3."


def test_a_file_written_in_place_counts_when_it_is_closed(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    for value in (0.1, 0.2):
        with (recorder.out / "p.npy").open("wb") as file:
            file.write(npy(value)[:100])
            file.flush()
            file.write(npy(value)[100:])
        recorder.wait_records(1 if value == 0.1 else 2)
    supervisor.end()
    assert [r.sha256 for r in recorder.sealed().records] == [digest(npy(0.1)), digest(npy(0.2))]


def test_other_names_and_hidden_ones_are_left_alone(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    for name in (".hidden.npy", "p.npy.tmp", "model.bin", "npy"):
        (recorder.out / name).write_bytes(npy())
    supervisor.end()
    assert recorder.sealed().records == ()


def test_what_was_missed_is_found_at_the_end(start: Start) -> None:
    """A hard link raises no event that is watched for."""
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    (recorder.out / "tmp").write_bytes(npy())
    (recorder.out / "linked.npy").hardlink_to(recorder.out / "tmp")
    recorder.save("seen.npy", npy())
    recorder.wait_records(1)
    supervisor.end()
    assert [r.name for r in recorder.sealed().records] == ["seen.npy", "linked.npy"]


def test_nothing_first_seen_after_the_budget_is_taken(start: Start) -> None:
    recorder = start(budget_ns=SECOND // 2)
    supervisor = recorder.supervisor()
    t0 = supervisor.go()
    recorder.save("in-time.npy", npy())
    recorder.wait_records(1)
    wait_for(lambda: time.monotonic_ns() > t0 + SECOND // 2)
    recorder.save("late.npy", npy())
    ended = time.monotonic_ns()
    supervisor.end("budget", ended_ns=ended)
    manifest = recorder.sealed()
    assert [r.name for r in manifest.records] == ["in-time.npy"]
    assert manifest.end.ended_ns == ended - t0
    assert manifest.overshoot_ns == ended - t0 - SECOND // 2


def test_what_lies_there_before_the_go_is_no_head_start(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.say_hello()
    recorder.save("early.npy", npy())
    t0 = supervisor.go()
    went_on = time.monotonic_ns()
    supervisor.end()
    [record] = recorder.sealed().records
    assert record.t_ns >= went_on - t0


def test_an_undisclosed_budget_is_told_to_the_supervisor_alone(start: Start) -> None:
    supervisor = start(disclosed=False).supervisor()
    ready = supervisor.say_hello()
    assert (ready.budget_ns, ready.disclosed, ready.t0_ns) == (60 * SECOND, False, -1)


def test_end_of_file_is_the_end(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    recorder.save("a.npy", npy())
    recorder.wait_records(1)
    supervisor.close()
    wait_for(lambda: recorder.store(keys.manifest(recorder.prefix)), what="the manifest")
    manifest = recorder.sealed()
    assert manifest.end.cause == "recorder-saw-eof"
    assert len(manifest.records) == 1
    assert recorder.wait_end() == 0


def test_sealed_and_left_by_the_supervisor_it_ends_by_itself(start: Start) -> None:
    """With main, so that one look of the kubelet sees both ended."""
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    digest = supervisor.end()
    supervisor.close()
    assert recorder.wait_end() == 0
    assert recorder.report().manifest_sha256 == digest


def test_sigterm_seals_what_there_is(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    recorder.save("a.npy", npy())
    recorder.wait_records(1)
    assert recorder.stop() == 0
    manifest = recorder.sealed()
    assert manifest.end.cause == "unknown"
    assert manifest.end.ended_ns == -1
    assert recorder.report().manifest_sha256 == manifest.digest()


def test_sigterm_without_a_go_leaves_an_empty_manifest(start: Start) -> None:
    recorder = start()
    recorder.supervisor().say_hello()
    assert recorder.stop() == 0
    assert recorder.sealed().go_at is None
    assert recorder.report().go_at is None


def test_a_second_go_changes_nothing(start: Start) -> None:
    supervisor = start().supervisor()
    t0 = supervisor.go()
    assert supervisor.say_go() == t0


def test_the_count_limit_is_said_once_and_then_nothing_is_taken(start: Start) -> None:
    recorder = start(max_snapshots=3)
    supervisor = recorder.supervisor()
    supervisor.go()
    for index in range(6):
        recorder.save(f"{index}.npy", npy())
    supervisor.end()
    records = recorder.sealed().records
    assert [r.refused is None for r in records] == [True, True, True, False]
    assert records[3].refused == "The limit of 3 files a run is reached; no more are taken."


def test_the_byte_limit_counts_all_copies(start: Start) -> None:
    recorder = start(max_bytes=2 * len(npy()))
    supervisor = recorder.supervisor()
    supervisor.go()
    for index in range(4):
        recorder.save(f"{index}.npy", npy())
    supervisor.end()
    assert [r.refused is None for r in recorder.sealed().records] == [True, True, False]


def test_the_log_is_kept_up_to_its_limit(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    for _ in range(300):
        supervisor.say("log 16384", b"x" * 16384)
    supervisor.end()
    log = recorder.store(keys.log(recorder.prefix))
    assert log is not None
    assert 4 << 20 <= len(log) < (4 << 20) + 100
    assert b"keeps no more" in log[-100:]


def test_a_broken_environment_is_a_sentence(start: Start) -> None:
    recorder = start({"ALCOVE_RUN": "{}"})
    assert recorder.process is not None
    assert recorder.process.wait(20) == 2
    assert "ALCOVE_RUN" in recorder.log_text()
    assert "Traceback" not in recorder.log_text()
