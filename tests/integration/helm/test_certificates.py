"""The store's certificate by cert-manager: issued as the chart asks for it, served, trusted by clients, and renewed.

The real cert-manager issues what the chart leaves in the API server. There is no node, so this process puts the files
where the kubelet would, starts the server with them, and knows the address of its name.
"""

from __future__ import annotations

import functools
import json
import re
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from alcove_store import client as store_client
from tests.cluster import certs
from tests.cluster.api import minio_server, seaweedfs_server
from tests.cluster.cert_manager import NAME, cert_manager
from tests.cluster.stores import StoreServer
from tests.cluster.versions import REPOSITORY, binary_path
from tests.integration.helm.conftest import ApiServer, Releases, wait_for
from tests.integration.store.conftest import SCORER, SIGNER
from tests.unit.helm.chart import Object, of_kind, render
from tests.unit.helm.variants import VARIANTS

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not binary_path(NAME).exists(), reason="`make certificates` builds cert-manager"),
]
SERVERS: dict[str, Callable[..., AbstractContextManager[StoreServer]]] = {
    "minio": functools.partial(minio_server, lambda _: None, operator=SIGNER),
    "seaweedfs": functools.partial(seaweedfs_server, SIGNER, SCORER, lambda _: None),
}
READY_SECONDS = 120.0


def authority() -> str:
    """What the documentation tells an administrator to apply."""
    (found,) = re.findall(
        r"```yaml\n(apiVersion: cert-manager.*?)```", (REPOSITORY / "docs/store.md").read_text(), re.DOTALL
    )
    return str(found)


@pytest.fixture(scope="module")
def issuing(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with cert_manager(server.cluster, tmp_path_factory.mktemp("cert-manager")):
        yield


def volume_of(pod: Object, name: str) -> Object:
    (found,) = (volume["secret"] for volume in pod["volumes"] if volume["name"] == name)
    return dict(found)


class Mount:
    """A volume of a Secret, as the kubelet lays it out: files are links through `..data`, which is replaced at once."""

    def __init__(self, server: ApiServer, namespace: str, secret: Object, folder: Path) -> None:
        self.server, self.namespace, self.secret, self.folder = server, namespace, secret, folder
        folder.mkdir()
        self.refresh()

    def refresh(self) -> None:
        found = self.server.secret(self.secret["secretName"], self.namespace)
        data = Path(tempfile.mkdtemp(prefix="..2026_", dir=self.folder))
        for item in self.secret["items"]:
            (data / item["path"]).write_text(found[item["key"]])
            link = self.folder / item["path"]
            if not link.is_symlink():
                link.symlink_to(f"..data/{item['path']}")
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(data.name)
        fresh.replace(self.folder / "..data")


def renew(server: ApiServer, name: str, namespace: str) -> None:
    """Asks for it as cert-manager itself does when a certificate is about to end, and waits."""
    found = server.get("certificate", name, namespace)
    secret, conditions = found["spec"]["secretName"], found["status"]["conditions"]
    before = server.secret(secret, namespace)["tls.crt"]
    asked = {
        "type": "Issuing",
        "status": "True",
        "reason": "ManuallyTriggered",
        "message": "asked for by a test",
        "lastTransitionTime": conditions[0]["lastTransitionTime"],
    }
    server.status("certificate", name, namespace, {"conditions": [*conditions, asked]})
    wait_for(
        f"a new certificate of {name}",
        lambda: server.secret(secret, namespace)["tls.crt"] != before,
        READY_SECONDS,
    )


def served_by(store: StoreServer) -> str:
    host, _, port = store.address.partition(":")
    return ssl.get_server_certificate((host, int(port)))


def is_ready(server: ApiServer, namespace: str) -> bool:
    conditions = server.get("certificate", "alcove-store", namespace).get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def resolve(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """As the cluster's DNS would, to this machine."""
    ask = socket.getaddrinfo

    def answer(name: Any, *rest: Any, **more: Any) -> Any:
        return ask("127.0.0.1" if name == host else name, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", answer)


@pytest.mark.usefixtures("issuing")
def test_the_api_server_takes_the_certificates_of_every_variant(server: ApiServer) -> None:
    """Strictly: an unknown or misplaced field is refused."""
    for values in VARIANTS.values():
        for certificate in of_kind(render(values), "Certificate"):
            place = certificate["metadata"]["namespace"]
            if not server.exists("namespace", place, ""):
                server.ok("create", "namespace", place)
            server.ok(
                "apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=json.dumps(certificate)
            )


@pytest.mark.usefixtures("issuing")
@pytest.mark.parametrize("kind", SERVERS)
def test_a_certificate_is_issued_served_trusted_and_renewed(
    kind: str, server: ApiServer, releases: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = f"certified-{kind}"
    server.ok("create", "namespace", namespace)
    server.ok("apply", "-n", namespace, "-f", "-", stdin=authority())
    releases(namespace, {"teams": [], "store": {"kind": kind, "tls": {"issuer": {"name": "hackathon-ca"}}}})
    wait_for("the store's certificate", lambda: is_ready(server, namespace), READY_SECONDS)
    store_pod = server.get("statefulset", "alcove-store", namespace)["spec"]["template"]["spec"]
    operator_pod = server.get("deployment", "alcove-operator", namespace)["spec"]["template"]["spec"]
    certificate = Mount(server, namespace, volume_of(store_pod, "certificate"), tmp_path / "certificate")
    trusted = Mount(server, namespace, volume_of(operator_pod, "store-ca"), tmp_path / "store-ca")
    (container,) = operator_pod["containers"]
    told = {entry["name"]: entry.get("value") for entry in container["env"]}
    host = urlsplit(told["ALCOVE_STORE_ENDPOINT"]).hostname
    resolve(monkeypatch, host)
    monkeypatch.setenv("ALCOVE_STORE_CA", str(trusted.folder / Path(told["ALCOVE_STORE_CA"]).name))

    with SERVERS[kind](certificate=certificate.folder, host=host) as store:
        assert store.answers()
        with monkeypatch.context() as other:
            certs.make_authority(tmp_path)
            other.setenv("ALCOVE_STORE_CA", str(tmp_path / "ca.crt"))
            assert not store.answers(), "another authority did not make its certificate"

        # What every process asks the store by, whose connections end now and then.
        pool = store_client.http_pool()
        first = served_by(store)
        renew(server, "alcove-store", namespace)
        certificate.refresh()
        wait_for("the server showing its new certificate", lambda: served_by(store) != first, READY_SECONDS)
        assert pool.request("GET", store.url).status == 403

        second = served_by(store)
        renew(server, "hackathon-ca", namespace)
        renew(server, "alcove-store", namespace)
        certificate.refresh()
        wait_for("the new authority's certificate", lambda: served_by(store) != second, READY_SECONDS)
        assert not store.answers(), "who has the old authority waits for the new one"
        trusted.refresh()
        pool.clear()
        assert pool.request("GET", store.url).status == 403
        assert store.answers()
