"""Starts a cluster, installs a hackathon, submits three submissions and prints the leaderboard."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from alcove_api.errors import AlcoveError
from alcove_cli.pages import fetch_pages
from alcove_cli.watch import follow_submissions
from alcove_kube.client import KubeClient
from tests.cluster import api
from tests.cluster.console import ClusterError, step
from tests.cluster.layout import Cluster
from tests.demo import hackathon as steps
from tests.demo import kind

BUDGET = 20
CAPACITY = 3
# Team, submission.
SUBMISSIONS = (("red", "chance"), ("blue", "sklearn"), ("green", "tensorflow"))
EXAMPLES = steps.REPOSITORY / "examples" / "submissions"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--name", default=api.DEFAULT_NAME, help="name of the cluster")
    parser.add_argument(
        "--cluster",
        default="throwaway",
        choices=tuple(GROUNDS),
        help="throwaway: Kubernetes is built here; kind: by the programs kind and docker, from prebuilt images",
    )
    parser.add_argument("--down", action="store_true", help="take the cluster down instead")
    parser.add_argument("--store", default="minio", choices=("minio", "seaweedfs"), help="the object store")
    arguments = parser.parse_args()
    started = time.monotonic()

    def say(message: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {message}", flush=True)

    try:
        if arguments.down:
            GROUNDS[arguments.cluster].down(arguments.name, say)
        else:
            run(GROUNDS[arguments.cluster], arguments.name, arguments.store, say)
    except (ClusterError, steps.DemoError, AlcoveError) as error:
        say(f"The demo stopped: {error}")
        return 1
    return 0


@dataclass(frozen=True)
class Ground:
    """What the demo needs of the two kinds of cluster."""

    up: Callable[[str, steps.Progress], Cluster]
    images: Callable[[Cluster, steps.Progress], dict[str, str]]
    reach: Callable[[Cluster, str], AbstractContextManager[dict[str, str]]]
    """URLs of the Services in a namespace that this machine reaches otherwise than by their cluster IP."""
    down: Callable[[str, steps.Progress], None]


GROUNDS = {
    "throwaway": Ground(
        lambda name, say: api.up(name, progress=say),
        lambda cluster, say: api.images(cluster, progress=say),
        lambda _cluster, _namespace: nullcontext({}),
        api.down,
    ),
    "kind": Ground(kind.up, kind.images, kind.forward, kind.down),
}


def run(ground: Ground, name: str, store: str, say: steps.Progress) -> None:
    cluster = ground.up(name, say)
    folder = cluster.state / "datasets"
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(steps.make_datasets, folder)
        images = ground.images(cluster, say)
        made.result()
    spec = {
        "title": "Practice hackathon",
        "capacity": CAPACITY,
        "limits": {"perDay": 100, "parallel": 3},
        "phases": [steps.practice_phase(BUDGET)],
    }
    with step(say, "helm install"):
        hackathon = steps.install(
            cluster,
            "hackathon",
            steps.chart_values(cluster, images, [team for team, _ in SUBMISSIONS], spec, store),
        )
    with ground.reach(cluster, hackathon.name) as addresses:
        compete(replace(hackathon, addresses=addresses), folder, say)


def compete(hackathon: steps.Hackathon, folder: Path, say: steps.Progress) -> None:
    """From the datasets to the board."""
    with step(say, "publishing six datasets"):
        steps.publish_datasets(hackathon, folder, say)
        steps.wait_ready(hackathon, say)
    say(f"Follow the board in a browser: {hackathon.board_url()}/{hackathon.name}/practice")
    wanted = []
    for team, submission in SUBMISSIONS:
        namespace = hackathon.team_namespace(team)
        hackathon.kubectl("apply", "-n", namespace, "-k", str(EXAMPLES / submission))
        wanted.append((namespace, submission))
        say(f"kubectl apply -n {namespace} -k examples/submissions/{submission}")
    follow_submissions(
        KubeClient.from_kubeconfig(str(hackathon.cluster.kubeconfig)), wanted, Console(), timeout=900
    )
    steps.wait_for("the leaderboard of each team's last submission", lambda: _is_ranked(hackathon, wanted))
    _show(hackathon, say)


def _is_ranked(hackathon: steps.Hackathon, wanted: list[tuple[str, str]]) -> bool:
    """Whether board and Submissions both show it: the ranks reach the Submissions a moment after the board."""
    if not board_holds(hackathon.get("leaderboard", "practice").get("status", {}), wanted):
        return False
    found = (hackathon.get("submission", name, namespace) for namespace, name in wanted)
    return all("rank" in submission["status"] for submission in found)


def board_holds(status: dict[str, Any], wanted: list[tuple[str, str]]) -> bool:
    """Whether a Leaderboard's entries are the last submissions of each team, in the order in which they were made."""
    entries = {entry["team"]: entry["submission"] for entry in status.get("entries", ())}
    return entries == dict(wanted)


def _show(hackathon: steps.Hackathon, say: steps.Progress) -> None:
    print(flush=True)
    for arguments in (
        ("get", "submissions", "-A"),
        ("get", "leaderboard", "-n", hackathon.name),
        ("get", "leaderboard", "practice", "-n", hackathon.name, "-o", "jsonpath={.status.table}"),
    ):
        print(f"$ kubectl {' '.join(arguments)}\n{hackathon.kubectl(*arguments)}", flush=True)
    name, cluster = hackathon.cluster.name, hackathon.cluster
    pages = steps.REPOSITORY / "out" / name
    fetch_pages(
        KubeClient.from_kubeconfig(str(cluster.kubeconfig)), hackathon.name, hackathon.store_url(), pages
    )
    say(f"Learning curves and reports: open {pages}/practice/leaderboard.html")
    say(f"Look around: export KUBECONFIG={cluster.kubeconfig}")
    if hackathon.addresses:
        say(f"The board: kubectl port-forward -n {hackathon.name} service/alcove-board 8080:http, then")
        say(f"  http://localhost:8080/{hackathon.name}/practice")
        say(f"Take it down: make demo-down CLUSTER=kind NAME={name}")
        return
    say(f"The board: {hackathon.board_url()}/{hackathon.name}/practice")
    say(f'Or, without KUBECONFIG: make kubectl ARGS="get submissions -A" NAME={name}')
    say(f"Commands that need the store, such as alcove report: add --store {hackathon.store_url()}")
    say(f"Take it down: make demo-down NAME={name}")


if __name__ == "__main__":
    sys.exit(main())
