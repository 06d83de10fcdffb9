"""A server that is killed in the middle of its work."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from threading import Event

import pytest
from minio import Minio
from minio.credentials import StaticProvider

from alcove_api import keys
from alcove_api.documents import StoreCredentials
from alcove_api.retry import retry
from alcove_operator import credentials, store_setup
from alcove_store import client as store_client
from alcove_store.errors import StoreNotFoundError, StoreUnavailableError
from tests.cluster.api import StoreServer, minio_server, seaweedfs_server

from .conftest import REGION, SCORER, SIGNER

MAIN = keys.MAIN_BUCKET
PART = bytes(5 << 20)


def start(kind: str, data: Path) -> AbstractContextManager[StoreServer]:
    """The end of the block kills it."""
    if kind == "minio":
        return minio_server(lambda _: None, data=data, operator=SIGNER)
    return seaweedfs_server(SIGNER, SCORER, lambda _: None, data=data)


def connect(server: StoreServer, who: StoreCredentials) -> Minio:
    provider = StaticProvider(who.access_key, who.secret_key, who.session_token)
    return store_client.client(server.url, REGION, provider)


def set_up(server: StoreServer, folder: Path) -> None:
    users = folder / "users.json"
    user = {"role": "operator", "access_key": SIGNER.access_key, "secret_key": SIGNER.secret_key}
    users.write_text(json.dumps({"users": [user]}))
    environment = {
        "ALCOVE_STORE_KIND": server.kind,
        "ALCOVE_STORE_ENDPOINT": server.url,
        "ALCOVE_STORE_ADMIN_USER": server.access_key,
        "ALCOVE_STORE_ADMIN_PASSWORD": server.secret_key,
        "ALCOVE_STORE_USERS": str(users),
    }
    store_setup.set_up(environment, lambda _: None)


class Slow(io.RawIOBase):
    """Three parts, the second of which waits for the server to be killed."""

    def __init__(self, started: Event, killed: Event) -> None:
        self.left, self.started, self.killed = 3 * len(PART), started, killed

    def read(self, size: int = -1) -> bytes:
        if self.left <= len(PART):
            self.started.set()
            assert self.killed.wait(60)
        piece = min(size, self.left)
        self.left -= piece
        return bytes(piece)


@pytest.mark.parametrize("kind", ["minio", "seaweedfs"])
def test_a_server_that_is_killed_loses_nothing_that_it_took(kind: str, tmp_path: Path) -> None:
    data, own = tmp_path / "data", keys.attempt_prefix("u1", "table", 1, "pod-1")
    started, killed = Event(), Event()
    with ThreadPoolExecutor(1) as pool:
        with start(kind, data) as server:
            set_up(server, tmp_path)
            policy = credentials.recorder_policy("u1", "table", 1)
            session = credentials.session_credentials(SIGNER, server.url, REGION, policy, 3600)
            run = connect(server, session)
            for number in range(20):
                store_client.put_bytes(run, MAIN, keys.snapshot(own, number), bytes([number]) * 1000)
            source, key = Slow(started, killed), keys.snapshot(own, 20)
            going = pool.submit(store_client.put_file, run, MAIN, key, source, 3 * len(PART))  # type: ignore[arg-type]
            assert started.wait(60)
        killed.set()
        assert isinstance(going.exception(60), StoreUnavailableError)
    with start(kind, data) as server:
        operator = connect(server, SIGNER)
        for number in range(20):
            # SeaweedFS answers 500 until its volumes have told of themselves; whoever reads tries again.
            found = retry(partial(store_client.get_bytes, operator, MAIN, keys.snapshot(own, number)), 60)
            assert found == bytes([number]) * 1000
        with pytest.raises(StoreNotFoundError):
            store_client.get_bytes(operator, MAIN, keys.snapshot(own, 20))
        # The credentials that the run was given before.
        retry(
            partial(store_client.put_bytes, connect(server, session), MAIN, keys.snapshot(own, 20), PART), 60
        )
        assert store_client.get_bytes(operator, MAIN, keys.snapshot(own, 20)) == PART
