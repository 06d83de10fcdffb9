"""A store that knows each bucket by a host name of its own (`style: virtual`): objects, and forms of teams."""

from __future__ import annotations

import io
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from minio.credentials import StaticProvider

from alcove_api import keys
from alcove_operator.store import OperatorStore
from alcove_store import client as store_client
from alcove_store.post import find_url, send_upload
from tests.cluster.api import minio_server

pytestmark = pytest.mark.integration
DOMAIN = "store.example"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """As DNS has them: every name of the domain is this machine's."""
    real = socket.getaddrinfo

    def look_up(host: Any, *rest: Any, **more: Any) -> Any:
        mine = str(host) == DOMAIN or str(host).endswith(f".{DOMAIN}")
        return real("127.0.0.1" if mine else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setenv("ALCOVE_STORE_STYLE", "virtual")


@pytest.mark.usefixtures("names")
def test_objects_and_forms_reach_a_bucket_by_its_host_name() -> None:
    with minio_server(lambda _: None, domain=DOMAIN) as server:
        endpoint = f"http://{DOMAIN}:{server.endpoint.rpartition(':')[2]}"
        provider = StaticProvider(server.access_key, server.secret_key)
        client = store_client.client(endpoint, "us-east-1", provider)
        client.make_bucket(keys.UPLOADS_BUCKET)
        operator = OperatorStore(client, keys.MAIN_BUCKET)
        ends = datetime.now(UTC) + timedelta(hours=1)
        permit = operator.permit_upload("bundles/red/x", 100, ends, endpoint)
        assert permit.url == f"http://{keys.UPLOADS_BUCKET}.{DOMAIN}:{server.endpoint.rpartition(':')[2]}/"
        for url in (permit.url, find_url(permit, endpoint)):
            send_upload(permit, io.BytesIO(b"bundle"), 6, url)
            assert store_client.get_bytes(client, keys.UPLOADS_BUCKET, "bundles/red/x") == b"bundle"
