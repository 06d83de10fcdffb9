from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes import client, config

from alcove_api.documents import StoreCredentials
from alcove_kube.client import KubeClient
from alcove_kube.errors import ApiError
from alcove_kube.resources import Resource
from alcove_operator.store_setup import set_up
from tests.cluster.layout import Cluster
from tests.cluster.lifecycle import control_plane, down
from tests.cluster.minio import minio_server
from tests.cluster.stores import StoreServer, free_port
from tests.integration.operator_wiring.world import NAMESPACE, ROOT, TEAMS, Operator, World, manifests

VALUES = {
    "competition": {"name": "unused", "spec": {}},
    "teams": [{"name": t.removeprefix("hack-"), "namespace": t} for t in TEAMS],
}


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    name = f"wiring-{os.getpid()}"
    try:
        yield control_plane(name)
    finally:
        down(name)


@pytest.fixture(scope="session")
def store() -> Iterator[StoreServer]:
    with minio_server() as server:
        yield server


@pytest.fixture(scope="session")
def world(cluster: Cluster, store: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("operator")
    credentials = folder / "credentials.json"
    credentials.write_text(
        StoreCredentials(access_key="operator", secret_key="operator-secret").model_dump_json()
    )
    users = folder / "users.json"
    user = {"role": "operator", "access_key": "operator", "secret_key": "operator-secret"}
    users.write_text(json.dumps({"users": [user]}))
    set_up(
        {
            "ALCOVE_STORE_ENDPOINT": store.url,
            "ALCOVE_STORE_ADMIN_USER": store.access_key,
            "ALCOVE_STORE_ADMIN_PASSWORD": store.secret_key,
            "ALCOVE_STORE_USERS": str(users),
        },
        print,
    )
    install(cluster)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "KUBECONFIG": str(kubeconfig_of_operator(cluster, folder)),
        "ALCOVE_NAMESPACES": ",".join((NAMESPACE, *TEAMS)),
        "ALCOVE_COMPETITION_NAMESPACE": NAMESPACE,
        "ALCOVE_STORE_ENDPOINT": store.url,
        "ALCOVE_STORE_CREDENTIALS": str(credentials),
        "ALCOVE_IDENTITY": "operator-0",
        "ALCOVE_METRICS_PORT": str(free_port()),
        "ALCOVE_HEALTH_PORT": str(free_port()),
        "ALCOVE_RESYNC_SECONDS": "30",
        "ALCOVE_NOTIFICATION_HOSTS": "127.0.0.1",
        "ALCOVE_NOTIFICATION_SECRETS": str(folder),
    } | {f"ALCOVE_IMAGE_{n}": f"alcove/{n.lower()}:1" for n in ("INGESTION", "RECORDER", "STAGER", "SCORER")}
    world = World(cluster, store, Operator(environment, folder / "operator.log"))
    try:
        print(f"the operator started in {world.operator.start():.1f} s")
        yield world
        assert world.operator.stop() == 0, world.operator.text()[-2000:]
    finally:
        world.operator.kill()


def apply(api: KubeClient, document: dict[str, object]) -> None:
    plurals = {"Role": "roles", "RoleBinding": "rolebindings", "ServiceAccount": "serviceaccounts"}
    plurals |= {"Namespace": "namespaces", "CustomResourceDefinition": "customresourcedefinitions"}
    metadata = document["metadata"]
    assert isinstance(metadata, dict)
    kind = str(document["kind"])
    namespaced = kind in ("Role", "RoleBinding", "ServiceAccount")
    resource = Resource(str(document["apiVersion"]), plurals[kind])
    path = resource.path(str(metadata.get("namespace", NAMESPACE)) if namespaced else None)
    try:
        api.request("POST", path, document)
    except ApiError as error:
        if not error.conflict:
            raise


def install(cluster: Cluster) -> None:
    """The definitions, the namespaces, and of the chart all rights and accounts: nothing that needs a node."""
    api = KubeClient.from_kubeconfig(str(cluster.kubeconfig))
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        apply(api, yaml.safe_load(path.read_text()))
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    apply(
        api,
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": restricted},
        },
    )
    values = cluster.state / "values.yaml"
    values.write_text(yaml.safe_dump(VALUES))
    shown = [f"templates/{name}.yaml" for name in ("teams", "operator-rbac", "jobs-rbac")]
    arguments = [argument for name in shown for argument in ("--show-only", name)]
    rendered = subprocess.run(
        [
            cluster.helm,
            "template",
            "hack",
            "--kube-version",
            "1.34.4",
            ROOT / "helm" / "alcove",
            "-n",
            NAMESPACE,
            "-f",
            values,
            *arguments,
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    wanted = ("Namespace", "ServiceAccount", "Role", "RoleBinding")
    for document in sorted(
        manifests(rendered), key=lambda d: wanted.index(d["kind"]) if d["kind"] in wanted else 9
    ):
        if document["kind"] in wanted:
            apply(api, document)


def kubeconfig_of_operator(cluster: Cluster, folder: Path) -> Path:
    """A kubeconfig with the token of the operator's service account: it has the chart's rights and no other."""
    settings = client.Configuration()
    config.load_kube_config(str(cluster.kubeconfig), client_configuration=settings)
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/alcove-operator/token"
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 7200},
    }
    token = KubeClient.from_kubeconfig(str(cluster.kubeconfig)).request("POST", path, request)["status"][
        "token"
    ]
    authority = base64.b64encode(Path(settings.ssl_ca_cert).read_bytes()).decode()
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "operator",
        "clusters": [
            {
                "name": "test",
                "cluster": {"server": settings.host, "certificate-authority-data": authority},
            }
        ],
        "users": [{"name": "operator", "user": {"token": token}}],
        "contexts": [{"name": "operator", "context": {"cluster": "test", "user": "operator"}}],
    }
    target = folder / "kubeconfig"
    target.write_text(yaml.safe_dump(document))
    return target
