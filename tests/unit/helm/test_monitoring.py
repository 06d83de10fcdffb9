"""Dashboards, alerts and their runbook: what the chart ships agrees with itself and with the operator's metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

import yaml

from alcove_board.metrics import ServerMetrics
from alcove_operator.metrics import Metrics
from tests.demo.dashboard_data import list_rows
from tests.demo.dashboard_pictures import arrange_matrix
from tests.unit.helm.chart import CHART, NAMESPACE, REPOSITORY, Object, of_kind, one, render

DASHBOARDS = {
    path.name: json.loads(path.read_text()) for path in sorted((CHART / "dashboards").glob("*.json"))
}
ALERTS: list[Object] = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"][0]["rules"]
SERVED = [f"--api-versions=monitoring.coreos.com/v1/{kind}" for kind in ("ServiceMonitor", "PrometheusRule")]
BUILT_IN = {"stat", "table", "timeseries", "state-timeline", "xychart", "bargauge", "row"}
GRID_COLUMNS = 24
FOREIGN = {
    "up", "DCGM_FI_DEV_GPU_UTIL", "kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes"
}  # fmt: skip
"""Metrics of Prometheus, of DCGM's exporter and of the kubelet."""


def panels(dashboard: Object) -> Iterator[Object]:
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def list_cells(place: Object) -> Iterator[tuple[int, int]]:
    """Columns and rows of Grafana's grid that a panel covers."""
    for row in range(place["y"], place["y"] + place["h"]):
        for column in range(place["x"], place["x"] + place["w"]):
            yield column, row


def expressions() -> Iterator[tuple[str, str]]:
    for name, dashboard in DASHBOARDS.items():
        for panel in panels(dashboard):
            for target in panel.get("targets", []):
                yield f"{name}: {panel['title']}", target["expr"]
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                yield f"{name}: ${variable['name']}", variable["query"]
    for rule in ALERTS:
        yield rule["alert"], rule["expr"]


def test_every_alert_is_made_to_fire_by_its_cause_and_to_resolve() -> None:
    tests = ("integration/operator_wiring/test_alerts.py", "e2e/test_monitoring.py")
    text = "".join((REPOSITORY / "tests" / path).read_text() for path in tests)
    for waited in ("wait_firing", "wait_resolved"):
        assert set(re.findall(rf'\.{waited}\("(\w+)"', text)) == {rule["alert"] for rule in ALERTS}


def test_every_expression_asks_for_a_metric_that_there_is() -> None:
    known = set(FOREIGN)
    for family in chain(Metrics().registry.collect(), ServerMetrics().registry.collect()):
        kinds = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
        known |= {family.name + suffix for suffix in kinds.get(family.type, ("",))}
    used: set[str] = set()
    for where, expression in expressions():
        plain = re.sub(r'"[^"]*"', "", expression)
        found = set(re.findall(r"\b(?:alcove|process|DCGM|kubelet)_\w+|\bup\b", plain))
        assert found, where
        assert found <= known, where
        used |= found
    shown = {
        name for name in known - FOREIGN if not name.startswith("process_") and not name.endswith("_sum")
    }
    by_count = {name for name in shown if name.endswith("_count")}
    assert shown - by_count - used == set(), "a metric that no dashboard and no alert uses"


def test_dashboards_have_built_in_panels_and_a_source_of_the_readers_choice() -> None:
    assert len(DASHBOARDS) == 4
    assert len({dashboard["uid"] for dashboard in DASHBOARDS.values()}) == 4
    for name, dashboard in DASHBOARDS.items():
        assert {panel["type"] for panel in panels(dashboard)} <= BUILT_IN, name
        sources: list[Any] = [p["datasource"] for p in panels(dashboard) if p["type"] != "row"]
        assert {source["uid"] for source in sources} == {"${datasource}"}, name
        assert dashboard["templating"]["list"][0]["type"] == "datasource", name
        covered = [cell for panel in panels(dashboard) for cell in list_cells(panel["gridPos"])]
        assert len(set(covered)) == len(covered), f"{name}: panels lie over each other"
        assert max(column for column, _ in covered) < GRID_COLUMNS, (
            f"{name}: a panel ends beyond the right edge"
        )


def test_grafana_takes_no_panel_for_one_of_an_old_release() -> None:
    """It would change its options, and fails on an XY chart that has none of the old ones."""
    charts = 0
    for name, dashboard in DASHBOARDS.items():
        for panel in panels(dashboard):
            if panel["type"] != "row":
                assert float(panel["pluginVersion"].rpartition(".")[0]) >= 11.1, f"{name}: {panel['title']}"
            if panel["type"] == "xychart":
                charts += 1
                assert (panel["options"]["mapping"], panel["options"]["series"]) == ("auto", [{}])
                assert panel["options"]["legend"]["showLegend"]
    assert charts == 2


