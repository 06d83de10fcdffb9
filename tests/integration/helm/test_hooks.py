"""The chart's hooks, with Helm waiting for them: what their pods would run is run here, with their accounts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import api
from tests.integration.helm.conftest import ApiServer, Release, Releases, wait_for
from tests.unit.helm.chart import CHART, Object, helm

pytestmark = pytest.mark.integration

DIGEST = "alcove.dev/schema-digest"
CRD, ANOTHER = "submissions.alcove.dev", "teamusages.alcove.dev"


class Background(threading.Thread):
    """A Helm command that waits for hooks."""

    def __init__(self, run: Any) -> None:
        super().__init__(daemon=True)
        self._run = run
        self.done: subprocess.CompletedProcess[str] | None = None

    def run(self) -> None:
        self.done = self._run()

    def result(self) -> subprocess.CompletedProcess[str]:
        self.join(60)
        assert self.done is not None, "Helm still waits for a hook"
        return self.done


@contextmanager
def background(run: Any) -> Iterator[Background]:
    thread = Background(run)
    thread.start()
    yield thread


def execute(pod: Object, arguments: list[str], more: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a container's command with our interpreter in place of the image's."""
    (container,) = pod["containers"]
    assert container["command"][:2] == ["/opt/alcove/bin/python", "-I"]
    variables = {e["name"]: e["value"] for e in container.get("env", ()) if "value" in e}
    environment = {"PATH": os.environ["PATH"], **variables, **more}
    argv = [sys.executable, "-I", *arguments]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=90, check=False)


