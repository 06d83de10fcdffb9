"""Values that together turn every switch of the chart; :func:`untried` names the switches that none of them turns.

The API server checks what each of them renders (tests/integration/helm/test_install.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tests.unit.helm.chart import CHART, VALUES, ZEROS, Object, merged

GPU = {"nodeSelector": {"pool": "gpu"}, "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}
LARGE = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "4Gi"}}
PHASES = VALUES["competition"]["spec"]["phases"]
PEER = {"podSelector": {}, "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "edge"}}}
BLOCK = {"ipBlock": {"cidr": "203.0.113.0/24"}}


def ingress(host: str) -> Object:
    return {
        "enabled": True,
        "className": "nginx",
        "host": host,
        "tlsSecret": "edge-tls",
        "annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "0"},
    }


def image(name: str) -> str:
    return f"registry.example.org/own/{name}@sha256:{ZEROS}"


IMAGES = (
    "operator", "recorder", "scorer", "ingestion", "ingestionNumpy", "ingestionTorch", "ingestionTf1",
    "board", "seaweedfs", "minio",
)  # fmt: skip
EXTERNAL: Object = {
    "endpoint": "https://s3.example.org",
    "adminSecret": "store-admin",
    "caSecret": "store-authority",
    "cidrs": ["203.0.113.0/24"],
}

VARIANTS: dict[str, Object] = {
    "the defaults, with two teams": {},
    "an empty release": {"competition": {"spec": {}}, "datasets": [], "teams": [], "teamQuota": None},
    "minio, its own certificate, ingresses": {
        "store": {
            "kind": "minio",
            "tls": {"secret": "own"},
            "server": {
                "ingress": ingress("store.example.org"),
                "storageClass": "fast",
                "size": "1Ti",
                "resources": LARGE,
                **GPU,
            },
            "publicEndpoint": "https://store.example.org",
        },
        "board": {"ingress": ingress("board.example.org"), "publicUrl": "https://board.example.org"},
        "images": {
            **{name: image(name) for name in IMAGES},
            "pullPolicy": "Always",
            "pullSecrets": ["registry"],
        },
    },
    "seaweedfs with tls, without a volume": {
        "store": {
            "tls": {"secret": "own"},
            "server": {"persistence": False},
            "region": "eu-central-1",
            "bucket": "one",
            "solutionsBucket": "two",
            "uploadsBucket": "three",
        },
        "operator": {
            "clusterWide": True,
            "readNodes": True,
            "logLevel": "DEBUG",
            "resources": LARGE,
            **GPU,
            "priorityClassName": "system-cluster-critical",
        },
        "runs": {"runtimeClass": "gvisor", **GPU},
        "prePull": {"enabled": True, "images": [image("own")]},
        "board": {
            "service": {"type": "NodePort", "nodePort": 30080},
            "replicas": 3,
            "resources": LARGE,
            **GPU,
        },
        "images": {"pullPolicy": "Never"},
    },
    "seaweedfs with cert-manager": {
        "store": {"tls": {"issuer": {"name": "hackathon-ca", "kind": "ClusterIssuer"}}},
        "operator": {"logLevel": "WARNING"},
    },
    "minio with cert-manager": {
        "store": {
            "kind": "minio",
            "tls": {
                "issuer": {"name": "hackathon-ca", "kind": "Issuer", "group": "cert-manager.io"},
                "secret": "made",
            },
        },
        "operator": {"logLevel": "ERROR"},
    },
    "external, made by minio's interface, with an authority of its own": {
        "store": {"kind": "external", "external": {**EXTERNAL, "style": "path"}},
        "board": {"service": {"type": "LoadBalancer"}},
    },
    "external, made by seaweedfs's interface, virtual-host style": {
        "store": {"kind": "external", "external": {**EXTERNAL, "users": "seaweedfs", "style": "virtual"}},
    },
    "external, made by hand, with roles": {
        "store": {
            "kind": "external",
            "setup": False,
            "external": {
                **EXTERNAL,
                "stsEndpoint": "https://sts.example.org",
                "roles": {"run": "arn:aws:iam::1:role/run", "score": "arn:aws:iam::1:role/score"},
            },
        },
        "board": {"enabled": False},
    },
    "a network for runs, other policies, notifications": {
        "competition": {"name": "cup", "spec": {"phases": PHASES, "allowNetwork": True}},
        "datasets": [
            {
                "name": "digits",
                "alias": "d",
                "domain": "image",
                "dataSha256": "1" * 64,
                "solutionSha256": ZEROS,
            }
        ],
        "networkPolicy": {
            "required": False,
            "dns": [PEER, BLOCK],
            "findResolvers": False,
            "apiServer": {"cidrs": ["192.0.2.1/32"], "ports": [8443]},
            "storeClients": [PEER, BLOCK],
            "boardClients": [PEER, BLOCK],
            "metricsClients": [PEER, BLOCK],
            "privateCidrs": ["10.0.0.0/8"],
        },
        "notifications": {
            "secret": "webhooks",
            "hosts": ["hooks.example.org"],
            "cidrs": ["192.0.2.0/24"],
            "ports": [8443],
        },
        "monitoring": {
            "interval": "1m",
            "labels": {"release": "stack"},
            "runbookUrl": "https://docs.example.org/runbook",
        },
        "teamQuota": {"count/configmaps": "10", "count/submissions.alcove.dev": "20"},
    },
    "without policies, dashboards and upgrades of definitions": {
        "networkPolicy": {"enabled": False},
        "monitoring": {"dashboards": False, "findPrometheus": False},
        "crds": {"upgrade": False},
        "teams": [
            {
                "name": "green",
                "namespace": "team-green",
                "displayName": "Green",
                "createNamespace": False,
                "subjects": [
                    {"kind": "User", "name": "ada@example.org"},
                    {"kind": "Group", "name": "green"},
                    {"kind": "ServiceAccount", "name": "ci", "namespace": "builds"},
                ],
            },
            {"name": "lilac", "createNamespace": True},
        ],
    },
}

Path = tuple[str, ...]


def switches(schema: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Path and schema of each value that can be set; ``[]`` stands for every item of a list.

    What is inside a Competition or a Dataset is the API server's to check, in their definitions.
    """
    yield from _switches(schema, schema["definitions"], ())


