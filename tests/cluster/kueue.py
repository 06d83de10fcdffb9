"""Kueue on a node, from the chart in its own Go module: its controllers and its webhooks."""

from __future__ import annotations

from pathlib import Path

from .binaries import module_folder
from .console import Progress, run, say, step
from .images import own_image, publish_image
from .layout import Cluster
from .versions import BY_NAME

NAMESPACE = "kueue-system"
KINDS = ("workloads", "localqueues", "clusterqueues", "resourceflavors")


def install(cluster: Cluster, progress: Progress = say) -> None:
    """Builds Kueue where that is not done yet, installs it, and waits until it works."""
    # The chart puts a colon between the two, and a digest has one as well.
    repository, digest = publish_image(cluster, own_image("kueue"), progress).rsplit(":", 1)
    image = "controllerManager.manager.image"
    chosen = {
        f"{image}.repository": repository,
        f"{image}.tag": digest,
        f"{image}.pullPolicy": "IfNotPresent",
        "controllerManager.manager.resources.requests.cpu": "50m",
    }
    flags = [flag for key, value in chosen.items() for flag in ("--set", f"{key}={value}")]
    with step(progress, "installing Kueue"):
        run([
            cluster.helm, "install", "kueue", _chart(), "--kubeconfig", cluster.kubeconfig,
            "--namespace", NAMESPACE, "--create-namespace", "--wait", "--timeout", "3m", *flags,
        ])  # fmt: skip


def remove(cluster: Cluster, progress: Progress = say) -> None:
    """With all objects of its kinds first: their finalizers wait for its controllers."""
    with step(progress, "removing Kueue"):
        run([
            cluster.kubectl, "--kubeconfig", cluster.kubeconfig, "delete", ",".join(KINDS), "--all",
            "--all-namespaces", "--timeout=60s",
        ])  # fmt: skip
        run([
            cluster.helm, "uninstall", "kueue", "--kubeconfig", cluster.kubeconfig, "--namespace", NAMESPACE, "--wait",
        ])  # fmt: skip


def _chart() -> Path:
    return module_folder(BY_NAME["kueue"], "sigs.k8s.io/kueue") / "charts" / "kueue"
