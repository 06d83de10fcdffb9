"""The gate that the chart puts before a store's server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alcove_api.documents import StoreCredentials

from .binaries import binaries
from .console import Progress, say
from .stores import StoreServer, serve
from .versions import binary_path


@contextmanager
def gate(
    server: StoreServer,
    behind: str,
    operator: StoreCredentials,
    folder: Path,
    certificate: Path | None = None,
    *flags: str,
    progress: Progress = say,
) -> Iterator[None]:
    """At the server's address.

    Args:
        server: as clients reach it.
        behind: socket, or host:port, that the server itself listens at.
        operator: who signs permits.
        folder: for its log and the operator's credentials.
        certificate: a folder with public.crt and private.key; without it the gate speaks plain HTTP.
        flags: more of its own.
        progress: where to say that it is built.
    """
    binaries(["store-gate"], progress)
    credentials, log = folder / "operator.json", folder / f"gate-{server.address}.log"
    credentials.write_text(operator.model_dump_json())
    argv = [
        str(binary_path("store-gate")), f"-listen={server.address}", f"-store={behind}",
        f"-credentials={credentials}", *([f"-certificate={certificate}"] if certificate else []), *flags,
    ]  # fmt: skip
    with serve(argv, {}, log, server.answers, "The gate before the store"):
        yield
