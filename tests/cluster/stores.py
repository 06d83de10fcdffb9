"""What every server of an object store for tests has in common: an address, a root user, and how one is awaited."""

from __future__ import annotations

import contextlib
import hashlib
import random
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from minio import Minio
from minio.credentials import StaticProvider

from alcove_store import client as store_client
from alcove_store.errors import StoreError

from .children import WITH_US
from .console import ClusterError, tail

START_TIMEOUT = 60.0
"""Seconds that a server may take until it answers."""
SERVER_PORTS = range(10240, 30000)
"""Below those of outgoing connections (from 32768 on, by Linux' default) and of Kubernetes' node ports (30000 on)."""


@dataclass(frozen=True)
class StoreServer:
    kind: Literal["minio", "seaweedfs"]
    endpoint: str  # host:port, as the SDK takes it
    access_key: str
    secret_key: str
    scheme: Literal["http", "https"] = "http"
    pid: int = 0
    """Of its process, once it runs."""
    folder: Path | None = None
    """While it runs: its log; of SeaweedFS its socket, too, and what it keeps in ``tmp`` in passing."""
    behind: str = ""
    """SeaweedFS's own host:port, behind its gate."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.endpoint}"

    @property
    def address(self) -> str:
        """Where it listens: on loopback, whatever host its certificate names."""
        return f"127.0.0.1:{self.endpoint.rpartition(':')[2]}"

    def answers(self) -> bool:
        """Whether it does what it is asked: a server says that it is ready before it knows its users."""
        client = store_client.client(self.url, "us-east-1", StaticProvider(self.access_key, self.secret_key))
        try:
            with store_client.store_errors("a first look"):
                client.list_buckets()
        except StoreError:
            return False
        return True


def root_secret(data: Path | None) -> str:
    """Of the root user: random, or, where the data stays, the same at each start."""
    return hashlib.sha256(str(data).encode()).hexdigest()[:32] if data else secrets.token_urlsafe(24)


def free_port() -> int:
    """One that nobody listens at. The kernel's own choice is from those that it gives to outgoing connections, and one
    of these could take it before the server does."""
    with socket.socket() as probe:
        for port in random.sample(SERVER_PORTS, 100):
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise ClusterError(
        f"Of 100 ports between {SERVER_PORTS[0]} and {SERVER_PORTS[-1]} none is free: too many servers run here."
    )


@contextmanager
def serve(
    argv: Sequence[str], env: Mapping[str, str], log: Path, ready: Callable[[], bool], name: str
) -> Iterator[int]:
    """Runs a server until the block ends; its process id. Raises :class:`ClusterError` if it does not become ready."""
    with log.open("w") as output:
        process = subprocess.Popen([*WITH_US, *argv], env=env, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ClusterError(
                    f"{name} did not start, so tests that need a store cannot run. Its log:\n{tail(log)}"
                )
            time.sleep(0.05)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def list_keys(store: Minio, bucket: str, prefix: str) -> list[str]:
    """All keys below ``prefix``, sorted. Raises :class:`StoreError`."""
    with store_client.store_errors(f"listing {prefix}"):
        return sorted(
            entry.object_name for entry in store.list_objects(bucket, prefix=prefix, recursive=True)
        )
