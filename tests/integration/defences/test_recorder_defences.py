"""Each defence of the recorder holds its attack off, and without it the attack succeeds."""

from __future__ import annotations

import mmap
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from alcove_api import keys
from tests.integration.recorder.conftest import Start
from tests.integration.recorder.harness import Recorder, npy, wait_for

SWITCH = Path(__file__).with_name("recorder_without.py")
Attack = Callable[[Recorder], bool]
"""Whether it got what it wanted."""
SHARE = 1 << 20
"""Bytes of its disk that the program asked for."""
LOOKED_AWAY = "looked-away-once-it-held-more"
LARGE = (200_000, 80)
"""Rows and labels of a prediction that takes long enough to copy: 128 MB."""


def improve_while_it_is_copied(recorder: Recorder) -> bool:
    """A better end of the file gets in once the copy has begun; is it counted from before that?"""
    t0 = recorder.supervisor().go()
    header = npy(0.1, LARGE).split(b"\n", 1)[0] + b"\n"
    size = len(header) + 4 * LARGE[0] * LARGE[1]
    aside = recorder.out / "aside"
    with aside.open("wb") as file:
        file.write(header)
        file.write(bytes(size - len(header)))
    descriptor = os.open(aside, os.O_RDWR)
    mapping = mmap.mmap(descriptor, size)
    copy = recorder.root / "spool"
    aside.rename(recorder.out / "large.npy")
    wait_for(lambda: _copied(copy) > 0, what="a copy that has begun")
    before = time.monotonic_ns() - t0
    mapping[-4:] = np.float32(1).tobytes()
    (record,) = recorder.wait_records(1)
    mapping.close()
    os.close(descriptor)
    assert record.refused is None, record.refused
    data = recorder.store(keys.snapshot(recorder.prefix, 0))
    assert data is not None
    assert data[-4:] == np.float32(1).tobytes(), "the copy was over before"
    return record.t_ns < before


def _copied(spool: Path) -> int:
    """Bytes of the copy that is there by now."""
    return max((path.stat().st_size for path in spool.glob("*.bin")), default=0)


def read_what_a_link_leads_to(recorder: Recorder) -> bool:
    supervisor = recorder.supervisor()
    supervisor.go()
    (recorder.root / "secret").write_bytes(npy())
    (recorder.out / "aside").symlink_to(recorder.root / "secret")
    (recorder.out / "aside").rename(recorder.out / "link.npy")
    supervisor.end()
    return recorder.store(keys.snapshot(recorder.prefix, 0)) == npy()


def blame_the_platform_for_a_pipe(recorder: Recorder) -> bool:
    """What cannot be copied is the platform's trouble, so what is no file must be refused before."""
    supervisor = recorder.supervisor()
    supervisor.go()
    os.mkfifo(recorder.out / "aside")
    (recorder.out / "aside").rename(recorder.out / "pipe.npy")
    supervisor.end()
    return recorder.report().error is not None


def have_a_huge_file_copied(recorder: Recorder) -> bool:
    supervisor = recorder.supervisor()
    supervisor.go()
    recorder.save("huge.npy", npy() + bytes(32 << 20))
    supervisor.end()
    (record,) = recorder.records()
    return record.bytes > 32 << 20


def have_a_pickle_recorded(recorder: Recorder) -> bool:
    supervisor = recorder.supervisor()
    supervisor.go()
    recorder.save("pickle.npy", b"\x80\x04\x95cposix\nsystem\n(S'true'\ntR.")
    supervisor.end()
    (record,) = recorder.records()
    return record.refused is None


def fill_its_memory_with_names(recorder: Recorder) -> bool:
    """As many as the kernel queues for it, at one time."""
    recorder.supervisor().go()
    before = recorder.peak_kib()
    assert recorder.process is not None
    recorder.process.send_signal(signal.SIGSTOP)
    for number in range(15_000):
        os.close(os.open(recorder.out / f"{'n' * 200}\U0001f389{number}.npy", os.O_CREAT | os.O_WRONLY))
    recorder.process.send_signal(signal.SIGCONT)
    recorder.wait_records(200)
    return recorder.peak_kib() - before > 8 << 10


def end_the_run_in_the_supervisors_place(recorder: Recorder) -> bool:
    recorder.supervisor().go()
    stranger = recorder.supervisor()
    try:
        stranger.say_end()
        return stranger.hear() is not None
    except OSError:
        return False  # it was hung up on


def flood_without_a_trace(recorder: Recorder) -> bool:
    supervisor = recorder.supervisor()
    supervisor.go()
    for number in range(30_000):  # two names by turns: the kernel drops a change like the one before it
        os.close(os.open(recorder.out / f".{number % 2}", os.O_CREAT | os.O_WRONLY))
    recorder.save("last.npy", npy())
    supervisor.end()
    return not recorder.report().flooded


def fill_the_disk_without_a_trace(recorder: Recorder) -> bool:
    recorder.supervisor().go()
    (recorder.root / "tmp" / "heap").write_bytes(bytes(2 * SHARE))
    wait_for(lambda: recorder.report().disk_exceeded or LOOKED_AWAY in recorder.log_text(), what="a look")
    return not recorder.report().disk_exceeded


DEFENCES: dict[str, tuple[str, Attack]] = {
    "stamp at the end of the copy": ("stamp_when_seen", improve_while_it_is_copied),
    "no links": ("follow_links", read_what_a_link_leads_to),
    "regular files alone": ("take_any_file", blame_the_platform_for_a_pipe),
    "size bound": ("take_any_size", have_a_huge_file_copied),
    "check of the .npy header": ("take_any_header", have_a_pickle_recorded),
    "bound on names": ("hold_any_number_of_names", fill_its_memory_with_names),
    "handshake": ("answer_anybody", end_the_run_in_the_supervisors_place),
    "share of the disk": ("look_away_from_the_disk", fill_the_disk_without_a_trace),
    "rate of changes": ("keep_no_rate", flood_without_a_trace),
}


@pytest.mark.parametrize("switched_off", [False, True], ids=["as it is", "switched off"])
@pytest.mark.parametrize("name", DEFENCES)
def test_the_attack_fails_and_without_the_defence_succeeds(
    start: Start, name: str, *, switched_off: bool
) -> None:
    switch, attack = DEFENCES[name]
    shape = {"n_test": LARGE[0], "n_labels": LARGE[1]} if attack is improve_while_it_is_copied else {}
    environment = {"ALCOVE_DISK_BYTES": str(SHARE)} if attack is fill_the_disk_without_a_trace else {}
    recorder = start(environment, **shape, program=[str(SWITCH), switch] if switched_off else None)
    assert attack(recorder) is switched_off
