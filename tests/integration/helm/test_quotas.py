"""Quotas of teams on a cluster that has just got the kinds, with the real quota controller."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster import api
from tests.cluster.versions import binary_path
from tests.integration.helm.conftest import ApiServer, Release, wait_for
from tests.integration.helm.test_hooks import execute, unpack
from tests.integration.helm.test_install import config_map, participant, submission, teams
from tests.unit.helm.chart import VALUES, helm, merged

pytestmark = pytest.mark.integration


@pytest.fixture
def fresh() -> Iterator[ApiServer]:
    """An API server without our kinds, and a quota controller that has looked at it."""
    name = f"quotas-{os.getpid()}"
    server = ApiServer(api.control_plane(name))
    flags = {
        "kubeconfig": server.cluster.kubeconfig,
        "controllers": "resourcequota-controller",
        "leader-elect": "false",
        "secure-port": "0",
    }
    argv = [
        str(binary_path("kube-controller-manager")),
        *(f"--{key}={value}" for key, value in flags.items()),
    ]
    controller = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "one", "namespace": "default"},
                 "spec": {"hard": {"count/configmaps": "9"}}}  # fmt: skip
        server.create(quota)
        wait_for(
            "it counts", lambda: "used" in server.get("resourcequota", "one", "default").get("status", {}), 60
        )
        yield server
    finally:
        controller.kill()
        controller.wait()
        api.down(name)


def test_a_teams_quota_is_in_effect_once_helm_install_ends(fresh: ApiServer, tmp_path: Path) -> None:
    quota = {"count/submissions.alcove.dev": "2", "count/configmaps": "9"}
    values = merged(VALUES, {**teams("quotas"), "teamQuota": quota})
    release = Release(fresh, "quotas", "quotas", values)
    done = release.install()
    assert done.returncode == 0, done.stderr
    # Helm waits for its hooks: this is what the pod of the one for quotas runs, with its account's rights.
    listed = helm("get", "hooks", "quotas", "-n", "quotas", kubeconfig=fresh.cluster.kubeconfig)
    hooks = [hook for hook in yaml.safe_load_all(listed.stdout) if hook]
    mine = [hook for hook in hooks if hook["metadata"]["name"] == "alcove-team-quotas"]
    for hook in mine:
        hook["metadata"].setdefault("namespace", "quotas")
        if hook["kind"] != "Job":
            fresh.create(hook)
    (pod,) = (hook["spec"]["template"]["spec"] for hook in mine if hook["kind"] == "Job")
    (container,) = pod["containers"]
    script = unpack(fresh, "alcove-team-quotas", "quotas", tmp_path / "quotas") / "await_quotas.py"
    more = {"KUBECONFIG": str(fresh.kubeconfig_of("alcove-team-quotas", "quotas", tmp_path))}
    done = execute(pod, [str(script), *container["args"]], more)
    assert (done.returncode, done.stdout) == (0, "The quotas of 2 teams are in effect.\n"), done.stderr
    user = "system:serviceaccount:quotas:alcove-team-quotas"
    fresh.refused("delete", "resourcequota", "alcove-team", "-n", "quotas-red", as_user=user)
    fresh.refused("get", "submissions", "-n", "quotas-red", as_user=user)
    assert fresh.get("resourcequota", "alcove-team", "quotas-red")["spec"]["hard"] == quota

    fresh.create(config_map("quotas-red"), participant("quotas-red"))
    for name in ("one", "two"):
        fresh.create(submission("quotas-red", "quotas", name), participant("quotas-red"))
    third = json.dumps(submission("quotas-red", "quotas", "three"))
    refused = fresh.kubectl("create", "-f", "-", stdin=third, as_user=participant("quotas-red"))
    assert "exceeded quota: alcove-team" in refused.stderr
