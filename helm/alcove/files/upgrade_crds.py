"""The hook that brings the custom resource definitions of the cluster up to date with the chart.

``python -I upgrade_crds.py FOLDER``: replaces the definition named in each ``*.yaml`` of FOLDER where it differs, and
makes one that is not there. Helm itself makes definitions at the first install, and never changes or adds any.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from alcove_kube.client import KubeClient
from alcove_kube.errors import ApiError
from alcove_kube.resources import Resource

DEFINITIONS = Resource("apiextensions.k8s.io/v1", "customresourcedefinitions")
DIGEST = "alcove.dev/schema-digest"
ATTEMPTS = 5


def replace(kube: KubeClient, wanted: dict[str, Any]) -> str:
    """Makes the definition in the cluster the one that is wanted; returns what was done, for the log.

    Raises:
        ApiError: the server refused.
    """
    name = wanted["metadata"]["name"]
    for attempt in range(1, ATTEMPTS + 1):
        present = kube.find(DEFINITIONS, None, name)
        if present is None:
            kube.create(DEFINITIONS, None, wanted)
            return "made"
        found = present["metadata"]
        annotations = found.get("annotations") or {}
        if annotations.get(DIGEST) == wanted["metadata"]["annotations"][DIGEST]:
            return "up to date"
        metadata = {
            "name": name,
            "resourceVersion": found["resourceVersion"],
            "labels": found.get("labels"),
            "annotations": {**annotations, **wanted["metadata"]["annotations"]},
        }
        try:
            kube.replace(DEFINITIONS, None, name, {**wanted, "metadata": metadata})
            return "upgraded"
        except ApiError as error:
            # The server itself writes its status now and then.
            if not error.conflict or attempt == ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def main(folder: Path) -> int:
    kube = KubeClient.from_pod()
    failed = 0
    for path in sorted(folder.glob("*.yaml")):
        wanted = yaml.safe_load(path.read_text())
        name = wanted["metadata"]["name"]
        try:
            print(f"{name}: {replace(kube, wanted)}", flush=True)
        except ApiError as error:
            failed = 1
            print(
                f"{name}: not upgraded. {error} Apply the chart's crds folder with "
                "`kubectl apply --server-side --force-conflicts -f crds/` and upgrade with --set crds.upgrade=false.",
                flush=True,
            )
    return failed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
