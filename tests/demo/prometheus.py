"""A real Prometheus on this machine: it reads the operator's metrics as a ServiceMonitor would have them read."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.stores import free_port
from tests.demo.hackathon import CHART, wait_for

Object = dict[str, Any]
FASTER = 240
"""How many times as fast time goes in the rules of alerts: half an hour is 7.5 s."""
_UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Sample:
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Prometheus:
    url: str

    def query(self, expression: str) -> list[Sample]:
        """The instant vector, or the scalar, that an expression gives now. Raises AssertionError with what is wrong."""
        found = self._ask("query", query=expression)
        if found["resultType"] == "scalar":
            return [Sample({}, float(found["result"][1]))]
        return [Sample(sample["metric"], float(sample["value"][1])) for sample in found["result"]]

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Object]:
        """Label sets (`metric`) and `values`, pairs of Unix time and text."""
        found = self._ask("query_range", query=expression, start=start, end=end, step=step)
        result: list[Object] = found["result"]
        return result

    def label_values(self, label: str, series: str) -> list[str]:
        """As Grafana asks for the values of a variable."""
        found: list[str] = self._ask(f"label/{label}/values", **{"match[]": series})
        return found

    def firing(self) -> set[tuple[str, str]]:
        """Name and phase ("" where it has none) of each alert that fires."""
        alerts = self._ask("alerts")["alerts"]
        return {
            (alert["labels"]["alertname"], alert["labels"].get("phase", ""))
            for alert in alerts
            if alert["state"] == "firing"
        }

    def alerting_rules(self) -> set[str]:
        """Names of all that it evaluates. Raises AssertionError with what is wrong with one."""
        rules = [rule for group in self._ask("rules", type="alert")["groups"] for rule in group["rules"]]
        assert not any(rule.get("lastError") for rule in rules), rules
        return {rule["name"] for rule in rules}

    def wait_firing(self, alert: str, phase: str = "", seconds: float = 90) -> None:
        """Until it fires."""
        wait_for(f"{alert} firing", lambda: (alert, phase) in self.firing(), seconds)

    def wait_resolved(self, alert: str, phase: str = "", seconds: float = 120) -> None:
        """Until it does not fire."""
        wait_for(f"{alert} resolving", lambda: (alert, phase) not in self.firing(), seconds)

    def _ask(self, what: str, **parameters: object) -> Any:
        address = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:  # while it starts
                raise
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error


def hasten_rules(text: str) -> str:
    """The chart's alerts as they are, but that each length of time in them is shorter by :data:`FASTER`.

    Of numbers that are compared, those of two digits and more are seconds.
    """

    def shorten(found: re.Match[str]) -> str:
        before, number, unit, after = found.groups()
        return f"{before}{int(number) * _UNITS[unit] * 1000 // FASTER}ms{after}"

    text = re.sub(r"(\[|for: )(\d+)([smh])(\]|)", shorten, text)
    return re.sub(r"(?<=[<>] )\d{2,}(?![.\d])", lambda found: str(int(found[0]) / FASTER), text)


@contextmanager
def run_prometheus(targets: Mapping[str, str], namespace: str, folder: Path) -> Iterator[Prometheus]:
    """Until it has read every target once.

    Args:
        targets: address (host:port) by the name of the Service, which becomes the label `job`, as with a
            ServiceMonitor.
        namespace: of the release.
        folder: for its files.
    """
    rules = (CHART / "files" / "alerts.yaml").read_text().replace("RELEASE_NAMESPACE", namespace)
    (folder / "rules.yaml").write_text(hasten_rules(rules))
    jobs = []
    for name, address in targets.items():
        target = {"targets": [address], "labels": {"namespace": namespace}}
        jobs.append({"job_name": name, "static_configs": [target]})
    often = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
    config = {"global": often, "rule_files": ["rules.yaml"], "scrape_configs": jobs}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    with serve_prometheus(folder) as prometheus:
        wait_for(
            "Prometheus reading the metrics", lambda: len(prometheus.query("up == 1")) == len(targets), 60
        )
        yield prometheus


@contextmanager
def serve_prometheus(folder: Path) -> Iterator[Prometheus]:
    """With the configuration that is in the folder, once it answers."""
    port = free_port()
    command = [
        "prometheus", f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    prometheus = Prometheus(f"http://127.0.0.1:{port}")

    def answers() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return bool(prometheus.query("vector(1)"))
        except OSError:
            return False

    try:
        wait_for("Prometheus", answers, 60)
        yield prometheus
    finally:
        process.terminate()
        process.wait(30)