def test_baselines_stand_below_the_teams() -> None:
    """Grafana takes an empty cell for less than any number above 0; baselines have no rank."""
    (panel,) = (p for p in panels(DASHBOARDS["alcove-leaderboard.json"]) if p["title"] == "Leaderboard")
    steps = {step["id"]: step["options"] for step in panel["transformations"]}
    assert list(steps) == ["groupingToMatrix", "sortBy", "organize"], "sorted while the order is there"
    assert "sortBy" not in panel.get("options", {}), "the table itself leaves its lines as they come"
    entries: list[Object] = [
        {"team": team, "rank": rank, "averageRank": rank, "rankLow": None, "rankHigh": None, "scores": []}
        for team, rank in (("blue", 10), ("red", 1), ("green", 2))
    ]
    baselines = [{"submission": "chance", "scores": [{"dataset": "digits", "alc": 0.9}]}]
    rows = list_rows({"entries": entries, "baselines": baselines}, {})
    found = [
        {"metric": {"team": team, "column": column}, "value": value}
        for team, cells in rows.items()
        for column, value in cells.items()
    ]
    heads, lines = arrange_matrix(found, steps)
    assert heads == ["Team", "Rank", "Mean rank", "Submissions", "ALC digits"]
    assert [team for team, _ in lines] == ["red", "green", "blue", "baseline chance"]


def test_grafana_finds_the_dashboards_without_a_further_step() -> None:
    shipped = [
        c for c in of_kind(render(), "ConfigMap") if c["metadata"]["labels"].get("grafana_dashboard") == "1"
    ]
    assert {name: json.loads(text) for c in shipped for name, text in c["data"].items()} == DASHBOARDS
    assert not of_kind(render(), "ServiceMonitor", "PrometheusRule"), "no definitions, no objects"
    without = of_kind(render({"monitoring": {"dashboards": False}}), "ConfigMap")
    assert not [c for c in without if "grafana_dashboard" in c["metadata"]["labels"]]


def test_monitor_and_rules_are_there_where_their_definitions_are() -> None:
    monitoring = {"labels": {"release": "stack"}, "runbookUrl": "https://example.org/runbook.md"}
    values: Object = {"monitoring": monitoring, "board": {"enabled": True}}
    objects = render(values, "hackathon", *SERVED)
    monitor = one(objects, "ServiceMonitor", "alcove")
    rule = one(objects, "PrometheusRule", "alcove")
    assert monitor["metadata"]["labels"]["release"] == rule["metadata"]["labels"]["release"] == "stack"
    (selected,) = monitor["spec"]["selector"]["matchExpressions"]
    (endpoint,) = monitor["spec"]["endpoints"]
    read = {
        service["metadata"]["name"]
        for service in of_kind(objects, "Service")
        if service["metadata"]["labels"].get(selected["key"]) in selected["values"]
        and endpoint["port"] in [port.get("name") for port in service["spec"]["ports"]]
    }
    assert read == {"alcove-operator", "alcove-board-metrics"}
    rules = rule["spec"]["groups"][0]["rules"]
    assert len(rules) == len(ALERTS)
    for each in rules:
        assert f'namespace="{NAMESPACE}"' in each["expr"]
        assert "RELEASE_NAMESPACE" not in json.dumps(each)
        assert each["annotations"]["runbook_url"] == f"https://example.org/runbook.md#{each['alert'].lower()}"


def test_alerts_have_no_link_that_opens_nowhere() -> None:
    rules = one(render(None, NAMESPACE, *SERVED), "PrometheusRule", "alcove")["spec"]["groups"][0]["rules"]
    assert [rule["alert"] for rule in rules] == [rule["alert"] for rule in ALERTS]
    assert {key for rule in rules for key in rule["annotations"]} == {"summary", "description"}
    assert "RUNBOOK" not in json.dumps(rules)


def test_every_alert_has_its_section_of_the_runbook() -> None:
    text = (REPOSITORY / "docs" / "runbook.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    assert list(sections) == [rule["alert"] for rule in ALERTS]
    for name, section in sections.items():
        heads = re.findall(r"^\*\*(.+?)\.\*\*", section, re.M)
        assert heads == ["What it means", "What to look at", "What to type"], name
