"""What a participant can make the recorder hold of its folder is bounded. Real folders, real inotify."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from alcove_api.run_documents import RunConfig
from alcove_recorder.capture import Capture
from alcove_recorder.formats import kind_of
from alcove_recorder.spool import CapturedFile, RunSpool
from alcove_recorder.watch import EVENTS_AT_ONCE, EVENTS_PER_SECOND, EventRate

RUN = RunConfig(
    submission_uid="uid", alias="ds-1", attempt=1, data_sha256=None, code_sha256=None, budget_ns=600 * 10**9,
    n_test=2, n_labels=2, max_snapshots=10,
)  # fmt: skip
PLACES = RUN.max_snapshots + 1
"""The file past the limit is refused, and is the last one."""
FLOOD = 12_000
MIB = 1 << 20


class Captured:
    def __init__(self, folder: Path) -> None:
        self.out, self.files = folder / "out", list[CapturedFile]()
        self.out.mkdir()
        self.capture = Capture(RUN, self.out, RunSpool(folder / "spool"), self.files.append)


@pytest.fixture
def captured(tmp_path: Path) -> Captured:
    return Captured(tmp_path)


def flood(folder: Path, suffix: str = ".npy") -> None:
    """Distinct names, as long as names can be, that take Python four bytes a character."""
    for number in range(FLOOD):
        name = f"{number:06d}\N{FISH}".ljust(240, "x") + suffix
        os.close(os.open(folder / name, os.O_CREAT | os.O_WRONLY))


@contextmanager
def at_most(peak: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < peak
    finally:
        tracemalloc.stop()


def test_names_in_the_folder_are_held_only_while_they_can_still_be_taken(captured: Captured) -> None:
    captured.capture.start(time.monotonic_ns())
    flood(captured.out)
    with at_most(MIB // 4):
        captured.capture.rescan()
    captured.capture.take_all()
    assert len(captured.files) == PLACES


def test_a_look_through_the_folder_ends_at_a_number_of_files(
    captured: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that are no predictions take no place, so they alone would make it as long as the folder."""
    captured.capture.start(time.monotonic_ns())
    flood(captured.out, ".txt")
    looked_at = list[str]()

    def look_at(name: str) -> str | None:
        looked_at.append(name)
        return kind_of(name)

    monkeypatch.setattr("alcove_recorder.formats.kind_of", look_at)
    captured.capture.rescan()
    assert len(looked_at) == FLOOD
    looked_at.clear()
    monkeypatch.setattr("alcove_recorder.capture._LISTED_AT_MOST", 1000)
    captured.capture.rescan()
    assert len(looked_at) == 1000


def test_a_look_that_waits_for_a_busy_machine_is_followed_by_the_next_all_the_same(
    captured: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without inotify: a pause for the time that a look has waited would make stamps late."""
    took = list[float]()
    monkeypatch.setattr(captured.capture.watch, "look_due", lambda: True)
    monkeypatch.setattr(captured.capture, "rescan", lambda: Event().wait(0.5))
    monkeypatch.setattr(captured.capture.watch, "looked", took.append)
    captured.capture.see()
    assert max(took) < 0.5


def test_names_in_events_are_held_only_while_they_can_still_be_taken(captured: Captured) -> None:
    capture = captured.capture
    capture.start(time.monotonic_ns())
    flood(captured.out)
    with at_most(MIB):
        for _ in range(FLOOD):
            capture.see()
    capture.take_all()
    assert len(captured.files) == PLACES


def test_events_of_other_files_take_no_place(captured: Captured) -> None:
    capture = captured.capture
    capture.start(time.monotonic_ns())
    flood(captured.out, ".tmp")
    (captured.out / "good.npy").write_bytes(b"x")
    for _ in range(FLOOD):
        capture.see()
    capture.take_all()
    assert [file.name for file in captured.files] == ["good.npy"]


def test_what_is_not_text_is_told_from_its_twin_over_a_restart(tmp_path: Path) -> None:
    """Shown, both names are the same; taken for one, the second would be a change of the first."""
    place = Captured(tmp_path)
    place.capture.start(time.monotonic_ns())
    for name in (b"\xff.npy", b"\xfe.npy"):
        (tmp_path / "out" / os.fsdecode(name)).write_bytes(b"x")
    place.capture.rescan()
    place.capture.take_all()
    assert len({file.name for file in place.files}) == 2
    again = list[CapturedFile]()
    capture = Capture(RUN, place.out, RunSpool(tmp_path / "spool"), again.append)
    capture.start(time.monotonic_ns())
    capture.rescan()
    capture.take_all()
    assert again == []


def test_files_that_are_found_together_are_taken_in_the_order_of_their_numbers(captured: Captured) -> None:
    captured.capture.start(time.monotonic_ns())
    names = [f"digits.predict_{number}" for number in range(10)]
    for name in names[::3] + names[1::3] + names[2::3]:
        (captured.out / name).write_bytes(b"0 1\n1 0\n")
    captured.capture.watch.read()  # As if the kernel had lost the events.
    captured.capture.rescan()
    captured.capture.take_all()
    assert [file.name for file in captured.files] == names


def test_what_a_program_left_was_there_when_it_ended_however_late_it_is_found(captured: Captured) -> None:
    """As by a recorder that comes back after the budget: nothing writes any more once the program has ended."""
    capture = captured.capture
    capture.start(time.monotonic_ns() - RUN.budget_ns - 5 * 10**9)
    (captured.out / "left.npy").write_bytes(b"x")
    for ended_ns in (None, -1, RUN.budget_ns + 1):
        capture.rescan(ended_ns)
        capture.take_all()
        assert captured.files == [], "it may be of later than the budget"
    capture.rescan(RUN.budget_ns - 1)
    capture.take_all()
    (file,) = captured.files
    assert file.seen_ns == RUN.budget_ns - 1
    assert file.t_ns > RUN.budget_ns, "the stamp is of the copy"


def test_after_the_end_nothing_is_taken(captured: Captured) -> None:
    capture = captured.capture
    capture.start(time.monotonic_ns())
    (captured.out / "before.npy").write_bytes(b"x")
    capture.close()
    (captured.out / "after.npy").write_bytes(b"x")
    capture.see()
    capture.rescan()
    capture.take_all()
    assert captured.files == []
    assert capture.watch.look_at is None


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [1000.0]

    def advance(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr("alcove_recorder.watch.time.monotonic", lambda: now[0])
    return advance


def test_a_program_at_its_rate_is_within_it(pass_time: Callable[[float], None]) -> None:
    rate = EventRate()
    for _ in range(1000):
        pass_time(1)
        rate.count(EVENTS_PER_SECOND)
    rate.count(EVENTS_AT_ONCE)
    assert not rate.exceeded


def test_a_flood_exceeds_the_rate_however_quiet_it_was_before(pass_time: Callable[[float], None]) -> None:
    rate = EventRate()
    pass_time(3600)
    rate.count(1)
    rate.count(EVENTS_AT_ONCE + 1)
    assert rate.exceeded


def test_events_that_waited_for_a_stalled_recorder_had_all_that_time(
    pass_time: Callable[[float], None],
) -> None:
    rate = EventRate()
    pass_time(60)
    rate.count(EVENTS_AT_ONCE + 60 * EVENTS_PER_SECOND)
    assert not rate.exceeded
