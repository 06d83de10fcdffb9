from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    with run_world(cluster, store, folder) as running:
        yield running


@contextmanager
def run_world(
    cluster: Cluster,
    store: StoreServer,
    folder: Path,
    namespace: str = NAMESPACE,
    teams: Sequence[str] = TEAMS,
    program: tuple[str, ...] | None = None,
    **settings: str,
) -> Iterator[World]:
    """A competition's namespace and those of its teams, with an operator of their own.

    Args:
        folder: empty; for the operator's files.
        program: what Python runs in place of the operator.
        settings: environment variables of the operator. With ``ALCOVE_CLUSTER_WIDE`` come the rights that it takes.
    """
    users = [
        {"role": role, "access_key": role, "secret_key": f"{role}-secret"} for role in ("operator", "scorer")
    ]
    for user in users:
        given = StoreCredentials(access_key=user["access_key"], secret_key=user["secret_key"])
        (folder / f"{user['role']}.json").write_text(given.model_dump_json())
    (folder / "users.json").write_text(json.dumps({"users": users}))
    set_up(
        {
            "ALCOVE_STORE_KIND": store.kind,
            "ALCOVE_STORE_ENDPOINT": store.url,
            "ALCOVE_STORE_ADMIN_USER": store.access_key,
            "ALCOVE_STORE_ADMIN_PASSWORD": store.secret_key,
            "ALCOVE_STORE_USERS": str(folder / "users.json"),
        },
        print,
    )
    install(cluster, namespace, teams, "ALCOVE_CLUSTER_WIDE" in settings)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        # As in its image.
        "MALLOC_ARENA_MAX": "1",
        "KUBECONFIG": str(kubeconfig_of_operator(cluster, folder, namespace)),
        "ALCOVE_NAMESPACES": ",".join((namespace, *teams)),
        "ALCOVE_COMPETITION_NAMESPACE": namespace,
        "ALCOVE_STORE_ENDPOINT": store.url,
        "ALCOVE_STORE_CREDENTIALS": str(folder / "operator.json"),
        "ALCOVE_SCORER_CREDENTIALS": str(folder / "scorer.json"),
        "ALCOVE_IDENTITY": "operator-0",
        "ALCOVE_METRICS_PORT": str(free_port()),
        "ALCOVE_HEALTH_PORT": str(free_port()),
        "ALCOVE_RESYNC_SECONDS": "30",
        "ALCOVE_NOTIFICATION_HOSTS": "127.0.0.1",
        "ALCOVE_NOTIFICATION_SECRETS": str(folder),
    } | {f"ALCOVE_IMAGE_{n}": f"alcove/{n.lower()}:1" for n in ("INGESTION", "RECORDER", "SCORER")}
    operator = Operator(environment | settings, folder / "operator.log")
    if program is not None:
        operator.program = program
    running = World(cluster, store, operator, namespace)
    try:
        print(f"the operator started in {operator.start():.1f} s")
        yield running
        assert operator.stop() == 0, operator.text()[-2000:]
    finally:
        operator.kill()


def apply(api: KubeClient, document: dict[str, object], namespace: str) -> None:
    plurals = {"Role": "roles", "RoleBinding": "rolebindings", "ServiceAccount": "serviceaccounts"}
    plurals |= {
        "Namespace": "namespaces",
        "Secret": "secrets",
        "CustomResourceDefinition": "customresourcedefinitions",
        "ClusterRole": "clusterroles",
        "ClusterRoleBinding": "clusterrolebindings",
    }
    metadata = document["metadata"]
    assert isinstance(metadata, dict)
    kind = str(document["kind"])
    namespaced = kind in ("Role", "RoleBinding", "ServiceAccount", "Secret")
    resource = Resource(str(document["apiVersion"]), plurals[kind])
    path = resource.path(str(metadata.get("namespace", namespace)) if namespaced else None)
    try:
        api.request("POST", path, document)
    except ApiError as error:
        if not error.conflict:
            raise


def install(cluster: Cluster, namespace: str, teams: Sequence[str], cluster_wide: bool = False) -> None:
    """The definitions, the namespaces, and of the chart all rights and accounts: nothing that needs a node. Rights in
    the whole cluster only where it is ``cluster_wide``.
    """
    api = KubeClient.from_kubeconfig(str(cluster.kubeconfig))
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        apply(api, yaml.safe_load(path.read_text()), namespace)
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    apply(
        api,
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": restricted},
        },
        namespace,
    )
    chosen = {
        "images": {"repository": "registry.example.org/alcove"},
        "competition": {"name": "unused", "spec": {}},
        "teams": [{"name": team.rpartition("-")[2], "namespace": team} for team in teams],
        "operator": {"clusterWide": cluster_wide},
    }
    values = cluster.state / f"{namespace}.yaml"
    values.write_text(yaml.safe_dump(chosen))
    shown = [f"templates/{name}.yaml" for name in ("teams", "operator-rbac", "jobs-rbac")]
    arguments = [argument for name in shown for argument in ("--show-only", name)]
    rendered = subprocess.run(
        [
            cluster.helm,
            "template",
            namespace,
            "--kube-version",
            "1.34.4",
            ROOT / "helm" / "alcove",
            "-n",
            namespace,
            "-f",
            values,
            *arguments,
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    wanted: tuple[str, ...] = ("Namespace", "ServiceAccount", "Role", "RoleBinding", "Secret")
    wanted += ("ClusterRole", "ClusterRoleBinding") if cluster_wide else ()
    for document in sorted(
        manifests(rendered), key=lambda d: wanted.index(d["kind"]) if d["kind"] in wanted else 9
    ):
        if document["kind"] in wanted:
            apply(api, document, namespace)


def kubeconfig_of_operator(cluster: Cluster, folder: Path, namespace: str) -> Path:
    """A kubeconfig with the token of the operator's service account: it has the chart's rights and no other."""
    settings = client.Configuration()
    config.load_kube_config(str(cluster.kubeconfig), client_configuration=settings)
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/alcove-operator/token"
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 86400},
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
