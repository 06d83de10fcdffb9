"""A real Prometheus beside the cluster: it reads the operator's metrics as a ServiceMonitor would have them read."""

from __future__ import annotations

import json
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
from tests.demo.hackathon import CHART, Hackathon, wait_for

Object = dict[str, Any]
SERVICES = ("alcove-operator",)
"""Their names become the label `job`, as with a ServiceMonitor."""


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

    def firing(self) -> set[tuple[str, str]]:
        """Name and phase ("" where it has none) of each alert that fires."""
        alerts = self._ask("alerts")["alerts"]
        return {
            (alert["labels"]["alertname"], alert["labels"].get("phase", ""))
            for alert in alerts
            if alert["state"] == "firing"
        }

    def _ask(self, what: str, **parameters: object) -> Object:
        address = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                data: Object = json.load(answer)["data"]
                return data
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error


def write_rules(namespace: str, path: Path) -> None:
    """The chart's alerts, but that each fires at once: how long each waits is for promtool to test."""
    rules = yaml.safe_load(
        (CHART / "files" / "alerts.yaml").read_text().replace("RELEASE_NAMESPACE", namespace)
    )
    for rule in rules["groups"][0]["rules"]:
        rule.pop("for", None)
    path.write_text(yaml.safe_dump(rules))


@contextmanager
def run_prometheus(hackathon: Hackathon, folder: Path) -> Iterator[Prometheus]:
    """Until it has read every service once."""
    write_rules(hackathon.name, folder / "rules.yaml")
    jobs = []
    for name in SERVICES:
        address = f"{hackathon.get('service', name)['spec']['clusterIP']}:9090"
        target = {"targets": [address], "labels": {"namespace": hackathon.name}}
        jobs.append({"job_name": name, "static_configs": [target]})
    often = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config = {"global": often, "rule_files": ["rules.yaml"], "scrape_configs": jobs}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        "prometheus", f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    prometheus = Prometheus(f"http://127.0.0.1:{port}")

    def reads() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return len(prometheus.query("up == 1")) == len(SERVICES)
        except OSError:
            return False

    try:
        wait_for("Prometheus reading the metrics", reads, 60)
        yield prometheus
    finally:
        process.terminate()
        process.wait(30)
