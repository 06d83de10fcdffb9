"""Kueue and the Job controller beside an API server, for tests that play the node themselves."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from .binaries import binaries
from .console import Progress, run, say
from .layout import Cluster
from .stores import free_port, serve
from .versions import BY_NAME, binary_path

NAMESPACE, SECRET = "kueue-system", "kueue-webhook-server-cert"


@contextmanager
def job_controller(cluster: Cluster, folder: Path, progress: Progress = say) -> Iterator[None]:
    """The controllers that make and remove the pods of Jobs."""
    binaries(["kube-controller-manager"], progress)
    port = free_port()
    argv = [
        str(binary_path("kube-controller-manager")), f"--kubeconfig={cluster.kubeconfig}", "--leader-elect=false",
        "--bind-address=127.0.0.1", f"--secure-port={port}", f"--cert-dir={folder}",
        f"--authentication-kubeconfig={cluster.kubeconfig}", f"--authorization-kubeconfig={cluster.kubeconfig}",
        "--controllers=job-controller,garbage-collector-controller",
    ]  # fmt: skip
    log = folder / "job-controller.log"
    with serve(
        argv, dict(os.environ), log, lambda: "Started controller" in log.read_text(), "The Job controller"
    ):
        yield


@contextmanager
def kueue(cluster: Cluster, folder: Path, progress: Progress = say) -> Iterator[None]:
    """Kueue, with its definitions from its own chart. Its webhooks, which need a Service, are left out: they check what
    people write of Kueue's kinds, and suspend Jobs that are not."""
    binaries(["kueue"], progress)
    _apply(cluster, _chart())
    certificates, configuration = folder / "certificates", folder / "kueue.json"
    certificates.mkdir()
    health = free_port()
    configuration.write_text(json.dumps(_configuration(certificates, health)))
    argv = [
        str(binary_path("kueue")), f"--kubeconfig={cluster.kubeconfig}", f"--config={configuration}",
        "--feature-gates=VisibilityOnDemand=false",
    ]  # fmt: skip

    def ready() -> bool:
        _mount_certificate(cluster, certificates)
        return _answers(health)

    with serve(argv, dict(os.environ), folder / "kueue.log", ready, "Kueue"):
        yield


def _chart() -> list[dict[str, Any]]:
    """What of the chart in Kueue's Go module does not run: definitions, the namespace's Secret."""
    found = run(
        [
            "go",
            "-C",
            BY_NAME["kueue"].module,
            "mod",
            "download",
            "-json",
            f"sigs.k8s.io/kueue@{BY_NAME['kueue'].version}",
        ]
    )
    chart = Path(json.loads(found)["Dir"]) / "charts" / "kueue"
    binaries(["helm"])
    text = run([binary_path("helm"), "template", "kueue", chart, "--namespace", NAMESPACE])
    documents = [document for document in yaml.safe_load_all(text) if document]
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    return [namespace, *(d for d in documents if d["kind"] in ("CustomResourceDefinition", "Secret"))]


def _apply(cluster: Cluster, documents: list[dict[str, Any]]) -> None:
    binaries(["kubectl"])
    argv = [
        str(cluster.kubectl),
        "--kubeconfig",
        str(cluster.kubeconfig),
        "apply",
        "--server-side",
        "-f",
        "-",
    ]
    subprocess.run(
        argv, input=yaml.safe_dump_all(documents), text=True, check=True, stdout=subprocess.DEVNULL
    )


def _configuration(certificates: Path, health: int) -> dict[str, Any]:
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "namespace": NAMESPACE,
        "health": {"healthProbeBindAddress": f"127.0.0.1:{health}"},
        "metrics": {"bindAddress": "0"},
        "webhook": {"host": "127.0.0.1", "port": free_port(), "certDir": str(certificates)},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {
            "enable": True, "webhookServiceName": "kueue-webhook-service", "webhookSecretName": SECRET,
        },
        "integrations": {"frameworks": ["batch/job"]},
    }  # fmt: skip


def _mount_certificate(cluster: Cluster, folder: Path) -> None:
    """As a kubelet would: the Secret's files, once Kueue has made the certificate."""
    which: list[str | Path] = ["--kubeconfig", cluster.kubeconfig, "-n", NAMESPACE, "-o", "json"]
    found = run([cluster.kubectl, "get", "secret", SECRET, *which])
    data = json.loads(found).get("data") or {}
    for name, content in data.items():
        if not (folder / name).exists():
            unfinished = folder / f".{name}"
            unfinished.write_bytes(base64.b64decode(content))
            unfinished.rename(folder / name)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    return False
