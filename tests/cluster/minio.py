"""A MinIO server for tests that need an object store and no cluster."""

from __future__ import annotations

import http.client
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from .binaries import binaries
from .console import Progress, say
from .stores import StoreServer, free_port, serve
from .versions import binary_path


def healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/minio/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def minio_server(progress: Progress = say, data: Path | None = None) -> Iterator[StoreServer]:
    """A fresh, empty MinIO on loopback, with random credentials; it and its data are gone afterwards.

    ``data``: where its data lies, and stays; by default a folder of its own.
    """
    binaries(["minio"], progress)
    server_port, console_port = free_port(), free_port()
    server = StoreServer("minio", f"127.0.0.1:{server_port}", "alcove-test", secrets.token_urlsafe(24))
    with tempfile.TemporaryDirectory(prefix="alcove-minio-") as folder:
        env = {
            "PATH": os.environ.get("PATH", ""), "HOME": folder, "MINIO_ROOT_USER": server.access_key,
            "MINIO_ROOT_PASSWORD": server.secret_key, "MINIO_BROWSER": "off", "MINIO_UPDATE": "off",
        }  # fmt: skip
        argv = [str(binary_path("minio")), "server", str(data or f"{folder}/data"), "--quiet"]
        argv += ["--address", server.endpoint, "--console-address", f"127.0.0.1:{console_port}"]
        log = Path(folder) / "minio.log"
        with serve(argv, env, log, lambda: healthy(server_port) and server.answers(), "MinIO") as pid:
            yield replace(server, pid=pid)
