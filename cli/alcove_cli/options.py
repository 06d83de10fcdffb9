"""Options that several commands have, and what they mean."""

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
_COMPETITION = "NAMESPACE/NAME of the competition; the name alone where both are the same."
Competition = Annotated[str, typer.Option(help=_COMPETITION)]
CompetitionArgument = Annotated[str, typer.Argument(metavar="COMPETITION", help=_COMPETITION)]


def parse_competition(name: str) -> tuple[str, str]:
    """Namespace and name; both are the same where one is given."""
    namespace, _, rest = name.partition("/")
    return namespace, rest or namespace
