"""``python -m bench.pod_shapes --cluster NAME``: what a pod's shape alone costs until its program's first line.

Jobs that do nothing of ours, one after the other: what Kubernetes itself takes for each shape that a run could have.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from copy import deepcopy
from typing import Any

from bench import on_cluster
from tests.cluster import api
from tests.demo.hackathon import Hackathon

Pod = dict[str, Any]
PRINT_TIME = "import time; print(time.time())"
SLEEP_UNTIL_STOPPED = "import signal; signal.sigwait({signal.SIGTERM})"
VOLUMES = 9
"""As many as a run's pod has."""


def build_shapes(image: str, helper: str) -> dict[str, Pod]:
    """Pods by what they are called; ``helper`` is the image of what runs beside or before ``main``."""
    bare = on_cluster.build_bare_pod(image, PRINT_TIME)
    filled = deepcopy(bare)
    filled["volumes"] = [{"name": f"v{n}", "emptyDir": {}} for n in range(VOLUMES)]
    mounts = [{"name": f"v{n}", "mountPath": f"/mnt/{n}"} for n in range(VOLUMES)]
    filled["containers"][0]["volumeMounts"] = mounts

    def beside(name: str, program: str, **more: Any) -> Pod:
        container = on_cluster.build_container(helper, program)
        return {**container, "name": name, "volumeMounts": mounts, **more}

    sidecar = beside("recorder", SLEEP_UNTIL_STOPPED, restartPolicy="Always")
    init = beside("install", "pass")
    return {
        "a bare Job": bare,
        "the same with nine volumes": filled,
        "two containers": {**filled, "containers": [beside("recorder", "pass"), *filled["containers"]]},
        "a native sidecar": {**filled, "initContainers": [sidecar]},
        "a native sidecar and an init container": {**filled, "initContainers": [sidecar, init]},
    }


def measure(hackathon: Hackathon, times: int) -> dict[str, list[float]]:
    """Seconds from each Job's creation to its program's first line, in turns; the first turn pulls the images."""
    image = on_cluster.find_image(hackathon, "INGESTION_NUMPY")
    shapes = build_shapes(image, on_cluster.find_image(hackathon, "RECORDER"))
    found: dict[str, list[float]] = {name: [] for name in shapes}
    for turn in range(times + 1):
        for number, (name, pod) in enumerate(shapes.items()):
            began, printed = on_cluster.run_job(hackathon, f"shape-{number}-{turn}", pod)
            found[name].append(float(printed) - began)
    return {name: seconds[1:] for name, seconds in found.items()}


def print_table(found: dict[str, list[float]]) -> None:
    (_, bare), *_ = found.items()
    print(f"load {os.getloadavg()[0]:.1f}\n")
    print("| shape of the pod | create → first line, median | of a bare Job's |\n|---|---|---|")
    for name, seconds in found.items():
        median = statistics.median(seconds)
        print(f"| {name} | {median:.2f} s | {median / statistics.median(bare):.2f} |")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.pod_shapes", description=__doc__)
    parser.add_argument("--cluster", required=True, help="one that is up; it stays so")
    parser.add_argument("--times", type=int, default=10)
    arguments = parser.parse_args()

    def say(message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    hackathon = on_cluster.install(api.up(arguments.cluster, progress=say), say)
    print_table(measure(hackathon, arguments.times))
    return 0


if __name__ == "__main__":
    sys.exit(main())
