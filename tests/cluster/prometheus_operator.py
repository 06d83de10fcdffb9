"""The Prometheus operator beside an API server: it writes what a Prometheus in the cluster would read."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from .binaries import binaries
from .console import Progress, run, say
from .layout import Cluster
from .stores import free_port, serve
from .versions import BY_NAME, binary_path

NAME = "prometheus-operator"


@contextmanager
def prometheus_operator(cluster: Cluster, folder: Path, progress: Progress = say) -> Iterator[None]:
    """With its definitions from its own Go module, which stay."""
    binaries([NAME, "kubectl"], progress)
    kubectl: list[str | Path] = [cluster.kubectl, "--kubeconfig", cluster.kubeconfig]
    # Server-side: their schemas are longer than an annotation may be.
    run([*kubectl, "apply", "--server-side", "-f", _definitions()])
    run([*kubectl, "wait", "--for=condition=Established", "--timeout=120s", "-f", _definitions()])
    port = free_port()
    argv = [str(binary_path(NAME)), f"--web.listen-address=127.0.0.1:{port}", "--kubelet-endpoints=false"]
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    with serve(argv, environment, folder / f"{NAME}.log", lambda: _answers(port), "The Prometheus operator"):
        yield


def _definitions() -> Path:
    tool = BY_NAME[NAME]
    module = tool.package.removesuffix("/cmd/operator")
    found = run(["go", "-C", tool.module, "mod", "download", "-json", f"{module}@{tool.version}"])
    return Path(json.loads(found)["Dir"]) / "example" / "prometheus-operator-crd"


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    with closing(connection), suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    return False
