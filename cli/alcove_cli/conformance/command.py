"""``alcove conformance``: attacks an installed release, and says which promises hold on this cluster."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Annotated

import typer
import yaml

from alcove_cli.options import Kubeconfig, Store


def conformance(
    competition: Annotated[
        str, typer.Argument(help="NAMESPACE/NAME of the release's Competition; see --values.")
    ] = "conformance/conformance",
    values: Annotated[
        bool, typer.Option("--values", help="Print values to install such a release with; attack nothing.")
    ] = False,
    store: Store = None,
    image: Annotated[
        str,
        typer.Option(
            "--image", help="By digest, from tests/conformance/odd_image: hand in an odd image as well."
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Attack an installed release, made for it, and say which promises hold on this cluster.

    Takes four to six minutes. Exit status 1 if one is not held. What it makes in the cluster is deleted, also after
    Ctrl-C.
    """
    from alcove_cli.conformance.place import open_place, release_values
    from alcove_cli.conformance.report import as_document, describe_promises, judge_promises
    from alcove_cli.conformance.suite import cleaning, run_suite
    from alcove_cli.convert import unwind_on_signals

    if values:
        typer.echo(yaml.safe_dump(release_values(), sort_keys=False), nl=False)
        return
    tell = _progress()
    with (
        unwind_on_signals(),
        open_place(kubeconfig, competition, store, image) as place,
        cleaning(place, tell),
    ):
        judged = judge_promises(run_suite(place, tell))
    typer.echo(json.dumps(as_document(judged), indent=2) if as_json else "\n".join(describe_promises(judged)))
    if any(one.state == "not held" for one in judged):
        raise typer.Exit(1)


def _progress() -> Callable[[str], None]:
    """Standard output is for the answer."""
    began = time.monotonic()
    return lambda message: print(f"{time.monotonic() - began:4.0f} s  {message}", file=sys.stderr, flush=True)
