"""What Alcove counts on in a store when things go wrong, beside the rights: see docs/store.md."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import urllib3
from minio import Minio
from minio.commonconfig import GOVERNANCE
from minio.credentials import StaticProvider
from minio.error import S3Error
from minio.retention import Retention

from alcove_api import keys
from alcove_store import client as store_client
from alcove_store.errors import (
    StoreDeniedError,
    StoreNotFoundError,
    StoreUnavailableError,
)
from tests.cluster.binaries import binaries
from tests.cluster.stores import free_port, list_keys, serve
from tests.cluster.versions import binary_path

from .conftest import REGION, SetUpStore

MAIN = keys.MAIN_BUCKET
MEGABYTE = bytes(range(256)) * 4096


@dataclass(frozen=True)
class Proxy:
    """Toxiproxy before the store."""

    control: str
    port: int

    @contextmanager
    def spoil(self, kind: str, stream: str, **attributes: int) -> Iterator[None]:
        """Does it to all connections that are made within the block."""
        toxic = {"name": "toxic", "type": kind, "stream": stream, "attributes": attributes}
        self.ask("POST", "/proxies/store/toxics", toxic)
        try:
            yield
        finally:
            self.ask("DELETE", "/proxies/store/toxics/toxic")

    def ask(self, method: str, path: str, body: object = None) -> None:
        answer = urllib3.request(method, f"{self.control}{path}", json=body)
        assert answer.status < 300, answer.data


@pytest.fixture(scope="module")
def proxy(set_up_store: SetUpStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    binaries(["toxiproxy"], lambda _: None)
    control, port = free_port(), free_port()
    found = Proxy(f"http://127.0.0.1:{control}", port)
    argv = [str(binary_path("toxiproxy")), "-host", "127.0.0.1", "-port", str(control)]

    def answers() -> bool:
        try:
            return bool(urllib3.request("GET", f"{found.control}/version", retries=False).status == 200)
        except urllib3.exceptions.HTTPError:
            return False

    with serve(argv, {}, tmp_path_factory.mktemp("proxy") / "log", answers, "Toxiproxy"):
        upstream = {"name": "store", "listen": f"127.0.0.1:{port}", "upstream": set_up_store.server.endpoint}
        found.ask("POST", "/proxies", {**upstream, "enabled": True})
        yield found


@pytest.fixture
def through(set_up_store: SetUpStore, proxy: Proxy) -> Minio:
    """The store through the proxy, with connections of its own, and patience for a second."""
    root = StaticProvider(set_up_store.server.access_key, set_up_store.server.secret_key)
    return store_client.client(f"https://127.0.0.1:{proxy.port}", REGION, root, read_timeout=1.0)


@pytest.mark.parametrize("size", [1, 12], ids=["whole", "in parts"])
def test_a_write_that_broke_off_leaves_no_object(
    set_up_store: SetUpStore, proxy: Proxy, through: Minio, size: int
) -> None:
    key = f"runs/contract/broken-{size}"
    with (
        proxy.spoil("limit_data", "upstream", bytes=len(MEGABYTE) * size * 2 // 3),
        pytest.raises(StoreUnavailableError),
    ):
        store_client.put_bytes(through, MAIN, key, MEGABYTE * size)
    with pytest.raises(StoreNotFoundError):
        store_client.get_bytes(set_up_store.root, MAIN, key)
    store_client.put_bytes(through, MAIN, key, MEGABYTE * size)
    assert store_client.get_bytes(set_up_store.root, MAIN, key) == MEGABYTE * size


def test_a_read_that_broke_off_is_no_short_object(
    set_up_store: SetUpStore, proxy: Proxy, through: Minio
) -> None:
    store_client.put_bytes(set_up_store.root, MAIN, "runs/contract/read", MEGABYTE)
    with (
        proxy.spoil("limit_data", "downstream", bytes=len(MEGABYTE) // 2),
        pytest.raises(StoreUnavailableError),
    ):
        store_client.get_bytes(through, MAIN, "runs/contract/read")


def test_an_answer_that_is_late_is_not_waited_for(proxy: Proxy, through: Minio) -> None:
    with proxy.spoil("latency", "downstream", latency=3000), pytest.raises(StoreUnavailableError):
        store_client.put_bytes(through, MAIN, "runs/contract/late", b"x")


def test_a_slow_store_does_what_it_is_asked(proxy: Proxy, through: Minio) -> None:
    with proxy.spoil("latency", "downstream", latency=200, jitter=100):
        store_client.put_bytes(through, MAIN, "runs/contract/slow", MEGABYTE)
        assert store_client.get_bytes(through, MAIN, "runs/contract/slow") == MEGABYTE


@pytest.mark.parametrize("minutes", [-30, 30])
def test_a_clock_that_is_wrong_is_said(
    set_up_store: SetUpStore, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    wrong = datetime.now(UTC) + timedelta(minutes=minutes)
    monkeypatch.setattr("minio.time.utcnow", lambda: wrong)
    with pytest.raises(StoreDeniedError, match="clock"):
        store_client.get_bytes(set_up_store.root, MAIN, "data/d1/manifest.json")


NAMES = (
    "a b", "a+b", "a%20b", "50%", "ümlaut", "日本語", "😀", "a'b\"c", "a&b=c?d#e", "a:b;c,d", "a~b", "(a)[b]{c}",
    "...", "-", "x" * 200,
)  # fmt: skip


def test_names_of_odd_characters_come_back_as_they_went(set_up_store: SetUpStore) -> None:
    client, prefix = set_up_store.root, "runs/contract/odd/"
    for name in NAMES:
        store_client.put_bytes(client, MAIN, prefix + name, name.encode())
    assert list_keys(client, MAIN, prefix) == sorted(prefix + name for name in NAMES)
    for name in NAMES:
        assert store_client.get_bytes(client, MAIN, prefix + name) == name.encode()
        client.remove_object(MAIN, prefix + name)
    assert list_keys(client, MAIN, prefix) == []


def test_a_list_longer_than_a_page_is_whole(
    set_up_store: SetUpStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of ten, in place of a thousand: a server goes by what it is asked for."""
    pages, send = 0, Minio._execute

    def ask_for_ten(self: Minio, *arguments: Any, **options: Any) -> Any:
        nonlocal pages
        pages += 1
        options["query_params"]["max-keys"] = "10"
        return send(self, *arguments, **options)

    names = [f"runs/contract/many/{number:05}" for number in range(35)]
    for name in names:
        store_client.put_bytes(set_up_store.root, MAIN, name, b"")
    monkeypatch.setattr(Minio, "_execute", ask_for_ten)
    assert list_keys(set_up_store.root, MAIN, "runs/contract/many/") == names
    assert pages == 4


def test_a_version_that_is_locked_outlives_whoever_may_delete(set_up_store: SetUpStore) -> None:
    """Alcove sets no retention itself: this is what an organizer can count on who does."""
    key = "runs/contract/locked"
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    made = set_up_store.root.put_object(
        MAIN, key, io.BytesIO(b"x"), 1, retention=Retention(GOVERNANCE, until)
    )
    with pytest.raises(S3Error):
        set_up_store.root.remove_object(MAIN, key, version_id=made.version_id)
    assert store_client.get_bytes(set_up_store.root, MAIN, key, version=made.version_id) == b"x"
