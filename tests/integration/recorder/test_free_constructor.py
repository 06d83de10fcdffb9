"""Where a constructor runs before the go, what the participant can do by then gains it nothing."""

from __future__ import annotations

from .conftest import Start
from .harness import Recorder, Supervisor, npy, wait_for
from .test_flood import flood

FREE = {"free_constructor_ns": 60 * 10**9}


def constructing(recorder: Recorder) -> Supervisor:
    supervisor = recorder.supervisor()
    supervisor.token = supervisor.say_hello().token
    supervisor.say("construct")
    assert supervisor.hear() == ["constructing"]
    return supervisor


def test_what_is_written_before_the_go_is_taken_at_the_end_alone(start: Start) -> None:
    recorder = start(**FREE)
    supervisor = constructing(recorder)
    recorder.save("early.npy", npy(0.1))
    supervisor.say_go()
    recorder.save("later.npy", npy(0.2))
    recorder.wait_records(1)
    supervisor.end()
    later, early = recorder.sealed().records
    assert (later.name, early.name) == ("later.npy", "early.npy")
    assert early.seen_ns >= later.t_ns


def test_the_free_time_is_recorded(start: Start) -> None:
    recorder = start(**FREE)
    supervisor = constructing(recorder)
    assert recorder.report().free_ns == 0
    supervisor.say_go()
    free_ns = recorder.report().free_ns
    assert free_ns is not None
    assert free_ns > 0
    supervisor.end()
    assert recorder.sealed().free_ns == free_ns


def test_where_the_constructor_is_charged_nothing_may_run_before_the_go(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.say_hello()
    supervisor.say("construct")
    supervisor.say_go()  # The next answer is that to the go.
    supervisor.end()
    assert recorder.sealed().free_ns is None


def test_after_a_restart_before_the_go_the_supervisor_alone_is_believed(start: Start) -> None:
    recorder = start(**FREE)
    constructing(recorder)
    recorder.kill()
    recorder.start()
    forged = recorder.supervisor()
    forged.say("hello")
    assert forged.hear() is None
    again, ready = recorder.resume()
    assert ready.t0_ns == -1
    again.say_go()
    recorder.save("a.npy", npy())
    recorder.wait_records(1)
    again.end()
    manifest = recorder.sealed()
    assert [record.name for record in manifest.records] == ["a.npy"]
    assert manifest.free_ns is not None
    assert manifest.free_ns > 0


def test_a_flood_before_the_go_is_the_programs(start: Start) -> None:
    recorder = start(**FREE)
    supervisor = constructing(recorder)
    flood(recorder, ".tmp")
    wait_for(lambda: recorder.report().flooded, what="a report of the flood")
    assert recorder.report().go_at is None
    supervisor.say_go()
    recorder.save("good.npy", npy())
    recorder.wait_records(1)
    supervisor.end()
    assert [record.name for record in recorder.sealed().records] == ["good.npy"]


def test_an_end_without_a_go_is_sealed(start: Start) -> None:
    recorder = start(**FREE)
    supervisor = constructing(recorder)
    recorder.save("early.npy", npy())
    supervisor.end("signalled")
    manifest = recorder.sealed()
    assert (manifest.go_at, manifest.free_ns, manifest.end.ended_ns) == (None, 0, -1)
    assert manifest.records == ()


def test_what_it_holds_on_the_disk_before_the_go_is_the_programs(start: Start) -> None:
    recorder = start({"ALCOVE_DISK_BYTES": str(1 << 20)}, **FREE)
    supervisor = constructing(recorder)
    (recorder.root / "tmp" / "checkpoint").write_bytes(bytes(1 << 21))
    wait_for(lambda: recorder.report().disk_exceeded, what="a report of it")
    assert recorder.report().go_at is None
    supervisor.say_go()
    supervisor.end()
    assert recorder.report().disk_exceeded
