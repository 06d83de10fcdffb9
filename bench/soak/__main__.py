"""``make soak``: hours of steady submissions on a real API server, etcd and store, with nodes that are played.

The operator and one recorder run as processes of their own. At half-time both are killed and start again. What grows is
written down all the while, and the analysis can be repeated from that file alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from bench.scale.nodes import played_nodes
from bench.scale.stand import Load, Say, Stand
from bench.soak.analysis import GROWS, analyse
from bench.soak.report import table
from bench.soak.samples import Notebook, read_history
from bench.soak.stand import Pace, Soak, real_recorder
from tests.cluster.console import ClusterError
from tests.cluster.lifecycle import control_plane, down
from tests.cluster.minio import minio_server
from tests.integration.operator_wiring.conftest import run_world
from tests.integration.operator_wiring.world import NAMESPACE

SAMPLES = "samples.jsonl"


def main() -> int:
    given = parse()
    began = time.monotonic()

    def say(message: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {message}", file=sys.stderr, flush=True)

    if given.analyse:
        return tell(given.analyse)
    pace = Pace(given.minutes, given.rate, given.quiet_minutes)
    load = Load(int(given.minutes * given.rate), given.teams, given.datasets, given.capacity, 0, 0.0)
    given.out.mkdir(parents=True, exist_ok=True)
    try:
        run(load, pace, given.run_seconds, given.out, say)
    except ClusterError as error:
        say(f"The soak stopped: {error}")
        return 1
    print(f"Load of the machine at the end: {os.getloadavg()[0]:.1f}.\n")
    return tell(given.out / SAMPLES)


def tell(samples: Path) -> int:
    """Prints the analysis of what was written down; 0 if nothing grows that is not to, and the judge found nothing."""
    history = read_history(samples)
    rows = analyse(history)
    print(table(rows))
    if not rows:
        print("\nThere are not enough samples to tell whether anything grows.")
        return 1
    if history.faults is None:
        print("\nIt was cut short, so nothing was judged.")
        return 1
    print(f"\nThe judge found {len(history.faults)} faults.")
    for fault in history.faults[:20]:
        print(f"FAULT: {fault}")
    return 1 if history.faults or any(row.verdict == GROWS for row in rows) else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--rate", type=float, default=20.0, help="submissions a minute")
    parser.add_argument("--quiet-minutes", type=float, default=5.0, help="after them, without any")
    parser.add_argument("--teams", type=int, default=20)
    parser.add_argument("--datasets", type=int, default=1, help="runs of each submission")
    parser.add_argument("--capacity", type=int, default=20, help="places")
    parser.add_argument("--run-seconds", type=float, default=10.0, help="how long each run goes on")
    parser.add_argument("--out", type=Path, default=Path("out/soak"), help="folder of what is written down")
    parser.add_argument(
        "--analyse", type=Path, help="samples of an earlier run, of which to print the table again"
    )
    return parser.parse_args()


def run(load: Load, pace: Pace, run_seconds: float, out: Path, say: Say) -> None:
    """Writes samples, and what the judges found wrong, into :data:`SAMPLES`."""
    name = f"soak-{os.getpid()}"
    with (
        tempfile.TemporaryDirectory(prefix="alcove-soak-") as temporary,
        (out / SAMPLES).open("w", buffering=1) as file,
        minio_server(say) as store,
    ):
        # Short, since a socket's path has at most 108 bytes; the credentials in it go with it.
        folder, notes = Path(temporary), out / "notes.jsonl"
        notes.write_text("")
        try:
            cluster = control_plane(name, say)
            with (
                run_world(cluster, store, folder, NAMESPACE, load.team_names) as world,
                played_nodes(cluster, store, notes, run_seconds) as player,
                real_recorder(world, folder / "recorder", pace) as recorder,
            ):
                try:
                    stand = Stand(world, load, notes, say, player)
                    Soak(stand, recorder, pace, Notebook(file)).play()
                finally:
                    (out / "operator.log").write_text(world.operator.text())
                    (out / "recorder.log").write_text(recorder.log_text())
        finally:
            down(name, say)


if __name__ == "__main__":
    sys.exit(main())
