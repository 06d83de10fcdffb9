"""``alcove dataset recheck``: has the operator check a Dataset again whose digests have not changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from alcove_api.dataset import RECHECK


def new_request() -> str:
    """A value of the annotation that no earlier request had."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def recheck(
    name: Annotated[str, typer.Argument(help="Name of the Dataset.")],
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="The release's namespace, where the Dataset is.")
    ] = "hackathon",
    kubeconfig: Annotated[
        str | None, typer.Option(help="By default $KUBECONFIG, else ~/.kube/config.")
    ] = None,
) -> None:
    """Check a published dataset again, after its files in the store or on its volume were repaired.

    Until the check has ended, no run on the dataset starts and none is scored; runs under way go on.
    """
    from alcove_kube.client import KubeClient
    from alcove_kube.resources import DATASETS

    body = {"metadata": {"annotations": {RECHECK: new_request()}}}
    KubeClient.from_kubeconfig(kubeconfig).patch(DATASETS, namespace, name, body)
    typer.echo(
        f"The check of {name} was asked for. See how it ends: kubectl get dataset {name} -n {namespace}"
    )
