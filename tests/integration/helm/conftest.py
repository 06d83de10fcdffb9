"""A real API server with the chart's own rights; no node, so the tests run what the pods would."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import config
from urllib3 import HTTPHeaderDict

from tests.cluster import api
from tests.unit.helm.chart import CHART, VALUES, Object, helm, helm_binary, merged

PRACTICE = {"competition": {"spec": VALUES["competition"]["spec"]}}


def wait_for(what: str, condition: Callable[[], Any], seconds: float = 30) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what} did not happen within {seconds:.0f} s"
        time.sleep(0.1)
    return found


@dataclass(frozen=True)
class ApiServer:
    cluster: api.Cluster

    def kubectl(
        self, *arguments: str, stdin: str | None = None, as_user: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        argv = [str(self.cluster.kubectl), "--kubeconfig", str(self.cluster.kubeconfig), *arguments]
        if as_user:
            argv += ["--as", as_user]
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=60, check=False)

    def ok(self, *arguments: str, stdin: str | None = None, as_user: str | None = None) -> str:
        done = self.kubectl(*arguments, stdin=stdin, as_user=as_user)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def refused(self, *arguments: str, stdin: str | None = None, as_user: str | None = None) -> None:
        done = self.kubectl(*arguments, stdin=stdin, as_user=as_user)
        assert done.returncode != 0, f"{as_user} could: {arguments}"
        assert "forbidden" in done.stderr.lower(), done.stderr

    def get(self, kind: str, name: str, namespace: str) -> Object:
        found: Object = json.loads(self.ok("get", kind, name, "-n", namespace, "-o", "json"))
        return found

    def exists(self, kind: str, name: str, namespace: str) -> bool:
        return self.kubectl("get", kind, name, "-n", namespace).returncode == 0

    def create(self, document: Object, as_user: str | None = None) -> None:
        self.ok("create", "-f", "-", stdin=json.dumps(document), as_user=as_user)

    def secret(self, name: str, namespace: str) -> dict[str, str]:
        data = self.get("secret", name, namespace)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def patch(self, path: str, body: Object, as_user: str, in_groups: tuple[str, ...] = ()) -> int:
        """One PATCH, without the GET before it that kubectl makes; returns the HTTP status."""
        client = config.new_client_from_config(str(self.cluster.kubeconfig))
        groups = ["system:authenticated", *in_groups]
        if as_user.startswith("system:serviceaccount:"):
            groups += ["system:serviceaccounts", f"system:serviceaccounts:{as_user.split(':')[2]}"]
        pairs = [("Impersonate-User", as_user), *(("Impersonate-Group", group) for group in groups)]
        headers = HTTPHeaderDict([*pairs, ("Content-Type", "application/merge-patch+json")])
        answer = client.rest_client.pool_manager.request(
            "PATCH", client.configuration.host + path, body=json.dumps(body), headers=headers
        )
        return int(answer.status)

    def status(self, kind: str, name: str, namespace: str, status: Object) -> None:
        """Writes what a kubelet or a controller would."""
        body = json.dumps({"status": status})
        self.ok("patch", kind, name, "-n", namespace, "--subresource=status", "--type=merge", "-p", body)

    def kubeconfig_of(self, account: str, namespace: str, folder: Path) -> Path:
        """A kubeconfig with a real token of a service account."""
        token = self.ok("create", "token", account, "-n", namespace).strip()
        document = yaml.safe_load(self.cluster.kubeconfig.read_text())
        document["users"] = [{"name": "sa", "user": {"token": token}}]
        for context in document["contexts"]:
            context["context"]["user"] = "sa"
        path = folder / f"{namespace}-{account}.kubeconfig"
        path.write_text(yaml.safe_dump(document))
        return path


@pytest.fixture(scope="session")
def server() -> Iterator[ApiServer]:
    helm_binary()
    name = f"helm-{os.getpid()}"
    raised = api.control_plane(name)
    try:
        yield ApiServer(raised)
    finally:
        api.down(name)


@dataclass
class Release:
    server: ApiServer
    name: str
    namespace: str
    values: Object

    def _run(self, verb: str, *more: str | Path, hooks: bool = False) -> subprocess.CompletedProcess[str]:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(self.values, file)
            file.flush()
            arguments = [verb, self.name, CHART, "-n", self.namespace, "-f", file.name, *more]
            # No node, so no hook's pod would ever end.
            arguments += [] if hooks else ["--no-hooks"]
            return helm(*arguments, kubeconfig=self.server.cluster.kubeconfig)

    def install(self, *more: str | Path) -> subprocess.CompletedProcess[str]:
        return self._run("install", "--create-namespace", *more)

    def upgrade(self, *more: str | Path, hooks: bool = False) -> subprocess.CompletedProcess[str]:
        return self._run("upgrade", *more, hooks=hooks)

    def uninstall(self) -> subprocess.CompletedProcess[str]:
        arguments = ["uninstall", self.name, "-n", self.namespace, "--no-hooks"]
        return helm(*arguments, kubeconfig=self.server.cluster.kubeconfig)


Releases = Callable[..., Release]


@pytest.fixture
def releases(server: ApiServer) -> Iterator[Releases]:
    """Makes releases that are gone when the test is over; their namespaces go with the API server."""
    made: list[Release] = []

    def make(namespace: str, over: Object | None = None, install: bool = True) -> Release:
        # A ResourceQuota without its controller admits nothing.
        none = {"count/configmaps": None, "count/submissions.alcove.dev": None}
        values = merged(merged(VALUES, {"teamQuota": none}), over or {})
        release = Release(server, namespace, namespace, values)
        made.append(release)
        if install:
            done = release.install()
            assert done.returncode == 0, done.stderr
        return release

    yield make
    for release in made:
        release.uninstall()
