"""What every daemon is told: its command line and its configuration file, as data for init.py."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .console import ClusterError
from .deps import CNI_PLUGINS, tool_path
from .layout import API_PORT, CLUSTER_DOMAIN, REGISTRY_PORT, Plan
from .versions import binary_path, cache_dir

Step = dict[str, Any]

PAUSE_IMAGE = "localhost/alcove-pause:v1"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
AUDIT_POLICY = "audit-policy.json"
MAX_PODS = 250
_KUBELET_PORT = 10250

# What kubelet wants of the kernel. It is shown these values instead of being let loose on the host's.
_KUBELET_SYSCTLS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def pause_archive() -> Path:
    return cache_dir() / "images" / "pause-v1.tar"


def registry_storage() -> Path:
    """One store for all clusters: it is addressed by content, so what one has pushed the next need not."""
    return cache_dir() / "registry"


def _program(name: str) -> str:
    path = tool_path(name)
    if path is None:
        raise ClusterError(
            f"The program {name} is not installed, so the cluster cannot start. "
            "Install what is missing with: python -m tests.cluster deps"
        )
    return path


def _start(name: str, *argv: str | Path) -> Step:
    return {"do": "start", "name": name, "argv": [str(arg) for arg in argv]}


def _wait(name: str, **condition: object) -> Step:
    return {"do": "wait", "name": name, **condition}


def _etcd() -> Step:
    client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
    return _start(
        "etcd", _program("etcd"), "--name", "etcd", "--data-dir", "/run/etcd", "--logger", "zap",
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
    return _start("kube-apiserver", binary_path("kube-apiserver"), *(f"--{k}={v}" for k, v in flags.items()))


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
    return _start("kube-controller-manager", binary, *(f"--{k}={v}" for k, v in flags.items()))


def _scheduler(plan: Plan) -> Step:
    kubeconfig = plan.conf / "kube-scheduler.kubeconfig"
    return _start(
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


def kubelet_config(plan: Plan) -> dict[str, Any]:
    pki = plan.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": plan.addresses.node,
        "port": _KUBELET_PORT,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{plan.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "maxPods": MAX_PODS,
        "clusterDNS": [plan.addresses.dns],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(plan.conf / "resolv.conf"),
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "nodeStatusUpdateFrequency": "2s",
        "syncFrequency": "10s",
        # How soon an overrun of a volume's size limit is noticed; the default is a minute.
        "volumeStatsAggPeriod": "10s",
        "oomScoreAdj": 0,
        # The disk is shared with the host, whose other users' files are no reason to throw out pods or images.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "50Mi", "nodefs.available": "1%", "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
    }  # fmt: skip


def _kubelet(plan: Plan) -> Step:
    return _start(
        "kubelet", binary_path("kubelet"), f"--config={plan.conf / 'kubelet.json'}",
        f"--kubeconfig={plan.conf / 'kubelet.kubeconfig'}", f"--hostname-override={plan.hostname}",
        f"--node-ip={plan.addresses.node}", "--root-dir=/var/lib/kubelet",
    )  # fmt: skip


def proxy_config(plan: Plan) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": plan.hostname,
        "clusterCIDR": str(plan.addresses.pods),
        "clientConnection": {"kubeconfig": str(plan.conf / "kube-proxy.kubeconfig")},
        # Both belong to the whole host.
        "conntrack": {"maxPerCore": 0, "min": 0},
        "oomScoreAdj": 0,
        "nftables": {"minSyncPeriod": "200ms"},
    }


def _await_node(plan: Plan) -> Step:
    argv = [
        binary_path("kubectl"), "--kubeconfig", plan.state / "kubeconfig", "--cache-dir", plan.state / "kubectl",
        "wait", "--for=create", f"node/{plan.hostname}", "--timeout=100s",
    ]  # fmt: skip
    return {"do": "run", "name": "await-node", "argv": [str(arg) for arg in argv]}


def _policy_engine(plan: Plan) -> Step:
    """kube-router as a NetworkPolicy engine alone: no routes, and no Services, which are kube-proxy's. It ends if its
    node isn't registered yet."""
    return _start(
        "kube-router", binary_path("kube-router"), "--run-firewall=true", "--run-router=false",
        "--run-service-proxy=false", f"--kubeconfig={plan.conf / 'kube-router.kubeconfig'}",
        f"--hostname-override={plan.hostname}",
        # What goes to these addresses passes whatever the policies say. Where kube-proxy translates them first, no
        # packet has one any more; but the DNS has its own among them, on the node. So they are one that nobody uses.
        f"--service-cluster-ip-range={plan.addresses.services.broadcast_address}/32",
        "--health-port=0",
    )  # fmt: skip


def corefile(plan: Plan) -> str:
    address = plan.addresses.dns
    # Two zones, since in one `template` would answer before `kubernetes` is asked. Nothing leaves the cluster, and
    # saying so at once beats a timeout.
    return f"""\
{CLUSTER_DOMAIN}:53 in-addr.arpa:53 {{
    bind {address}
    errors
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{
        kubeconfig {plan.conf / "coredns.kubeconfig"}
        pods insecure
        ttl 5
    }}
}}
.:53 {{
    bind {address}
    errors
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
}}
"""


