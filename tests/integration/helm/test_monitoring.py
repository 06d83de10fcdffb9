"""Beside a Prometheus operator, ``helm install`` alone makes Prometheus read the operator and evaluate its alerts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.helm.conftest import ApiServer, Releases
from tests.unit.helm.chart import Object

pytestmark = pytest.mark.integration

KINDS = {
    "Prometheus": "prometheuses",
    "ServiceMonitor": "servicemonitors",
    "PrometheusRule": "prometheusrules",
}
OPEN: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _definition(kind: str, plural: str) -> Object:
    """As the Prometheus operator's, but for its long schema."""
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": OPEN}}
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "names": names,
            "scope": "Namespaced",
            "versions": [version],
        },
    }


@pytest.fixture
def stack(server: ApiServer) -> Iterator[None]:
    """What kube-prometheus-stack, installed as `stack`, leaves in a cluster, as far as the chart looks at it."""
    server.ok("create", "namespace", "monitoring")
    for kind, plural in KINDS.items():
        server.create(_definition(kind, plural))
    crds = [f"crd/{plural}.monitoring.coreos.com" for plural in KINDS.values()]
    server.ok("wait", "--for=condition=Established", *crds)
    selector = {"matchLabels": {"release": "stack"}}
    server.create(
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "Prometheus",
            "metadata": {"name": "stack", "namespace": "monitoring"},
            "spec": {"serviceMonitorSelector": selector, "ruleSelector": selector},
        }
    )
    yield
    server.ok("delete", *crds)


@pytest.mark.usefixtures("stack")
def test_a_prometheus_that_is_there_finds_all_that_it_needs(server: ApiServer, releases: Releases) -> None:
    release = releases("watched", {"teams": []})
    for kind, name in (("servicemonitor", "alcove"), ("prometheusrule", "alcove")):
        assert server.get(kind, name, "watched")["metadata"]["labels"]["release"] == "stack"
    (rule,) = server.get("networkpolicy", "alcove-metrics", "watched")["spec"]["ingress"]
    assert rule["from"] == [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}},
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
        }
    ]
    release.values["monitoring"] = {"findPrometheus": False, "labels": {"release": "mine"}}
    assert release.upgrade().returncode == 0
    assert server.get("servicemonitor", "alcove", "watched")["metadata"]["labels"]["release"] == "mine"
    assert not server.exists("networkpolicy", "alcove-metrics", "watched")
