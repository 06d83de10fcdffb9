"""The panel of the board has, number by number, what `kubectl get leaderboard` has; and what variables offer.

The scorer ranks, the operator makes the series, promtool and Prometheus answer. tests/e2e/test_monitoring.py compares
in a cluster.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client import start_http_server

from alcove_api.leaderboard import LeaderboardStatus
from alcove_kube.resources import COMPETITIONS, LEADERBOARDS, SUBMISSIONS
from alcove_operator.board_series import GAUGES, build_series
from alcove_operator.index import Index
from alcove_operator.metrics import Metrics
from alcove_scorer.board import make_board
from alcove_scorer.board_status import as_status
from tests.cluster.stores import free_port
from tests.demo import dashboard_data
from tests.demo.prometheus import run_prometheus
from tests.integration.pages import competition as made
from tests.unit.scorer.test_pages import results_of

pytestmark = pytest.mark.integration
TEAMS, DATASETS = 12, 10
"""Enough for intervals that tell some teams apart. The last team's Submission is the organizer's baseline."""
HERE = {"namespace": "hackathon", "competition": "spring-hackathon", "phase": "practice"}
RED = {"team": "hackathon-team-00", "dataset": "table"}


def rank() -> LeaderboardStatus:
    ranked = made.competition(TEAMS, DATASETS)
    *teams, last = ranked.request.entries
    request = ranked.request.replace(entries=(*teams, last.replace(team="hackathon", baseline="chance")))
    return as_status(make_board(request, results_of(ranked)), made.NOON)


def make_metrics(status: LeaderboardStatus) -> Metrics:
    """Of a phase with this board, and with one Submission that has a curve: that of ``RED``."""
    name, phase, namespace = HERE["competition"], HERE["phase"], HERE["namespace"]
    made_at = {
        "uid": "u",
        "resourceVersion": "1",
        "creationTimestamp": made.NOON.isoformat(),
        "generation": 1,
    }
    described = {"name": phase, "datasets": ["d"], "budget": {"seconds": 9}}
    index = Index()
    index.apply(
        COMPETITIONS,
        {"metadata": {**made_at, "name": name, "namespace": namespace}, "spec": {"phases": [described]}},
    )
    shown = status.model_dump(mode="json", by_alias=True)
    board = {"competition": name, "phase": phase}
    index.apply(
        LEADERBOARDS,
        {"metadata": {**made_at, "name": phase, "namespace": namespace}, "spec": board, "status": shown},
    )
    run = {"dataset": RED["dataset"], "phase": "Running", "curve": [{"t": 1.0, "score": 0.5}]}
    reference = {"namespace": namespace, "name": name}
    spec = {"competition": reference, "phase": phase, "code": {"bundle": {"sha256": "a" * 64}}}
    of_red = {**made_at, "name": "first", "namespace": RED["team"]}
    index.apply(
        SUBMISSIONS, {"metadata": of_red, "spec": spec, "status": {"phase": "Running", "runs": [run]}}
    )
    metrics = Metrics()
    competition = index.competitions[namespace, name]
    metrics.show(name, asyncio.run(build_series(competition, index, {}, made.NOON)))
    return metrics


def list_series(metrics: Metrics) -> dict[str, str]:
    """Values by series, as promtool takes them."""
    found = {}
    for family in metrics.registry.collect():
        for sample in family.samples if family.name in GAUGES else ():
            labels = {**sample.labels, "namespace": HERE["namespace"]}
            found[sample.name + write_labels(labels)] = f"{float(sample.value)}x1"
    return found


def write_labels(labels: dict[str, str]) -> str:
    return f"{{{', '.join(f'{name}={json.dumps(value)}' for name, value in labels.items())}}}"


def test_the_panel_of_the_board_has_what_the_leaderboard_has(tmp_path: Path) -> None:
    status = rank()
    intervals = {(entry.rank_low, entry.rank_high) for entry in status.entries}
    assert len(intervals) > 2, "they tell some teams apart"
    rows = dashboard_data.list_rows(status.model_dump(mode="json", by_alias=True), {RED["team"]: 1})
    assert set(rows) == {*(entry.team for entry in status.entries), "baseline chance"}
    shown = [
        {"labels": write_labels({"team": team, "column": column}), "value": value}
        for team, row in rows.items()
        for column, value in row.items()
    ]
    (expression,) = dashboard_data.expressions_of("alcove-leaderboard.json", "Leaderboard")
    asked = {"expr": dashboard_data.fill(expression, HERE), "eval_time": "0m", "exp_samples": shown}
    series = [
        {"series": name, "values": values} for name, values in list_series(make_metrics(status)).items()
    ]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [asked]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}))
    command = ["promtool", "test", "rules", str(tmp_path / "test.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_variable_offers_what_there_is(tmp_path: Path) -> None:
    """As Grafana asks for it: by the values of a label in the series that its query names."""
    port, here = free_port(), {**HERE, **RED}
    server, thread = start_http_server(port, "127.0.0.1", make_metrics(rank()).registry)
    try:
        with run_prometheus(
            {"alcove-operator": f"127.0.0.1:{port}"}, HERE["namespace"], tmp_path
        ) as prometheus:
            asked = list(dashboard_data.variable_queries())
            assert {label for _, label, _ in asked} == here.keys()
            for where, label, series in asked:
                offered = prometheus.label_values(label, dashboard_data.fill(series, here))
                assert here[label] in offered, where
    finally:
        server.shutdown()
        thread.join()
