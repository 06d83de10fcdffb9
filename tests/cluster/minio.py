"""A MinIO server for tests that need an object store and no cluster."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from alcove_api.documents import StoreCredentials

from .binaries import binaries
from .console import Progress, say
from .gate import gate
from .stores import StoreServer, free_port, root_secret, serve
from .versions import binary_path


@contextmanager
def minio_server(
    progress: Progress = say,
    data: Path | None = None,
    certificate: Path | None = None,
    domain: str | None = None,
    host: str = "127.0.0.1",
    operator: StoreCredentials | None = None,
) -> Iterator[StoreServer]:
    """A fresh, empty MinIO on loopback, with random credentials; it and its data are gone afterwards.

    Args:
        progress: where to say what is built.
        data: where its data lies, and stays; by default a folder of its own.
        certificate: a folder with public.crt and private.key; without it the server speaks plain HTTP.
        domain: under which it knows each bucket by a host name of its own.
        host: by which clients call it, where its certificate names another.
        operator: who signs permits: behind the gate, as the chart runs it. Without, as an external one that has none.
    """
    binaries(["minio"], progress)
    server = StoreServer(
        "minio",
        f"{host}:{free_port()}",
        "alcove-test",
        root_secret(data),
        "https" if certificate else "http",
    )
    with tempfile.TemporaryDirectory(prefix="alcove-minio-") as folder, ExitStack() as stack:
        env = {
            "PATH": os.environ.get("PATH", ""), "HOME": folder, "MINIO_ROOT_USER": server.access_key,
            "MINIO_ROOT_PASSWORD": server.secret_key, "MINIO_BROWSER": "off", "MINIO_UPDATE": "off",
        }  # fmt: skip
        env |= {"MINIO_API_DELETE_CLEANUP_INTERVAL": "10s"} | ({"MINIO_DOMAIN": domain} if domain else {})
        own = replace(server, endpoint=f"127.0.0.1:{free_port()}", scheme="http") if operator else server
        argv = [str(binary_path("minio")), "server", str(data or f"{folder}/data"), "--quiet"]
        argv += ["--address", own.address, "--console-address", f"127.0.0.1:{free_port()}"]
        argv += ["--certs-dir", str(certificate)] if certificate and not operator else []
        pid = stack.enter_context(serve(argv, env, Path(folder) / "minio.log", own.answers, "MinIO"))
        if operator:
            stack.enter_context(
                gate(server, own.address, operator, Path(folder), certificate, progress=progress)
            )
        yield replace(server, pid=pid, folder=Path(folder))
