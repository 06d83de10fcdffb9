"""How late stamps are, and whether any prediction is lost: ``python -m bench.recorder_stamps``.

A process of its own saves predictions and notes, on the same monotonic clock, the moment before each rename: no
prediction is complete sooner. What a stamp is later than that is compared with a plain copy of the same file under the
same load, since the recorder copies a prediction before it stamps the copy. "Busy" is a spinning process for each core.

Then 10,000 predictions, each of another content, at a fixed rate and as fast as one process saves them: in the sealed
manifest each must be there, with its own digest, in the order of saving.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from alcove_api.run_documents import Record
from bench.recorder_flood import taken
from bench.supervisor_overshoot import percentile
from tests.integration.recorder.harness import SECOND, Recorder, npy, recorder, run_config, wait_for

SPIN = "while True: pass"
SAVE = """
import os, sys, time
out, template, truth = sys.argv[1:4]
every_s, count, stay = float(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6])
with open(template, "rb") as file: data = bytearray(file.read())
with open(truth, "w") as notes:
    due = time.monotonic()
    for number in range(count):
        data[-4:] = number.to_bytes(4, "little")
        with open(f"{out}/.{number}.tmp", "wb", 0) as file: file.write(data)
        due += every_s
        if (wait := due - time.monotonic()) > 0: time.sleep(wait)
        at = time.monotonic_ns()
        os.rename(f"{out}/.{number}.tmp", f"{out}/{number}.npy")
        notes.write(f"{at}\\n")
        if number >= stay: os.unlink(f"{out}/{number - stay}.npy")
