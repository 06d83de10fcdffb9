"""The cluster's keys and certificates, made with the openssl program, and the kubeconfigs that carry them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path

from .console import run
from .layout import CLUSTER_DOMAIN, Plan

# A throwaway cluster that someone forgot for two months should still answer.
_DAYS = "365"


def _key(path: Path) -> None:
    run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path])
    path.chmod(0o600)


def make_authority(pki: Path) -> None:
    """Of its own, as ca.key and ca.crt."""
    _key(pki / "ca.key")
    run(
        ["openssl", "req", "-x509", "-new", "-key", pki / "ca.key", "-subj", "/CN=alcove-throwaway", "-days", _DAYS,
         "-out", pki / "ca.crt", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    )  # fmt: skip


def make_certificate(pki: Path, name: str, subject: str, *, sans: Sequence[str] = ()) -> None:
    """A certificate for a client, or with names for a server (which may be a client as well)."""
    _key(pki / f"{name}.key")
    request = pki / f"{name}.csr"
    run(["openssl", "req", "-new", "-key", pki / f"{name}.key", "-subj", subject, "-out", request])
    extensions = [
        "basicConstraints=CA:FALSE",
        "extendedKeyUsage=clientAuth" + (",serverAuth" if sans else ""),
    ]
    if sans:
        extensions.append("subjectAltName=" + ",".join(sans))
    extension_file = pki / f"{name}.ext"
    extension_file.write_text("\n".join(extensions) + "\n")
    run(
        ["openssl", "x509", "-req", "-in", request, "-CA", pki / "ca.crt", "-CAkey", pki / "ca.key",
         "-CAcreateserial", "-days", _DAYS, "-extfile", extension_file, "-out", pki / f"{name}.crt"]
    )  # fmt: skip
    request.unlink()
    extension_file.unlink()


def _embed(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _kubeconfig(plan: Plan, user: str) -> str:
    """A kubeconfig with everything inside (JSON is YAML), so that the file can be handed around alone."""
    pki = plan.pki
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": plan.hostname,
                "cluster": {"server": plan.server, "certificate-authority-data": _embed(pki / "ca.crt")},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": _embed(pki / f"{user}.crt"),
                    "client-key-data": _embed(pki / f"{user}.key"),
                },
            }
        ],
        "contexts": [{"name": plan.hostname, "context": {"cluster": plan.hostname, "user": user}}],
        "current-context": plan.hostname,
    }
    return json.dumps(config, indent=1) + "\n"


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def create(plan: Plan) -> None:
    """Everything that the parts of the cluster show one another."""
    pki, a = plan.pki, plan.addresses
    pki.mkdir(mode=0o700, exist_ok=True)
    make_authority(pki)
    _key(pki / "service-account.key")
    run(["openssl", "ec", "-in", pki / "service-account.key", "-pubout", "-out", pki / "service-account.pub"])
    service = "kubernetes.default.svc"
    names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        service,
        f"{service}.{CLUSTER_DOMAIN}",
        plan.hostname,
    ]
    addresses = ["127.0.0.1", a.node, a.api_service]
    sans = [f"DNS:{n}" for n in names] + [f"IP:{ip}" for ip in addresses]
    make_certificate(pki, "apiserver", "/CN=kube-apiserver", sans=sans)
    make_certificate(pki, "admin", "/O=system:masters/CN=alcove-admin")
    _write_private(plan.state / "kubeconfig", _kubeconfig(plan, "admin"))
    if not plan.node:
        return
    for node in plan.nodes:
        user = f"kubelet{node.suffix}"
        make_certificate(
            pki, user, f"/O=system:nodes/CN=system:node:{node.hostname}",
            sans=[f"DNS:{node.hostname}", f"IP:{node.address}"],
        )  # fmt: skip
        _write_private(plan.conf / f"{user}.kubeconfig", _kubeconfig(plan, user))
    make_certificate(pki, "apiserver-kubelet", "/O=system:masters/CN=apiserver-kubelet")
    make_certificate(pki, "kube-controller-manager", "/CN=system:kube-controller-manager")
    make_certificate(pki, "kube-scheduler", "/CN=system:kube-scheduler")
    make_certificate(pki, "kube-proxy", "/CN=system:kube-proxy")
    make_certificate(pki, "coredns", "/CN=alcove:coredns")
    make_certificate(pki, "kube-router", "/CN=alcove:kube-router")
    for user in (
        "kube-controller-manager",
        "kube-scheduler",
        "kube-proxy",
        "coredns",
        "kube-router",
    ):
        _write_private(plan.conf / f"{user}.kubeconfig", _kubeconfig(plan, user))
