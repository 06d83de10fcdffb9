"""The expressions of dashboards and alerts with their variables filled in, and what a Prometheus answers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.demo.hackathon import CHART

Object = dict[str, Any]
DASHBOARDS = CHART / "dashboards"
WINDOW = "30s"
"""In place of Grafana's own, which goes by the scrape interval: that is a second here."""


def fill(text: str, variables: Mapping[str, str]) -> str:
    """An expression, legend or title as Grafana would send or show it."""
    for name, value in {**variables, "__rate_interval": WINDOW}.items():
        text = re.sub(rf"\${name}\b|\${{{name}}}", value, text)
    return text


def panels(dashboard: Object) -> Iterator[Object]:
    """Those that show something, within rows too."""
    for panel in dashboard["panels"]:
        if panel["type"] != "row":
            yield panel
        yield from panel.get("panels", [])


def read_dashboards() -> dict[str, Object]:
    return {path.name: json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))}


def expressions_of(file: str, title: str) -> list[str]:
    """Of the one panel with that title."""
    (found,) = (panel for panel in panels(read_dashboards()[file]) if panel["title"] == title)
    return [target["expr"] for target in found["targets"]]


def all_expressions() -> Iterator[tuple[str, str]]:
    """Where each is, and its text."""
    for name, dashboard in read_dashboards().items():
        for panel in panels(dashboard):
            for target in panel["targets"]:
                yield f"{name}: {panel['title']}: {target['refId']}", target["expr"]


def variable_queries() -> Iterator[tuple[str, str, str]]:
    """Of each variable that is asked for: where it is, and the label whose values it has in which series."""
    for name, dashboard in read_dashboards().items():
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
                assert found, variable["query"]
                yield f"{name}: ${variable['name']}", found[2], found[1]


def list_rows(status: Object, submissions: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """The cells of the panel *Leaderboard* by team and column, from the status of the Leaderboard.

    ``submissions``: of each team; 0 of those that are not in it.
    """
    rows: dict[str, dict[str, float]] = {}
    for entry in status["entries"]:
        cells = {
            "Rank": entry["rank"], "1 / Rank": 1 / entry["rank"], "Mean rank": entry["averageRank"],
            "Submissions": submissions.get(entry["team"], 0),
            "Best rank (95 %)": entry["rankLow"], "Worst rank (95 %)": entry["rankHigh"],
            **{f"ALC {score['dataset']}": score.get("alc") for score in entry["scores"]},
            **{f"Rank on {score['dataset']}": score["rank"] for score in entry["scores"]},
        }  # fmt: skip
        rows[entry["team"]] = {column: value for column, value in cells.items() if value is not None}
    for baseline in status["baselines"]:
        reached = {f"ALC {score['dataset']}": score.get("alc") for score in baseline["scores"]}
        shown = {column: value for column, value in reached.items() if value is not None}
        rows[f"baseline {baseline['submission']}"] = shown
    return rows


def alert_expressions(namespace: str) -> Iterator[tuple[str, str]]:
    text = (CHART / "files" / "alerts.yaml").read_text().replace("RELEASE_NAMESPACE", namespace)
    for rule in yaml.safe_load(text)["groups"][0]["rules"]:
        yield rule["alert"], rule["expr"]


STEP_SECONDS = 2.0


def save(
    folder: Path,
    query: Callable[[str], list[Any]],
    query_range: Callable[[str, float, float, float], list[Object]],
    variables: Mapping[str, str],
    began: float,
) -> None:
    """Answers since ``began`` (Unix time) to all panels, one file a dashboard, for
    :mod:`tests.demo.dashboard_pictures`."""
    folder.mkdir(parents=True, exist_ok=True)
    # A range ends at its last whole step: what came after the step before would be missing.
    until = time.time() + STEP_SECONDS
    for name, dashboard in read_dashboards().items():
        answers: Object = {}
        for panel in panels(dashboard):
            for target in panel["targets"]:
                text = fill(target["expr"], variables)
                if target.get("instant"):
                    found = [{"metric": dict(s.labels), "value": s.value} for s in query(text)]
                else:
                    found = query_range(text, began, until, STEP_SECONDS)
                answers[f"{panel['title']}/{target['refId']}"] = found
        document = {"variables": dict(variables), "answers": answers}
        (folder / name).write_text(json.dumps(document))
