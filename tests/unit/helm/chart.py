"""Renders the chart, for tests here and in tests/integration/helm."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.binaries import binaries
from tests.cluster.versions import binary_path

REPOSITORY = Path(__file__).parents[3]
CHART = REPOSITORY / "helm" / "alcove"
NAMESPACE = "hackathon"
Object = dict[str, Any]

ZEROS = "0" * 64
IMAGES: Object = {"images": {"repository": "registry.example.org/alcove"}}
VALUES: Object = {
    **IMAGES,
    "competition": {
        "spec": {"phases": [{"name": "practice", "datasets": ["digits"], "budget": {"seconds": 20}}]}
    },
    "datasets": [{"name": "digits", "alias": "digits", "dataSha256": ZEROS, "solutionSha256": ZEROS}],
    "teams": [
        {"name": "red", "namespace": "team-red", "subjects": [{"kind": "User", "name": "ada@example.org"}]},
        {"name": "blue"},
    ],
}


def merged(base: Object, over: Object) -> Object:
    """Maps are merged, all else is replaced; as Helm does with values."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def helm_binary() -> Path:
    """The pinned Helm. In CI it is built where it is missing; elsewhere the test is skipped, for that takes minutes."""
    if not binary_path("helm").exists():
        if not os.environ.get("CI"):
            pytest.skip("Helm is not built yet: python -m tests.cluster binaries --only helm")
        binaries(["helm"])
    return binary_path("helm")


def helm(*arguments: str | Path, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs Helm with folders of its own; the user's settings and clusters are neither read nor changed."""
    with tempfile.TemporaryDirectory(prefix="alcove-helm-") as home:
        environment = {
            "PATH": "/usr/bin:/bin", "HOME": home, "HELM_CACHE_HOME": f"{home}/cache",
            "HELM_CONFIG_HOME": f"{home}/config", "HELM_DATA_HOME": f"{home}/data",
            "KUBECONFIG": str(kubeconfig or "/nonexistent"),
        }  # fmt: skip
        argv = [str(helm_binary()), *map(str, arguments)]
        return subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=240, check=False)


def template(values: Object, release: str = "hackathon", *more: str) -> subprocess.CompletedProcess[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values, file)
        file.flush()
        return helm(
            "template", release, CHART, "-n", NAMESPACE, "-f", file.name, "--kube-version", "1.34.4", *more
        )


def render(over: Object | None = None, release: str = "hackathon", *more: str) -> list[Object]:
    """All objects of a release, hooks among them, each with its namespace filled in."""
    done = template(merged(VALUES, over or {}), release, *more)
    assert done.returncode == 0, done.stderr
    return [placed(document) for document in yaml.safe_load_all(done.stdout) if document]


CLUSTER_SCOPED = {
    "Namespace",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}


def placed(document: Object) -> Object:
    if document["kind"] not in CLUSTER_SCOPED:
        document["metadata"].setdefault("namespace", NAMESPACE)
    return document


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [item for item in objects if item["kind"] in kinds]


def one(objects: list[Object], kind: str, name: str, namespace: str = NAMESPACE) -> Object:
    (found,) = (
        item
        for item in objects
        if item["kind"] == kind
        and item["metadata"]["name"] == name
        and item["metadata"].get("namespace", namespace) == namespace
    )
    return found


def pods(objects: list[Object]) -> Iterator[tuple[str, Object, Object]]:
    """Name, labels and spec of every pod, or template of one."""
    for item in objects:
        name = f"{item['kind']}/{item['metadata']['name']}"
        if item["kind"] == "Pod":
            yield name, item["metadata"]["labels"], item["spec"]
        elif item["kind"] in ("Deployment", "StatefulSet", "Job"):
            inner = item["spec"]["template"]
            yield name, inner["metadata"]["labels"], inner["spec"]


def environment(container: Object) -> dict[str, str]:
    """The variables with a plain value."""
    return {entry["name"]: entry["value"] for entry in container.get("env", ()) if "value" in entry}
