"""A real Prometheus reads the real operator during a competition.

Every expression of every panel and alert is run, board and curves agree with the cluster's objects, and what a terminal
says of a phase agrees with its alerts. All alerts are made to fire in tests/integration/operator_wiring/test_alerts.py.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Iterator

import pytest

from alcove_api.competition import PRUNE
from alcove_toolkit.practice import PRACTICE
from tests.demo import dashboard_data
from tests.demo.hackathon import Hackathon, wait_for
from tests.demo.prometheus import Prometheus, run_prometheus
from tests.e2e import models
from tests.e2e.conftest import Object, Organizer, Team, alcove

pytestmark = pytest.mark.e2e

PHASE = "practice"
OPERATOR, BOARDS = "alcove-operator", "alcove-board-metrics"
EMPTY = {
    # There is no GPU here. tests/integration/monitoring/test_alerts.py runs it on series as DCGM's exporter names them.
    "alcove-operations.json: GPU use: A",
}
"""Panels of which nothing can come here, and where else they are tried."""


@pytest.fixture(scope="module")
def prometheus(hackathon: Hackathon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    targets = {
        name: f"{hackathon.get('service', name)['spec']['clusterIP']}:9090" for name in (OPERATOR, BOARDS)
    }
    with run_prometheus(targets, hackathon.name, tmp_path_factory.mktemp("prometheus")) as running:
        yield running


@pytest.fixture
def organizer(hackathon: Hackathon) -> Iterator[Organizer]:
    yield Organizer(hackathon, "organizer")
    hackathon.kubectl("delete", "submission,configmap", "chance", "-n", hackathon.name, "--timeout=60s")


def variables(hackathon: Hackathon, team: str = "red") -> dict[str, str]:
    return {
        "namespace": hackathon.name, "competition": hackathon.name, "phase": PHASE, "dataset": "digits",
        "team": hackathon.team_namespace(team),
    }  # fmt: skip


def matrix(prometheus: Prometheus, expression: str) -> dict[str, dict[str, float]]:
    """Values by team and column."""
    found: dict[str, dict[str, float]] = {}
    for sample in prometheus.query(expression):
        found.setdefault(sample.labels["team"], {})[sample.labels["column"]] = sample.value
    return found


def board(hackathon: Hackathon) -> Object:
    status: Object = hackathon.get("leaderboard", PHASE).get("status", {})
    return status


@pytest.mark.timeout(900)
def test_panels_show_what_the_cluster_has(
    red: Team, blue: Team, organizer: Organizer, hackathon: Hackathon, prometheus: Prometheus
) -> None:
    """Two teams and a baseline on six datasets: enough of them to tell two teams apart."""
    here, began = variables(hackathon), time.time()
    red.submit("old", models.LASTS, phase=PHASE)
    blue.submit("only", models.UNLEARNS, phase=PHASE)
    organizer.submit("chance", models.SCHEDULED, phase=PHASE)
    red.submit("late", models.STEADY)
    look_while_runs_go_on(red, hackathon, prometheus)
    red.until("old", seconds=300)
    red.submit("new", models.LEARNS, phase=PHASE)
    for team, name in ((blue, "only"), (organizer, "chance"), (red, "new"), (red, "late")):
        team.until(name, seconds=300)
    check_leaderboard(red, blue, hackathon)

    (expression,) = dashboard_data.expressions_of("alcove-leaderboard.json", "Leaderboard")
    expression = dashboard_data.fill(expression, here)
    rows = dashboard_data.list_rows(board(hackathon), {red.namespace: 2, blue.namespace: 1})
    assert set(rows) == {red.namespace, blue.namespace, "baseline chance"}
    wait_for("the panel showing the board", lambda: matrix(prometheus, expression) == rows)
    check_curves(red, prometheus)
    check_store(hackathon, prometheus)

    for where, label, series in dashboard_data.variable_queries():
        found = prometheus.label_values(label, dashboard_data.fill(series, here))
        assert here[label] in found, where
    assert run_everything(prometheus, here, began) == EMPTY, "panels of which nothing came"
    dashboard_data.save(
        hackathon.cluster.state / "dashboards", prometheus.query, prometheus.query_range, here, began
    )


def look_while_runs_go_on(red: Team, hackathon: Hackathon, prometheus: Prometheus) -> None:
    """A page draws the curves of runs that go on, and of no others: there is one in Prometheus at the same time."""
    curve = f'alcove_curve_score{{phase="{PHASE}",team="{red.namespace}"}}'
    page = f"{hackathon.board_url()}/{hackathon.name}/{PHASE}"
    wait_for(
        "a curve in Prometheus and on the page of the phase, while a run goes on",
        lambda: bool(prometheus.query(curve)) and "<polyline" in read(page),
    )


def check_leaderboard(red: Team, blue: Team, hackathon: Hackathon) -> None:
    """It has the last Submission of each team, with its scores; the Submissions have their ranks."""
    last = {red.namespace: "new", blue.namespace: "only"}
    wait_for(
        "a board of the last of each team, and of the baseline",
        lambda: (
            {e["team"]: e["submission"] for e in board(hackathon).get("entries", [])} == last
            and bool(board(hackathon)["baselines"])
        ),
    )
    entries = {entry["team"]: entry for entry in board(hackathon)["entries"]}
    for rank, team in ((1, red), (2, blue)):
        name, entry = last[team.namespace], entries[team.namespace]
        assert (entry["rank"], entry["averageRank"]) == (rank, rank)
        assert (entry["rankLow"], entry["rankHigh"]) == (rank, rank), "surely apart"
        assert len(entry["scores"]) == len(PRACTICE)
        for score in entry["scores"]:
            assert score["alc"] == pytest.approx(team.run(name, score["dataset"])["alc"])
        wait_for("the rank of its Submission", lambda t=team, n=name, r=rank: t.status(n).get("rank") == r)  # type: ignore[misc]
    assert red.status("old").get("rank") is None, "a Submission that counts no longer has no rank"
    table = hackathon.kubectl("get", "lb", PHASE, "-n", hackathon.name, "-o", "jsonpath={.status.table}")
    assert red.namespace in table
    assert blue.namespace in table


def check_curves(red: Team, prometheus: Prometheus) -> None:
    """Of each dataset, point by point."""
    here = variables(red.hackathon)
    asked = dashboard_data.expressions_of("alcove-team.json", "Learning curves")
    seconds, scores = (
        {
            (sample.labels["dataset"], sample.labels["point"]): sample.value
            for sample in prometheus.query(dashboard_data.fill(text, here))
        }
        for text in asked
    )
    for run in red.status("new")["runs"]:
        own = sorted(where for where in seconds if where[0] == run["dataset"])
        shown = [(seconds[where], scores[where]) for where in own]
        assert shown == [(point["t"], point["score"]) for point in run["curve"]]


def check_store(hackathon: Hackathon, prometheus: Prometheus) -> None:
    """The operator counts once an hour, and when its retention is asked for."""
    name, team = hackathon.name, variables(hackathon)["team"]
    # A word of its own: on a cluster that is used again, that of the test before is there already.
    asked = f"{PRUNE}=measure-{uuid.uuid4().hex[:8]}"
    hackathon.kubectl("annotate", "competition", name, "-n", name, asked, "--overwrite")
    wait_for(
        "what lies in the store",
        lambda: (
            {s.labels["prefix"] for s in prometheus.query("alcove_store_prefix_bytes")}
            >= {"runs", "code", "boards"}
        ),
    )
    of_team = f'alcove_team_store_bytes{{team="{team}"}} > 0'
    wait_for("what its teams have there", lambda: bool(prometheus.query(of_team)))


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def run_everything(prometheus: Prometheus, here: dict[str, str], began: float) -> set[str]:
    """Runs each expression; returns those that gave nothing at any moment since ``began`` (Unix time)."""
    for _, text in dashboard_data.alert_expressions(here["namespace"]):
        prometheus.query(text)
    # A range ends at its last whole step: without another one it would leave out what came within this second.
    until = time.time() + 1
    return {
        where
        for where, text in dashboard_data.all_expressions()
        if not prometheus.query_range(dashboard_data.fill(text, here), began, until, 1)
    }


def test_the_metrics_are_named_as_prometheus_wants_them(hackathon: Hackathon) -> None:
    for name in (OPERATOR, BOARDS):
        text = read(f"http://{hackathon.get('service', name)['spec']['clusterIP']}:9090/metrics")
        told = subprocess.run(
            ["promtool", "check", "metrics"],
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (told.returncode, told.stdout + told.stderr) == (0, "")


def _patch(hackathon: Hackathon, *operations: Object) -> None:
    name = hackathon.name
    text = json.dumps(list(operations))
    hackathon.kubectl("patch", "competition", name, "-n", name, "--type=json", "-p", text)


def test_a_phase_that_lacks_a_dataset_is_told_of_before_and_after_it_opens(
    hackathon: Hackathon, prometheus: Prometheus
) -> None:
    phases = hackathon.get("competition", hackathon.name)["spec"]["phases"]
    path = f"/spec/phases/{len(phases)}"
    soon = subprocess.run(
        ["date", "-u", "-d", "+5 minutes", "+%Y-%m-%dT%H:%M:%SZ"], capture_output=True, text=True, check=True
    ).stdout.strip()
    late = {"name": "later", "datasets": ["nonesuch"], "budget": {"seconds": 8}, "opensAt": soon}
    _patch(hackathon, {"op": "add", "path": path, "value": late})
    try:
        prometheus.wait_firing("AlcovePhaseNotPrepared", "later")
        told = alcove(hackathon.cluster, "preflight", "--competition", f"{hackathon.name}/{hackathon.name}")
        assert told.returncode == 1
        assert "names the Dataset nonesuch" in told.stdout
        _patch(hackathon, {"op": "remove", "path": f"{path}/opensAt"})
        prometheus.wait_firing("AlcoveDatasetNotReady", "later")
        prometheus.wait_resolved("AlcovePhaseNotPrepared", "later")
    finally:
        _patch(hackathon, {"op": "remove", "path": path})
    prometheus.wait_resolved("AlcoveDatasetNotReady", "later")


def test_a_run_without_a_node_is_told_of(red: Team, hackathon: Hackathon, prometheus: Prometheus) -> None:
    _patch(hackathon, {"op": "add", "path": "/spec/startTimeoutSeconds", "value": 30})
    try:
        red.submit("waits", models.STEADY, phase="gpu")
        prometheus.wait_firing("AlcoveRunsDoNotStart")
    finally:
        hackathon.kubectl("delete", "submission", "waits", "-n", red.namespace, "--timeout=60s")
        _patch(hackathon, {"op": "add", "path": "/spec/startTimeoutSeconds", "value": 900})
    prometheus.wait_resolved("AlcoveRunsDoNotStart")
