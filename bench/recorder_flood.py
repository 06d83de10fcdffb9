"""What the recorder takes when idle and under a flood of names: ``python -m bench.recorder_flood``.

Two floods, each as fast as one process makes files: of names that are predictions', until the run's places are used up,
and of other names, beside which honest predictions are saved; they are also saved while it looks at how much room
99,000 files in /tmp take up. Prints the recorder's peak memory, and how late stamps
are: from when a prediction was seen to its stamp, and from its rename to its stamp.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.supervisor_overshoot import percentile
from tests.integration.recorder.harness import SECOND, Recorder, npy, recorder, run_config

FLOOD = """
import os, sys
os.chdir(sys.argv[1])
for number in range(int(sys.argv[3])):
    name = f"{number:07d}\\N{FISH}".ljust(240, "x") + sys.argv[2]
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
    os.unlink(name)
"""
HONEST, BESIDE_LOOKS = 100, 900
"""Predictions. A look every few seconds is met by more of them."""


@contextmanager
def running() -> Iterator[tuple[Recorder, int]]:
    """A recorder after its go, with t0."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        environment = {"ALCOVE_STORE_ENDPOINT": (root / "store").as_uri(), "ALCOVE_DISK_BYTES": str(1 << 40)}
        with recorder(root, run_config(budget_ns=3600 * SECOND), environment, lambda _: None) as it:
            yield it, it.supervisor().go()


def taken(it: Recorder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (it.root / "spool" / "taken.jsonl").read_text().splitlines()]


def flood(it: Recorder, suffix: str, names: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", FLOOD, str(it.out), suffix, str(names)])


def say(name: str, it: Recorder, late_ms: list[float]) -> None:
    lateness = f"{percentile(late_ms, 0.5):>9.1f}{percentile(late_ms, 0.99):>9.1f}{max(late_ms):>9.1f}"
    print(f"{name:<44}{it.peak_kib() >> 10:>9}{lateness}", flush=True)


def save_predictions(it: Recorder, t0: int, count: int) -> list[float]:
    """One after the other; milliseconds from each one's rename to its stamp."""
    saved = []
    for number in range(count):
        it.save(f"{number}.npy", npy())
        saved.append(time.monotonic_ns() - t0)
        while len(taken(it)) <= number:
            time.sleep(0.001)
    return [(file["t_ns"] - at) / 1e6 for file, at in zip(taken(it), saved, strict=True)]


def main() -> int:
    options = argparse.ArgumentParser(description="The recorder, idle and under floods.")
    options.add_argument("--names", type=int, default=200_000)
    names = options.parse_args().names
    print(f"{os.uname().release}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {names} names")
    with running() as (it, _):
        print(f"idle: {100 * it.cpu_share(seconds=10):.2f} % of a core, {it.peak_kib() >> 10} MiB")
    print(f"{'':<44}{'peak MiB':>9}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}")
    with running() as (it, _):
        flood(it, ".npy", names).wait()
        say("predictions' names, seen → stamp", it, [(f["t_ns"] - f["seen_ns"]) / 1e6 for f in taken(it)])
    for label, count in (("none beside, rename → stamp", 0), ("other names beside, rename → stamp", names)):
        with running() as (it, t0):
            beside = flood(it, ".tmp", count)
            late = save_predictions(it, t0, HONEST)
            beside.kill()
            beside.wait()
            say(label, it, late)
    with running() as (it, t0):
        for number in range(99_000):
            (it.root / "tmp" / f"{number}").touch()
        say("looks at 99,000 files, rename → stamp", it, save_predictions(it, t0, BESIDE_LOOKS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
