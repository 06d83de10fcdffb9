"""The hook that brings the custom resource definitions of the cluster up to date with the chart.

``python -I upgrade_crds.py FOLDER``: replaces the definition named in each ``*.yaml`` of FOLDER where it differs. Helm
itself installs definitions but never changes them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

DIGEST = "alcove.dev/schema-digest"
ATTEMPTS = 5


def replace(api: client.ApiextensionsV1Api, wanted: dict[str, Any]) -> str:
    """Makes the definition in the cluster the one that is wanted; returns what was done, for the log.

    Raises:
        ApiException: the server refused.
    """
    name = wanted["metadata"]["name"]
    for attempt in range(1, ATTEMPTS + 1):
        found = api.read_custom_resource_definition(name)
        if (found.metadata.annotations or {}).get(DIGEST) == wanted["metadata"]["annotations"][DIGEST]:
            return "up to date"
        annotations = {**(found.metadata.annotations or {}), **wanted["metadata"]["annotations"]}
        metadata = {
            "name": name,
            "resourceVersion": found.metadata.resource_version,
            "labels": found.metadata.labels,
            "annotations": annotations,
        }
        try:
            api.replace_custom_resource_definition(name, {**wanted, "metadata": metadata})
            return "upgraded"
        except ApiException as error:
            # The server itself writes its status now and then.
            if error.status != 409 or attempt == ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def main(folder: Path) -> int:
    try:
        config.load_incluster_config()
    except config.ConfigException:
        config.load_kube_config()
    api = client.ApiextensionsV1Api()
    failed = 0
    for path in sorted(folder.glob("*.yaml")):
        wanted = yaml.safe_load(path.read_text())
        try:
            print(f"{wanted['metadata']['name']}: {replace(api, wanted)}", flush=True)
        except ApiException as error:
            failed = 1
            print(
                f"{wanted['metadata']['name']}: not upgraded, the API server says {error.status} {error.reason}. "
                "Apply the chart's crds folder with `kubectl apply --server-side --force-conflicts -f crds/` and "
                "upgrade with --set crds.upgrade=false.",
                flush=True,
            )
    return failed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
