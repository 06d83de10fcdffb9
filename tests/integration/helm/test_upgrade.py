"""From the chart and operator of an earlier commit to these: with a run under way, one in the queue, one on the board.

The older release is installed from the repository's own history, and its own operator works on it.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from alcove_api.documents import StoreCredentials
from alcove_kube.resources import COMPETITIONS, JOBS, LEADERBOARDS, SUBMISSIONS, TEAM_USAGES
from tests.cluster.minio import minio_server
from tests.cluster.stores import StoreServer
from tests.integration.helm.conftest import ApiServer
from tests.integration.operator_wiring.test_flow import FINISHED, jobs_of, run_status, score
from tests.integration.operator_wiring.world import BLUE, NAMESPACE, RED, Operator, World, wait_for
from tests.unit.helm.chart import CHART, IMAGES, REPOSITORY, helm

pytestmark = pytest.mark.integration
OLD = "b215e0cd557bcfd5bc30f8fbbdac5f0324057965"
"""The last commit before blind finals, repeats, decisions and teams that come and go."""
CUP = "kept"
VALUES = {
    **IMAGES,
    # The Competition is applied beside the release, as the wiring's tests do it.
    "competition": {"name": CUP, "spec": {}},
    "teams": [{"name": team.removeprefix(f"{NAMESPACE}-"), "namespace": team} for team in (RED, BLUE)],
    "teamQuota": {"count/configmaps": None, "count/submissions.alcove.dev": None},
}


@dataclass(frozen=True)
class Checkout:
    """A version of the repository: its chart, and the code of its operator."""

    root: Path
    code: str = ""
    """For PYTHONPATH, before the installed packages; "" for the installed ones."""

    def run(self, module: str, environment: dict[str, str]) -> None:
        """One of its programs, to its end."""
        subprocess.run(
            [sys.executable, "-m", module],
            env={**self.environment(), **environment},
            check=True,
            capture_output=True,
            timeout=60,
        )

    def environment(self) -> dict[str, str]:
        path = {"PYTHONPATH": self.code} if self.code else {}
        return {"PATH": os.environ["PATH"], **path}


@pytest.fixture
def old(tmp_path: Path) -> Checkout:
    root = tmp_path / "old"
    wanted = ("crds", "operator", "datasets", "helm")
    found = subprocess.run(
        ["git", "-C", str(REPOSITORY), "archive", OLD, *wanted], capture_output=True, check=False
    )
    assert found.returncode == 0, (
        f"The commit {OLD[:7]} of the older release is not in this clone: {found.stderr.decode().strip()}. "
        "Fetch the whole history (git fetch --unshallow)."
    )
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        archive.extractall(root, filter="data")
    return Checkout(root, os.pathsep.join(str(root / folder) for folder in wanted[:3]))


NEW = Checkout(REPOSITORY)


@pytest.fixture
def store() -> Iterator[StoreServer]:
    with minio_server() as server:
        yield server


def set_up_store(version: Checkout, store: StoreServer, folder: Path) -> None:
    """What the release's hook does, by that version's policies."""
    users = folder / "users.json"
    user = {"role": "operator", "access_key": "operator", "secret_key": "operator-secret"}
    users.write_text(json.dumps({"users": [user]}))
    environment = {
        "ALCOVE_STORE_ENDPOINT": store.url,
        "ALCOVE_STORE_ADMIN_USER": store.access_key,
        "ALCOVE_STORE_ADMIN_PASSWORD": store.secret_key,
        "ALCOVE_STORE_USERS": str(users),
    }
    version.run("alcove_operator.store_setup", environment)


def release(
    server: ApiServer, version: Checkout, verb: str, folder: Path, store: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    values = folder / "values.yaml"
    values.write_text(yaml.safe_dump({**VALUES, **({"store": store} if store else {})}))
    chart = version.root / CHART.relative_to(REPOSITORY)
    # Helm itself never upgrades definitions: a hook does, whose pod would need a node.
    for path in sorted((chart / "crds").glob("*.yaml")):
        server.ok("apply", "--server-side", "--force-conflicts", "-f", str(path))
    arguments: list[str | Path] = [verb, NAMESPACE, chart, "-n", NAMESPACE, "-f", values, "--no-hooks"]
    arguments += ["--create-namespace"] if verb == "install" else []
    return helm(*arguments, kubeconfig=server.cluster.kubeconfig)


def operator(server: ApiServer, version: Checkout, store: StoreServer, folder: Path) -> Operator:
    """With the environment that its own chart gives it, but for what is only in a pod."""
    found = server.get("deployment", "alcove-operator", NAMESPACE)
    (container,) = found["spec"]["template"]["spec"]["containers"]
    given = {e["name"]: e["value"] for e in container["env"] if e.get("value")}
    credentials = folder / "credentials.json"
    access = StoreCredentials(access_key="operator", secret_key="operator-secret")
    credentials.write_text(access.model_dump_json())
    scorer = folder / "scorer.json"
    access = StoreCredentials(access_key=store.access_key, secret_key=store.secret_key)
    scorer.write_text(access.model_dump_json())
    own = {
        "HOME": str(folder),
        "KUBECONFIG": str(server.kubeconfig_of("alcove-operator", NAMESPACE, folder)),
        "ALCOVE_STORE_ENDPOINT": store.url,
        "ALCOVE_STORE_CREDENTIALS": str(credentials),
        "ALCOVE_SCORER_CREDENTIALS": str(scorer),
        "ALCOVE_METRICS_PORT": "0",
        "ALCOVE_HEALTH_PORT": "0",
        "ALCOVE_IDENTITY": "operator-0",
    }
    return Operator({**version.environment(), **given, **own}, folder / "operator.log")


def make_board(world: World) -> int:
    """What the aggregate Job would do; the generation of the board."""
    job = world.job(f"a-{CUP}-practice-")
    generation = int(job["metadata"]["labels"]["alcove.dev/generation"])
    uid = (world.find(SUBMISSIONS, "scored", RED) or {})["metadata"]["uid"]
    entry = {"rank": 1, "team": RED, "submission": "scored", "submissionUid": uid, "averageRank": 1.0}
    world.status(LEADERBOARDS, f"{CUP}-practice", {"generation": generation, "teams": 1, "entries": [entry]})
    world.finish(job)
    wait_for("its rank", lambda: world.submission_status("scored").get("rank"))
    return generation


def finish(world: World, name: str, team: str, uid: str, pod: str, job: dict[str, Any]) -> None:
    """The run ends, and is scored."""
    world.ended(pod, 0, FINISHED)
    world.finish(job)
    score(world, world.job(f"s-{uid[:8]}"), 0.75)
    wait_for(f"{name} is done", lambda: run_status(world, name, team).get("phase") == "Done" or None)


def run_jobs(world: World, uid: str) -> list[str]:
    return [j["metadata"]["uid"] for j in jobs_of(world, uid) if j["metadata"]["name"].startswith("r-")]


def usage(world: World) -> dict[str, Any]:
    """By team; of the release before, where it is not moved."""
    competition = world.find(COMPETITIONS, CUP) or {}
    earlier = {team["team"]: team for team in competition["status"].get("usage") or ()}
    listed = world.ask("GET", TEAM_USAGES.path(NAMESPACE))["items"] if not earlier else []
    return earlier or {one["spec"]["team"]: one["status"] for one in listed}


def test_an_upgrade_loses_nothing_and_runs_nothing_twice(
    server: ApiServer, store: StoreServer, old: Checkout, tmp_path: Path
) -> None:
    installed = release(server, old, "install", tmp_path)
    assert installed.returncode == 0, installed.stderr
    set_up_store(old, store, tmp_path)
    world = World(server.cluster, store, operator(server, old, store, tmp_path))
    try:
        world.operator.start()
        world.open_competition(CUP, capacity=1)
        scored = world.submission("scored", CUP)["metadata"]["uid"]
        world.running(pod := world.pod_of(job := world.job(f"r-{scored[:8]}")))
        finish(world, "scored", RED, scored, pod, job)
        board = make_board(world)
        going = world.submission("going", CUP)["metadata"]["uid"]
        world.running(pod := world.pod_of(job := world.job(f"r-{going[:8]}")))
        wait_for("it runs", lambda: run_status(world, "going", RED).get("phase") == "Running" or None)
        waiting = world.submission("waiting", CUP, BLUE)["metadata"]["uid"]
        wait_for("it waits", lambda: world.submission_status("waiting", BLUE).get("admittedAt"))
        before = {
            name: world.submission_status(name, team) for name, team in (("scored", RED), ("going", RED))
        }
        used, scorers = usage(world), [j["metadata"]["uid"] for j in jobs_of(world, scored)]
        assert world.operator.stop() == 0

        # The default is another store than it was, which would be empty: nobody gets that without having said so.
        refused = release(server, NEW, "upgrade", tmp_path)
        assert "Set store.kind: minio" in refused.stderr
        upgraded = release(server, NEW, "upgrade", tmp_path, {"kind": "minio"})
        assert upgraded.returncode == 0, upgraded.stderr
        set_up_store(NEW, store, tmp_path)
        world.operator = operator(server, NEW, store, tmp_path)
        world.operator.start()

        # What was there is there, and the run goes on in its Job and pod.
        wait_for("the operator works", lambda: "DecisionsApply" in str(world.find(COMPETITIONS, CUP)) or None)
        shown = (
            "phase",
            "rank",
            "place",
            "score",
            "scoringDigest",
            "runs",
            "counted",
            "admittedAt",
            "codeSha256",
        )
        now = world.submission_status("scored")
        assert {key: now.get(key) for key in shown} == {key: before["scored"].get(key) for key in shown}
        assert run_jobs(world, going) == [job["metadata"]["uid"]]
        lasting = ("total", "today", "computeSeconds", "settling")
        assert {t: [u.get(k) for k in lasting] for t, u in usage(world).items()} == {
            t: [u.get(k) for k in lasting] for t, u in used.items()
        }

        # It ends and is scored; then the next in the queue has its turn: each in its first attempt.
        finish(world, "going", RED, going, pod, job)
        world.running(pod := world.pod_of(job := world.job(f"r-{waiting[:8]}")))
        finish(world, "waiting", BLUE, waiting, pod, job)
        for name, team in (("scored", RED), ("going", RED), ("waiting", BLUE)):
            assert run_status(world, name, team)["attempt"] == 1
        # The same settings make the same score, so that none is computed again.
        assert {j["metadata"]["uid"] for j in jobs_of(world, scored)} <= set(scorers)
        assert world.submission_status("scored")["scoringDigest"] == before["scored"]["scoringDigest"]
        wait_for("all is settled", lambda: not any(u.get("settling") for u in usage(world).values()) or None)
        assert {team: u["total"] for team, u in usage(world).items()} == {RED: 2, BLUE: 1}
        newest = wait_for("a newer board", lambda: _newest_board(world, board))
        assert newest > board
    finally:
        world.operator.kill()


def _newest_board(world: World, old: int) -> int | None:
    jobs = [j for j in world.list(JOBS) if j["metadata"]["name"].startswith(f"a-{CUP}-practice-")]
    newest = max((int(j["metadata"]["labels"]["alcove.dev/generation"]) for j in jobs), default=0)
    return newest if newest > old else None
