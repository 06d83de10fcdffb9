"""What the recorder adds to a run: ``python -m bench.recorder_overhead``.

A program that the supervisor started works for a fixed number of steps at a time on one core and saves a prediction
before each. The real recorder is stopped (SIGSTOP) for one turn of each pair, in random order, and goes on for the
other, in which it also takes what the first has left it. Compared is the program's own processor time, which waiting
for a processor does not lengthen, so that a busy machine can be measured on as well: noise adds to the width of the
interval and not to the median. What a rename costs the kernel where inotify watches is in both.

Prints the median over pairs of (with recorder - without) / without with its 95 % interval (order statistics: exact,
whatever the distribution), and what the recorder itself took: idle, and for each prediction. "added" is their sum, as
if recorder and program had one core: for a prediction in each turn, and for one in each second.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from scipy.stats import binom

from bench.supervisor_overshoot import built_supervisor
from tests.integration.recorder.harness import SECOND, Recorder, recorder, run_config, wait_for
from tests.integration.supervisor.harness import workshop

PROGRAM = """
import os, sys, time
turn_s = float(sys.argv[1])
def work(steps):
    total = 0
    for number in range(steps): total += number * number
began = time.process_time()
work(1_000_000)
steps = int(1_000_000 * turn_s / (time.process_time() - began))
turns, times = open('turns', 'rb', 0), open('times', 'wb', 0)
number = 0
while turns.read(1):
    began = time.process_time()
    with open(f'out/.{number}.tmp', 'w') as file: file.write('0 1 0\\n' * 20)
    os.rename(f'out/.{number}.tmp', f'out/{number}.predict')
    work(steps)
    times.write(b'%20.9f' % (time.process_time() - began))
    number += 1
"""
BUDGET_S = 3600
CONFIDENCE = 0.95


class Interval(NamedTuple):
    median: float
    low: float
    high: float


class Measured(NamedTuple):
    idle_share: float
    """Of a core, while nothing is saved."""
    turn_s: float
    """The program's processor time of a turn without the recorder; median."""
    per_prediction_s: float
    """The recorder's processor time."""
    slowdown: Interval
    """Of the program's processor time in a turn, as a fraction."""


def find_median(values: list[float]) -> Interval:
    """With the interval between two order statistics that holds the median with at least :data:`CONFIDENCE`.

    Each value lies below the median with probability 1/2, so the count of those that do is binomial (Conover, Practical
    Nonparametric Statistics, 3.2).
    """
    ordered = sorted(values)
    rank = int(binom.ppf((1 - CONFIDENCE) / 2, len(ordered), 0.5))
    return Interval(
        statistics.median(ordered),
        ordered[max(0, rank - 1)],
        ordered[min(len(ordered) - 1, len(ordered) - rank)],
    )


def count_cpu_seconds(it: Recorder) -> float:
    """Of all its threads, to the nanosecond."""
    assert it.process is not None
    threads = Path(f"/proc/{it.process.pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / SECOND


def measure_idle(it: Recorder, seconds: float) -> float:
    before, began = count_cpu_seconds(it), time.monotonic()
    wait_for(lambda: time.monotonic() - began >= seconds, seconds=10 * seconds)
    return (count_cpu_seconds(it) - before) / (time.monotonic() - began)


class Switch:
    """Stops the recorder and lets it go on; each call returns once it is so."""

    def __init__(self, pid: int) -> None:
        self._pid, self._stopped = pid, False

    def hold(self, *, stopped: bool) -> None:
        if stopped == self._stopped:
            return
        os.kill(self._pid, signal.SIGSTOP if stopped else signal.SIGCONT)
        os.waitpid(self._pid, os.WUNTRACED if stopped else os.WCONTINUED)
        self._stopped = stopped


def measure(binary: Path, pairs: int, turn_s: float, idle_s: float) -> Measured:
    with workshop(binary) as shop:
        shop.uid = os.geteuid()
        shop.socket = shop.folder / "run" / "go.sock"
        environment = {
            "ALCOVE_STORE_ENDPOINT": (shop.folder / "store").as_uri(),
            "ALCOVE_DISK_BYTES": str(1 << 30),
        }
        config = run_config(budget_ns=BUDGET_S * SECOND, max_snapshots=2 * pairs + 100)
        for name in ("turns", "times"):
            os.mkfifo(shop.folder / name)
        with recorder(shop.folder, config, environment, lambda _: None) as it:
            wait_for(shop.socket.exists, what="the recorder's socket")
            run = shop.start(sys.executable, "-I", "-c", PROGRAM, str(turn_s))
            with (
                (shop.folder / "turns").open("wb", 0) as turns,
                (shop.folder / "times").open("rb", 0) as times,
            ):
                assert it.process is not None
                switch = Switch(it.process.pid)

                def take_turn(*, stopped: bool) -> float:
                    switch.hold(stopped=stopped)
                    turns.write(b"x")
                    return float(times.read(20))

                for stopped in (True, False) * 3:  # until caches are warm
                    take_turn(stopped=stopped)
                switch.hold(stopped=False)
                idle = measure_idle(it, idle_s)
                before = count_cpu_seconds(it)
                found = [take_pair(take_turn) for _ in range(pairs)]
                switch.hold(stopped=False)
                saved = 2 * pairs + 6
                wait_for(lambda: it.report().snapshots == saved, seconds=120, what=f"{saved} predictions")
                spent = count_cpu_seconds(it) - before
            if run.wait() != 0:
                raise SystemExit(f"the run failed: {run.stderr.decode()}")
    slower = find_median([beside / alone - 1 for beside, alone in found])
    alone_s = statistics.median(alone for _, alone in found)
    return Measured(idle, alone_s, spent / (2 * pairs), slower)


def take_pair(take_turn: Callable[..., float]) -> tuple[float, float]:
    """Processor time with the recorder and without, in seconds."""
    stopped_first = random.random() < 0.5
    first, second = take_turn(stopped=stopped_first), take_turn(stopped=not stopped_first)
    return (second, first) if stopped_first else (first, second)


def describe_added(found: Measured, every_s: float) -> str:
    """For a prediction in each ``every_s`` seconds of the program."""
    own = found.per_prediction_s / every_s
    low, median, high = (
        100 * (own + slower * found.turn_s / every_s)
        for slower in (found.slowdown.low, found.slowdown.median, found.slowdown.high)
    )
    return f"{median:.2f} % ({low:.2f} to {high:.2f})"


def main() -> int:
    options = argparse.ArgumentParser(
        description="A program beside the recorder, and beside one that is stopped."
    )
    options.add_argument("--pairs", type=int, default=400)
    options.add_argument("--turn", type=float, default=0.05, help="seconds of work between two predictions")
    options.add_argument("--idle", type=float, default=20, help="seconds to look at an idle recorder")
    arguments = options.parse_args()
    with built_supervisor() as binary:
        found = measure(binary, arguments.pairs, arguments.turn, arguments.idle)
    print(
        f"{os.uname().release}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {arguments.pairs} pairs"
    )
    print(f"recorder, idle:                    {100 * found.idle_share:.3f} % of a core (goal: < 1 %)")
    print(f"recorder, for each prediction:     {1000 * found.per_prediction_s:.2f} ms of processor time")
    median, low, high = (100 * value for value in found.slowdown)
    print(
        f"program, beside it:                {median:+.2f} % ({low:+.2f} to {high:+.2f}) in {found.turn_s:.3f} s"
    )
    print(f"added, a prediction each second:   {describe_added(found, 1.0)} (goal: < 1 %)")
    print(f"added, a prediction each {found.turn_s:.3f} s:  {describe_added(found, found.turn_s)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
