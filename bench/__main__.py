"""``make bench``: measures on a throwaway cluster of its own, then what has a module of its own (:data:`MODULES`).

All goes into bench/RESULTS.md, and what it takes the place of into bench/HISTORY.md. Not among it are
``python -m bench.scoring``, ``bench.datasets`` (reading), ``bench.convert``, ``bench.check`` and ``bench.board_load``.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
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

RESULTS, HISTORY = (Path(__file__).with_name(name) for name in ("RESULTS.md", "HISTORY.md"))
OURS = re.compile(r"## [0-9-]+, commit \w+\n")
"""The heading of a section that ``make bench`` has written."""
MODULES = (
    "supervisor_overshoot",
    "recorder_stamps",
    "recorder_flood",
    "recorder_overhead",
    "datasets --only stage --megabytes 3072",
    "cold_node",
)
"""With their arguments. Each prints what it measured; the last raises a cluster of its own."""


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
    text = heading() + on_cluster.table(rows) + "".join(run_module(line, say) for line in MODULES)
    print(text)
    if not arguments.print_only:
        results, history = replace_section(RESULTS.read_text(), text)
        RESULTS.write_text(results)
        with HISTORY.open("a") as file:
            file.write(history)
    return 0


def replace_section(results: str, section: str) -> tuple[str, str]:
    """``results`` with ``section`` in place of what ``make bench`` wrote there before; and that."""
    first, *sections = re.split(r"(?m)^(?=## )", results)
    handwritten = [one for one in sections if not OURS.match(one)]
    replaced = [one for one in sections if OURS.match(one)]
    return "".join([first, *handwritten]).rstrip() + "\n" + section, "".join(
        f"\n{one.rstrip()}\n" for one in replaced
    )


def run_module(line: str, say: Callable[[str], None]) -> str:
    """What one module prints, as Markdown. Raises CalledProcessError where it fails."""
    say(f"bench.{line}: some minutes")
    command = [sys.executable, "-m", *f"bench.{line}".split()]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    shown = printed if "\n|---" in printed else f"```\n{printed}```\n"
    return f"\n`python -m bench.{line}`:\n\n{shown}"


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
