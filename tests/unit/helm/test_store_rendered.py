"""The object store that the chart renders: each kind of it, with and without TLS."""

from __future__ import annotations

import base64
import json
import re

import pytest

from alcove_operator.credentials import seaweedfs_configuration
from alcove_operator.store_setup import Users
from tests.cluster.publish import version as chart_version
from tests.cluster.seaweedfs import CHART_ARGUMENTS, VOLUME_MIB
from tests.unit.helm.chart import Object, environment, of_kind, one, pods, render

SERVERS = ("minio", "seaweedfs")
ISSUER = {"name": "hackathon-ca", "kind": "ClusterIssuer"}
EXTERNAL: Object = {
    "kind": "external",
    "external": {
        "endpoint": "https://s3.example.org:9443",
        "users": "seaweedfs",
        "adminSecret": "store-admin",
        "caSecret": "store-authority",
        "style": "virtual",
        "cidrs": ["203.0.113.0/24"],
    },
}


def store_pod(objects: list[Object]) -> Object:
    (pod,) = (spec for name, _, spec in pods(objects) if name == "StatefulSet/alcove-store")
    return pod


def users(objects: list[Object]) -> Users:
    return Users.model_validate_json(one(objects, "Secret", "alcove-store-users")["stringData"]["users.json"])


def server_of(objects: list[Object]) -> Object:
    """The container of the store itself."""
    found: Object = store_pod(objects)["containers"][0]
    return found


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_of_each_kind_is_this_repository_s_image(kind: str) -> None:
    objects = render({"store": {"kind": kind}})
    image = f"registry.example.org/alcove/{kind}:{chart_version()}"
    found = [(container["name"], container["image"]) for container in store_pod(objects)["containers"]]
    assert found == [(kind, image), ("gate", image)]
    (job,) = (spec for name, _, spec in pods(objects) if name == "Job/alcove-store-setup")
    told = environment(job["containers"][0])
    assert told["ALCOVE_STORE_KIND"] == kind
    assert told["ALCOVE_STORE_ENDPOINT"] == "http://alcove-store.hackathon.svc:9000"
    assert all(re.fullmatch(r"[A-Za-z0-9]{1,128}", user.access_key) for user in users(objects).users)
    assert len({user.access_key for user in users(objects).users}) == 8


def test_seaweedfs_is_what_is_installed_by_default_as_in_the_tests_of_stores() -> None:
    container = server_of(render())
    assert container["name"] == "seaweedfs"
    files = {
        "-dir=/data", "-s3.localSocket=/alcove/socket/s3.sock", "-s3.iam.config=/alcove/iam/iam.json"
    }  # fmt: skip
    sizes = {f"-master.volumeSizeLimitMB={VOLUME_MIB}", f"-volume.minFreeSpace={2 * VOLUME_MIB}MiB"}
    assert set(container["args"]) == {"server", *CHART_ARGUMENTS, *files, *sizes}


@pytest.mark.parametrize("kind", SERVERS)
def test_the_gate_alone_can_be_reached_and_knows_the_operator_s_key(kind: str) -> None:
    objects = render({"store": {"kind": kind}})
    pod = store_pod(objects)
    server, gate = pod["containers"]
    assert "ports" not in server
    assert gate["ports"] == [{"name": "s3", "containerPort": 9000}]
    mounts = {mount["name"]: mount["mountPath"] for mount in gate["volumeMounts"]}
    assert set(mounts) == {"operator", *(["socket"] if kind == "seaweedfs" else [])}, "nothing of the data"
    behind = "127.0.0.1:9001" if kind == "minio" else f"{mounts['socket']}/s3.sock"
    assert gate["args"] == [f"-store={behind}", f"-credentials={mounts['operator']}/credentials.json"]
    if kind == "minio":
        assert f"--address={behind}" in server["args"]
    else:
        assert {m["name"]: m["mountPath"] for m in server["volumeMounts"]}["socket"] == mounts["socket"]
    (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "operator")
    one(objects, "Secret", volume["secret"]["secretName"])


@pytest.mark.parametrize("kind", SERVERS)
def test_no_upload_waits_in_a_folder_of_the_server(kind: str) -> None:
    pod = store_pod(render({"store": {"kind": kind, "server": {"size": "30Gi"}}}))
    (limit,) = (v["emptyDir"]["sizeLimit"] for v in pod["volumes"] if v["name"] == "tmp")
    assert limit == "64Mi"


