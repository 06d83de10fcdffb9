"""Faults between the operator and the API server: watches end, events come late, connections fall silent; and what
etcd forgets."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from bench.chaos import faults
from bench.chaos.toxiproxy import Toxiproxy
from tests.cluster.layout import API_PORT, init_pid
from tests.demo.hackathon import DemoError, Hackathon

TOXICS: dict[str, tuple[str, dict[str, int]]] = {
    "watches-cut": ("reset_peer", {"timeout": 0}),
    "events-late": ("latency", {"latency": 3000, "jitter": 2000}),
    "api-silent": ("timeout", {"timeout": 0}),
}
"""By kind: Toxiproxy's name and attributes; milliseconds. It ends no connection after a timeout of 0."""
COMPACTED = "etcd-compacted"
TOKEN_SECONDS = 600
"""The operator's token lives this long, the shortest that there is; the kubelet brings another before that."""
NAME = "kubernetes.default.svc"
"""Of the API server, in its certificate."""
PORT = 443
"""Where kopf looks for it under that name, whatever the environment says."""
_POST = (
    "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], sys.argv[2].encode(), 10).read().decode())"
)
TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True)
class ApiFaults:
    """Of the API server as the operator sees it, where :func:`place_proxy` has put ``proxy``."""

    hackathon: Hackathon
    proxy: Toxiproxy
    kinds = (*TOXICS, COMPACTED)

    def apply(self, kind: str) -> None:
        if kind == COMPACTED:
            self._compact()
            return
        toxic, attributes = TOXICS[kind]
        self.proxy.spoil("api", toxic, **attributes)

    def undo(self, kind: str) -> None:
        if kind != COMPACTED:
            self.proxy.heal("api", TOXICS[kind][0])

    def _compact(self) -> None:
        """etcd forgets all but what is there now, and the API server, which remembers more, is killed."""
        there = self._ask_etcd("kv/range", {"key": "AA=="})
        self._ask_etcd("kv/compaction", {"revision": there["header"]["revision"], "physical": True})
        for process in faults.list_processes(self.hackathon.cluster.name):
            if process.kind == "kube-apiserver":
                faults.kill(process, time.time())

    def _ask_etcd(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """By its JSON gateway, which answers inside the cluster's network alone."""
        first = init_pid(self.hackathon.cluster.state)
        argv = ["nsenter", f"--net=/proc/{first}/ns/net", sys.executable, "-I", "-c", _POST]
        argv += [f"http://127.0.0.1:2379/v3/{path}", json.dumps(body)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DemoError(f"etcd did not answer: {done.stderr.strip()[-200:]}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def place_proxy(hackathon: Hackathon, proxy: Toxiproxy) -> ApiFaults:
    """Has the operator reach the API server through a proxy on this machine, with a token that ends soon.

    Raises DemoError.
    """
    cluster = hackathon.cluster
    proxy.add("api", f"{cluster.host_ip}:{PORT}", f"{cluster.node_ip}:{API_PORT}")
    pod = {
        "hostAliases": [{"ip": cluster.host_ip, "hostnames": [NAME]}],
        "volumes": [{"name": "token", "projected": {"sources": _token_sources()}}],
        "containers": [
            {
                "name": "operator",
                "env": [
                    {"name": "KUBERNETES_SERVICE_HOST", "value": NAME},
                    {"name": "KUBERNETES_SERVICE_PORT", "value": str(PORT)},
                ],
                "volumeMounts": [{"name": "token", "mountPath": TOKENS, "readOnly": True}],
            }
        ],
    }
    patch = json.dumps({"spec": {"template": {"spec": pod}}})
    deployment = "deployment/alcove-operator"
    hackathon.kubectl("patch", deployment, "-n", hackathon.name, "-p", patch)
    hackathon.kubectl("rollout", "status", deployment, "-n", hackathon.name, "--timeout=180s", timeout=200)
    return ApiFaults(hackathon, proxy)


def _token_sources() -> list[dict[str, Any]]:
    namespace = {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
    return [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": TOKEN_SECONDS}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]
