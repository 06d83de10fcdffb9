"""How long after the budget the last of a run's processes is gone: ``python -m bench.supervisor_overshoot``.

The overshoot is the contract's: ``ended_ns - t0_ns - budget_ns``, by the supervisor's own word in ``end``, as PID 1
of a PID namespace and as a user without rights. Prints milliseconds for each kind of program.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.integration.supervisor.harness import PYTHON, SOURCE, may_unshare, workshop

BUDGET_S = 0.3

DAEMONS = """
import os, signal, time
for n in range(30):
    if os.fork() == 0:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)
        if os.fork(): os._exit(0)
        while True: time.sleep(0.001)
time.sleep(1000)
"""
SPINNERS = "import os\nfor _ in range(5): os.fork()\nwhile True: pass\n"
FLOOD = "import os\nos.fork()\nblock = b'x' * 65536\nwhile True: os.write(1, block)\n"
BOMB = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"
MEMORY = "import time\nheld = bytearray(512 << 20)\nfor i in range(0, len(held), 4096): held[i] = 1\ntime.sleep(1000)\n"

BASELINE = "one sleeper (baseline)"
PROGRAMS: dict[str, Sequence[str]] = {
    BASELINE: ("sleep", "1000"),
    "30 daemons, SIGTERM ignored": (PYTHON, "-c", DAEMONS),
    "32 spinning processes": (PYTHON, "-c", SPINNERS),
    "output flood, two writers": (PYTHON, "-c", FLOOD),
    "fork bomb, 100 processes": (PYTHON, "-c", BOMB),
    "512 MiB of memory": (PYTHON, "-c", MEMORY),
}


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def overshoots(binary: Path, scope: str, command: Sequence[str], runs: int) -> list[float]:
    """Milliseconds, one a run."""
    found = []
    for _ in range(runs):
        with workshop(binary, scope) as place:
            recorder = place.recorder(BUDGET_S)
            run = place.start(*command, options=("--max-processes", "100"))
            if (status := run.wait()) != 12 or run.marked():
                raise SystemExit(f"a run ended with {status}, left {run.marked()}: {run.stderr.decode()}")
            found.append((recorder.end["ended_ns"] - recorder.t0_ns - recorder.budget_ns) / 1e6)
    return found


@contextmanager
def built_supervisor() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["cp", "-r", str(SOURCE), f"{folder}/source"], check=True)
        subprocess.run(["make", "-sB", "-C", f"{folder}/source"], check=True, stdout=sys.stderr)
        yield Path(folder) / "source" / "build" / "alcove-supervisor"


def say(name: str, ms: Sequence[float]) -> None:
    times = f"{percentile(ms, 0.5):>9.2f}{percentile(ms, 0.99):>9.2f}{max(ms):>9.2f}"
    print(f"{name:<30}{times}", flush=True)


def main() -> int:
    options = argparse.ArgumentParser(description="Time from the budget to the last process gone.")
    options.add_argument("--runs", type=int, default=40, help="of each kind")
    runs = options.parse_args().runs
    scope = "pid1" if may_unshare() else "namespace"
    print(
        f"{platform.release()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, scope {scope}, {runs} runs"
    )
    print(f"{'':<30}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}")
    resisting: list[float] = []
    with built_supervisor() as binary:
        for name, command in PROGRAMS.items():
            ms = overshoots(binary, scope, command, runs)
            say(name, ms)
            resisting += ms if name != BASELINE else []
    say(f"all {len(resisting)} runs that resist", resisting)
    print(f"{'goal':<30}{'':>9}{'250.00':>9}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
