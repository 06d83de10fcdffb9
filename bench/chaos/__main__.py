"""``make chaos``: kills every part of a real cluster at random moments while submissions run, and judges the outcome.

The same seed draws the same faults at the same seconds; what they hit depends on the machine. Every fault is logged.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from bench.chaos.evidence import collect
from bench.chaos.judge import find_violations
from bench.chaos.load import BUDGET, DATASET, PHASE, Load
from bench.chaos.report import quantile, table
from bench.chaos.shaking import Say, Shaking
from tests.cluster import api
from tests.cluster.console import ClusterError
from tests.cluster.layout import load_plan
from tests.demo import hackathon as steps
from tests.demo.hackathon import DemoError, Hackathon


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=3, help="submissions under way")
    parser.add_argument("--out", type=Path, default=Path("out/chaos"), help="folder of the logs")
    given = parser.parse_args()
    began = time.monotonic()

    def say(message: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {message}", file=sys.stderr, flush=True)

    name = f"chaos-{os.getpid()}"
    try:
        cluster = api.up(name, progress=say, audit=True)
        hackathon = _install(cluster, say)
        shaking = Shaking(hackathon, Load(hackathon, given.at_once), given.out / f"{given.seed}.jsonl", say)
        since = time.time()
        shaking.run(given.seed, given.minutes * 60)
        return _judge(shaking, since)
    except (ClusterError, DemoError) as error:
        say(f"It stopped: {error}")
        return 1
    finally:
        api.down(name, say)


def _install(cluster: api.Cluster, say: Say) -> Hackathon:
    images = api.images(cluster, progress=say)
    folder = cluster.state / "datasets"
    steps.make_datasets(folder, (DATASET,))
    resources = {"gpus": 0, "cpu": "300m", "memory": "600Mi", "disk": "1Gi", "processes": 256}
    phase = {
        "name": PHASE, "datasets": [DATASET], "budget": {"seconds": BUDGET}, "resources": resources,
        "feedback": {"mode": "final"},
    }  # fmt: skip
    limits = {"perDay": 1000, "total": 5000, "parallel": 3}
    # What the judge computes again is of all rows.
    scoring = {"rankedRows": "all"}
    spec = {"capacity": 4, "maxAttempts": 4, "limits": limits, "scoring": scoring, "phases": [phase]}
    values = steps.chart_values(cluster, images, ("red", "blue"), spec, "minio")
    hackathon = steps.install(cluster, "hack", values)
    steps.publish_datasets(hackathon, folder, say, (DATASET,))
    steps.wait_ready(hackathon, say)
    return hackathon


def _judge(shaking: Shaking, since: float) -> int:
    plan = load_plan(shaking.hackathon.cluster.name)
    assert plan is not None
    evidence = collect(shaking, plan.audit_log, since)
    violations = find_violations(evidence)
    took = [run.ended_at - run.submitted_at for run in evidence.runs if run.ended_at is not None]
    print(table(evidence, shaking.recoveries))
    print(
        f"\n{len(shaking.kills)} kills, {len(evidence.runs)} submissions, {len(violations)} violations. "
        f"From handing in to the end: {quantile(took, 0.5)} (p50), {quantile(took, 0.99)} (p99)."
    )
    for said in violations:
        print(f"VIOLATION: {said}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
