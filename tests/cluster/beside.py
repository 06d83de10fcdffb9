"""What the controllers of others, run beside an API server that has no node, have in common."""

from __future__ import annotations

import http.client
from contextlib import closing, suppress
from pathlib import Path

from .console import run
from .layout import Cluster


def apply_definitions(cluster: Cluster, folder: Path) -> None:
    """Of the kinds that a controller reads; they stay."""
    kubectl: list[str | Path] = [cluster.kubectl, "--kubeconfig", cluster.kubeconfig]
    # Server-side: their schemas are longer than an annotation may be.
    run([*kubectl, "apply", "--server-side", "-f", folder])
    run([*kubectl, "wait", "--for=condition=Established", "--timeout=120s", "-f", folder])


def answers(port: int) -> bool:
    """Whether a controller on this machine says that it is well."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    with closing(connection), suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    return False
