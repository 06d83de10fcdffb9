"""A MinIO server for tests that need an object store and no cluster."""

from __future__ import annotations

import http.client
import os
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from minio import Minio
from minio.credentials import StaticProvider

from alcove_store import client as store_client
from alcove_store.errors import StoreError

from .binaries import binaries
from .children import WITH_US
from .console import ClusterError, Progress, say, tail
from .versions import binary_path

_START_TIMEOUT = 30.0


@dataclass(frozen=True)
class MinioServer:
    endpoint: str  # host:port, as the SDK takes it; plain HTTP
    access_key: str
    secret_key: str

    @property
    def url(self) -> str:
        return f"http://{self.endpoint}"

    def answers(self) -> bool:
        """Whether it does what it is asked: it says that it is ready before it knows its users."""
        client = store_client.client(self.url, "us-east-1", StaticProvider(self.access_key, self.secret_key))
        try:
            with store_client.store_errors("a first look"):
                client.list_buckets()
        except StoreError:
            return False
        return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
def minio_server(progress: Progress = say) -> Iterator[MinioServer]:
    """A fresh, empty MinIO on loopback, with random credentials; it and its data are gone afterwards."""
    binaries(["minio"], progress)
    server_port, console_port = free_port(), free_port()
    server = MinioServer(f"127.0.0.1:{server_port}", "alcove-test", secrets.token_urlsafe(24))
    with tempfile.TemporaryDirectory(prefix="alcove-minio-") as folder:
        log = Path(folder) / "minio.log"
        env = {
            "PATH": os.environ.get("PATH", ""), "HOME": folder, "MINIO_ROOT_USER": server.access_key,
            "MINIO_ROOT_PASSWORD": server.secret_key, "MINIO_BROWSER": "off", "MINIO_UPDATE": "off",
        }  # fmt: skip
        argv = [*WITH_US, str(binary_path("minio")), "server", f"{folder}/data", "--quiet"]
        argv += ["--address", server.endpoint, "--console-address", f"127.0.0.1:{console_port}"]
        with log.open("w") as output:
            process = subprocess.Popen(argv, env=env, stdout=output, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + _START_TIMEOUT
            while not (healthy(server_port) and server.answers()):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ClusterError(
                        f"MinIO did not start, so tests that need a store cannot run. Its log:\n{tail(log)}"
                    )
                time.sleep(0.05)
            yield server
        finally:
            process.kill()
            process.wait()


def list_keys(store: Minio, bucket: str, prefix: str) -> list[str]:
    """All keys below ``prefix``, sorted. Raises :class:`StoreError`."""
    with store_client.store_errors(f"listing {prefix}"):
        return sorted(
            entry.object_name for entry in store.list_objects(bucket, prefix=prefix, recursive=True)
        )
