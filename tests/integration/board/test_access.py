"""Every address against every role: who sees what. An address that this table does not know fails it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import pytest
from minio.credentials import StaticProvider

from alcove_api import keys
from alcove_board.app import BoardServer
from alcove_board.metrics import ServerMetrics
from alcove_board.reports import ReportLinks
from alcove_board.source import BoardSource
from alcove_store.client import client, put_bytes
from tests.integration.store.conftest import REGION
from tests.integration.store.test_report import condition, secret, submission
from tests.unit.cli.conftest import Typed, alcove
from tests.unit.kube.server import Answer, serving

from .conftest import COMPETITION, SIGNED, RunningServer

pytestmark = pytest.mark.integration
__all__ = ["alcove"]
PHASE = f"/{COMPETITION}/{{phase}}"
OWN, OTHER = (
    b"<body><main>the report of team-a</main></body>",
    b"<body><main>the report of team-b</main></body>",
)
REPORTS = {"team-a": ("uid-a", OWN), "team-b": ("uid-b", OTHER)}
ROLES = ("visitor", "team-a", "team-b", "board", "scorer", "expired", "changed")
"""Who has signed the query that comes with the request; a visitor comes without one."""
EVERYONE = {
    "/": {"/"},
    "/competitions.json": {"/competitions.json"},
    "/-/healthz": {"/-/healthz"},
    "/-/style.css": {"/-/style.css"},
    "/-/live.js": {"/-/live.js"},
}
"""Address as the server has it, and what is asked for; the same to every role."""
OF_PHASES = {
    "/{competition}/{phase}": "",
    "/{competition}/{phase}/all": "/all",
    "/{competition}/{phase}/projector": "/projector",
    "/{competition}/{phase}/boards": "/boards",
    "/{competition}/{phase}/boards/{version}": "/boards/{version}",
    "/{competition}/{phase}/table.json": "/table.json",
    "/{competition}/{phase}/table.csv": "/table.csv",
    "/{competition}/{phase}/history.json": "/history.json",
    "/{competition}/{phase}/curves.json": "/curves.json",
    "/{competition}/{phase}/activity.json": "/activity.json",
}
OF_TEAMS = {"/-/reports/{team}/{uid}"}


def signed(server: RunningServer, role: str, team: str, uid: str = "") -> str:
    """The query of a link to that team's report, made by ``role``: nothing of it goes over the network."""
    if role == "visitor":
        return ""
    who = "team-a" if role in ("expired", "changed") else role
    own = server.store.credentials[who]
    signer = client(SIGNED, REGION, StaticProvider(own.access_key, own.secret_key))
    moment = datetime.now(UTC) - timedelta(hours=2 if role == "expired" else 0)
    key = keys.team_report(team, uid or REPORTS[team][0])
    url = signer.get_presigned_url(
        "GET", keys.MAIN_BUCKET, key, expires=timedelta(hours=1), request_date=moment
    )
    query = urlsplit(url).query
    return f"?{query[:-4]}0000" if role == "changed" else f"?{query}"


@pytest.fixture(scope="module", autouse=True)
def reports(server: RunningServer) -> None:
    for team, (uid, data) in REPORTS.items():
        put_bytes(server.store.client("operator"), keys.MAIN_BUCKET, keys.team_report(team, uid), data)


def version_of(server: RunningServer, phase: str) -> str:
    found = server.store.root.stat_object(keys.MAIN_BUCKET, server.key(phase, "leaderboard.html"))
    return str(found.version_id)


def test_the_table_knows_every_address() -> None:
    nothing = BoardServer(cast(BoardSource, None), cast(ReportLinks, None), ServerMetrics())
    assert {route.path for route in nothing.routes()} == {*EVERYONE, *OF_PHASES, *OF_TEAMS}
    assert all(route.methods == {"GET", "HEAD"} for route in nothing.routes())


@pytest.mark.parametrize("team", REPORTS)
@pytest.mark.parametrize("role", ROLES)
def test_a_report_is_shown_to_its_own_team_and_to_nobody_else(
    server: RunningServer, role: str, team: str
) -> None:
    answer = server.get(f"/-/reports/{team}/{REPORTS[team][0]}{signed(server, role, team)}")
    if role == team:
        assert answer.status == 200
        assert REPORTS[team][1].removeprefix(b"<body>").removesuffix(b"</body>") in answer.data
        assert answer.headers["Cache-Control"] == "private, no-store"
    else:
        assert answer.status == 404
        assert b"the report of" not in answer.data
        visitor = server.get(f"/-/reports/{team}/{REPORTS[team][0]}")
        assert answer.data == visitor.data, "it says nothing of why"


