"""A release for the attacks, on the cluster that the end-to-end tests use as well."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from alcove_cli.conformance.place import Place, open_place, release_values
from alcove_cli.conformance.suite import CaseResult, cleaning, run_suite
from tests.cluster import api
from tests.conftest import say
from tests.demo import hackathon as steps

RELEASE = "conformance"


@pytest.fixture(scope="session")
def place(cluster: api.Cluster) -> Iterator[Place]:
    images = api.images(cluster, progress=say)
    values = release_values()
    teams = [team["name"] for team in values["teams"]]
    installed = steps.install(
        cluster, RELEASE, steps.chart_values(cluster, images, teams, values["competition"]["spec"])
    )
    with open_place(str(cluster.kubeconfig), RELEASE, installed.store_url()) as opened:
        yield opened


@pytest.fixture(scope="session")
def results(place: Place) -> dict[str, CaseResult]:
    """What came of each case, by its id."""
    with cleaning(place, say):
        return {result.case.id: result for result in run_suite(place, say)}