def containerd_config(plan: Plan, snapshotter: str) -> str:
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = "{CONTAINERD_SOCKET}"

[{cri}]
  sandbox_image = "{PAUSE_IMAGE}"
  # Where the host withholds CAP_SYS_RESOURCE, runc would die of lowering the score.
  restrict_oom_score_adj = true
  max_concurrent_downloads = 6

  [{cri}.cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{plan.conf / "cni"}"

  [{cri}.containerd]
    snapshotter = "{snapshotter}"

  [{cri}.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [{cri}.containerd.runtimes.runc.options]
      SystemdCgroup = false

  [{cri}.registry]
    config_path = "{plan.conf / "registries"}"
"""


def cni_config(plan: Plan) -> dict[str, Any]:
    # Point to point rather than a bridge: what goes over a bridge from pod to pod would pass by the kernel's
    # connection tracking, and answers from a Service would come from the wrong address.
    return {
        "cniVersion": "0.4.0",
        "name": "alcove",
        "plugins": [
            {
                "type": "ptp",
                "mtu": 1500,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": str(plan.addresses.pods)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }


def registry_config(plan: Plan) -> dict[str, Any]:
    return {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(registry_storage())}},
        "http": {"addr": f"{plan.addresses.node}:{REGISTRY_PORT}", "secret": plan.hostname},
    }


def _snapshotter(plan: Plan) -> str:
    """Overlay file systems do not stack: where the cache lies on one, containerd has to copy."""
    best, kind = "", ""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4]
        if plan.state.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return "native" if kind == "overlay" else "overlayfs"


def write_audit_policy(plan: Plan) -> None:
    """Changes alone, without their content: who asked for which verb on which object, and the answer's status."""
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "None", "verbs": ["get", "list", "watch"]}, {"level": "Metadata"}],
    }
    (plan.conf / AUDIT_POLICY).write_text(json.dumps(policy))


def write_files(plan: Plan) -> None:
    """Every configuration file of a node."""
    conf, registry = plan.conf, plan.registry
    documents: dict[str, dict[str, Any]] = {
        "kubelet.json": kubelet_config(plan),
        "kube-scheduler.json": scheduler_config(plan),
        "kube-proxy.json": proxy_config(plan),
        "registry.json": registry_config(plan),
        "cni/10-alcove.conflist": cni_config(plan),
    }
    texts = {name: json.dumps(document, indent=1) + "\n" for name, document in documents.items()}
    texts["Corefile"] = corefile(plan)
    texts["resolv.conf"] = f"nameserver {plan.addresses.dns}\n"
    texts["containerd.toml"] = containerd_config(plan, _snapshotter(plan))
    texts[f"registries/{registry}/hosts.toml"] = (
        # containerd 1.6 takes `server` for HTTPS whatever it says; only a host table makes it plain HTTP.
        f'server = "http://{registry}"\n[host."http://{registry}"]\n  capabilities = ["pull", "resolve"]\n'
    )
    for name, text in texts.items():
        path = conf / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def steps(plan: Plan) -> list[Step]:
    """What init.py starts, in order, and what it waits for in between."""
    network = _wait("network", address=plan.addresses.node)
    etcd = [_etcd()]
    etcd_up = _wait("etcd answers", tcp=["127.0.0.1", 2379])
    if not plan.node:
        return [network, *etcd, etcd_up, _apiserver(plan)]
    conf = plan.conf
    import_pause = {
        "do": "run",
        "name": "import-pause",
        "argv": [_program("ctr"), "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io",
                 "images", "import", str(pause_archive())],
    }  # fmt: skip
    return [
        network,
        *etcd,
        _start("registry", _program("docker-registry"), "serve", conf / "registry.json"),
        _start("containerd", _program("containerd"), "--config", conf / "containerd.toml"),
        etcd_up,
        _apiserver(plan),
        _wait("containerd answers", path=CONTAINERD_SOCKET),
        import_pause,
        _wait("kube-apiserver is ready", https=f"{plan.server}/readyz"),
        _controller_manager(plan),
        _scheduler(plan),
        _kubelet(plan),
        _start("kube-proxy", binary_path("kube-proxy"), f"--config={conf / 'kube-proxy.json'}"),
        _start("coredns", binary_path("coredns"), "-conf", conf / "Corefile"),
        _await_node(plan),
        _policy_engine(plan),
    ]


def spec(plan: Plan, cgroup_doors: list[Path]) -> dict[str, Any]:
    """All that init.py needs to know."""
    state = plan.state
    return {
        "state": str(state),
        "hostname": plan.hostname,
        "cgroups": [str(door) for door in cgroup_doors],
        "sysctls": _KUBELET_SYSCTLS if plan.node else {},
        "binds": [[str(state / "lib"), "/var/lib"], [str(plan.log), "/var/log"]],
        # A clean environment: a proxy meant for this host's own downloads would catch the cluster's inner traffic.
        "env": {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": os.path.expanduser("~"),
        },
        "steps": steps(plan),
    }
