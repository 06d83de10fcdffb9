"""A release for the attacks, on the cluster that other end-to-end tests use as well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from alcove_cli.conformance import attacks_on_resources
from alcove_cli.conformance.place import Place, open_place, release_values
from alcove_cli.conformance.suite import CaseResult, cleaning, run_suite
from tests.cluster import api
from tests.conformance.odd_image import make_context
from tests.conftest import say
from tests.demo import hackathon as steps

RELEASE = "conformance"
UNLIMITED, SLOW = "unlimited", "slow"
LIMITED = (attacks_on_resources.MEMORY, attacks_on_resources.DISK)
"""Attacks on what the kubelet and cgroups keep; that on processor time is in test_processor_time.py."""


@pytest.fixture(scope="session")
def place(cluster: api.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    images = api.images(cluster, progress=say)
    values = release_values()
    spec = values["competition"]["spec"]
    spec["images"] = {"allowed": [cluster.registry]}
    spec["phases"] += other_phases(spec["phases"])
    teams = [team["name"] for team in values["teams"]]
    installed = steps.install(
        cluster, RELEASE, steps.chart_values(cluster, images, teams, values["competition"]["spec"], "minio")
    )
    folder = tmp_path_factory.mktemp("odd-image") / "context"
    make_context(folder)
    odd = api.publish_image(cluster, api.Image("odd", folder / "Dockerfile", folder))
    with open_place(str(cluster.kubeconfig), RELEASE, installed.store_url(), odd) as opened:
        yield opened


def other_phases(phases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As the long one: with limits of memory and disk so high that they do not bite, and with one of processor time so
    low that it bites on every machine."""
    long = next(phase for phase in phases if phase["name"] == "long")
    changes: dict[str, dict[str, str]] = {UNLIMITED: {"memory": "3Gi", "disk": "3Gi"}, SLOW: {"cpu": "50m"}}
    return [
        {**long, "name": name, "resources": {**long["resources"], **changed}}
        for name, changed in changes.items()
    ]


@pytest.fixture(scope="session")
def results(place: Place) -> dict[str, CaseResult]:
    """What came of each case, by its id; of those in :data:`UNLIMITED`, by "<phase>/<id>"."""
    unlimited = [
        replace(attack, phase=UNLIMITED, name=f"{attack.submission}-{UNLIMITED}") for attack in LIMITED
    ]
    with cleaning(place, say):
        found = {result.case.id: result for result in run_suite(place, say)}
    with cleaning(place, say):
        off = {f"{UNLIMITED}/{result.case.id}": result for result in run_suite(place, say, tuple(unlimited))}
    return found | off