@pytest.mark.parametrize("role", ROLES)
def test_a_link_opens_the_report_that_it_was_made_for_alone(server: RunningServer, role: str) -> None:
    query = signed(server, role, "team-a")
    for place in ("team-b/uid-b", "team-a/uid-b", "team-a/..%2Fteam-b%2Fuid-b", "team-a%2F..%2Fteam-b/uid-b"):
        answer = server.get(f"/-/reports/{place}{query}")
        assert answer.status == 404, place
        assert b"the report of" not in answer.data
    extra = f"{query or '?'}&versionId=x"
    assert server.get(f"/-/reports/team-a/uid-a{extra}").status == 404


def test_a_link_may_say_nothing_but_who_signed_it_and_for_how_long(server: RunningServer) -> None:
    """Though the store would answer it: what else S3 can be asked for by a query is not handed on."""
    own = server.store.credentials["team-a"]
    signer = client(SIGNED, REGION, StaticProvider(own.access_key, own.secret_key))
    key = keys.team_report("team-a", "uid-a")
    answers = []
    for more in ({}, {"response-cache-control": "public"}):
        url = signer.get_presigned_url("GET", keys.MAIN_BUCKET, key, response_headers=more)
        answers.append(server.get(f"/-/reports/team-a/uid-a?{urlsplit(url).query}").status)
    assert answers == [200, 404]


@pytest.mark.parametrize("role", ROLES)
def test_all_else_is_the_same_to_every_role(server: RunningServer, role: str) -> None:
    query = signed(server, role, "team-a")
    paths = [path for asked in EVERYONE.values() for path in asked]
    paths += [
        PHASE.format(phase=phase) + rest.format(version=version_of(server, phase))
        for phase in ("practice", "final")
        for rest in OF_PHASES.values()
    ]
    for path in paths:
        plain, asked = server.get(path), server.get(f"{path}{query}")
        assert (asked.status, asked.data) == (plain.status, plain.data), path
        assert b"the report of" not in asked.data


@pytest.mark.parametrize("rest", OF_PHASES.values())
def test_a_hidden_phase_shows_a_countdown_and_nothing_else(server: RunningServer, rest: str) -> None:
    """Though its board is in the store, and an earlier state of it has an address."""
    place = PHASE.format(phase="final") + rest.format(version=version_of(server, "final"))
    answer = server.get(place)
    for told in (b"hackathon-team", b"try-", b"u0", b"ALC"):
        assert told not in answer.data
    if rest.endswith((".json", ".csv")):
        assert answer.status == 404
        assert set(answer.json()) == {"detail", "revealsAt"}
    else:
        assert answer.status == 200
        assert b'id="countdown"' in answer.data
        assert b"<table" not in answer.data
    shown = PHASE.format(phase="practice") + rest.format(version=version_of(server, "practice"))
    assert server.get(shown).status == 200


def test_the_link_that_the_command_prints_opens_the_teams_report(
    server: RunningServer, tmp_path: Path, alcove: Typed
) -> None:
    rules = {"boardUrl": f"http://127.0.0.1:{server.port}"}
    boards = Answer(
        body={"items": [{"spec": {"competition": COMPETITION, "phase": "practice", "rules": rules}}]}
    )
    submitted = submission("uid-a")
    assert isinstance(submitted.body, dict)
    submitted.body["spec"] = {"competition": {"namespace": "hackathon", "name": COMPETITION}}
    with serving(submitted, boards, secret(server.store, "team-a", SIGNED)) as cluster:
        options = ("--team", "team-a", "--kubeconfig", cluster.kubeconfig(tmp_path))
        done = alcove("report", "first", "--link", *options)
    assert (done.returncode, done.stderr) == (0, "")
    link = done.stdout.strip()
    assert server.get(link.removeprefix(rules["boardUrl"])).data.count(b"the report of team-a") == 1
    assert "secret-of-team-a" not in link


@pytest.mark.parametrize(
    ("phase", "reason", "said"),
    [("Running", "", "once all runs have ended"), ("Done", "HeldBack", "from its reveal on")],
)
def test_no_link_is_made_to_a_page_that_is_not_there(
    tmp_path: Path, alcove: Typed, phase: str, reason: str, said: str
) -> None:
    conditions = [condition("Scored", "False", reason)] if reason else []
    with serving(submission("uid-a", phase, *conditions)) as cluster:
        options = ("--team", "team-a", "--kubeconfig", cluster.kubeconfig(tmp_path))
        done = alcove("report", "first", "--link", *options)
        assert len(cluster.asked) == 1
    assert done.returncode != 0
    assert said in done.stderr


def test_every_answer_has_a_strict_policy(server: RunningServer) -> None:
    phases = [PHASE.format(phase=phase) for phase in ("practice", "final", "later")]
    for path in ("/", *phases, "/nothing/there", "/-/x", "/a/b/c/d"):
        headers = server.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(server: RunningServer, method: str) -> None:
    import urllib3

    for path in ("/", PHASE.format(phase="practice"), "/-/reports/team-a/uid-a"):
        assert urllib3.request(method, f"http://127.0.0.1:{server.port}{path}", retries=False).status == 405
