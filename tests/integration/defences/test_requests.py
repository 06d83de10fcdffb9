"""The requests of the suite against a real API server and store: refused, and without the defence let through."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from minio import Minio

from alcove_api import keys
from alcove_cli.conformance.intrusions import API, OBJECTS, STORE, Intrusion
from alcove_cli.conformance.place import HiddenDataset, Place, Team
from alcove_cli.exchange import StoreAccess
from alcove_kube.client import KubeClient
from alcove_store import client as store_client
from tests.integration.helm.conftest import ApiServer, Releases, releases, server, wait_for
from tests.integration.helm.test_install import leaderboard, submission
from tests.integration.store.conftest import SetUpStore, certificate, set_up_store

__all__ = ["certificate", "releases", "server", "set_up_store"]
pytestmark = pytest.mark.integration
DATA = HiddenDataset("d1", "s1", "series", np.zeros((1, 1), np.bool_), "")
NO_STORE: Any = None
TEAMS = {"competition": {"name": "attacked"}, "teams": [{"name": "attacker"}, {"name": "neighbour"}]}
FINALIZERS = next(one for one in OBJECTS if one.id == "rights/finalizers")
ALLOWED = {one.id for one in (*API, *STORE) if one.outcome == "harmless"}
BY_SCHEMA = {"rights/no-code", "rights/two-codes", "rights/unpinned-image", "rights/digest-path"}
BY_BOTH = {"rights/change-submission"}


def complaints(place: Place, tried: tuple[Intrusion, ...]) -> dict[str, str]:
    answers = {one.id: one.act(place, DATA) for one in tried}
    return {case: said for case, said in answers.items() if said is not None}


def place_of(attacker: Team, neighbour: Team, kube: KubeClient) -> Place:
    return Place(kube, "attacked", "attacked", attacker, neighbour, cast(StoreAccess, NO_STORE), NO_STORE)


@pytest.fixture
def attacked(server: ApiServer, releases: Releases, tmp_path: Path) -> Place:
    releases("attacked", TEAMS)
    organizer = KubeClient.from_kubeconfig(str(server.cluster.kubeconfig))
    attacker, neighbour = (
        Team(
            name,
            KubeClient.from_kubeconfig(str(server.kubeconfig_of("participant", name, tmp_path))),
            NO_STORE,
        )
        for name in ("attacked-attacker", "attacked-neighbour")
    )
    if not server.exists("leaderboard", "attack", "attacked"):
        server.create(leaderboard("attacked", "attack"))
        server.create(submission("attacked-attacker", "attacked", "stamps"))
    place = place_of(attacker, neighbour, organizer)
    # A policy is known to the API server a moment after it is made.
    wait_for("the policy", lambda: FINALIZERS.act(place, DATA) is None)
    return place


def test_a_team_makes_no_request_but_its_own(attacked: Place) -> None:
    assert complaints(attacked, (*API, *OBJECTS)) == {}


def test_with_more_rights_every_request_of_a_team_goes_through(server: ApiServer, attacked: Place) -> None:
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "switched-off"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "participant", "namespace": "attacked-attacker"}],
    }
    server.create(binding)
    try:
        wait_for("the rights", lambda: API[-1].act(attacked, DATA) is not None)
        assert complaints(attacked, API).keys() == {one.id for one in API} - ALLOWED
    finally:
        server.ok("delete", "clusterrolebinding", "switched-off")


def test_without_the_policy_a_submission_carries_anything(server: ApiServer, attacked: Place) -> None:
    server.ok("delete", "validatingadmissionpolicybinding", "alcove-submissions.attacked")
    by_policy = tuple(one for one in OBJECTS if one.id not in BY_SCHEMA | BY_BOTH)
    wait_for("the policy being gone", lambda: FINALIZERS.act(attacked, DATA) is not None)
    assert complaints(attacked, OBJECTS).keys() == {one.id for one in by_policy}


@contextmanager
def without_schema(server: ApiServer) -> Iterator[None]:
    name = "submissions.alcove.dev"
    before = json.loads(server.ok("get", "crd", name, "-o", "json"))
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    body = [{"op": "replace", "path": "/spec/versions/0/schema", "value": schema}]
    server.ok("patch", "crd", name, "--type=json", "-p", json.dumps(body))
    try:
        yield
    finally:
        body[0]["value"] = before["spec"]["versions"][0]["schema"]
        server.ok("patch", "crd", name, "--type=json", "-p", json.dumps(body))


def test_without_the_schema_a_submission_says_anything(server: ApiServer, attacked: Place) -> None:
    by_schema = tuple(one for one in OBJECTS if one.id in BY_SCHEMA)
    with without_schema(server):
        wait_for("the schema being gone", lambda: len(complaints(attacked, by_schema)) == len(BY_SCHEMA))
        (change,) = (one for one in OBJECTS if one.id in BY_BOTH)
        assert change.act(attacked, DATA) is None, "the policy keeps it as it is"
        server.ok("delete", "validatingadmissionpolicybinding", "alcove-submissions.attacked")
        wait_for("the policy being gone", lambda: change.act(attacked, DATA) is not None)
    wait_for("the schema being back", lambda: not complaints(attacked, by_schema))


def teams_of(store: SetUpStore, attacker: Minio) -> Place:
    kube = cast(KubeClient, None)
    return place_of(Team("team-a", kube, attacker), Team("team-b", kube, store.client("team-b")), kube)


def test_a_team_reads_and_writes_its_own_in_the_store(set_up_store: SetUpStore) -> None:
    assert complaints(teams_of(set_up_store, set_up_store.client("team-a")), STORE) == {}


def test_with_more_rights_in_the_store_a_team_does_everything(set_up_store: SetUpStore) -> None:
    store_client.put_bytes(set_up_store.root, keys.MAIN_BUCKET, "runs/any/log.txt", b"x")
    found = complaints(teams_of(set_up_store, set_up_store.root), STORE)
    assert found.keys() == {one.id for one in STORE} - ALLOWED
