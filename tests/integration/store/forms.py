"""Forms that are sent to the gate before SeaweedFS piece by piece, and more gates before the same server."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from alcove_api import keys
from alcove_api.uploads import UploadPermit
from alcove_operator.store import OperatorStore
from alcove_store import client as store_client
from alcove_store.errors import StoreNotFoundError, StoreUnavailableError
from alcove_store.post import send_upload
from tests.cluster.gate import gate
from tests.cluster.stores import StoreServer, free_port

from .conftest import SIGNER, SetUpStore

MIB = 1 << 20
GIB = 1 << 30
BOUNDARY = "b0undary"
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()
PATIENCE = 60.0
"""Seconds until a test gives up."""


@contextmanager
def another_gate(store: SetUpStore, *flags: str) -> Iterator[SetUpStore]:
    """Before the same SeaweedFS."""
    folder = store.server.folder
    assert folder is not None
    server = replace(store.server, endpoint=f"127.0.0.1:{free_port()}")
    with gate(server, f"{folder}/s3.sock", SIGNER, folder, None, *flags):
        yield replace(store, server=server)


def sign(store: SetUpStore, key: str, limit: int = MIB, seconds: int = 3600) -> UploadPermit:
    operator = OperatorStore(store.client("operator"), keys.MAIN_BUCKET)
    return operator.permit_upload(
        key, limit, datetime.now(UTC) + timedelta(seconds=seconds), store.server.url
    )


def bundle(digit: str, team: str = "team-a") -> str:
    return keys.team_bundle(team, digit * 64)


def fields_of(permit: UploadPermit) -> dict[str, str]:
    return {field.name: field.value for field in permit.fields}


def write_fields(fields: Mapping[str, str]) -> bytes:
    return b"".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    )


FILE = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="upload"\r\n\r\n'.encode()


class Sender:
    """A connection on which one form is sent, piece by piece."""

    def __init__(self, server: StoreServer, path: str = f"/{keys.UPLOADS_BUCKET}") -> None:
        host, _, port = server.endpoint.partition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE)
        self.path, self.host = path, server.endpoint

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def begin(self, length: int | None, **headers: str) -> None:
        kind = headers.pop("kind", f"multipart/form-data; boundary={BOUNDARY}")
        size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.send(
            f"POST {self.path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: {kind}\r\n{size}\r\n{more}\r\n".encode()
        )

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def begin_file(self, permit: UploadPermit, size: int) -> None:
        """All that comes before the file, of a form for so many bytes."""
        head = write_fields(fields_of(permit)) + FILE
        self.begin(len(head) + size + len(TAIL))
        self.send(head)

    def hear(self) -> tuple[int, bytes]:
        """The answer's status and all of it; (0, b"") where the connection was closed without one."""
        found = b""
        try:
            while piece := self.socket.recv(1 << 16):
                found += piece
                head, there, body = found.partition(b"\r\n\r\n")
                if there and (b" 204 " in head.split(b"\r\n")[0] or body.endswith(b"</Error>")):
                    break
        except ConnectionResetError:
            pass
        return (int(found.split()[1]), found) if found else (0, b"")

    @property
    def is_open(self) -> bool:
        """Whether no answer has come, and nobody has closed it."""
        self.socket.setblocking(False)
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK)) and False
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        finally:
            self.socket.settimeout(PATIENCE)


def is_there(store: SetUpStore, key: str) -> bool:
    try:
        store_client.get_bytes(store.root, keys.UPLOADS_BUCKET, key)
    except StoreNotFoundError:
        return False
    return True


def until(done: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 2 * PATIENCE
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def upload(permit: UploadPermit, size: int) -> None:
    send_upload(permit, io.BytesIO(bytes(size)), size, permit.url)


def try_upload(permit: UploadPermit, size: int) -> str:
    """What the store says against it."""
    try:
        upload(permit, size)
    except StoreUnavailableError as error:
        return str(error)
    return ""
