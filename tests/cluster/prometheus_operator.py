"""The Prometheus operator beside an API server: it writes what a Prometheus in the cluster would read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .beside import answers, apply_definitions
from .binaries import binaries, module_folder
from .console import Progress, say
from .layout import Cluster
from .stores import free_port, serve
from .versions import BY_NAME, binary_path

NAME = "prometheus-operator"


@contextmanager
def prometheus_operator(cluster: Cluster, folder: Path, progress: Progress = say) -> Iterator[None]:
    """With its definitions from its own Go module, which stay."""
    binaries([NAME, "kubectl"], progress)
    module = module_folder(BY_NAME[NAME], "github.com/prometheus-operator/prometheus-operator")
    apply_definitions(cluster, module / "example" / "prometheus-operator-crd")
    port = free_port()
    argv = [str(binary_path(NAME)), f"--web.listen-address=127.0.0.1:{port}", "--kubelet-endpoints=false"]
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    with serve(argv, environment, folder / f"{NAME}.log", lambda: answers(port), "The Prometheus operator"):
        yield