def unpack(server: ApiServer, config_map: str, namespace: str, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in server.get("configmap", config_map, namespace)["data"].items():
        (folder / name).write_text(text)
    return folder


def complete(server: ApiServer, job: str, namespace: str) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    state = {"status": "True", "lastTransitionTime": now, "lastProbeTime": now}
    conditions = [{"type": kind, **state} for kind in ("SuccessCriteriaMet", "Complete")]
    times = {"startTime": now, "completionTime": now}
    server.status("job", job, namespace, {**times, "succeeded": 1, "conditions": conditions})


def age(server: ApiServer) -> None:
    """Puts an older definition in place, which knows one field less."""
    found = json.loads(server.ok("get", "crd", CRD, "-o", "json"))
    found["metadata"]["annotations"][DIGEST] = "older"
    schema = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["status"]["properties"]["rank"]
    found.pop("status")
    server.ok("replace", "-f", "-", stdin=json.dumps(found))


def fields(server: ApiServer) -> Object:
    found = json.loads(server.ok("get", "crd", CRD, "-o", "json"))
    schema: Object = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    properties: Object = schema["properties"]["status"]["properties"]
    return properties


@pytest.fixture
def older(server: ApiServer) -> Iterator[None]:
    yield
    for path in (CHART / "crds").glob("*.yaml"):
        server.ok("apply", "--server-side", "--force-conflicts", "-f", str(path))


def test_definitions_that_are_current_need_no_hook(server: ApiServer, releases: Releases) -> None:
    release = releases("current", {"teams": []})
    listed = helm("get", "hooks", release.name, "-n", "current", kubeconfig=server.cluster.kubeconfig)
    kinds = [(d["kind"], d["metadata"]["name"]) for d in yaml.safe_load_all(listed.stdout) if d]
    assert ("Job", "alcove-store-setup") in kinds
    assert ("Job", "alcove-crds-upgrade") not in kinds


@pytest.mark.usefixtures("older")
def test_older_definitions_are_upgraded_with_the_hooks_own_rights(
    server: ApiServer, releases: Releases, tmp_path: Path
) -> None:
    # No node runs the hooks that come after.
    values = {"teams": [], "store": {"setup": False}, "networkPolicy": {"findResolvers": False}}
    release = releases("crds", values)
    age(server)
    assert "rank" not in fields(server)
    # One that the earlier release did not have.
    server.ok("delete", "crd", ANOTHER)
    with background(lambda: release.upgrade(hooks=True)) as upgrade:
        wait_for("the hook's Job", lambda: server.exists("job", "alcove-crds-upgrade", "crds"))
        pod = server.get("job", "alcove-crds-upgrade", "crds")["spec"]["template"]["spec"]
        folder = unpack(server, "alcove-crds-upgrade", "crds", tmp_path / "crds")
        assert {path.name for path in folder.iterdir()} == {
            "upgrade_crds.py",
            f"{CRD}.yaml",
            f"{ANOTHER}.yaml",
        }
        account = pod["serviceAccountName"]
        more = {"KUBECONFIG": str(server.kubeconfig_of(account, "crds", tmp_path))}
        arguments = [str(folder / "upgrade_crds.py"), str(folder)]
        done = execute(pod, arguments, more)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout == f"{CRD}: upgraded\n{ANOTHER}: made\n"
        again = f"{CRD}: up to date\n{ANOTHER}: up to date\n"
        assert execute(pod, arguments, more).stdout == again
        # It has no right on any other definition, nor on anything else.
        user = f"system:serviceaccount:crds:{account}"
        server.refused("get", "crd", "datasets.alcove.dev", as_user=user)
        server.refused("delete", "crd", CRD, as_user=user)
        server.refused("get", "secrets", "-n", "crds", as_user=user)
        complete(server, "alcove-crds-upgrade", "crds")
        assert upgrade.result().returncode == 0, upgrade.result().stderr
    assert "rank" in fields(server)
    wait_for(
        "its rights being gone", lambda: not server.exists("clusterrole", "alcove-crds-upgrade-crds", "crds")
    )
    assert not server.exists("serviceaccount", "alcove-crds-upgrade", "crds")


@pytest.mark.usefixtures("older")
def test_a_refused_upgrade_of_definitions_says_what_to_do(
    server: ApiServer, releases: Releases, tmp_path: Path
) -> None:
    releases("refused", {"teams": []})
    age(server)
    (tmp_path / "crd.yaml").write_text((CHART / "crds" / "submissions.yaml").read_text())
    kubeconfig = server.kubeconfig_of("alcove-run", "refused", tmp_path)
    script = CHART / "files" / "upgrade_crds.py"
    done = subprocess.run(
        [sys.executable, "-I", str(script), str(tmp_path)],
        env={"PATH": os.environ["PATH"], "KUBECONFIG": str(kubeconfig)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "may not get customresourcedefinitions" in done.stdout
    assert "kubectl apply --server-side" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def minio() -> Iterator[api.StoreServer]:
    with api.minio_server() as server:
        yield server


def external(minio: api.StoreServer) -> Object:
    return {
        "kind": "external",
        "external": {"endpoint": minio.url, "adminSecret": "store-admin", "cidrs": ["127.0.0.0/8"]},
    }


def set_up_store(server: ApiServer, release: Release, minio: api.StoreServer, folder: Path) -> None:
    """Runs what the hook's Job would, on the users that the chart made up."""
    users = folder / "users.json"
    users.write_text(server.secret("alcove-store-users", release.namespace)["users.json"])
    listed = helm("get", "hooks", release.name, "-n", release.namespace, kubeconfig=server.cluster.kubeconfig)
    (job,) = (
        d for d in yaml.safe_load_all(listed.stdout) if d and d["metadata"]["name"] == "alcove-store-setup"
    )
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    more = {
        "ALCOVE_STORE_USERS": str(users),
        "ALCOVE_STORE_ADMIN_USER": minio.access_key,
        "ALCOVE_STORE_ADMIN_PASSWORD": minio.secret_key,
    }
    assert more.keys() <= {entry["name"] for entry in container["env"]}
    done = execute(pod, container["command"][2:], more)
    assert done.returncode == 0, done.stderr


class Node:
    """Stands in for the kubelet of `helm test`'s two pods."""

    def __init__(self, server: ApiServer, release: Release, folder: Path) -> None:
        self.server, self.namespace, self.folder = server, release.namespace, folder

    def run(self, name: str, more: dict[str, str], task: str) -> subprocess.CompletedProcess[str]:
        wait_for(f"the pod {name}", lambda: self.server.exists("pod", name, self.namespace))
        scripts = unpack(self.server, "alcove-test", self.namespace, self.folder / "test")
        pod = self.server.get("pod", name, self.namespace)["spec"]
        assert pod["containers"][0]["command"][-1] == task
        log = self.folder / f"{name}.termination"
        log.touch()
        done = execute(pod, [str(scripts), task], {**more, "ALCOVE_TERMINATION_LOG": str(log)})
        ended = {"exitCode": done.returncode, "reason": "Completed", "message": log.read_text()}
        container = {
            "name": "promises", "image": "x", "imageID": "", "ready": False, "restartCount": 0,
            "state": {"terminated": ended},
        }  # fmt: skip
        phase = "Failed" if done.returncode else "Succeeded"
        self.server.status("pod", name, self.namespace, {"phase": phase, "containerStatuses": [container]})
        return done


CLOSED = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "9"}
"""Where nothing listens: how the API server looks to a pod that a NetworkPolicy keeps from it."""


def helm_test(server: ApiServer, release: Release, folder: Path, enforced: bool) -> tuple[int, list[str]]:
    """Runs `helm test` as on a cluster that does, or doesn't, enforce NetworkPolicy; exit status and lines."""
    kubeconfig = server.cluster.kubeconfig
    open_address = {"KUBERNETES_SERVICE_HOST": server.cluster.node_ip, "KUBERNETES_SERVICE_PORT": "6443"}
    users = folder / "users"
    users.mkdir(exist_ok=True)
    for role in ("operator", "aggregate"):
        credentials = server.secret(f"alcove-store-{role}", release.namespace)["credentials.json"]
        (users / f"{role}.json").write_text(credentials)
    node = Node(server, release, folder)
    with background(
        lambda: helm("test", release.name, "-n", release.namespace, kubeconfig=kubeconfig)
    ) as test:
        node.run("alcove-test-run", CLOSED if enforced else open_address, "run")
        wait_for("its account", lambda: server.exists("serviceaccount", "alcove-test", release.namespace))
        token = server.kubeconfig_of("alcove-test", release.namespace, folder)
        more = {"KUBECONFIG": str(token), "ALCOVE_TEST_USERS": str(users)}
        judged = node.run("alcove-test", more, "check")
        assert "Traceback" not in judged.stderr, judged.stderr
        return test.result().returncode, judged.stdout.splitlines()


@pytest.fixture
def installed(server: ApiServer, releases: Releases, minio: api.StoreServer, tmp_path: Path) -> Release:
    namespace = f"promises-{os.urandom(3).hex()}"
    teams = {"teams": [{"name": "red"}, {"name": "blue"}]}
    release = releases(namespace, {**teams, "store": external(minio)})
    set_up_store(server, release, minio, tmp_path)
    available = {"type": "Available", "status": "True", "reason": "x", "message": "x"}
    server.status("deployment", "alcove-operator", namespace, {"conditions": [available]})
    return release


def test_every_promise_is_kept(server: ApiServer, installed: Release, tmp_path: Path) -> None:
    status, lines = helm_test(server, installed, tmp_path, enforced=True)
    assert lines[-1] == "All 12 promises are kept."
    assert status == 0
    promises = [line.split(": ")[0] for line in lines[:-1]]
    assert promises == [
        "PASS  custom resources", "PASS  operator", "PASS  store", "PASS  solutions hidden from aggregate",
        "PASS  solutions hidden from operator", "PASS  store for runs", "PASS  no token in runs",
        "PASS  network of runs", f"PASS  rights of {installed.namespace}-red",
        f"PASS  Submissions of {installed.namespace}-red", f"PASS  rights of {installed.namespace}-blue",
        f"PASS  Submissions of {installed.namespace}-blue",
    ]  # fmt: skip


def test_a_network_that_is_not_enforced_is_told(
    server: ApiServer, installed: Release, tmp_path: Path
) -> None:
    status, lines = helm_test(server, installed, tmp_path, enforced=False)
    (said,) = (line for line in lines if "network of runs" in line)
    assert said.startswith("FAIL  network of runs: NOT enforced")
    assert lines[-1] == "Of 12 promises: 11 kept, 1 broken."
    assert status != 0


def test_what_is_wrong_on_this_cluster_is_found(
    server: ApiServer, installed: Release, minio: api.StoreServer, tmp_path: Path
) -> None:
    namespace = installed.namespace
    # Everybody known to the cluster may read Datasets, the operator is down, its user may read all buckets, and what
    # puts the policy on Submissions in force is gone.
    server.ok("create", "role", "leak", "--verb=get,list", "--resource=datasets.alcove.dev", "-n", namespace)
    server.ok("create", "rolebinding", "leak", "--role=leak", "--group=system:authenticated", "-n", namespace)
    down = {"type": "Available", "status": "False", "reason": "x", "message": "no pod is ready"}
    server.status("deployment", "alcove-operator", namespace, {"conditions": [down]})
    operator = json.loads(server.secret("alcove-store-operator", namespace)["credentials.json"])
    _read_all(minio, operator["access_key"])
    server.ok("delete", "validatingadmissionpolicybinding", f"alcove-submissions.{namespace}")
    status, lines = helm_test(server, installed, tmp_path, enforced=True)
    broken = [line for line in lines if line.startswith("FAIL")]
    assert len(broken) == 6, lines
    text = "\n".join(broken)
    assert "operator: Not available (no pod is ready)" in text
    assert "solutions hidden from operator" in text
    assert f"The team may get datasets in {namespace}" in text
    assert text.count("takes one with 33 labels") == 2
    assert status != 0


def _read_all(minio: api.StoreServer, user: str) -> None:
    from minio import MinioAdmin
    from minio.credentials import StaticProvider

    keys = StaticProvider(minio.access_key, minio.secret_key)
    admin = MinioAdmin(endpoint=minio.endpoint, credentials=keys, secure=False)
    admin.policy_set(policy_name="readwrite", user=user)
