"""Teams that come and go: the real chart, operator and namespace controller. ALCOVE_TEAMS=200 tries as many teams."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from alcove_api.documents import StoreCredentials
from tests.cluster.minio import minio_server
from tests.cluster.versions import binary_path
from tests.integration.helm.conftest import ApiServer, Release, Releases, wait_for
from tests.integration.helm.test_install import submission
from tests.integration.operator_wiring.world import Operator
from tests.unit.helm.chart import Object

pytestmark = pytest.mark.integration
OWN, TEAMS = "many", int(os.environ.get("ALCOVE_TEAMS", "10"))
FINALIZER = "alcove.dev/runs"


def teams(count: int, without: tuple[int, ...] = ()) -> list[Object]:
    return [{"name": f"t{i:03}"} for i in range(count) if i not in without]


@pytest.fixture
def namespace_controller(server: ApiServer) -> Iterator[None]:
    """It alone of all controllers: it empties a namespace that is deleted, and waits for finalizers."""
    command = [
        str(binary_path("kube-controller-manager")),
        f"--kubeconfig={server.cluster.kubeconfig}",
        "--controllers=namespace-controller",
        "--leader-elect=false",
        "--secure-port=0",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)


@pytest.fixture
def operator(server: ApiServer, releases: Releases, tmp_path: Path) -> Iterator[tuple[Operator, Release]]:
    began = time.monotonic()
    release = releases(OWN, {"teams": teams(TEAMS)})
    print(f"\n{TEAMS} teams were installed in {time.monotonic() - began:.1f} s")
    credentials = tmp_path / "credentials.json"
    with minio_server() as store:
        access = StoreCredentials(access_key=store.access_key, secret_key=store.secret_key)
        credentials.write_text(access.model_dump_json())
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "KUBECONFIG": str(server.kubeconfig_of("alcove-operator", OWN, tmp_path)),
            "ALCOVE_TEAMS_CONFIG_MAP": "alcove-teams",
            "ALCOVE_COMPETITION_NAMESPACE": OWN,
            "ALCOVE_STORE_ENDPOINT": store.url,
            "ALCOVE_STORE_CREDENTIALS": str(credentials),
            "ALCOVE_SCORER_CREDENTIALS": str(credentials),
            "ALCOVE_METRICS_PORT": "0",
            "ALCOVE_HEALTH_PORT": "0",
            "ALCOVE_RESYNC_SECONDS": "2",
        } | {f"ALCOVE_IMAGE_{n}": f"alcove/{n.lower()}:1" for n in ("INGESTION", "RECORDER", "SCORER")}
        running = Operator(environment, tmp_path / "operator.log")
        try:
            print(f"the operator started in {running.start():.1f} s")
            yield running, release
        finally:
            running.kill()


def finalizers(server: ApiServer, team: str) -> list[str]:
    return list(server.get("submission", "first", team)["metadata"].get("finalizers") or [])


def submit(server: ApiServer, team: str) -> None:
    """With the finalizer that the operator would add once the Submission is counted."""
    made = submission(team, OWN)
    server.create({**made, "metadata": {**made["metadata"], "finalizers": [FINALIZER]}})


def is_served(server: ApiServer, team: str) -> bool:
    return "status" in server.get("submission", "first", team)


@pytest.mark.usefixtures("namespace_controller")
def test_teams_come_and_go_while_the_operator_works(
    server: ApiServer, operator: tuple[Operator, Release]
) -> None:
    running, release = operator
    assert running.process is not None
    pid = running.process.pid
    last, deleted, removed, new = (f"{OWN}-t{i:03}" for i in (TEAMS - 1, 7, 8, TEAMS))
    for team in (last, deleted, removed):
        submit(server, team)
        wait_for(f"{team} is served", partial(is_served, server, team), 20)
    print(f"the operator has {running.memory_mib():.0f} MiB")

    # A namespace that is deleted, with a Submission in it: the Role of the operator goes at the same time.
    began = time.monotonic()
    server.ok("delete", "namespace", deleted, "--wait=false")
    wait_for("the namespace is gone", lambda: server.kubectl("get", "namespace", deleted).returncode, 60)
    print(f"a namespace with a Submission was gone after {time.monotonic() - began:.1f} s")

    # One more team, and one fewer, by helm upgrade.
    release.values["teams"] = teams(TEAMS + 1, without=(7, 8))
    upgraded = release.upgrade()
    assert upgraded.returncode == 0, upgraded.stderr
    submit(server, new)
    wait_for(f"{new} is served", partial(is_served, server, new), 30)
    wait_for(f"{removed} is let go of", lambda: FINALIZER not in finalizers(server, removed), 30)
    server.ok("delete", "namespace", removed, "--wait=false")
    wait_for("the namespace is gone", lambda: server.kubectl("get", "namespace", removed).returncode, 60)
    assert FINALIZER in finalizers(server, last)
    assert running.process.pid == pid
    assert running.process.poll() is None
    assert running.text().count("The operator started") == 1


def test_the_operators_wide_right_ends_where_another_competition_begins(
    server: ApiServer, releases: Releases
) -> None:
    for name in ("narrow", "other"):
        releases(name, {"teams": [{"name": "red"}]})
        server.create(submission(f"{name}-red", name))
    path = "/apis/alcove.dev/v1alpha1/namespaces/{}/submissions/first"
    mine, foreign = path.format("narrow-red"), path.format("other-red")
    account, body = "system:serviceaccount:narrow:alcove-operator", {"metadata": {"finalizers": [FINALIZER]}}
    assert server.patch(mine, body, account) == 200
    wait_for("the policy", lambda: server.patch(foreign, body, account) == 403)
    assert FINALIZER not in json.dumps(server.get("submission", "first", "other-red"))
    server.ok("label", "namespace", "other-red", "alcove.dev/competition=narrow.narrow", "--overwrite")
    assert server.patch(foreign, body, account) == 200
    for where in (mine, foreign):
        assert server.patch(where, {"metadata": {"finalizers": []}}, account) == 200
