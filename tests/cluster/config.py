"""What the control plane is told, and in which order everything starts, as data for init.py."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from . import node_config
from .layout import API_PORT, CLUSTER_DOMAIN, REGISTRY_PORT, Node, Plan
from .steps import Step, program, start, wait
from .versions import binary_path, cache_dir

AUDIT_POLICY = "audit-policy.json"


def registry_storage() -> Path:
    """One store for all clusters: it is addressed by content, so what one has pushed the next need not."""
    return cache_dir() / "registry"


def _etcd() -> Step:
    client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
    return start(
        "etcd", program("etcd"), "--name", "etcd", "--data-dir", "/run/etcd", "--logger", "zap",
        "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
        "--initial-advertise-peer-urls", peer, "--initial-cluster", f"etcd={peer}",
        "--quota-backend-bytes", str(2**31),
    )  # fmt: skip


def _apiserver(plan: Plan) -> Step:
    pki, a = plan.pki, plan.addresses
    flags = {
        "etcd-servers": "http://127.0.0.1:2379",
        "advertise-address": a.node,
        "secure-port": API_PORT,
        "tls-cert-file": pki / "apiserver.crt",
        "tls-private-key-file": pki / "apiserver.key",
        "client-ca-file": pki / "ca.crt",
        "service-account-issuer": f"https://kubernetes.default.svc.{CLUSTER_DOMAIN}",
        "service-account-signing-key-file": pki / "service-account.key",
        "service-account-key-file": pki / "service-account.pub",
        "service-cluster-ip-range": a.services,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": "true",
        # The node's name means nothing to this host's resolver.
        "kubelet-preferred-address-types": "InternalIP",
        "profiling": "false",
    }
    if not plan.node:
        # Nobody makes service accounts there, and without one this check would refuse every pod.
        flags["disable-admission-plugins"] = "ServiceAccount"
    else:
        flags["kubelet-client-certificate"] = pki / "apiserver-kubelet.crt"
        flags["kubelet-client-key"] = pki / "apiserver-kubelet.key"
    if plan.audit:
        flags["audit-policy-file"] = plan.conf / AUDIT_POLICY
        flags["audit-log-path"] = plan.audit_log
    return start("kube-apiserver", binary_path("kube-apiserver"), *(f"--{k}={v}" for k, v in flags.items()))


def _controller_manager(plan: Plan) -> Step:
    pki, kubeconfig = plan.pki, plan.conf / "kube-controller-manager.kubeconfig"
    flags = {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "leader-elect": "false",
        "use-service-account-credentials": "true",
        "service-account-private-key-file": pki / "service-account.key",
        "root-ca-file": pki / "ca.crt",
        "cluster-signing-cert-file": pki / "ca.crt",
        "cluster-signing-key-file": pki / "ca.key",
        "allocate-node-cidrs": "false",
        # With the defaults it makes 9 pods a second out of Jobs, and would be what a test measures.
        "kube-api-qps": "200",
        "kube-api-burst": "400",
        "concurrent-job-syncs": "50",
    }
    binary = binary_path("kube-controller-manager")
    return start("kube-controller-manager", binary, *(f"--{k}={v}" for k, v in flags.items()))


def _scheduler(plan: Plan) -> Step:
    kubeconfig = plan.conf / "kube-scheduler.kubeconfig"
    return start(
        "kube-scheduler", binary_path("kube-scheduler"), f"--config={plan.conf / 'kube-scheduler.json'}",
        f"--authentication-kubeconfig={kubeconfig}", f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
    )  # fmt: skip


def scheduler_config(plan: Plan) -> dict[str, Any]:
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {
            "kubeconfig": str(plan.conf / "kube-scheduler.kubeconfig"), "qps": 200, "burst": 400,
        },
        # The default is 10 s; a test that waits for room should not.
        "podMaxBackoffSeconds": 2,
    }  # fmt: skip


def registry_config(plan: Plan) -> dict[str, Any]:
    return {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(registry_storage())}},
        "http": {"addr": f"{plan.addresses.node}:{REGISTRY_PORT}", "secret": plan.hostname},
    }


def write_audit_policy(plan: Plan) -> None:
    """Changes alone, without their content: who asked for which verb on which object, and the answer's status. Where
    there are nodes, and so real runs, also what the operator writes of a Submission."""
    told = {"level": "Request", "resources": [{"group": "alcove.dev", "resources": ["submissions/status"]}]}
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "verbs": ["get", "list", "watch"]},
            *([told] if plan.node else []),
            {"level": "Metadata"},
        ],
    }
    (plan.conf / AUDIT_POLICY).write_text(json.dumps(policy))


def write_files(plan: Plan) -> None:
    """Every configuration file of a cluster with nodes."""
    conf, registry = plan.conf, plan.registry
    texts = {
        "kube-scheduler.json": json.dumps(scheduler_config(plan), indent=1) + "\n",
        "registry.json": json.dumps(registry_config(plan), indent=1) + "\n",
        "Corefile": node_config.corefile(plan),
        "resolv.conf": f"nameserver {plan.addresses.dns}\n",
        # containerd 1.6 takes `server` for HTTPS whatever it says; only a host table makes it plain HTTP.
        f"registries/{registry}/hosts.toml": (
            f'server = "http://{registry}"\n[host."http://{registry}"]\n  capabilities = ["pull", "resolve"]\n'
        ),
    }
    for name, text in texts.items():
        path = conf / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for node in plan.nodes:
        node_config.write_files(node)


def steps(plan: Plan) -> list[Step]:
    """What init.py starts, in order, and what it waits for in between."""
    network = wait("network", address=plan.addresses.node)
    etcd = [_etcd()]
    etcd_up = wait("etcd answers", tcp=["127.0.0.1", 2379])
    if not plan.node:
        return [network, *etcd, etcd_up, _apiserver(plan)]
    first, *others = plan.nodes
    return [
        network,
        *etcd,
        start("registry", program("docker-registry"), "serve", plan.conf / "registry.json"),
        *node_config.start_runtime(first),
        etcd_up,
        _apiserver(plan),
        *node_config.import_pause(first),
        wait("kube-apiserver is ready", https=f"{plan.server}/readyz"),
        _controller_manager(plan),
        _scheduler(plan),
        *node_config.start_agents(first),
        *(step for node in others for step in node_config.add_node(node)),
    ]


def spec(plan: Plan, cgroup_doors: list[Path]) -> dict[str, Any]:
    """All that init.py needs to know."""
    namespaces = node_config.describe_namespaces(Node(plan, 1))
    if not plan.node:
        namespaces["sysctls"] = {}
    return {
        **namespaces,
        "state": str(plan.state),
        "cgroups": [str(door) for door in cgroup_doors],
        # A clean environment: a proxy meant for this host's own downloads would catch the cluster's inner traffic.
        "env": {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": os.path.expanduser("~"),
        },
        "steps": steps(plan),
    }
