"""The hook that lets the pods of a release ask the resolvers that the cluster gives them.

``python -I find_resolvers.py NAMESPACE``: reads which addresses this pod's ``/etc/resolv.conf`` names, and writes them
into the NetworkPolicy ``alcove-resolvers``: port 53 of each, and no more. A resolver need not be a pod that a selector
could name: it can be on the node, at a link-local address for example.
"""

from __future__ import annotations

import os
import sys
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

from alcove_kube.client import KubeClient
from alcove_kube.errors import ApiError
from alcove_kube.resources import NETWORK_POLICIES

POLICY = "alcove-resolvers"
RESOLV_CONF = Path("/etc/resolv.conf")
PORTS = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
REMEDY = "Name who answers DNS in networkPolicy.dns and set networkPolicy.findResolvers to false."


def read_resolvers(text: str) -> list[IPv4Address | IPv6Address]:
    """The nameservers of a ``resolv.conf`` that a packet can leave the pod for, each once, in their order."""
    found: dict[IPv4Address | IPv6Address, None] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            # After % comes the interface, which a policy cannot name.
            address = ip_address(words[1].partition("%")[0])
        except ValueError:
            continue  # the C library skips it too
        if not (address.is_loopback or address.is_unspecified or address.is_multicast):
            found[address] = None
    return list(found)


def egress(resolvers: list[IPv4Address | IPv6Address]) -> list[dict[str, Any]]:
    """What the policy allows: an ``egress`` of a NetworkPolicy."""
    blocks = [{"ipBlock": {"cidr": f"{address}/{address.max_prefixlen}"}} for address in resolvers]
    return [{"to": blocks, "ports": PORTS}]


def main(namespace: str) -> int:
    path = Path(os.environ.get("ALCOVE_RESOLV_CONF", RESOLV_CONF))
    resolvers = read_resolvers(path.read_text())
    if not resolvers:
        print(f"{path} of a pod names no address to ask, so no name can be resolved. {REMEDY}")
        return 1
    said = ", ".join(map(str, resolvers))
    try:
        body = {"spec": {"egress": egress(resolvers)}}
        KubeClient.from_pod().patch(NETWORK_POLICIES, namespace, POLICY, body)
    except ApiError as error:
        print(f"Pods may not ask {said}, their resolvers: {error} {REMEDY}")
        return 1
    print(f"The NetworkPolicy {POLICY} allows port 53 of {said}, which a pod's {RESOLV_CONF} names.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
