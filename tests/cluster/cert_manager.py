"""cert-manager beside an API server: its controllers, which issue the certificates of CA and self-signed issuers."""

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

NAME = "cert-manager"


@contextmanager
def cert_manager(cluster: Cluster, folder: Path, progress: Progress = say) -> Iterator[None]:
    """With its definitions from its own Go module, which stay; without its webhook, which only checks."""
    binaries([NAME, "kubectl"], progress)
    module = module_folder(BY_NAME[NAME], "github.com/cert-manager/cert-manager")
    # Beside the definitions lies a README, which kubectl leaves out.
    apply_definitions(cluster, module / "deploy" / "crds")
    port = free_port()
    argv = [str(binary_path(NAME)), f"-kubeconfig={cluster.kubeconfig}", f"-health=127.0.0.1:{port}"]
    with serve(argv, dict(os.environ), folder / f"{NAME}.log", lambda: answers(port), NAME):
        yield
