"""Names, addresses and folders of a cluster: everything about it that can be said without touching the machine."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from .console import ClusterError
from .versions import binary_path, cache_dir

DEFAULT_NAME = "demo"
REGISTRY_PORT = 5000
API_PORT = 6443
CLUSTER_DOMAIN = "cluster.local"

Network = ipaddress.IPv4Network
Address = ipaddress.IPv4Address

# Every cluster gets one /20 out of these; 2048 of them, so that names seldom meet.
_POOL = ipaddress.IPv4Network("10.128.0.0/9")
_BLOCK_PREFIX = 20
SLOTS: int = 1 << (_BLOCK_PREFIX - _POOL.prefixlen)

# A route this wide (a company network behind a VPN, say) says little about any one block inside it.
_WIDE = 12

MOST_NODES = 4
"""Each has a quarter of the pods' addresses then."""


def check_name(name: str) -> str:
    """Names end up in host names, cgroups and paths; eight characters of slack keep them short enough for all."""
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?", name):
        raise ClusterError(
            f"'{name}' cannot be the name of a cluster, because the node, its control group and its folder are named "
            "after it. Use lower-case letters, digits and hyphens, at most 32 characters."
        )
    return name


@dataclass(frozen=True)
class Addresses:
    """One cluster's addresses: a /20 cut into the link to the host, the pods and the services."""

    slot: int

    @property
    def block(self) -> Network:
        first = int(_POOL.network_address) + (self.slot << (32 - _BLOCK_PREFIX))
        return Network((first, _BLOCK_PREFIX))

    def _at(self, offset: int) -> Address:
        return self.block.network_address + offset

    @property
    def link(self) -> Network:
        return Network((int(self.block.network_address), 24))

    @property
    def pods(self) -> Network:
        return Network((int(self._at(4 * 256)), 22))

    @property
    def services(self) -> Network:
        return Network((int(self._at(8 * 256)), 22))

    @property
    def host(self) -> str:
        return str(self._at(1))

    @property
    def node(self) -> str:
        """The first node's, where the control plane is."""
        return self.node_at(1)

    @property
    def api_service(self) -> str:
        return str(self._at(8 * 256 + 1))

    @property
    def dns(self) -> str:
        return str(self._at(8 * 256 + 10))

    @property
    def host_link(self) -> str:
        return f"alcove{self.slot}h"

    def node_at(self, number: int) -> str:
        """Address of a node; they count from 1."""
        return str(self._at(1 + number))

    def pods_of(self, number: int, nodes: int) -> Network:
        """The part of :attr:`pods` that one of ``nodes`` nodes gives to its pods."""
        return self.pods if nodes == 1 else list(self.pods.subnets(new_prefix=24))[number - 1]

    def node_link(self, number: int) -> str:
        """The end of a node's cable that goes into its network namespace."""
        return f"alcove{self.slot}n{number}"

    def port(self, number: int) -> str:
        """The other end, where it is plugged into the bridge of several nodes."""
        return f"alcove{self.slot}p{number}"

    def hardware_address(self, number: int) -> str:
        """Of a node among several: the same after it was lost, as of a real machine."""
        return f"0a:00:00:{self.slot >> 8:02x}:{self.slot & 255:02x}:{number:02x}"


