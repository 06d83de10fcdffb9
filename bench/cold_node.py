"""What the first run of a node waits for its image: ``python -m bench.cold_node``, on a throwaway cluster of its own.

The same model is submitted for NumPy and for TensorFlow, to a node that has neither image, that has the other one, and
that has it already; the recorder's image is there each time. Sizes and pulls are the kubelet's, from
its events. Registry and node share a machine: between machines a pull takes at least the size over the network's speed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from typing import Any

from bench.on_cluster import FIRST_LINE
from tests.cluster import api
from tests.cluster.layout import init_pid
from tests.cluster.node_config import CONTAINERD_SOCKET
from tests.demo import hackathon as steps
from tests.demo.hackathon import Hackathon
from tests.e2e.conftest import Team

VARIANTS = {"numpy": "ingestion-numpy", "tensorflow": "ingestion"}
PULLED = re.compile(r"Successfully pulled image .* in (?:(\d+)m)?([0-9.]+)(ms|s) .*Image size: (\d+) bytes")


def forget_images(hackathon: Hackathon, repositories: list[str]) -> None:
    """Removes them from the node's containerd, with every layer that no other image has."""
    pid = init_pid(hackathon.cluster.state)
    containerd = ["nsenter", "-t", str(pid), "-m", "ctr", "-a", CONTAINERD_SOCKET, "-n", "k8s.io", "images"]
    listed = subprocess.run([*containerd, "ls"], check=True, capture_output=True, text=True).stdout
    # Reference, type, digest: the kubelet's runtime keeps an image under its configuration's digest, too.
    known = [line.split()[:3] for line in listed.splitlines()[1:]]
    digests = {digest for name, _, digest in known if name.split("@")[0].endswith(tuple(repositories))}
    names = [name for name, _, digest in known if digest in digests]
    if names:
        subprocess.run([*containerd, "rm", "--sync", *names], check=True, stdout=subprocess.DEVNULL)


def wait_without_pods(hackathon: Hackathon) -> None:
    """Layers of a container that is still there would not be removed."""

    def gone() -> bool:
        found = hackathon.kubectl(
            "get", "pods", "-n", hackathon.name, "-l", "alcove.dev/role=run", "-o", "name"
        )
        return not found.strip()

    steps.wait_for("the end of earlier pods", gone, 120)


def find_pull(hackathon: Hackathon, image: str) -> tuple[float, float] | None:
    """Seconds and MB of the last pull that the kubelet tells; None where it told none."""
    listed = hackathon.kubectl("get", "events", "-n", hackathon.name, "-o", "json")
    events: list[dict[str, Any]] = json.loads(listed)["items"]
    for event in sorted(events, key=lambda event: event["metadata"]["creationTimestamp"], reverse=True):
        found = PULLED.search(event["message"])
        if found and f"/{image}@" in event["message"]:
            minutes, number, unit, size = found.groups()
            seconds = float(number) / (1000 if unit == "ms" else 1) + 60 * int(minutes or 0)
            return seconds, int(size) / 1e6
    return None


def submit(team: Team, name: str, framework: str) -> float:
    """Seconds from its creation to the participant's first line."""
    hackathon = team.hackathon
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": team.namespace}}
    hackathon.kubectl("create", "-f", "-", stdin=json.dumps({**data, "data": {"model.py": FIRST_LINE}}))
    began = time.time()
    team.submit(name, {"configMap": {"name": name}, "framework": framework}, phase="practice")
    team.until(name, seconds=300)
    line = next(text for text in team.log(name).splitlines() if text.startswith("FIRST "))
    hackathon.kubectl("delete", "submission", name, "-n", team.namespace)
    return float(line.split()[1]) - began


def main() -> int:
    name = f"cold-{os.getpid()}"
    cluster = api.up(name)
    try:
        images = api.images(cluster)
        folder = cluster.state / "datasets"
        steps.make_datasets(folder, ("digits",))
        phase = {**steps.practice_phase(60), "datasets": ["digits"]}
        values = steps.chart_values(cluster, images, ("red",), {"phases": [phase]}, "minio")
        hackathon = steps.install(cluster, "cold", values)
        steps.publish_datasets(hackathon, folder, print, ("digits",))
        steps.wait_ready(hackathon, print)
        team = Team(hackathon, "red")
        # The recorder's image, and what else only a first run brings, are not what is measured.
        submit(team, "first", "numpy")
        print(
            "| the node has | framework | create → first line | pull | image, compressed |\n|---|---|---|---|---|"
        )
        for framework, variant in VARIANTS.items():
            (other,) = VARIANTS.keys() - {framework}
            for has in ("neither image", "the image of the other", "the image"):
                wait_without_pods(hackathon)
                if has != "the image":
                    forget_images(hackathon, [f"/alcove/{each}" for each in VARIANTS.values()])
                if has == "the image of the other":
                    submit(team, f"{framework}-before", other)
                    wait_without_pods(hackathon)
                waited = submit(team, f"{framework}-{has.replace(' ', '-')}", framework)
                pull = find_pull(hackathon, variant) if has != "the image" else None
                told = f"{pull[0]:.1f} s | {pull[1]:.0f} MB" if pull else "– | –"
                print(f"| {has} | {framework} | {waited:.2f} s | {told} |", flush=True)
    finally:
        api.down(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
