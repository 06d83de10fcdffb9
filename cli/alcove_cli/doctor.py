"""``alcove doctor``: whether this machine and this kubeconfig have what a team needs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version

from alcove_api import keys
from alcove_api.errors import AlcoveError
from alcove_cli.boards import read_boards
from alcove_cli.exchange import TEAM_SECRET, StoreAccess
from alcove_cli.local_run import find_supervisor
from alcove_cli.team import choose_team
from alcove_kube.client import KubeClient
from alcove_kube.errors import ApiError
from alcove_kube.resources import SUBMISSIONS
from alcove_store.client import store_errors

_OLDEST_KUBERNETES = (1, 29)


@dataclass(frozen=True)
class CheckResult:
    is_good: bool
    text: str
    """What was found or, where it is not good, what is wrong and what to do."""


@dataclass(frozen=True)
class Surroundings:
    """What is to be looked at: everything that a command's options can choose."""

    kubeconfig: str | None
    team: str | None
    competition: str
    """NAMESPACE/NAME."""
    store: str | None


def examine(where: Surroundings) -> Iterator[CheckResult]:
    """One result a check, as it is done. Those of the cluster end at the first that the next ones would repeat."""
    yield CheckResult(True, f"alcove {version('alcove')} on Python {sys.version.split()[0]}")
    yield _try(lambda: f"the supervisor for runs at home: {find_supervisor()}")
    try:
        kube = KubeClient.from_kubeconfig(where.kubeconfig)
        team = choose_team(where.team, where.kubeconfig)
    except AlcoveError as error:
        yield CheckResult(False, str(error))
        return
    server = _try(lambda: _check_server(kube))
    yield server
    if not server.is_good:
        return
    yield _try(lambda: f"Submissions of {team} can be listed: {len(kube.find_all(SUBMISSIONS, team))}")
    yield _try(lambda: _check_boards(kube, where.competition))
    yield _try(lambda: _check_store(kube, team, where.store))


def _try(check: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(True, check())
    except AlcoveError as error:
        return CheckResult(False, str(error))


def _check_server(kube: KubeClient) -> str:
    try:
        found = str(kube.request("GET", "/version").get("gitVersion", ""))
    except ApiError as error:
        raise AlcoveError(str(error), remedy="Is it the right kubeconfig, and still valid?") from error
    number = re.match(r"v(\d+)\.(\d+)", found)
    if number is None or (int(number[1]), int(number[2])) < _OLDEST_KUBERNETES:
        oldest = ".".join(map(str, _OLDEST_KUBERNETES))
        raise AlcoveError(
            f"The API server is {found or 'of no known version'}; Alcove needs {oldest} or later."
        )
    return f"the API server answers: {found}"


def _check_boards(kube: KubeClient, competition: str) -> str:
    phases = [board["spec"]["phase"] for board in read_boards(kube, competition)]
    return f"Leaderboards of {competition} can be read: {', '.join(sorted(phases))}"


def _check_store(kube: KubeClient, team: str, endpoint: str | None) -> str:
    access = StoreAccess.of_secret(kube, team, TEAM_SECRET, endpoint)
    with (
        access.reach("Only bundles, reports and datasets need it.") as store,
        store_errors("listing shared datasets"),
    ):
        for _ in store.list_objects(access.uploads, prefix=keys.SHARED):
            break
    return f"the store at {access.endpoint} takes the team's credentials"