def free_slot(name: str, taken: Iterable[Network]) -> int:
    """The first block from the name's own place on that meets no network which the host already knows."""
    networks = [network for network in taken if network.prefixlen > _WIDE]
    start = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % SLOTS
    for offset in range(SLOTS):
        slot = (start + offset) % SLOTS
        block = Addresses(slot).block
        if not any(block.overlaps(network) for network in networks):
            return slot
    raise ClusterError(
        f"No block of addresses in {_POOL} is free on this machine, so the cluster cannot be linked to it. "
        "Run `ip route`, and take down clusters that you no longer need (python -m tests.cluster list)."
    )


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up: what a test, or the demo, needs to use it."""

    name: str
    kubeconfig: Path
    node_ip: str
    # This host, as pods see it.
    host_ip: str
    registry: str
    state: Path
    kubectl: Path
    helm: Path

    def environment(self) -> dict[str, str]:
        """What `python -m tests.cluster env` prints."""
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "ALCOVE_REGISTRY": self.registry,
            "ALCOVE_NODE_IP": self.node_ip,
            "ALCOVE_CLUSTER": self.name,
            "ALCOVE_IMAGES": str(self.state / "images.json"),
        }


@dataclass(frozen=True)
class Plan:
    """What was decided when a cluster was raised; kept in its folder as cluster.json."""

    name: str
    slot: int
    # False for an API server alone (etcd and kube-apiserver, no node).
    node: bool
    # Whether the API server writes down every change that it is asked for.
    audit: bool = False
    # How many nodes there are, where ``node`` is set.
    size: int = 1
    # MiB that further nodes have for their kubelets' files; 0: as much as this machine has.
    disk_mib: int = 0

    @property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(Node(self, number) for number in range(1, self.size + 1)) if self.node else ()

    @property
    def addresses(self) -> Addresses:
        return Addresses(self.slot)

    @property
    def state(self) -> Path:
        return state_dir(self.name)

    @property
    def hostname(self) -> str:
        return f"alcove-{self.name}"

    @property
    def cgroup(self) -> str:
        return cgroup_name(self.name)

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def conf(self) -> Path:
        return self.state / "conf"

    @property
    def log(self) -> Path:
        return self.state / "log"

    @property
    def audit_log(self) -> Path:
        """One line of JSON for each request that was to change something, where ``audit`` is set."""
        return self.log / "audit.log"

    @property
    def registry(self) -> str:
        return f"{self.addresses.node}:{REGISTRY_PORT}"

    @property
    def server(self) -> str:
        return f"https://{self.addresses.node}:{API_PORT}"

    def cluster(self) -> Cluster:
        return Cluster(
            name=self.name,
            kubeconfig=self.state / "kubeconfig",
            node_ip=self.addresses.node,
            host_ip=self.addresses.host,
            registry=self.registry,
            state=self.state,
            kubectl=binary_path("kubectl"),
            helm=binary_path("helm"),
        )

    def save(self) -> None:
        (self.state / "cluster.json").write_text(json.dumps(asdict(self)) + "\n")


@dataclass(frozen=True)
class Node:
    """One kubelet, and what it has for itself. The first shares its namespaces with the control plane."""

    plan: Plan
    number: int

    @property
    def suffix(self) -> str:
        """Of the names of what belongs to it; none of the first."""
        return "" if self.number == 1 else f"-{self.number}"

    @property
    def hostname(self) -> str:
        return f"{self.plan.hostname}{self.suffix}"

    @property
    def address(self) -> str:
        return self.plan.addresses.node_at(self.number)

    @property
    def pods(self) -> Network:
        return self.plan.addresses.pods_of(self.number, self.plan.size)

    @property
    def conf(self) -> Path:
        return self.plan.conf if self.number == 1 else self.plan.conf / f"node{self.suffix}"

    @property
    def lib(self) -> Path:
        return self.plan.state / f"lib{self.suffix}"

    @property
    def log(self) -> Path:
        return self.plan.state / f"log{self.suffix}"

    @property
    def disk(self) -> Path:
        """The file system of a further node's kubelet, where its size is bounded."""
        return self.plan.state / f"disk{self.suffix}.img"

    @property
    def away(self) -> Path:
        """While this file is there, a further node that is lost stays away."""
        return self.plan.state / f"away{self.suffix}"

    @property
    def cgroup(self) -> str:
        """Its own, since a kubelet removes what it finds below and does not know."""
        return self.plan.cgroup if self.number == 1 else f"{self.plan.cgroup}/{self.cgroup_part}"

    @property
    def cgroup_part(self) -> str:
        """Name of a further node's own, below the cluster's."""
        return f"node{self.suffix}"


def cgroup_name(name: str) -> str:
    return f"alcove-{name}"


def clusters_dir() -> Path:
    return cache_dir() / "clusters"


def state_dir(name: str) -> Path:
    return clusters_dir() / check_name(name)


def load_plan(name: str) -> Plan | None:
    """The plan of a cluster that was raised under this name; None when there is none, or none that can be read."""
    try:
        fields = json.loads((state_dir(name) / "cluster.json").read_text())
        audit = bool(fields.get("audit", False))
        size, disk = int(fields.get("size", 1)), int(fields.get("disk_mib", 0))
        return Plan(str(fields["name"]), int(fields["slot"]), bool(fields["node"]), audit, size, disk)
    except (OSError, ValueError, KeyError):
        return None


def known_names() -> list[str]:
    """The names of all clusters that have a folder, running or not."""
    if not clusters_dir().is_dir():
        return []
    return sorted(p.name for p in clusters_dir().iterdir() if p.is_dir())


def init_pid(state: Path) -> int | None:
    """The number of the cluster's first process, if it is still the same one and alive."""
    try:
        identity = json.loads((state / "init.json").read_text())
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        stat = Path(f"/proc/{identity['pid']}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, ValueError, KeyError):
        return None
    alive = identity["boot"] == boot and int(stat[19]) == identity["started"] and stat[0] not in "ZX"
    return int(identity["pid"]) if alive else None


def is_running(name: str) -> bool:
    return init_pid(state_dir(name)) is not None