def test_seaweedfs_lets_the_release_s_operator_and_scorer_alone_hand_on_credentials() -> None:
    objects = render({"store": {"bucket": "cup", "solutionsBucket": "secrets"}})
    found = json.loads(one(objects, "Secret", "alcove-store-iam")["stringData"]["iam.json"])
    key = base64.b64decode(found["sts"]["signingKey"])
    assert len(key) == 32
    by_role = {user.role: user.access_key for user in users(objects).users}
    wanted = seaweedfs_configuration(by_role["operator"], by_role["scorer"], key, "cup", "secrets")
    assert found == wanted
    again = json.loads(one(render(), "Secret", "alcove-store-iam")["stringData"]["iam.json"])
    assert again["sts"]["signingKey"] != found["sts"]["signingKey"]


def test_the_store_is_not_restarted_for_a_new_team() -> None:
    """Nor by anything else that changes from one rendering to the next, such as a key that is made up."""
    changed = render({"teams": [{"name": "green"}]}, "hackathon", "--is-upgrade")
    assert one(render(), "StatefulSet", "alcove-store") == one(changed, "StatefulSet", "alcove-store")


def test_long_names_make_access_keys_that_differ() -> None:
    teams = [{"name": name, "namespace": name} for name in ("a" * 62 + "b", "a" * 62 + "c", "a-b", "ab")]
    found = [user.access_key for user in users(render({"teams": teams})).users]
    assert len(set(found)) == len(found)
    assert max(map(len, found)) <= 128


def trusting(objects: list[Object]) -> set[str]:
    """Pods whose containers check the store's certificate with an authority of its own."""
    found = set()
    for name, _, pod in pods(objects):
        for container in pod["containers"]:
            path = environment(container).get("ALCOVE_STORE_CA")
            if path:
                mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
                assert path == f"{mounts['store-ca']}/ca.crt"
                (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "store-ca")
                assert volume["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}], (
                    "no key of a server"
                )
                found.add(name)
    return found


CLIENTS = {
    "Deployment/alcove-board", "Deployment/alcove-operator", "Job/alcove-store-setup", "Pod/alcove-test",
    "Pod/alcove-test-run",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "tls", "secret"),
    [
        ("minio", {"issuer": ISSUER}, "alcove-store-tls"),
        ("seaweedfs", {"secret": "own"}, "own"),
        ("seaweedfs", {"issuer": ISSUER, "secret": "own"}, "own"),
    ],
)
def test_a_server_with_a_certificate_speaks_nothing_else(kind: str, tls: Object, secret: str) -> None:
    objects = render({"store": {"kind": kind, "tls": tls}})
    pod = store_pod(objects)
    (container,) = (c for c in pod["containers"] if "ports" in c)
    (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "certificate")
    assert volume["secret"]["secretName"] == secret
    (mount,) = (mount for mount in container["volumeMounts"] if mount["name"] == "certificate")
    assert any(mount["mountPath"] in argument for argument in container["args"])
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["scheme"] == "HTTPS"
    operator = one(objects, "Deployment", "alcove-operator")["spec"]["template"]["spec"]["containers"][0]
    assert environment(operator)["ALCOVE_STORE_ENDPOINT"] == "https://alcove-store.hackathon.svc:9000"
    assert environment(operator)["ALCOVE_STORE_CA_SECRET"] == secret
    assert trusting(objects) == CLIENTS
    certificates = of_kind(objects, "Certificate")
    assert bool(certificates) is ("issuer" in tls)
    for certificate in certificates:
        assert certificate["spec"]["secretName"] == secret
        assert certificate["spec"]["issuerRef"] == ISSUER
        assert "alcove-store.hackathon.svc" in certificate["spec"]["dnsNames"]


def test_an_external_store_is_reached_as_the_values_say() -> None:
    objects = render({"store": EXTERNAL})
    assert not of_kind(objects, "StatefulSet", "Certificate")
    assert trusting(objects) == CLIENTS
    for _, labels, pod in pods(objects):
        told = environment(pod["containers"][0])
        if labels["alcove.dev/role"] in ("operator", "board", "store-setup", "test"):
            assert told["ALCOVE_STORE_STYLE"] == "virtual"
    (job,) = (spec for name, _, spec in pods(objects) if name == "Job/alcove-store-setup")
    assert environment(job["containers"][0])["ALCOVE_STORE_KIND"] == "seaweedfs"
    assert not trusting(render({"store": {**EXTERNAL, "external": {**EXTERNAL["external"], "caSecret": ""}}}))
