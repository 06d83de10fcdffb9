"""The thin access to the store, against a real one."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from minio.credentials import StaticProvider

from alcove_api import keys
from alcove_api.documents import StoreCredentials
from alcove_operator.metrics import Metrics
from alcove_operator.store import OperatorStore
from alcove_operator.store_room import StoreRoom
from alcove_store import client as store_client
from alcove_store.client import StoreConfig
from alcove_store.errors import StoreDeniedError, StoreError, StoreFullError, StoreUnavailableError
from tests.cluster.minio import minio_server
from tests.demo.hackathon import wait_for

from .conftest import REGION, SetUpStore

MAIN = keys.MAIN_BUCKET


def write(path: Path, credentials: StoreCredentials) -> None:
    """As the kubelet refreshes a Secret: another file under the same name."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(credentials.model_dump_json())
    temporary.replace(path)


def test_credentials_are_read_again_when_their_file_changes(set_up_store: SetUpStore, tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    write(path, StoreCredentials(access_key="alcove-system.operator", secret_key="an old secret"))
    client = store_client.connect(StoreConfig(set_up_store.server.url, REGION, MAIN, path))
    with pytest.raises(StoreDeniedError):
        store_client.put_bytes(client, MAIN, "code/refreshed.tar.gz", b"x")
    write(path, set_up_store.credentials["operator"])
    store_client.put_bytes(client, MAIN, "code/refreshed.tar.gz", b"x")
    assert store_client.get_bytes(client, MAIN, "code/refreshed.tar.gz") == b"x"
    path.write_text("not JSON")
    with pytest.raises(StoreDeniedError, match=r"credentials\.json"):
        store_client.get_bytes(client, MAIN, "code/refreshed.tar.gz")


def test_a_certificate_of_an_authority_that_is_not_known_is_refused(
    set_up_store: SetUpStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("ALCOVE_STORE_CA")
    with pytest.raises(StoreUnavailableError, match="certificate"):
        store_client.get_bytes(set_up_store.root, MAIN, "x")
    monkeypatch.setenv("ALCOVE_STORE_CA", str(tmp_path / "none"))
    with pytest.raises(StoreError, match="cannot be read"):
        store_client.get_bytes(set_up_store.root, MAIN, "x")


@pytest.mark.parametrize(
    ("style", "url"), [("virtual", "https://bucket.s3.example"), ("path", "https://s3.example/bucket")]
)
def test_a_bucket_is_addressed_as_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, style: str, url: str
) -> None:
    monkeypatch.setenv("ALCOVE_STORE_STYLE", style)
    client = store_client.client("https://s3.example", REGION, StaticProvider("someone", "something"))
    assert client.get_presigned_url("GET", "bucket", "k").startswith(f"{url}/k?")


def test_json_comes_back_as_it_went(set_up_store: SetUpStore) -> None:
    value = {"b": [1, 2.5, None], "a": "é"}
    store_client.put_bytes(set_up_store.root, MAIN, "scores/u1/value.json", store_client.dump_json(value))
    assert store_client.get_json(set_up_store.root, MAIN, "scores/u1/value.json") == value
    assert (
        store_client.get_bytes(set_up_store.root, MAIN, "scores/u1/value.json")
        == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    )
    store_client.put_bytes(set_up_store.root, MAIN, "scores/u1/broken.json", b"{")
    with pytest.raises(StoreError, match=r"broken\.json is not JSON"):
        store_client.get_json(set_up_store.root, MAIN, "scores/u1/broken.json")


def test_reading_is_bounded(set_up_store: SetUpStore) -> None:
    store_client.put_bytes(set_up_store.root, MAIN, "scores/u1/large", bytes(3 << 20))
    with pytest.raises(StoreError, match="more than 1000 bytes"):
        store_client.get_bytes(set_up_store.root, MAIN, "scores/u1/large", limit=1000)


def test_a_large_upload_starts_no_thread(set_up_store: SetUpStore) -> None:
    before = threading.active_count()
    most = before

    class Watching:
        """A file of 20 MiB that looks around whenever it is read."""

        left = 20 << 20

        def read(self, size: int) -> bytes:
            nonlocal most
            most = max(most, threading.active_count())
            piece = min(size, self.left)
            self.left -= piece
            return bytes(piece)

    store_client.put_file(set_up_store.root, MAIN, "scores/u1/parts", Watching(), 20 << 20)  # type: ignore[arg-type]
    assert most == before
    assert len(store_client.get_bytes(set_up_store.root, MAIN, "scores/u1/parts")) == 20 << 20


def test_a_store_that_is_away_is_said_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        path = tmp_path / "credentials.json"
        write(path, StoreCredentials(access_key="someone", secret_key="something"))
        client = store_client.connect(
            StoreConfig(f"http://127.0.0.1:{taken.getsockname()[1]}", REGION, MAIN, path)
        )
        with pytest.raises(StoreUnavailableError) as error:
            store_client.put_bytes(client, MAIN, "x", b"x")
    assert error.value.retriable


def test_a_store_that_does_not_answer_is_given_up_in_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        path = tmp_path / "credentials.json"
        write(path, StoreCredentials(access_key="someone", secret_key="something"))
        config = StoreConfig(f"http://127.0.0.1:{silent.getsockname()[1]}", REGION, MAIN, path)
        client = store_client.connect(config, read_timeout=0.3)
        before = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            store_client.get_bytes(client, MAIN, "x")
        assert time.monotonic() - before < 5


def test_what_is_not_set_is_named() -> None:
    with pytest.raises(StoreError, match="ALCOVE_STORE_BUCKET, ALCOVE_STORE_REGION not set"):
        StoreConfig.from_environment({"ALCOVE_STORE_ENDPOINT": "http://x", "ALCOVE_STORE_CREDENTIALS": "/x"})


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system needs root to be mounted")
def test_a_store_without_room_is_told_from_one_that_is_away(tmp_path: Path) -> None:
    """Of 64 MiB."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(small)], check=True)
    try:
        with minio_server(lambda _: None, small) as server:
            provider = StaticProvider(server.access_key, server.secret_key)
            client = store_client.client(server.url, REGION, provider)
            with store_client.store_errors("making a bucket"):
                client.make_bucket(MAIN)
                client.make_bucket(keys.UPLOADS_BUCKET)
            with pytest.raises(StoreFullError, match="make room"):
                store_client.put_if_absent(client, MAIN, "runs/u/large", bytes(40 << 20))
            whole = io.BytesIO(bytes(40 << 20))
            with pytest.raises(StoreFullError, match="make room"), store_client.store_errors("writing"):
                client.put_object(MAIN, "runs/u/large", whole, 40 << 20, part_size=64 << 20)
            # A part is written without a look at the room first: the kernel says that there is none.
            with pytest.raises(StoreFullError, match="make room"):
                store_client.put_bytes(client, MAIN, "runs/u/parts", bytes(80 << 20))
            with (small / "filled").open("wb") as filler:
                free = os.statvfs(small)
                os.posix_fallocate(filler.fileno(), 0, free.f_bavail * free.f_frsize)
            with pytest.raises(StoreFullError, match="make room"):
                store_client.put_if_absent(client, MAIN, "runs/u/small", bytes(1 << 20))
            changes: list[bool] = []
            room = StoreRoom(OperatorStore(client, MAIN), "cup", Metrics(), lambda: changes.append(room.full))
            for _ in range(2):
                asyncio.run(room.look())
            assert changes == [True], "it is noticed, once"
            (small / "filled").unlink()

            def has_room() -> bool:
                """MinIO remembers for a moment how full its disk was."""
                asyncio.run(room.look())
                return changes == [True, False]

            wait_for("the room that there is again", has_room, 60)
    finally:
        subprocess.run(["umount", str(small)], check=True)
