"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Team = Annotated[
    str | None, typer.Option(help="The team's namespace; by default that of the kubeconfig's context.")
]
Store = Annotated[
    str | None, typer.Option(help="Endpoint of the store, http://HOST:PORT; by default the Secret's.")
]
Kubeconfig = Annotated[str | None, typer.Option(help="Path of a kubeconfig; by default $KUBECONFIG.")]
Competition = Annotated[
    str, typer.Option(help="NAMESPACE/NAME of the competition; the name alone where both are the same.")
]