"""
GOALS_MS = {"idle": 5.0, "busy": 20.0}
"""Later than a plain copy, at most, for 99 of 100."""


@dataclass(frozen=True)
class Saving:
    label: str
    rows: int
    """Of 100 numbers in float32."""
    every_s: float
    count: int
    stay: int
    """Predictions that lie in the folder at a time, so that the disk has room."""


SAVINGS = (
    Saving("1 MB, 1 a second", 2_500, 1, 100, 1_000),
    Saving("1 MB, 10 a second", 2_500, 0.1, 500, 1_000),
    Saving("1 MB, 100 a second", 2_500, 0.01, 1_000, 1_000),
    Saving("400 MB, one in 8 s", 1_000_000, 8, 8, 2),
)
MANY = 10_000
MANY_EVERY_S = {"250 a second": 1 / 250, "as fast as it can": 0.0}
"""The first is all that a program may do without being told a flood (docs/security.md): two events a prediction."""


@contextmanager
def recording(rows: int, labels: int, count: int) -> Iterator[tuple[Recorder, int]]:
    """A recorder after its go, with t0."""
    run = run_config(
        budget_ns=3600 * SECOND, max_snapshots=count, max_bytes=1 << 40, n_test=rows, n_labels=labels
    )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store = root / "store"

        def read(key: str) -> bytes | None:
            return (store / key).read_bytes() if (store / key).exists() else None

        with recorder(root, run, {"ALCOVE_STORE_ENDPOINT": store.as_uri()}, read) as it:
            yield it, it.supervisor().go()


@contextmanager
def spinning(processes: int) -> Iterator[None]:
    spinners = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(processes)]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


def save(it: Recorder, template: bytes, every_s: float, count: int, stay: int) -> list[int]:
    """When each was complete at the earliest: CLOCK_MONOTONIC, nanoseconds. Returns once all are taken."""
    file, truth = it.root / "template", it.root / "truth"
    file.write_bytes(template)
    words = [str(word) for word in (it.out, file, truth, every_s, count, stay)]
    subprocess.run([sys.executable, "-c", SAVE, *words], check=True)
    wait_for(lambda: len(taken(it)) >= count, seconds=120, what=f"{count} predictions taken")
    return [int(line) for line in truth.read_text().splitlines()]


def copy_plainly(it: Recorder, template: bytes, times: int) -> list[float]:
    """Milliseconds that ``shutil.copyfile`` takes, each time of a file that was just written, as a prediction is."""
    source, target = it.root / "source", it.root / "spool" / "plain"
    found = []
    for _ in range(times):
        source.write_bytes(template)
        began = time.monotonic_ns()
        shutil.copyfile(source, target)
        found.append((time.monotonic_ns() - began) / 1e6)
        target.unlink()
        source.unlink()
    return found


def tell_row(label: str, late_ms: list[float], copy: str, goal: str, rest: str) -> None:
    spread = (percentile(late_ms, 0.5), percentile(late_ms, 0.99), max(late_ms), min(late_ms))
    print(
        f"| {label} | {' | '.join(f'{value:.2f}' for value in spread)} | {copy} | {goal} | {rest} |",
        flush=True,
    )


def lateness_ms(it: Recorder, t0: int, complete_ns: list[int]) -> list[float]:
    """Of each stamp, after its prediction was complete. Raises SystemExit where one was refused."""
    stamps = taken(it)
    if refused := [stamp for stamp in stamps if stamp["refused"]]:
        raise SystemExit(f"{len(refused)} predictions were refused: {refused[0]['refused']}")
    by_name = {stamp["name"]: stamp["t_ns"] + t0 for stamp in stamps}
    return [(by_name[f"{number}.npy"] - at) / 1e6 for number, at in enumerate(complete_ns)]


def measure(saving: Saving, load: str) -> None:
    template = npy(0.5, (saving.rows, 100))
    with (
        recording(saving.rows, 100, saving.count) as (it, t0),
        spinning((os.cpu_count() or 1) if load == "busy" else 0),
    ):
        # In turn with what it is compared to: before and after.
        times = max(4, saving.count // 10)
        copies = copy_plainly(it, template, times)
        late = lateness_ms(it, t0, save(it, template, saving.every_s, saving.count, saving.stay))
        copies += copy_plainly(it, template, times)
    copy = percentile(copies, 0.5)
    goal = copy + GOALS_MS[load]
    met = min(late) >= 0 and percentile(late, 0.99) <= goal
    tell_row(
        f"{saving.label}, {load}",
        late,
        f"{copy:.2f} (p99 {percentile(copies, 0.99):.2f})",
        f"≤ {goal:.2f}",
        "met" if met else "**not met**",
    )


def measure_many(label: str, every_s: float) -> None:
    template = npy()
    with recording(20, 3, MANY) as (it, t0):
        complete = save(it, template, every_s, MANY, MANY)
        late = lateness_ms(it, t0, complete)
        wait_for(lambda: it.report().snapshots == MANY, seconds=600, what=f"{MANY} predictions stored")
        it.supervisors[0].end()
        records = it.sealed().records
    lost = sum(not is_record_of(number, record, template) for number, record in enumerate(records))
    lost += MANY - len(records)
    seconds = (complete[-1] - complete[0]) / SECOND, (records[-1].t_ns + t0 - complete[0]) / SECOND
    found = (
        f"saved at {MANY / seconds[0]:,.0f} a second, stamped at {MANY / seconds[1]:,.0f}; "
        f"{lost} lost, damaged or out of order"
    )
    tell_row(f"{MANY:,} of 368 bytes, {label}", late, "–", "none lost", found)


def is_record_of(number: int, record: Record, template: bytes) -> bool:
    """Whether the record at this place is of the prediction that was saved at this place."""
    content = template[:-4] + number.to_bytes(4, "little")
    return (record.name, record.sha256) == (f"{number}.npy", hashlib.sha256(content).hexdigest())


def main() -> int:
    options = argparse.ArgumentParser(description="How late stamps are.")
    options.add_argument("--quick", action="store_true", help="a tenth of the predictions of each rate")
    quick = options.parse_args().quick
    print(f"{os.uname().release}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| complete → stamp, ms | p50 | p99 | max | min | a plain copy | goal of p99 | |\n|" + "---|" * 8)
    for load in GOALS_MS:
        for saving in SAVINGS:
            measure(replace(saving, count=max(4, saving.count // 10)) if quick else saving, load)
    for label, every_s in MANY_EVERY_S.items():
        measure_many(label, every_s)
    return 0


if __name__ == "__main__":
    sys.exit(main())
