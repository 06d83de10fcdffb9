"""A release for the attacks, on the cluster that the end-to-end tests use as well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from alcove_cli.conformance import attacks_on_resources
from alcove_cli.conformance.place import Place, open_place, release_values
from alcove_cli.conformance.suite import CaseResult, cleaning, run_suite
from tests.cluster import api
from tests.conformance.odd_image import make_context
from tests.conftest import say
from tests.demo import hackathon as steps

RELEASE = "conformance"
UNLIMITED, UNTHROTTLED = "unlimited", "unthrottled"
LIMITED = {
    attacks_on_resources.MEMORY: UNLIMITED,
    attacks_on_resources.DISK: UNLIMITED,
    attacks_on_resources.BURSTS: UNTHROTTLED,
}
"""Attacks on what the kubelet and cgroups keep, and phases whose limits bite them on no machine: switched off."""


@pytest.fixture(scope="session")
def place(cluster: api.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    images = api.images(cluster, progress=say)
    values = release_values()
    spec = values["competition"]["spec"]
    spec["images"] = {"allowed": [cluster.registry]}
    long = next(phase for phase in spec["phases"] if phase["name"] == "long")
    spec["phases"] += [
        {**long, "name": UNLIMITED, "resources": {**long["resources"], "memory": "3Gi", "disk": "3Gi"}},
        # One of its bursts takes at most 60 ms of a period of 100 ms.
        {**long, "name": UNTHROTTLED, "resources": {**long["resources"], "cpu": "750m"}},
    ]
    teams = [team["name"] for team in values["teams"]]
    installed = steps.install(
        cluster, RELEASE, steps.chart_values(cluster, images, teams, values["competition"]["spec"])
    )
    folder = tmp_path_factory.mktemp("odd-image") / "context"
    make_context(folder)
    odd = api.publish_image(cluster, api.Image("odd", folder / "Dockerfile", folder))
    with open_place(str(cluster.kubeconfig), RELEASE, installed.store_url(), odd) as opened:
        yield opened


@pytest.fixture(scope="session")
def results(place: Place) -> dict[str, CaseResult]:
    """What came of each case, by its id; of those that are switched off, by "unlimited/<id>"."""
    unlimited = [
        replace(attack, phase=phase, name=f"{attack.submission}-{phase}") for attack, phase in LIMITED.items()
    ]
    with cleaning(place, say):
        found = {result.case.id: result for result in run_suite(place, say)}
    with cleaning(place, say):
        off = {f"{UNLIMITED}/{result.case.id}": result for result in run_suite(place, say, tuple(unlimited))}
    return found | off
