"""``make bench``: measures on a throwaway cluster of its own, then supervisor and recorder without one.

Both are added to bench/RESULTS.md. What else needs no cluster has benchmarks of its own: ``python -m bench.scoring``,
``bench.datasets`` (reading, staging), ``bench.convert``, ``bench.check`` and ``bench.board_load``.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench import on_cluster
from tests.cluster import api
from tests.cluster.console import ClusterError
from tests.demo.hackathon import DemoError

RESULTS = Path(__file__).with_name("RESULTS.md")
WITHOUT_CLUSTER = ("supervisor_overshoot", "recorder_flood", "recorder_overhead")
"""Modules that each print what they measured of a run's clock."""


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
    text = heading() + on_cluster.table(rows) + "".join(measure_clock(name, say) for name in WITHOUT_CLUSTER)
    print(text)
    if not arguments.print_only:
        with RESULTS.open("a") as file:
            file.write(text)
    return 0


def measure_clock(name: str, say: Callable[[str], None]) -> str:
    """What one module prints, as Markdown. Raises CalledProcessError where it fails."""
    say(f"bench.{name}: some minutes, without the cluster")
    command = [sys.executable, "-m", f"bench.{name}"]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return f"\n`python -m bench.{name}`:\n\n```\n{printed}```\n"


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
