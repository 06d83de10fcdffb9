"""``make chaos``: has every part of a real cluster fail at random moments while submissions run, and judges it.

The same seed draws the same faults at the same seconds; what they hit depends on the machine. Every fault is logged.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench.chaos import api_faults, credential_faults, faults, node_faults, store_faults
from bench.chaos.clock_faults import ClockFaults, with_faked_clock
from bench.chaos.damage import DAMAGES
from bench.chaos.evidence import collect
from bench.chaos.judge import find_violations
from bench.chaos.load import BUDGET, DATASET, PHASE, Load
from bench.chaos.report import quantile, table
from bench.chaos.shaking import SETTLE, Say, Shaking
from bench.chaos.toxiproxy import run_toxiproxy
from tests.cluster import api
from tests.cluster.console import ClusterError
from tests.cluster.layout import load_plan
from tests.demo import hackathon as steps
from tests.demo.hackathon import DemoError, Hackathon, wait_for

LASTING = (
    *store_faults.StoreFaults.kinds, *api_faults.ApiFaults.kinds, *ClockFaults.kinds, credential_faults.CHANGED,
    *node_faults.KINDS,
)  # fmt: skip
ALL = (*faults.KINDS, *LASTING)
RESTARTED_AFTER = 10
SETTLE_DAMAGED = 150.0
"""Seconds, both."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=3, help="submissions under way")
    parser.add_argument("--out", type=Path, default=Path("out/chaos"), help="folder of the logs")
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=ALL, help="kinds of faults, with commas"
    )
    parser.add_argument(
        "--nodes", type=int, default=1, help="of the cluster; with two or more the last one fails, too"
    )
    parser.add_argument(
        "--damage", choices=DAMAGES, help="a fault of operator or recorder that is to be found"
    )
    given = parser.parse_args()
    unknown = sorted(set(given.only) - set(ALL))
    if unknown:
        parser.error(f"There is no fault {', '.join(unknown)}. There are: {', '.join(ALL)}.")
    began = time.monotonic()

    def say(message: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {message}", file=sys.stderr, flush=True)

    name = f"chaos-{os.getpid()}"
    try:
        disk = node_faults.DISK_MIB if given.nodes > 1 else 0
        cluster = api.up(name, progress=say, audit=True, nodes=given.nodes, disk_mib=disk)
        shorten_restart_pauses(cluster)
        hackathon = _install(cluster, say, given.damage)
        with run_toxiproxy(cluster.host_ip, cluster.state / "log" / "toxiproxy.log") as proxy:
            sources: list[faults.LastingFaults] = [
                store_faults.place_proxy(hackathon, proxy),
                api_faults.place_proxy(hackathon, proxy),
                ClockFaults(hackathon),
                credential_faults.find_setup(hackathon),
            ]
            if (victim := node_faults.find_victim(hackathon)) is not None:
                sources.append(victim)
            # As pods reach it: from here the Service, which leads back to this machine, leads nowhere.
            seen = replace(
                hackathon, addresses={"alcove-store": f"http://{cluster.host_ip}:{store_faults.PORT}"}
            )
            log = given.out / f"{given.seed}.jsonl"
            # What is damaged may never end.
            settle = SETTLE_DAMAGED if given.damage else SETTLE
            shaking = Shaking(seen, Load(seen, given.at_once), log, say, sources, settle)
            since = time.time()
            seconds = given.minutes * 60
            only = DAMAGES[given.damage].faults if given.damage else given.only
            kills = [kind for kind in faults.KINDS if kind in only]
            there = {kind for source in sources for kind in source.kinds}
            lasting = [kind for kind in LASTING if kind in only and kind in there]
            shaking.run(faults.draw(given.seed, seconds, kills, lasting), seconds)
            violations = _judge(shaking, since)
            if given.damage is None:
                return 1 if violations else 0
            found = any(DAMAGES[given.damage].said in one for one in violations)
            say(f"The damage {given.damage} was {'found' if found else 'not found'}.")
            return 0 if found else 1
    except (ClusterError, DemoError) as error:
        say(f"It stopped: {error}")
        return 1
    finally:
        api.down(name, say)


def shorten_restart_pauses(cluster: api.Cluster) -> None:
    """Has the kubelet restart what ends again and again after :data:`RESTARTED_AFTER`, and not after up to 5 minutes:
    else that pause is what is measured. Raises DemoError."""
    plan = load_plan(cluster.name)
    assert plan is not None
    for node in plan.nodes:
        file = node.conf / "kubelet.json"
        settings = json.loads(file.read_text())
        settings["featureGates"] = {"KubeletCrashLoopBackOffMax": True}
        settings["crashLoopBackOff"] = {"maxContainerRestartPeriod": f"{RESTARTED_AFTER}s"}
        file.write_text(json.dumps(settings, indent=1))
    before = {process.pid for process in faults.list_processes(cluster.name) if process.kind == "kubelet"}
    for pid in before:
        os.kill(pid, signal.SIGKILL)

    def restarted() -> bool:
        there = {process.pid for process in faults.list_processes(cluster.name) if process.kind == "kubelet"}
        return len(there - before) == len(before)

    wait_for("other kubelets", restarted)


def _install(cluster: api.Cluster, say: Say, damage: str | None) -> Hackathon:
    images = api.images(cluster, progress=say)
    for name in ("operator", "recorder"):
        hurt = damage if damage and DAMAGES[damage].image == name else ""
        images[name] = with_faked_clock(cluster, name, images[name], hurt)
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
    plan = load_plan(cluster.name)
    assert plan is not None
    if plan.size > 1:
        values = node_faults.place_platform(values, plan.nodes[0])
    hackathon = steps.install(cluster, "hack", values)
    steps.publish_datasets(hackathon, folder, say, (DATASET,))
    steps.wait_ready(hackathon, say)
    return hackathon


def _judge(shaking: Shaking, since: float) -> list[str]:
    """What is not as it must be; says it, and the table."""
    plan = load_plan(shaking.hackathon.cluster.name)
    assert plan is not None
    evidence = collect(shaking, plan.audit_log, since)
    violations = find_violations(evidence)
    took = [run.ended_at - run.submitted_at for run in evidence.runs if run.ended_at is not None]
    print(table(evidence, shaking.recoveries))
    print(
        f"\n{len(shaking.kills)} kills, {len(shaking.lasted)} faults that lasted, {len(evidence.runs)} submissions, "
        f"{len(violations)} violations. "
        f"From handing in to the end: {quantile(took, 0.5)} (p50), {quantile(took, 0.99)} (p99)."
    )
    for said in violations:
        print(f"VIOLATION: {said}")
    return violations


if __name__ == "__main__":
    sys.exit(main())
