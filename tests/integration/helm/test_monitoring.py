"""Beside a Prometheus operator, ``helm install`` alone makes Prometheus read the operator and evaluate its alerts.

The real Prometheus operator writes its configuration of what the chart leaves in the API server, and a real Prometheus
reads with it. There is no node, and Debian's Prometheus cannot look into Kubernetes: what it would find there is made
of the release's Services, and this process serves the metrics of operator and board server.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import start_http_server

from alcove_board.metrics import ServerMetrics
from alcove_operator.metrics import Metrics
from tests.cluster.prometheus_operator import prometheus_operator
from tests.cluster.stores import free_port
from tests.demo.prometheus import serve_prometheus
from tests.integration.helm.conftest import ApiServer, Releases, wait_for
from tests.unit.helm.chart import Object

pytestmark = pytest.mark.integration

STACK = "stack"
NOBODY = "127.0.0.1:9"
VERSION = "v2.42.0"
"""Of Prometheus, as Debian has it: the operator writes nothing that it does not know."""
SELECTED = {"matchLabels": {"release": STACK}}


@pytest.fixture
def stack(server: ApiServer, tmp_path: Path) -> Iterator[None]:
    """What kube-prometheus-stack, installed as `stack` with its defaults, leaves in a cluster, as far as it matters
    here: its Prometheus takes the monitors and rules of every namespace that have the label of its own release.
    """
    server.ok("create", "namespace", "monitoring")
    with prometheus_operator(server.cluster, tmp_path):
        kinds = ("serviceMonitor", "podMonitor", "probe", "rule", "scrapeConfig")
        selectors = {f"{kind}Selector": SELECTED for kind in kinds}
        namespaces: Object = {f"{kind}NamespaceSelector": {} for kind in kinds}
        server.create(
            {
                "apiVersion": "monitoring.coreos.com/v1",
                "kind": "Prometheus",
                "metadata": {"name": STACK, "namespace": "monitoring"},
                "spec": {"version": VERSION, "replicas": 1, **selectors, **namespaces},
            }
        )
        yield
    found = server.ok("get", "crds", "-o", "name").split()
    server.ok("delete", *(name for name in found if name.endswith(".monitoring.coreos.com")))


def read_configuration(server: ApiServer) -> Object | None:
    """What the Prometheus operator has written of the release `watched`; None while it has not."""
    if not server.exists("secret", f"prometheus-{STACK}", "monitoring"):
        return None
    data = server.get("secret", f"prometheus-{STACK}", "monitoring")["data"]
    written = gzip.decompress(base64.b64decode(data["prometheus.yaml.gz"])).decode()
    # As the operator's reloader does beside each Prometheus.
    found: Object = yaml.safe_load(written.replace("$(SHARD)", "0"))
    jobs = [job["job_name"] for job in found.get("scrape_configs") or []]
    return found if any(name.startswith("serviceMonitor/watched/") for name in jobs) else None


def read_rules(server: ApiServer) -> str | None:
    name = f"prometheus-{STACK}-rulefiles-0"
    if not server.exists("configmap", name, "monitoring"):
        return None
    files = server.get("configmap", name, "monitoring").get("data") or {}
    return next((text for file, text in files.items() if file.startswith("watched-")), None)


def discover(server: ApiServer, addresses: dict[str, str]) -> list[Object]:
    """What discovery in Kubernetes tells of each port of each Service in `watched`, as fixed targets.

    ``addresses``: of what stands for the pods, by role.
    """
    found = []
    services = json.loads(server.ok("get", "services", "-n", "watched", "-o", "json"))["items"]
    for service in services:
        labels = {
            "__meta_kubernetes_namespace": "watched",
            "__meta_kubernetes_service_name": service["metadata"]["name"],
        }
        for name, value in service["metadata"]["labels"].items():
            plain = re.sub(r"\W", "_", name)
            labels[f"__meta_kubernetes_service_label_{plain}"] = value
            labels[f"__meta_kubernetes_service_labelpresent_{plain}"] = "true"
        for port in service["spec"]["ports"]:
            told = {**labels, "__meta_kubernetes_endpoint_port_name": port.get("name", "")}
            role = service["metadata"]["labels"]["alcove.dev/role"]
            found.append({"targets": [addresses.get(role, NOBODY)], "labels": told})
    return found


@pytest.mark.usefixtures("stack")
def test_a_prometheus_that_is_there_reads_the_operator_and_its_alerts(
    server: ApiServer, releases: Releases, tmp_path: Path
) -> None:
    release = releases("watched", {"teams": []})
    (rule,) = server.get("networkpolicy", "alcove-metrics", "watched")["spec"]["ingress"]
    assert rule["from"] == [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}},
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
        }
    ]
    configuration: Object = wait_for(
        "the monitor in Prometheus' configuration", lambda: read_configuration(server), 60
    )
    rules: str = wait_for("the rules in Prometheus' files", lambda: read_rules(server), 60)
    served = {"operator": Metrics().registry, "board": ServerMetrics().registry}
    ports = {role: free_port() for role in served}
    for role, registry in served.items():
        start_http_server(ports[role], addr="127.0.0.1", registry=registry)
    (tmp_path / "rules.yaml").write_text(rules)
    configuration["rule_files"] = [str(tmp_path / "rules.yaml")]
    for job in configuration["scrape_configs"]:
        assert job.pop("kubernetes_sd_configs")[0]["namespaces"]["names"] == ["watched"]
        job["static_configs"] = discover(server, {role: f"127.0.0.1:{port}" for role, port in ports.items()})
        job["scrape_interval"] = "1s"
    configuration.pop("alerting", None)
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    with serve_prometheus(tmp_path) as prometheus:

        def reached() -> set[tuple[str, str]]:
            found = prometheus.query("up == 1")
            return {(sample.labels["namespace"], sample.labels["job"]) for sample in found}

        # As rules and dashboards name them.
        both = {("watched", "alcove-operator"), ("watched", "alcove-board-metrics")}
        wait_for("Prometheus reading both servers and nothing else", lambda: reached() == both, 60)
        assert prometheus.query('alcove_credentials_renewal_failures_total{namespace="watched"}')
        written = {each["alert"] for group in yaml.safe_load(rules)["groups"] for each in group["rules"]}
        assert prometheus.alerting_rules() == written
        assert len(written) > 10

    release.values["monitoring"] = {"findPrometheus": False, "labels": {"release": "mine"}}
    assert release.upgrade().returncode == 0
    assert server.get("servicemonitor", "alcove", "watched")["metadata"]["labels"]["release"] == "mine"
    assert not server.exists("networkpolicy", "alcove-metrics", "watched")
    wait_for("Prometheus being without what another one selects", lambda: read_rules(server) is None, 60)
