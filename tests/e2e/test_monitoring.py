"""A real Prometheus reads the real operator during a competition.

Every expression of every panel and alert is run, board and curves agree with the cluster's objects, and what a terminal
says of a phase agrees with its alerts. All alerts are made to fire in tests/integration/operator_wiring/test_alerts.py.
"""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator

import pytest

from alcove_api.competition import PRUNE
from tests.demo import dashboard_data
from tests.demo.hackathon import Hackathon, wait_for
from tests.demo.prometheus import Prometheus, Sample, run_prometheus
from tests.e2e import models
from tests.e2e.conftest import Object, Team, alcove

pytestmark = pytest.mark.e2e

PHASE = "live"
OPERATOR, BOARDS = "alcove-operator", "alcove-board-metrics"
ABSENT = (
    "DCGM_FI_DEV_GPU_UTIL", "alcove_board_server_failures", "alcove_phase_closes", "alcove_team_queue_place",
    "alcove_board_stale_since", "alcove_api_failures", "alcove_work_failures", "alcove_rank_interval",
    "alcove_baseline_alc", "alcove_store_size_bytes",
)  # fmt: skip
"""What need not be there here: no GPU, no kubelet's metrics, no end of the phase, nothing waits, is late or fails."""


@pytest.fixture(scope="module")
def prometheus(hackathon: Hackathon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    targets = {
        name: f"{hackathon.get('service', name)['spec']['clusterIP']}:9090" for name in (OPERATOR, BOARDS)
    }
    with run_prometheus(targets, hackathon.name, tmp_path_factory.mktemp("prometheus")) as running:
        yield running


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


def board_of(hackathon: Hackathon, submissions: int) -> dict[str, dict[str, float]]:
    """What `kubectl get leaderboard` has, as the panel shows it."""
    rows: dict[str, dict[str, float]] = {}
    for entry in hackathon.get("leaderboard", PHASE).get("status", {}).get("entries", []):
        row = {"Rank": entry["rank"], "Mean rank": entry["averageRank"], "Submissions": submissions}
        bounds = {"Best rank (95 %)": entry.get("rankLow"), "Worst rank (95 %)": entry.get("rankHigh")}
        row |= {name: bound for name, bound in bounds.items() if bound is not None}
        for score in entry["scores"]:
            row[f"ALC {score['dataset']}"] = score["alc"]
            row[f"Rank on {score['dataset']}"] = score["rank"]
        rows[entry["team"]] = row
    return rows


def test_panels_show_what_the_cluster_has(
    red: Team, blue: Team, hackathon: Hackathon, prometheus: Prometheus
) -> None:
    here = variables(hackathon)
    red.submit("steady", models.STEADY, phase=PHASE)
    blue.submit("quick", models.STEADY, phase=PHASE)
    points = dashboard_data.fill(f'alcove_curve_score{{phase="{PHASE}",team="$team"}}', here)
    wait_for(
        "a curve while the run goes on",
        lambda: bool(prometheus.query(points)) and red.run("steady").get("phase") == "Running",
        120,
    )
    page = f"{hackathon.board_url()}/{hackathon.name}/{PHASE}"
    wait_for("the curve on the page of the phase, while the run goes on", lambda: "<polyline" in read(page))
    assert red.run("steady").get("phase") == "Running"
    red.until("steady")
    blue.until("quick")
    wait_for("both on the board", lambda: len(board_of(hackathon, 1)) == 2)

    board = dashboard_data.expressions_of("alcove-leaderboard.json", "Leaderboard")
    (expression,) = (dashboard_data.fill(text, here) for text in board)
    wait_for(
        "the panel showing the board", lambda: matrix(prometheus, expression) == board_of(hackathon, 1), 30
    )

    run = red.run("steady")
    seconds, scores = dashboard_data.expressions_of("alcove-team.json", "Learning curves")
    shown = [
        [s.value for s in sorted(prometheus.query(dashboard_data.fill(text, here)), key=_point)]
        for text in (seconds, scores)
    ]
    assert list(zip(*shown, strict=True)) == [(point["t"], point["score"]) for point in run["curve"]]

    # The operator counts once an hour, and when its retention is asked for.
    hackathon.kubectl(
        "annotate", "competition", hackathon.name, "-n", hackathon.name, f"{PRUNE}=measure", "--overwrite"
    )
    prefixes, of_red = "alcove_store_prefix_bytes", f'alcove_team_store_bytes{{team="{here["team"]}"}} > 0'
    wait_for(
        "what lies in the store",
        lambda: {s.labels["prefix"] for s in prometheus.query(prefixes)} >= {"runs", "code", "boards"},
        120,
    )
    wait_for("what its teams have there", lambda: bool(prometheus.query(of_red)))
    assert run_everything(prometheus, here) == [], "a panel or an alert of which nothing came"
    dashboard_data.save(
        hackathon.cluster.state / "dashboards", prometheus.query, prometheus.query_range, here
    )


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def _point(sample: Sample) -> str:
    return sample.labels["point"]


def run_everything(prometheus: Prometheus, here: dict[str, str]) -> list[str]:
    """Runs each expression; returns those that gave nothing, though they should."""
    empty = []
    for where, text in dashboard_data.all_expressions():
        found = prometheus.query(dashboard_data.fill(text, here))
        if not found and not any(name in text for name in ABSENT):
            empty.append(where)
    for _, text in dashboard_data.alert_expressions(here["namespace"]):
        prometheus.query(text)
    return empty


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
