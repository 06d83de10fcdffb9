"""Faults of the store as its clients in pods see them: it is slow, answers with errors, ends connections."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench.chaos.toxiproxy import Toxiproxy
from tests.demo.hackathon import Hackathon

PORT = 9000
"""Of the store, and of the proxy that stands before it."""
DIRECT = "alcove-store-direct"
"""Service that leads to the store's pod past the proxy."""
TOXICS: dict[str, tuple[str, dict[str, int]]] = {
    "store-slow": ("latency", {"latency": 1500, "jitter": 1000}),
    "store-resets": ("reset_peer", {"timeout": 100}),
    "store-truncates": ("limit_data", {"bytes": 700}),
}
"""By kind: Toxiproxy's name and attributes; milliseconds and bytes."""
ERRS = "store-errs"


@dataclass(frozen=True)
class StoreFaults:
    """Of the store behind ``proxy``, where :func:`place_proxy` has put it; both addresses are host:port."""

    proxy: Toxiproxy
    store: str
    erring: str
    kinds = (*TOXICS, ERRS)

    def apply(self, kind: str) -> None:
        if kind == ERRS:
            self.proxy.redirect("store", self.erring)
        else:
            toxic, attributes = TOXICS[kind]
            self.proxy.spoil("store", toxic, **attributes)

    def undo(self, kind: str) -> None:
        if kind == ERRS:
            self.proxy.redirect("store", self.store)
        else:
            self.proxy.heal("store", TOXICS[kind][0])


def place_proxy(hackathon: Hackathon, proxy: Toxiproxy) -> StoreFaults:
    """Has the store's Service lead all pods to a proxy on this machine. Raises DemoError."""
    host, name = hackathon.cluster.host_ip, hackathon.name
    apply = ("apply", "-n", name, "-f", "-")
    hackathon.kubectl(*apply, stdin=json.dumps(_direct_service()))
    store = f"{hackathon.get('service', DIRECT)['spec']['clusterIP']}:{PORT}"
    server = ThreadingHTTPServer((host, 0), _Erring)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    proxy.add("store", f"{host}:{PORT}", store)
    patch = json.dumps([{"op": "remove", "path": "/spec/selector"}])
    hackathon.kubectl("patch", "service", "alcove-store", "-n", name, "--type=json", "-p", patch)
    # Nobody takes away what a Service led to once it selects nothing.
    hackathon.kubectl("delete", "endpoints", "alcove-store", "-n", name, "--ignore-not-found")
    hackathon.kubectl("delete", "endpointslices", "-n", name, "-l", "kubernetes.io/service-name=alcove-store")
    items = [_slice(host), _policy(host)]
    hackathon.kubectl(*apply, stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return StoreFaults(proxy, store, f"{host}:{server.server_address[1]}")


def _direct_service() -> dict[str, object]:
    spec = {"selector": {"alcove.dev/role": "store"}, "ports": [{"port": PORT}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": DIRECT}, "spec": spec}


def _slice(host: str) -> dict[str, object]:
    labels = {"kubernetes.io/service-name": "alcove-store", "endpointslice.kubernetes.io/managed-by": "chaos"}
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "alcove-store-proxy", "labels": labels},
        "endpoints": [{"addresses": [host], "conditions": {"ready": True}}],
        "ports": [{"name": "s3", "port": PORT, "protocol": "TCP"}],
    }  # fmt: skip


def _policy(host: str) -> dict[str, object]:
    """Lets pods reach the proxy, which is on no pod."""
    rule = {"to": [{"ipBlock": {"cidr": f"{host}/32"}}], "ports": [{"protocol": "TCP", "port": PORT}]}
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [rule]}
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "store-proxy"},
        "spec": spec,
    }  # fmt: skip


class _Erring(BaseHTTPRequestHandler):
    """Answers as an S3 server does that cannot serve."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Try again.</Message></Error>'
        self.send_response(503)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        # What the client may still be sending is not read.
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _answer  # noqa: N815 - as the base class calls them

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: it is asked all the time."""
