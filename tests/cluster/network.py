"""The one cable between the host and a cluster: a veth pair, and routes that vanish with it."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from .binaries import locked
from .console import ClusterError, Progress, run
from .layout import Addresses, Network, clusters_dir, free_slot

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


def plug_in(name: str, progress: Progress) -> int:
    """Takes a free block of addresses by laying the cable on the host's side; returns its slot.

    The kernel's routing table is the register of what is taken: looking and taking happen under one lock.
    """
    with locked(clusters_dir() / ".network.lock", progress, "choosing addresses"):
        slot = free_slot(name, taken_networks())
        a = Addresses(slot)
        run(["ip", "link", "add", a.host_link, "type", "veth", "peer", "name", a.node_link])
        run(["ip", "link", "set", a.host_link, "alias", _alias(name)])
        run(["ip", "address", "add", f"{a.host}/{a.link.prefixlen}", "dev", a.host_link])
        run(["ip", "link", "set", a.host_link, "up"])
        for network in (a.pods, a.services):
            # onlink: the far end is not up yet.
            run(["ip", "route", "add", str(network), "via", a.node, "dev", a.host_link, "onlink"])
    return slot


def _inside(pid: int, *argv: str) -> list[str]:
    return ["nsenter", "--target", str(pid), "--net", *argv]


def policies_are_enforced(pid: int) -> bool:
    """Whether what the node forwards goes through the rules of the NetworkPolicy engine."""
    return "-j KUBE-ROUTER-FORWARD" in run(_inside(pid, "iptables", "--list-rules", "FORWARD"))


def connect(addresses: Addresses, pid: int) -> None:
    """Hands the far end to the network namespace of a process, which waits for its address to appear."""
    run(["ip", "link", "set", addresses.node_link, "netns", str(pid)])
    inside = _inside(pid, "ip")
    run([*inside, "link", "set", "lo", "up"])
    run([*inside, "link", "set", addresses.node_link, "name", "eth0"])
    run([*inside, "link", "set", "eth0", "up"])
    run([*inside, "address", "add", f"{addresses.node}/{addresses.link.prefixlen}", "dev", "eth0"])
    run([*inside, "route", "add", "default", "via", addresses.host])
    # The cluster's DNS answers here itself, with no proxy between it and the pods.
    run([*inside, "address", "add", f"{addresses.dns}/32", "dev", "lo"])
    for address in (METADATA, OUTSIDE):
        run([*inside, "address", "add", f"{address}/32", "dev", "lo"])


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
