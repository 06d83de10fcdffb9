"""What the daemons of a node are told: their command lines and configuration files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .deps import CNI_PLUGINS
from .layout import CLUSTER_DOMAIN, Node, Plan
from .steps import Step, program, start, wait
from .versions import binary_path, cache_dir

PAUSE_IMAGE = "localhost/alcove-pause:v1"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
MAX_PODS = 250
SECOND_HANDLER = "runc-2"
"""Of containerd, for a RuntimeClass: runc again, with what it knows of its containers in a folder of its own."""
SECOND_ROOT = "/run/runc-2"
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


def kubelet_config(node: Node) -> dict[str, Any]:
    pki = node.plan.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "port": _KUBELET_PORT,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / f"kubelet{node.suffix}.crt"),
        "tlsPrivateKeyFile": str(pki / f"kubelet{node.suffix}.key"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "maxPods": MAX_PODS,
        "clusterDNS": [node.plan.addresses.dns],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(node.plan.conf / "resolv.conf"),
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


def _kubelet(node: Node) -> Step:
    kubeconfig = node.plan.conf / f"kubelet{node.suffix}.kubeconfig"
    return start(
        f"kubelet{node.suffix}", binary_path("kubelet"), f"--config={node.conf / 'kubelet.json'}",
        f"--kubeconfig={kubeconfig}", f"--hostname-override={node.hostname}",
        f"--node-ip={node.address}", "--root-dir=/var/lib/kubelet",
    )  # fmt: skip


def proxy_config(node: Node) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": node.hostname,
        "clusterCIDR": str(node.plan.addresses.pods),
        "clientConnection": {"kubeconfig": str(node.plan.conf / "kube-proxy.kubeconfig")},
        # Both belong to the whole host.
        "conntrack": {"maxPerCore": 0, "min": 0},
        "oomScoreAdj": 0,
        "nftables": {"minSyncPeriod": "200ms"},
    }


def _await_node(node: Node) -> Step:
    state = node.plan.state
    argv = [
        binary_path("kubectl"), "--kubeconfig", state / "kubeconfig", "--cache-dir", state / "kubectl",
        "wait", "--for=create", f"node/{node.hostname}", "--timeout=100s",
    ]  # fmt: skip
    return {"do": "run", "name": f"await-node{node.suffix}", "argv": [str(arg) for arg in argv]}


def _policy_engine(node: Node) -> Step:
    """kube-router as a NetworkPolicy engine alone: no routes, and no Services, which are kube-proxy's. It ends if its
    node isn't registered yet."""
    plan = node.plan
    return start(
        f"kube-router{node.suffix}", binary_path("kube-router"), "--run-firewall=true", "--run-router=false",
        "--run-service-proxy=false", f"--kubeconfig={plan.conf / 'kube-router.kubeconfig'}",
        f"--hostname-override={node.hostname}",
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


def containerd_config(node: Node, snapshotter: str) -> str:
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
    conf_dir = "{node.conf / "cni"}"

  [{cri}.containerd]
    snapshotter = "{snapshotter}"

  [{cri}.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [{cri}.containerd.runtimes.runc.options]
      SystemdCgroup = false

  [{cri}.containerd.runtimes.{SECOND_HANDLER}]
    runtime_type = "io.containerd.runc.v2"
    [{cri}.containerd.runtimes.{SECOND_HANDLER}.options]
      SystemdCgroup = false
      Root = "{SECOND_ROOT}"

  [{cri}.registry]
    config_path = "{node.plan.conf / "registries"}"
"""


def cni_config(node: Node) -> dict[str, Any]:
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
                    "ranges": [[{"subnet": str(node.pods)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }


def _snapshotter(node: Node) -> str:
    """Overlay file systems do not stack: where the cache lies on one, containerd has to copy."""
    best, kind = "", ""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4]
        if node.plan.state.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return "native" if kind == "overlay" else "overlayfs"


def write_files(node: Node) -> None:
    """Every configuration file of a node but those that all nodes share."""
    documents: dict[str, dict[str, Any]] = {
        "kubelet.json": kubelet_config(node),
        "kube-proxy.json": proxy_config(node),
        "cni/10-alcove.conflist": cni_config(node),
    }
    texts = {name: json.dumps(document, indent=1) + "\n" for name, document in documents.items()}
    texts["containerd.toml"] = containerd_config(node, _snapshotter(node))
    for name, text in texts.items():
        path = node.conf / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def describe_namespaces(node: Node) -> dict[str, Any]:
    """Of a node: what is mounted where, and what it is called."""
    return {
        "hostname": node.hostname,
        "sysctls": _KUBELET_SYSCTLS,
        "binds": [[str(node.lib), "/var/lib"], [str(node.log), "/var/log"]],
    }


def start_runtime(node: Node) -> list[Step]:
    """Begins with containerd alone, which comes up beside the control plane."""
    config = node.conf / "containerd.toml"
    return [start(f"containerd{node.suffix}", program("containerd"), "--config", config)]


def import_pause(node: Node) -> list[Step]:
    argv = [program("ctr"), "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", "images", "import"]
    return [
        wait(f"containerd{node.suffix} answers", path=CONTAINERD_SOCKET),
        {"do": "run", "name": f"import-pause{node.suffix}", "argv": [*argv, str(pause_archive())]},
    ]


def start_agents(node: Node) -> list[Step]:
    """What needs the API server."""
    proxy, dns = f"--config={node.conf / 'kube-proxy.json'}", node.plan.conf / "Corefile"
    return [
        _kubelet(node),
        start(f"kube-proxy{node.suffix}", binary_path("kube-proxy"), proxy),
        start(f"coredns{node.suffix}", binary_path("coredns"), "-conf", dns),
        _await_node(node),
        _policy_engine(node),
    ]


def add_node(node: Node) -> list[Step]:
    """All steps of a further node, in its own namespaces."""
    made: Step = {"do": "make-node", "name": f"node{node.suffix}", **describe_namespaces(node)}
    if node.plan.disk_mib:
        made["disk"] = str(node.disk)
    steps = [
        wait(f"network{node.suffix}", address=node.address),
        *start_runtime(node),
        *import_pause(node),
        *start_agents(node),
    ]
    return [{**step, "node": str(node.number)} for step in (made, *steps)]
