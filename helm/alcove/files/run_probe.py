"""What a pod in the place of a run can reach and read."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Settings = dict[str, Any]
RESOLV_CONF = Path("/etc/resolv.conf")
TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
CONNECT_SECONDS = 2.0


def reachable(host: str, port: int) -> bool:
    """Whether a TCP connection can be made."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether ``condition`` comes true in time; network plugins take a moment to know a new pod."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.5)
    return True


def store_address(endpoint: str) -> tuple[str, int]:
    parts = urlsplit(endpoint)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def api_address() -> tuple[str, int]:
    """Every pod is told it, with or without a token."""
    return os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])


def is_address(host: str) -> bool:
    """Whether a host is an IP address, so that nobody need be asked for it."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def resolves(host: str) -> bool:
    """Whether the resolvers of this pod know an address for a name."""
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False


def resolvers() -> list[str]:
    """The addresses that this pod asks for names."""
    lines = (line.split() for line in RESOLV_CONF.read_text().splitlines())
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]


@dataclass(frozen=True)
class RunReport:
    """What a run's pod found. ``resolved``: whether the store's name has an address; None where it is one."""

    store: bool
    api: bool
    token: bool
    resolved: bool | None
    resolvers: list[str]


def probe(settings: Settings) -> RunReport:
    """What a run's pod can reach and read."""
    store, api = store_address(settings["endpoint"]), api_address()
    resolved = None if is_address(store[0]) else within(30, lambda: resolves(store[0]))
    return RunReport(
        resolved=resolved,
        resolvers=resolvers(),
        store=resolved is not False and within(30, lambda: reachable(*store)),
        # Three in a row, so that one lost packet is not taken for a policy.
        api=not within(10, lambda: not any(reachable(*api) for _ in range(3))),
        token=TOKEN.exists(),
    )
