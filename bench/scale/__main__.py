"""``make scale``: many submissions at once on a real API server and a real store, with nodes that are played.

The operator runs as it does in a cluster: as a process of its own, under the chart's rights. What it did is judged
from the API server's audit log, from the objects and from what the nodes saw (:mod:`bench.scale.judge`). Wall-clock
figures of a busy machine say little; counts, bytes and processor time do.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.scale.judge import HistogramReading, rate
from bench.scale.nodes import played_nodes
from bench.scale.stand import Figures, Load, Stand
from tests.cluster.console import ClusterError
from tests.cluster.lifecycle import control_plane, down
from tests.cluster.minio import minio_server
from tests.integration.operator_wiring.conftest import run_world
from tests.integration.operator_wiring.world import NAMESPACE

LIMIT_SECONDS, RUN_LIMIT_SECONDS = 300.0, 1.0
"""After this long, and this much longer for each run, what is not at its end is given up."""


def main() -> int:
    arguments = parse()
    started = time.monotonic()

    def say(message: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {message}", file=sys.stderr, flush=True)

    found = []
    for count in arguments.submissions:
        limit = arguments.limit or LIMIT_SECONDS + RUN_LIMIT_SECONDS * count * arguments.datasets
        load = Load(
            *(count, arguments.teams, arguments.datasets, arguments.capacity, arguments.seeded),
            *(limit + arguments.over, arguments.over),
        )
        try:
            found.append(measure(load, arguments.run_seconds, arguments.cluster_wide, say, arguments.log))
        except ClusterError as error:
            say(f"The measurement stopped: {error}")
            return 1
    print(f"Load of the machine at the end: {os.getloadavg()[0]:.1f}.\n\n{table(found)}")
    for figures in found:
        print(f"\nWrites at {figures.load.submissions}: {dict(figures.writes.by_kind.most_common())}")
        print(f"Refused: {dict(figures.writes.refused)}")
        for fault in figures.faults[:20]:
            print(f"FAULT: {fault}")
    return 1 if any(figures.faults for figures in found) else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make scale", description=__doc__)
    parser.add_argument("--submissions", type=int, nargs="+", default=[300], help="one run of the stand each")
    parser.add_argument("--teams", type=int, default=20)
    parser.add_argument("--datasets", type=int, default=5, help="runs of each submission")
    parser.add_argument("--capacity", type=int, default=10_000, help="places; by default few wait for one")
    parser.add_argument("--seeded", type=int, default=0, help="submissions that have ended before")
    parser.add_argument(
        "--over", type=float, default=0.0, help="seconds in which they come, ever more; 0: all at once"
    )
    parser.add_argument("--run-seconds", type=float, default=2.0, help="how long each run goes on")
    parser.add_argument("--limit", type=float, help="seconds until a run of the stand is given up")
    parser.add_argument("--cluster-wide", action="store_true", help="one watch for all teams")
    parser.add_argument("--log", type=Path, help="where the operator's log is kept")
    return parser.parse_args()


def measure(
    load: Load, run_seconds: float, cluster_wide: bool, say: Callable[[str], None], log: Path | None
) -> Figures:
    settings = {"ALCOVE_CLUSTER_WIDE": "true"} if cluster_wide else {}
    name = f"scale-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="alcove-scale-") as folder, minio_server(say) as store:
        notes = Path(folder) / "notes.jsonl"
        notes.touch()
        try:
            cluster = control_plane(name, say, audit=True)
            with (
                run_world(
                    cluster, store, Path(folder), NAMESPACE, load.team_names, None, **settings
                ) as world,
                played_nodes(cluster, store, notes, run_seconds) as player,
            ):
                try:
                    return _play(Stand(world, load, notes, say, player))
                finally:
                    if log is not None:
                        log.write_text(world.operator.text())
        finally:
            down(name, say)


def _play(stand: Stand) -> Figures:
    operator, say = stand.world.operator, stand.say
    stand.prepare()
    first, job = stand.run_first()
    bare = stand.measure_bare(job)
    say(f"a bare client makes {bare.made:.1f} Jobs a second; {bare.played:.1f} where nodes play them")
    if stand.load.seeded:
        operator.stop()
        stand.seed(first)
        say(f"{stand.load.seeded} Submissions that have ended are there; the operator starts")
        say(f"the operator started in {operator.start():.1f} s")
    idle = stand.measure_idle()
    figures = stand.rush()
    figures.idle, figures.bare = idle, bare
    figures.restart = stand.restart()
    return figures


def table(found: list[Figures]) -> str:
    rows: list[tuple[str, Callable[[Figures], str]]] = [
        ("submissions × runs, places, teams, ended before", _describe),
        ("finished", lambda f: f"{f.finished} in {f.seconds:.0f} s"),
        ("faults that the judge found", lambda f: str(len(f.faults))),
        ("memory at most, MiB", lambda f: f"{f.rss_peak:.0f}"),
        ("processor seconds of the operator for each run", lambda f: f"{f.cpu / _runs(f):.3f}"),
        ("that of API server and etcd, store, nodes", _describe_beside),
        ("that of API server and etcd for each Job of a bare client, and where nodes play it", _bare_cpu),
        ("share of a core while nothing happens", lambda f: f"{f.idle:.1%}"),
        ("API writes for each run", lambda f: f"{sum(f.writes.by_kind.values()) / _runs(f):.1f}"),
        ("Jobs made a second, beside a bare client's that nobody plays", _rates),
        ("Jobs a second from the first one's making to the last one's end, beside a bare client's", _played),
        ("submission to its first Job, median, s", lambda f: f"{f.first_job:.1f}"),
        ("standstill of the event loop below, p99, most", lambda f: _bounds(f.standstill)),
        ("turn on a Submission below, p99, most, s of CPU", lambda f: _bounds(f.turns["submission"])),
        ("turn on the Competition below, p99, most, s of CPU", lambda f: _bounds(f.turns["competition"])),
        ("look at everything below, p99, most, s of CPU", lambda f: _bounds(f.turns["board"])),
        ("restart, s", lambda f: f"{f.restart:.1f}"),
    ]
    lines = ["| figure |" + " |" * len(found), "|---|" + "---|" * len(found)]
    lines += [f"| {what} | " + " | ".join(map(show, found)) + " |" for what, show in rows]
    return "\n".join(lines)


def _runs(figures: Figures) -> int:
    return max(1, figures.load.submissions * figures.load.datasets)


def _describe(figures: Figures) -> str:
    load = figures.load
    return f"{load.submissions} × {load.datasets}, {load.capacity}, {load.teams}, {load.seeded}"


def _describe_beside(figures: Figures) -> str:
    return ", ".join(f"{seconds / _runs(figures):.3f}" for seconds in figures.beside.values())


def _rates(figures: Figures) -> str:
    ours = rate(at for times in figures.writes.run_jobs.values() for at in times)
    return f"{ours:.1f} / {figures.bare.made:.1f}"


def _played(figures: Figures) -> str:
    return f"{_runs(figures) / figures.runs_seconds:.1f} / {figures.bare.played:.1f}"


def _bare_cpu(figures: Figures) -> str:
    return f"{figures.bare.cpu:.3f}, {figures.bare.played_cpu:.3f}"


def _bounds(reading: HistogramReading) -> str:
    return f"{reading.bound_of(0.99):g}, {reading.highest():g}"


if __name__ == "__main__":
    sys.exit(main())
