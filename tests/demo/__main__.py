"""Starts a cluster, installs a hackathon, submits three submissions and prints the leaderboard."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rich.console import Console

from alcove_api.errors import AlcoveError
from alcove_cli.pages import fetch_pages
from alcove_cli.watch import follow_submissions
from alcove_kube.client import KubeClient
from tests.cluster import api
from tests.cluster.console import ClusterError, step
from tests.demo import hackathon as steps

BUDGET = 20
CAPACITY = 3
# Team, submission.
SUBMISSIONS = (("red", "chance"), ("blue", "sklearn"), ("green", "tensorflow"))
EXAMPLES = steps.REPOSITORY / "examples" / "submissions"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--name", default=api.DEFAULT_NAME, help="name of the cluster")
    parser.add_argument("--store", default="minio", choices=("minio", "seaweedfs"), help="the object store")
    arguments = parser.parse_args()
    started = time.monotonic()

    def say(message: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {message}", flush=True)

    try:
        run(arguments.name, arguments.store, say)
    except (ClusterError, steps.DemoError, AlcoveError) as error:
        say(f"The demo stopped: {error}")
        return 1
    return 0


def run(name: str, store: str, say: steps.Progress) -> None:
    cluster = api.up(name, progress=say)
    folder = cluster.state / "datasets"
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(steps.make_datasets, folder)
        images = api.images(cluster, progress=say)
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
    follow_submissions(KubeClient.from_kubeconfig(str(cluster.kubeconfig)), wanted, Console(), timeout=900)
    steps.wait_for("the leaderboard of each team's last submission", lambda: _is_ranked(hackathon, wanted))
    _show(hackathon, name, say)


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


def _show(hackathon: steps.Hackathon, name: str, say: steps.Progress) -> None:
    print(flush=True)
    for arguments in (
        ("get", "submissions", "-A"),
        ("get", "leaderboard", "-n", hackathon.name),
        ("get", "leaderboard", "practice", "-n", hackathon.name, "-o", "jsonpath={.status.table}"),
    ):
        print(f"$ kubectl {' '.join(arguments)}\n{hackathon.kubectl(*arguments)}", flush=True)
    pages = steps.REPOSITORY / "out" / name
    kube = KubeClient.from_kubeconfig(str(hackathon.cluster.kubeconfig))
    fetch_pages(kube, hackathon.name, hackathon.store_url(), pages)
    say(f"The board: {hackathon.board_url()}/{hackathon.name}/practice")
    say(f"Learning curves and reports: open {pages}/practice/leaderboard.html")
    say(f'Look around: make kubectl ARGS="get submissions -A" NAME={name}, or')
    say(f"  export KUBECONFIG={hackathon.cluster.kubeconfig}")
    say(f"Commands that need the store, such as alcove report: add --store {hackathon.store_url()}")
    say(f"Take it down: make demo-down NAME={name}")


if __name__ == "__main__":
    sys.exit(main())
