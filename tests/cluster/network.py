"""The one cable between the host and a cluster: a veth pair, and routes that vanish with it."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from .binaries import locked
from .console import ClusterError, Progress, run
from .layout import Addresses, Network, Node, clusters_dir, free_slot

METADATA = "169.254.169.254"
"""Where clouds serve a node's credentials. The node has the address; nothing listens there until a test does."""
OUTSIDE = "192.0.2.1"
"""Stands for the internet, in the same way: an address that is neither private nor of the cluster."""


def _alias(name: str) -> str:
    # The kernel keeps this with the interface, so that `down` finds it even when the state folder is lost.
    return f"alcove cluster {name}"


def _json(*argv: str) -> list[dict[str, Any]]:
    text = run(["ip", "-j", *argv]).strip()
    entries: list[dict[str, Any]] = json.loads(text) if text else []
    return entries


def taken_networks() -> list[Network]:
    """Every IPv4 network that this host has an address in, a route to, or asks for names."""
    found: list[Network] = []
    for route in _json("-4", "route", "show", "table", "all"):
        destination = str(route.get("dst", "default"))
        if destination != "default":
            found.append(Network(destination, strict=False))
    for line in _resolver_lines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                found.append(Network(ipaddress.IPv4Address(words[1])))
            except ValueError:
                continue  # an IPv6 resolver cannot collide with us
    return found


def _resolver_lines() -> list[str]:
    try:
        with open("/etc/resolv.conf") as handle:
            return handle.readlines()
    except OSError:
        return []


def plug_in(name: str, nodes: int, progress: Progress) -> int:
    """Takes a free block of addresses by laying the cables on the host's side; returns its slot.

    One node has one cable. Several meet in a bridge, of which the host is a part as well.
    The kernel's routing table is the register of what is taken: looking and taking happen under one lock.
    """
    with locked(clusters_dir() / ".network.lock", progress, "choosing addresses"):
        slot = free_slot(name, taken_networks())
        a = Addresses(slot)
        if nodes == 1:
            run(["ip", "link", "add", a.host_link, "type", "veth", "peer", "name", a.node_link(1)])
        else:
            run(["ip", "link", "add", a.host_link, "type", "bridge"])
        run(["ip", "link", "set", a.host_link, "alias", _alias(name)])
        for number in range(1, nodes + 1) if nodes > 1 else ():
            lay_cable(name, a, number)
        run(["ip", "address", "add", f"{a.host}/{a.link.prefixlen}", "dev", a.host_link])
        run(["ip", "link", "set", a.host_link, "up"])
        ways = [(a.services, a.node)]
        ways += [(a.pods_of(n, nodes), a.node_at(n)) for n in range(1, nodes + 1)]
        for network, gateway in ways:
            # onlink: the far end is not up yet.
            run(["ip", "route", "add", str(network), "via", gateway, "dev", a.host_link, "onlink"])
    return slot


def lay_cable(name: str, addresses: Addresses, number: int) -> None:
    """From the bridge to one of several nodes."""
    port, end, hardware = (
        addresses.port(number), addresses.node_link(number), addresses.hardware_address(number),
    )  # fmt: skip
    run(["ip", "link", "add", port, "type", "veth", "peer", "name", end, "address", hardware])
    run(["ip", "link", "set", port, "alias", _alias(name)])
    run(["ip", "link", "set", port, "master", addresses.host_link, "up"])


def remove_cable(addresses: Addresses, number: int) -> None:
    """Of one of several nodes, with its far end; where the kernel has not done so with the far end's namespace."""
    try:
        run(["ip", "link", "delete", addresses.port(number)])
    except ClusterError:
        if any(link["ifname"] == addresses.port(number) for link in _json("link", "show")):
            raise


def inside(pid: int, *argv: str) -> list[str]:
    """A command in the network namespace of a process."""
    return ["nsenter", "--target", str(pid), "--net", *argv]


def policies_are_enforced(pid: int) -> bool:
    """Whether what a node forwards goes through the rules of the NetworkPolicy engine. ``pid``: of a process there."""
    return "-j KUBE-ROUTER-FORWARD" in run(inside(pid, "iptables", "--list-rules", "FORWARD"))


def hand_over(addresses: Addresses, pid: int, number: int = 1) -> None:
    """Gives the far end of a node's cable to the network namespace of a process there."""
    run(["ip", "link", "set", addresses.node_link(number), "netns", str(pid)])


def connect(node: Node, pid: int) -> None:
    """Sets up the network of a node, some process of which waits for its address to appear."""
    addresses, ip = node.plan.addresses, inside(pid, "ip")
    run([*ip, "link", "set", "lo", "up"])
    run([*ip, "link", "set", addresses.node_link(node.number), "name", "eth0"])
    run([*ip, "link", "set", "eth0", "up"])
    # The cluster's DNS answers on each node itself, with no proxy between it and the pods.
    for address in (addresses.dns, METADATA, OUTSIDE):
        run([*ip, "address", "add", f"{address}/32", "dev", "lo"])
    run([*ip, "address", "add", f"{node.address}/{addresses.link.prefixlen}", "dev", "eth0"])
    run([*ip, "route", "add", "default", "via", addresses.host])
    for other in node.plan.nodes:
        if other != node:
            run([*ip, "route", "add", str(other.pods), "via", other.address])


def links_of(name: str) -> list[str]:
    return [str(link["ifname"]) for link in _json("link", "show") if link.get("ifalias") == _alias(name)]


def unplug(name: str) -> None:
    """Removes the cable; its far end and every route over it go with it."""
    for link in links_of(name):
        try:
            run(["ip", "link", "delete", link])
        except ClusterError:
            # The kernel takes it away too, a moment after the namespace at its far end; then there is nothing to do.
            if link in links_of(name):
                raise
