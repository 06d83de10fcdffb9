"""The panel of the board has, number by number, what `kubectl get leaderboard` has: by promtool.

The scorer ranks, the operator makes the series. tests/e2e/test_monitoring.py compares both in a cluster.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest
import yaml

from alcove_api.competition import CompetitionSpec, CompetitionStatus
from alcove_api.leaderboard import LeaderboardStatus, PublishedRules
from alcove_operator.board_series import GAUGES, build_series
from alcove_operator.core.model import CompetitionView
from alcove_operator.index import Index
from alcove_operator.metrics import Metrics
from alcove_operator.records import BoardRecord
from alcove_scorer.board import make_board
from alcove_scorer.board_status import as_status
from tests.demo import dashboard_data
from tests.integration.pages import competition as made
from tests.unit.scorer.test_pages import results_of

pytestmark = pytest.mark.integration
TEAMS, DATASETS = 12, 10
"""Enough for intervals that tell some teams apart. The last team's Submission is the organizer's baseline."""
HERE = {"namespace": "hackathon", "competition": "spring-hackathon", "phase": "practice"}


def rank() -> LeaderboardStatus:
    ranked = made.competition(TEAMS, DATASETS)
    *teams, last = ranked.request.entries
    request = ranked.request.replace(entries=(*teams, last.replace(team="hackathon", baseline="chance")))
    return as_status(make_board(request, results_of(ranked)), made.NOON)


def expose(status: LeaderboardStatus) -> dict[str, str]:
    """What the operator makes of it: values by series, as promtool takes them."""
    phase = {"name": HERE["phase"], "datasets": ["d"], "budget": {"seconds": 9}}
    spec = CompetitionSpec.model_validate({"phases": [phase]})
    competition = CompetitionView(HERE["namespace"], HERE["competition"], "u", spec, CompetitionStatus())
    record = BoardRecord(competition.name, status, PublishedRules())
    index = Index(leaderboards={(competition.namespace, HERE["phase"]): record})
    metrics = Metrics()
    metrics.show(competition.name, asyncio.run(build_series(competition, index, {}, made.NOON)))
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
    rows = dashboard_data.list_rows(status.model_dump(mode="json", by_alias=True), {})
    assert set(rows) == {*(entry.team for entry in status.entries), "baseline chance"}
    shown = [
        {"labels": write_labels({"team": team, "column": column}), "value": value}
        for team, row in rows.items()
        for column, value in row.items()
    ]
    (expression,) = dashboard_data.expressions_of("alcove-leaderboard.json", "Leaderboard")
    asked = {"expr": dashboard_data.fill(expression, HERE), "eval_time": "0m", "exp_samples": shown}
    series = [{"series": name, "values": values} for name, values in expose(status).items()]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [asked]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}))
    command = ["promtool", "test", "rules", str(tmp_path / "test.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
