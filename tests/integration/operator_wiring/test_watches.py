"""Kopf's watches of the teams' namespaces, as these become readable and are taken away."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from alcove_kube.client import KubeClient
from alcove_kube.resources import CONFIG_MAPS, SUBMISSIONS, Resource
from tests.cluster.layout import Cluster
from tests.cluster.stores import StoreServer
from tests.integration.operator_wiring.conftest import install, run_world
from tests.integration.operator_wiring.world import GOLD, TEAMS, World, wait_for

pytestmark = pytest.mark.integration
BINDINGS = Resource("rbac.authorization.k8s.io/v1", "rolebindings")
SPEC = {
    "competition": {"namespace": "elsewhere", "name": "none"},
    "phase": "practice",
    "code": {"bundle": {"sha256": "a" * 64}},
}


def test_a_namespace_that_becomes_readable_is_watched_without_a_restart(world: World) -> None:
    binding = world.find(BINDINGS, "alcove-operator", GOLD)
    assert binding is not None
    assert world.operator.stop() == 0
    world.delete(BINDINGS, "alcove-operator", GOLD)
    before = len(world.operator.text())

    def said(words: str) -> bool:
        return words in world.operator.text()[before:]

    try:
        world.operator.start()
        assert said(f"The namespaces of {len(TEAMS) - 1} teams are watched.")
    finally:
        metadata = {"name": "alcove-operator", "labels": binding["metadata"].get("labels") or {}}
        world.create(BINDINGS, {**binding, "metadata": metadata}, GOLD)
    wait_for("the resync finds it", lambda: said(f"The namespaces of {len(TEAMS)} teams are watched."))
    for team in (GOLD, TEAMS[0]):
        world.create(SUBMISSIONS, {"kind": "Submission", "metadata": {"name": "watched"}, "spec": SPEC}, team)
        wait_for(f"{team}'s is seen", lambda team=team: world.submission_status("watched", team))  # type: ignore[misc]
    assert "Traceback" not in world.operator.text()[before:]


WIDE, RED, BLUE = "wide", "wide-red", "wide-blue"


def test_one_watch_of_the_whole_cluster_tells_of_all_teams_that_come(
    cluster: Cluster, store: StoreServer, tmp_path: Path
) -> None:
    api = KubeClient.from_kubeconfig(str(cluster.kubeconfig))
    of_teams = Teams(api)
    before = _count_watches(api)
    install(cluster, WIDE, (RED, BLUE), cluster_wide=True)
    of_teams.list(RED)
    with run_world(
        *(cluster, store, tmp_path, WIDE, (RED, BLUE)),
        ALCOVE_CLUSTER_WIDE="true",
        ALCOVE_TEAMS_CONFIG_MAP=Teams.NAME,
        ALCOVE_NAMESPACES=WIDE,
        ALCOVE_RESYNC_SECONDS="1",
    ) as world:

        def submit(team: str, name: str) -> None:
            body = {"kind": "Submission", "metadata": {"name": name}, "spec": SPEC}
            world.create(SUBMISSIONS, body, team)

        # One, and that of the competition's own namespace.
        expected = Watches(before.cluster + 1, before.namespaces + 1)
        wait_for("one watch of the cluster", lambda: _count_watches(api) == expected)
        submit(BLUE, "early")
        submit(RED, "one")
        wait_for("the team's is seen", lambda: world.submission_status("one", RED))
        assert not world.submission_status("early", BLUE), "it is no team's yet"
        of_teams.list(RED, BLUE)
        wait_for("what was there before is seen", lambda: world.submission_status("early", BLUE))
        submit(BLUE, "late")
        wait_for("what comes then is seen", lambda: world.submission_status("late", BLUE))
        wait_for("it is the same watch", lambda: _count_watches(api) == expected)
        assert world.operator.text().count("teams are watched.") == 1
        _assert_rights(world)


def _assert_rights(world: World) -> None:
    """Beyond the namespaces of the release, no more than was said."""

    def may(verb: str, group: str, resource: str, namespace: str = "") -> bool:
        attributes = {"verb": verb, "group": group, "resource": resource, "namespace": namespace}
        user = f"system:serviceaccount:{WIDE}:alcove-operator"
        review = {"spec": {"user": user, "resourceAttributes": attributes}}
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return bool(world.ask("POST", path, review)["status"]["allowed"])

    wide = {
        v
        for v in ("get", "list", "watch", "patch", "create", "delete")
        if may(v, "alcove.dev", "submissions")
    }
    assert wide == {"get", "list", "watch", "patch"}
    not_listed = [
        ("", "configmaps"),
        ("", "secrets"),
        ("", "pods"),
        ("batch", "jobs"),
        ("alcove.dev", "competitions"),
    ]
    assert not [what for what in not_listed for verb in ("get", "list", "watch") if may(verb, *what)]


class Teams:
    """The list that the chart would make."""

    NAME = "alcove-teams"

    def __init__(self, api: KubeClient) -> None:
        self.api = api

    def list(self, *teams: str) -> None:
        data = {"namespaces": "\n".join(teams)}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": self.NAME}, "data": data}
        if self.api.find(CONFIG_MAPS, WIDE, self.NAME) is None:
            self.api.create(CONFIG_MAPS, WIDE, body)
        else:
            self.api.replace(CONFIG_MAPS, WIDE, self.NAME, body)


class Watches(NamedTuple):
    """Of Submissions, under way at the API server."""

    cluster: int
    namespaces: int


def _count_watches(api: KubeClient) -> Watches:
    found = Counter[str]()
    for family in text_string_to_metric_families(api.read_text("/metrics")):
        for sample in family.samples:
            labels = sample.labels
            if sample.name == "apiserver_longrunning_requests" and labels["resource"] == "submissions":
                found[labels["scope"]] += int(sample.value)
    return Watches(found["cluster"], found["namespace"])
