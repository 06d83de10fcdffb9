"""Kopf's watches of the teams' namespaces, as these become readable and are taken away."""

from __future__ import annotations

import pytest

from alcove_kube.resources import SUBMISSIONS, Resource
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
