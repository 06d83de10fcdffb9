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
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.chaos import api_faults, clock_faults, credential_faults, faults, node_faults, store_faults
from bench.chaos.clock_faults import ClockFaults, with_faked_clock
from bench.chaos.damage import DAMAGES
from bench.chaos.evidence import collect, read_evidence, write_evidence
from bench.chaos.history import Evidence
from bench.chaos.judge import find_violations, list_unjudged
from bench.chaos.load import BUDGET, DATASET, PHASE, Load
from bench.chaos.report import describe_strictness, summary, table
from bench.chaos.shaking import SETTLE, Say, Shaking
from bench.chaos.toxiproxy import run_toxiproxy
from tests.cluster import api, fake_clock
from tests.cluster.binaries import binaries
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
    given = read_options()
    if given.judge:
        return 1 if _judge([read_evidence(file) for file in given.judge]) else 0
    began = time.monotonic()

    def say(message: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {message}", file=sys.stderr, flush=True)

    # As Ctrl-C: faults are ended, and what was seen until then is judged.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    name = f"chaos-{os.getpid()}"
    try:
        disk = node_faults.DISK_MIB if given.nodes > 1 else 0
        cluster = api.up(name, progress=say, audit=True, nodes=given.nodes, disk_mib=disk)
        if given.kubelet_clocks:
            binaries(["kubelet-fake-clock"], say)
        set_up_kubelets(cluster, given.kubelet_clocks)
        violations = _judge([_shake(_install(cluster, say, given.damage), given, say)])
    except (ClusterError, DemoError) as error:
        say(f"It stopped: {error}")
        return 1
    finally:
        api.down(name, say)
    if given.damage is None:
        return 1 if violations else 0
    found = any(DAMAGES[given.damage].said in one for one in violations)
    say(f"The damage {given.damage} was {'found' if found else 'not found'}.")
    return 0 if found else 1


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Exits, and says why, where they are none."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=3, help="submissions under way")
    parser.add_argument("--out", type=Path, default=Path("out/chaos"), help="folder of the logs")
    parser.add_argument("--only", type=_split, default=ALL, help="kinds of faults, with commas")
    nodes = "of the cluster; with two or more the last one fails, too"
    parser.add_argument("--nodes", type=int, default=1, help=nodes)
    clocks = "step those of kubelets, too, which are built for minutes the first time"
    parser.add_argument("--kubelet-clocks", action="store_true", help=clocks)
    damage = "a fault of operator or recorder that is to be found"
    parser.add_argument("--damage", choices=DAMAGES, help=damage)
    judge = "judge *.evidence.json of earlier times again, with one table for all"
    parser.add_argument("--judge", type=Path, nargs="+", metavar="FILE", help=judge)
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.only) - set(ALL))
    if unknown:
        parser.error(f"There is no fault {', '.join(unknown)}. There are: {', '.join(ALL)}.")
    return given


def _split(text: str) -> list[str]:
    return text.split(",")


def _shake(hackathon: Hackathon, given: argparse.Namespace, say: Say) -> Evidence:
    """What was found out; it is in the folder of the logs, too. Raises DemoError."""
    cluster = hackathon.cluster
    plan = load_plan(cluster.name)
    assert plan is not None
    with run_toxiproxy(cluster.host_ip, plan.log / "toxiproxy.log") as proxy:
        sources: list[faults.LastingFaults] = [
            store_faults.place_proxy(hackathon, proxy),
            api_faults.place_proxy(hackathon, proxy),
            ClockFaults(hackathon),
            credential_faults.find_setup(hackathon),
        ]
        if (victim := node_faults.find_victim(hackathon)) is not None:
            sources.append(victim)
        # As pods reach it: from here the Service, which leads back to this machine, leads nowhere.
        seen = replace(hackathon, addresses={"alcove-store": f"http://{cluster.host_ip}:{store_faults.PORT}"})
        log, since = given.out / f"{given.seed}.jsonl", time.time()
        # What is damaged may never end.
        settle = SETTLE_DAMAGED if given.damage else SETTLE
        shaking = Shaking(seen, Load(seen, given.at_once), log, say, sources, settle)
        only = DAMAGES[given.damage].faults if given.damage else given.only
        kills = [kind for kind in faults.KINDS if kind in only]
        possible = {kind for source in sources for kind in source.kinds}
        if not given.kubelet_clocks:
            possible -= set(clock_faults.NODES)
        lasting = [kind for kind in LASTING if kind in only and kind in possible]
        seconds = given.minutes * 60
        broken = ""
        try:
            shaking.run(faults.draw(given.seed, seconds, kills, lasting), seconds)
        except (Exception, KeyboardInterrupt) as error:  # whatever it is, it must not cost the verdict
            broken = f"The run was cut short by {type(error).__name__}: {error}."
            say(f"{broken}\n{traceback.format_exc()}")
            shaking.cut_short()
        evidence = collect(shaking, plan.audit_log, since)
        if broken:
            evidence = replace(evidence, unreadable=(broken, *evidence.unreadable))
    write_evidence(evidence, log.with_suffix(".evidence.json"))
    return evidence


def set_up_kubelets(cluster: api.Cluster, fake_clocks: bool) -> None:
    """Has them restart what ends again and again after :data:`RESTARTED_AFTER`, and not after up to 5 minutes: else
    that pause is what is measured. Raises ClusterError and DemoError.

    Args:
        fake_clocks: whether their clocks can be stepped from then on.
    """
    plan = load_plan(cluster.name)
    assert plan is not None
    for node in plan.nodes:
        file = node.conf / "kubelet.json"
        settings = json.loads(file.read_text())
        settings["featureGates"] = {"KubeletCrashLoopBackOffMax": True}
        settings["crashLoopBackOff"] = {"maxContainerRestartPeriod": f"{RESTARTED_AFTER}s"}
        file.write_text(json.dumps(settings, indent=1))
        if fake_clocks:
            fake_clock.place_kubelet(node)
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


def _judge(found: Sequence[Evidence]) -> list[str]:
    """What is not as it must be; says it, and the table of all."""
    violations = [said for one in found for said in find_violations(one)]
    print(table(found))
    print(f"\n{summary(found, len(violations))}\n{describe_strictness(found)}")
    for said in sorted({gap for one in found for gap in list_unjudged(one)}):
        print(f"not judged: {said}")
    for said in violations:
        print(f"VIOLATION: {said}")
    return violations


if __name__ == "__main__":
    sys.exit(main())
