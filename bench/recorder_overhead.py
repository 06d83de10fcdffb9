"""What the recorder adds to a run: ``python -m bench.recorder_overhead``.

The same program, started by the supervisor, once beside the real recorder and once beside one that only answers the
handshake, in pairs whose order alternates. It works on one core for a fixed number of steps and saves a prediction
after each tenth of them. Prints the ratio of its times, and the recorder's processor time from the go to the end by
the program's, which other work on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from pathlib import Path
from typing import NamedTuple

from bench.supervisor_overshoot import built_supervisor
from tests.integration.recorder.harness import SECOND, recorder, run_config, wait_for
from tests.integration.supervisor.harness import Workshop, workshop

PROGRAM = """
import os, sys, time
steps, began = int(sys.argv[1]), time.perf_counter()
for tenth in range(10):
    total = 0
    for number in range(steps // 10): total += number * number
    with open(f'out/.{tenth}.tmp', 'w') as file: file.write('0 1 0\\n' * 20)
    os.rename(f'out/.{tenth}.tmp', f'out/{tenth}.predict')
spent = os.times()
print(time.perf_counter() - began, spent.user + spent.system)
"""
BUDGET_S = 600


class Times(NamedTuple):
    """Seconds."""

    wall: float
    processor: float
    recorder: float = 0.0
    """Processor time of the real recorder."""


def run_program(shop: Workshop, steps: int) -> Times:
    run = shop.start(sys.executable, "-I", "-c", PROGRAM, str(steps))
    if run.wait() != 0:
        raise SystemExit(f"a run failed: {run.stderr.decode()}")
    wall, processor = map(float, run.stdout.split())
    return Times(wall, processor)


def run_alone(binary: Path, steps: int) -> Times:
    with workshop(binary) as shop:
        shop.uid = os.geteuid()
        (shop.folder / "out").mkdir()
        shop.recorder(BUDGET_S)
        return run_program(shop, steps)


def run_recorded(binary: Path, steps: int) -> Times:
    with workshop(binary) as shop:
        shop.uid = os.geteuid()
        shop.socket = shop.folder / "run" / "go.sock"
        environment = {"ALCOVE_STORE_ENDPOINT": (shop.folder / "store").as_uri()}
        config = run_config(budget_ns=BUDGET_S * SECOND)
        with recorder(shop.folder, config, environment, lambda _: None) as it:
            wait_for(shop.socket.exists, what="the recorder's socket")
            before = it.cpu_seconds()
            times = run_program(shop, steps)
            return times._replace(recorder=it.cpu_seconds() - before)


def main() -> int:
    options = argparse.ArgumentParser(description="A program beside the recorder, and without it.")
    options.add_argument("--pairs", type=int, default=10)
    options.add_argument("--steps", type=int, default=100_000_000)
    arguments = options.parse_args()
    load = os.getloadavg()[0]
    print(f"{os.uname().release}, {os.cpu_count()} cores, load {load:.1f}, {arguments.pairs} pairs")
    pairs: list[tuple[Times, Times]] = []
    with built_supervisor() as binary:
        for number in range(arguments.pairs):
            if number % 2:
                recorded = run_recorded(binary, arguments.steps)
                pairs.append((run_alone(binary, arguments.steps), recorded))
            else:
                pairs.append((run_alone(binary, arguments.steps), run_recorded(binary, arguments.steps)))
    for name in ("wall", "processor"):
        ratios = [getattr(recorded, name) / getattr(alone, name) for alone, recorded in pairs]
        least = [min(getattr(pair[i], name) for pair in pairs) for i in (0, 1)]
        print(
            f"{name + ' time, recorded by alone:':<36}median {statistics.median(ratios):.4f}, "
            f"least {least[1]:.3f} s by least {least[0]:.3f} s: {least[1] / least[0]:.4f}"
        )
    spent = sum(recorded.recorder for _, recorded in pairs)
    for name in ("wall", "processor"):
        share = 100 * spent / sum(getattr(recorded, name) for _, recorded in pairs)
        print(f"{'recorder by ' + name + ' time of the runs:':<36}{share:.2f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
