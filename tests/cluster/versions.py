"""What the throwaway cluster is made of: pinned versions and where the cached binaries lie."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

KUBERNETES = "v1.34.4"
# MinIO's releases carry no semantic version, so the module is pinned by commit.
MINIO = "v0.0.0-20260212201848-7aac2a2c5b7c"
# SeaweedFS is pinned by commit as well: its releases are not tagged as a Go module.
SEAWEEDFS = "v0.0.0-20261109003541-7506e5f91cd6"
HELM = "v3.22.0"
TOXIPROXY = "v2.5.0"
SYFT = "v1.57.1"
COREDNS = "v1.12.4"
KUBE_ROUTER = "v2.1.0"
KUEUE = "v0.17.0"
PROMETHEUS_OPERATOR = "v0.85.0"
PAUSE = "v1"

REPOSITORY = Path(__file__).parents[2]
_GO = Path(__file__).parent / "go"

_STRIP = "-s -w"
_STAMP = " ".join(
    [
        _STRIP,
        # Without these the server would call itself v0.0.0, and clients would refuse to talk to it.
        f"-X k8s.io/component-base/version.gitVersion={KUBERNETES}",
        "-X k8s.io/component-base/version.gitMajor=1",
        f"-X k8s.io/component-base/version.gitMinor={KUBERNETES.split('.')[1]}",
        "-X k8s.io/component-base/version.gitTreeState=clean",
        f"-X k8s.io/client-go/pkg/version.gitVersion={KUBERNETES}",
    ]
)


@dataclass(frozen=True)
class Tool:
    """One binary: the folder of the module that pins it and the package to build there."""

    name: str
    version: str
    module: Path
    package: str
    ldflags: str = field(default=_STRIP)
    on_demand: bool = False
    """Built for whoever asks for it: a cluster comes up without it."""
    fake_clock: str = ""
    """Digest of the wall clock that it is built with (:mod:`.fake_clock`); "" where that is Go's own."""

    @property
    def filename(self) -> str:
        return f"{self.name}-{self.version}{'-' if self.fake_clock else ''}{self.fake_clock}"


def _kubernetes(name: str) -> Tool:
    return Tool(name, KUBERNETES, _GO / "kubernetes", f"k8s.io/kubernetes/cmd/{name}", _STAMP)


def _digest_sources(folder: Path) -> str:
    """Of a program of our own: the same for the same sources."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*")):
        digest.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]


_GATE = REPOSITORY / "images" / "gate"

# In the order in which others want them: integration tests need only the first two.
TOOLS: tuple[Tool, ...] = (
    Tool("pause", PAUSE, _GO / "pause", "."),
    _kubernetes("kube-apiserver"),
    Tool("minio", MINIO, REPOSITORY / "images" / "minio", "github.com/minio/minio"),
    Tool("seaweedfs", SEAWEEDFS, REPOSITORY / "images" / "seaweedfs", "github.com/seaweedfs/seaweedfs/weed"),
    Tool("store-gate", _digest_sources(_GATE), _GATE, ".", on_demand=True),
    Tool("toxiproxy", TOXIPROXY, _GO / "toxiproxy", "github.com/Shopify/toxiproxy/v2/cmd/server"),
    Tool("helm", HELM, _GO / "helm", "helm.sh/helm/v3/cmd/helm"),
    _kubernetes("kubectl"),
    _kubernetes("kubelet"),
    Tool(
        "kubelet-fake-clock",
        KUBERNETES,
        _GO / "kubernetes",
        "k8s.io/kubernetes/cmd/kubelet",
        _STAMP,
        on_demand=True,
        fake_clock=_digest_sources(_GO / "fake-clock"),
    ),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    _kubernetes("kube-proxy"),
    Tool("coredns", COREDNS, _GO / "coredns", "github.com/coredns/coredns"),
    Tool(
        "kube-router",
        KUBE_ROUTER,
        _GO / "kube-router",
        "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router",
    ),
    Tool("kueue", KUEUE, _GO / "kueue", "sigs.k8s.io/kueue/cmd/kueue", on_demand=True),
    Tool(
        "prometheus-operator",
        PROMETHEUS_OPERATOR,
        _GO / "prometheus-operator",
        "github.com/prometheus-operator/prometheus-operator/cmd/operator",
        on_demand=True,
    ),
    Tool("cert-manager", _digest_sources(_GO / "cert-manager"), _GO / "cert-manager", ".", on_demand=True),
    Tool("syft", SYFT, _GO / "syft", "github.com/anchore/syft/cmd/syft", on_demand=True),
)

BY_NAME: dict[str, Tool] = {tool.name: tool for tool in TOOLS}


def cache_dir() -> Path:
    """Where everything that outlives a run is kept; nothing of the throwaway cluster lies elsewhere."""
    if sys.platform != "linux":
        raise SystemExit(
            "The throwaway cluster needs Linux; on another system run it in a Linux virtual machine."
        )
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "alcove"


def binary_path(name: str) -> Path:
    """The path of a cached binary, whether or not it has been built yet."""
    return cache_dir() / "bin" / BY_NAME[name].filename
