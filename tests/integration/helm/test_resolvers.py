"""The hook that finds the resolvers of pods, with its own account against a real API server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.integration.helm.conftest import ApiServer, Releases
from tests.unit.helm.chart import Object, helm, of_kind

pytestmark = pytest.mark.integration

POLICY = "alcove-resolvers"
NODE_LOCAL = [
    {
        "to": [{"ipBlock": {"cidr": "169.254.20.10/32"}}],
        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
    }
]


def _hooks(server: ApiServer, namespace: str) -> list[Object]:
    listed = helm("get", "hooks", namespace, "-n", namespace, kubeconfig=server.cluster.kubeconfig)
    return [document for document in yaml.safe_load_all(listed.stdout) if document]


def _run_hook(
    server: ApiServer, namespace: str, folder: Path, resolv_conf: str
) -> subprocess.CompletedProcess[str]:
    """Does what Helm and a kubelet would: the hook's account and rights, then its script as that account."""
    hooks = [hook for hook in _hooks(server, namespace) if hook["metadata"]["name"] == POLICY]
    for hook in of_kind(hooks, "ServiceAccount", "Role", "RoleBinding"):
        hook["metadata"]["namespace"] = namespace
        server.ok("apply", "-f", "-", stdin=yaml.safe_dump(hook))
    (config_map,) = of_kind(hooks, "ConfigMap")
    (job,) = of_kind(hooks, "Job")
    pod = job["spec"]["template"]["spec"]
    script = folder / "find_resolvers.py"
    script.write_text(config_map["data"][script.name])
    text = folder / "resolv.conf"
    text.write_text(resolv_conf)
    arguments = pod["containers"][0]["command"][3:]
    kubeconfig = server.kubeconfig_of(pod["serviceAccountName"], namespace, folder)
    return subprocess.run(
        [sys.executable, "-I", str(script), *arguments],
        env={"KUBECONFIG": str(kubeconfig), "ALCOVE_RESOLV_CONF": str(text)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_resolvers_of_a_pod_are_allowed_and_an_upgrade_keeps_them(
    server: ApiServer, releases: Releases, tmp_path: Path
) -> None:
    release = releases("resolvers", {"teams": []})
    assert "egress" not in server.get("networkpolicy", POLICY, "resolvers")["spec"]
    done = _run_hook(server, "resolvers", tmp_path, "nameserver 169.254.20.10\noptions ndots:5\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "port 53 of 169.254.20.10" in done.stdout
    assert server.get("networkpolicy", POLICY, "resolvers")["spec"]["egress"] == NODE_LOCAL
    user = f"system:serviceaccount:resolvers:{POLICY}"
    server.refused(
        "patch", "networkpolicy", "alcove-default-deny", "-n", "resolvers", "--type=merge", "-p",
        '{"spec":{"egress":[{}]}}', as_user=user,
    )  # fmt: skip
    # Something of the chart changes, so that Helm has objects to patch.
    release.values["networkPolicy"] = {"metricsClients": [{"podSelector": {}}]}
    assert release.upgrade().returncode == 0
    assert server.get("networkpolicy", POLICY, "resolvers")["spec"]["egress"] == NODE_LOCAL
    assert release.uninstall().returncode == 0
    assert not server.exists("networkpolicy", POLICY, "resolvers")


def test_a_pod_without_a_resolver_is_told_what_to_set(
    server: ApiServer, releases: Releases, tmp_path: Path
) -> None:
    releases("unresolved", {"teams": []})
    done = _run_hook(server, "unresolved", tmp_path, "search svc.cluster.local\n")
    assert done.returncode == 1
    assert "networkPolicy.findResolvers to false" in done.stdout
    assert done.stderr == ""
