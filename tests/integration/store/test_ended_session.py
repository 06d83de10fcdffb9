"""Short-lived credentials once their time is over. No store makes any for less than a quarter of an hour, so this runs
where ``ALCOVE_ENDED_SESSIONS`` is set alone.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from alcove_api import keys
from alcove_operator import credentials
from alcove_store import client as store_client
from alcove_store.errors import StoreDeniedError

from .conftest import REGION, SIGNER, SetUpStore

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not os.environ.get("ALCOVE_ENDED_SESSIONS"), reason="takes 15 minutes for each store"),
]
SHORTEST = 900


def test_a_session_that_has_ended_is_refused(
    set_up_store: SetUpStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "SHORTEST_SECONDS", SHORTEST)
    policy = credentials.recorder_policy("u1", "table", 1)
    session = credentials.session_credentials(SIGNER, set_up_store.server.url, REGION, policy, SHORTEST)
    client = set_up_store.client_of(session)
    own = keys.attempt_prefix("u1", "table", 1, "pod-1")
    assert session.expires_at is not None
    number = 0
    while datetime.now(UTC) < session.expires_at - timedelta(seconds=5):
        store_client.put_bytes(client, keys.MAIN_BUCKET, keys.snapshot(own, number), b"x")
        number += 1
        time.sleep(10)
    assert number > SHORTEST / 20, "it was good all the time"
    time.sleep(max(0.0, (session.expires_at - datetime.now(UTC)).total_seconds()) + 5)
    with pytest.raises(StoreDeniedError):
        store_client.put_bytes(client, keys.MAIN_BUCKET, keys.snapshot(own, number), b"x")