def _switches(
    node: Mapping[str, Any], definitions: Mapping[str, Any], path: Path
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    name = node.get("$ref", "").removeprefix("#/definitions/")
    node = definitions.get(name, node)
    inner = [((*path, key), child) for key, child in node.get("properties", {}).items()]
    if "properties" in node.get("items", {}):
        inner.append(((*path, "[]"), node["items"]))
    for place, child in inner:
        yield from _switches(child, definitions, place)
    if not inner:
        yield path, node


def values_at(values: Any, path: Path) -> Iterator[Any]:
    """What is set there; nothing where it is absent."""
    if not path:
        yield values
    elif path[0] == "[]":
        for item in values or ():
            yield from values_at(item, path[1:])
    elif isinstance(values, dict) and path[0] in values:
        yield from values_at(values[path[0]], path[1:])


def untried(variants: Mapping[str, Object], schema: Mapping[str, Any], defaults: Object) -> list[str]:
    """The values that no variant sets: of a boolean or a choice each must be used, of others one beside the default."""
    chosen = [merged(defaults, merged(VALUES, over)) for over in variants.values()]
    missing = []
    for path, node in switches(schema):
        if path == ("global",):
            continue
        default = [*values_at(defaults, path)]
        used = [value for values in chosen for value in values_at(values, path)]
        lacking: list[object]
        if node.get("type") == "boolean":
            lacking = [value for value in (True, False) if value not in used]
        elif "enum" in node:
            lacking = [value for value in node["enum"] if value not in used]
        else:
            lacking = [] if any(value not in default for value in used) else ["another value"]
        missing += [f"{'.'.join(path)}: {value}" for value in lacking]
    return missing


def untried_of_the_chart() -> list[str]:
    schema = json.loads((CHART / "values.schema.json").read_text())
    return untried(VARIANTS, schema, yaml.safe_load((CHART / "values.yaml").read_text()))
