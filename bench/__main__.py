"""``make bench``: measures on a throwaway cluster of its own and adds the table to bench/RESULTS.md.

What needs no cluster has benchmarks of its own: ``python -m bench.scoring``, ``bench.datasets`` (reading, staging),
``bench.convert``, ``bench.check``, ``bench.board_load``, ``bench.supervisor_overshoot``, ``bench.recorder_flood`` and
``bench.recorder_overhead``.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bench import on_cluster
from tests.cluster import api
from tests.cluster.console import ClusterError
from tests.demo.hackathon import DemoError

RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--cluster", help="a cluster that is up already, and stays so")
    parser.add_argument("--times", type=int, default=5, help="repetitions of what is short")
    parser.add_argument("--print-only", action="store_true", help="leave bench/RESULTS.md alone")
    arguments = parser.parse_args()
    name = arguments.cluster or f"bench-{os.getpid()}"
    started = time.monotonic()

    def say(message: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {message}", file=sys.stderr, flush=True)

    try:
        cluster = api.up(name, progress=say)
        rows = on_cluster.measure(cluster, arguments.times, say)
    except (ClusterError, DemoError) as error:
        say(f"The benchmark stopped: {error}")
        return 1
    finally:
        if not arguments.cluster:
            api.down(name, progress=say)
    text = heading() + on_cluster.table(rows)
    print(text)
    if not arguments.print_only:
        with RESULTS.open("a") as file:
            file.write(text)
    return 0


def heading() -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    load = os.getloadavg()[0]
    return (
        f"\n## {datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip() or 'unknown'}\n\n"
        f"{os.cpu_count()} × {platform.machine()}, Linux {platform.release().split('-')[0]}, "
        f"load {load:.1f} at the end.\n\n"
    )


if __name__ == "__main__":
    sys.exit(main())
