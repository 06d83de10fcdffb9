"""An object of more than 5 GiB, which no store takes in one piece.

It takes minutes and 6 GiB of disk, so it runs where ``ALCOVE_LARGE_OBJECTS`` is set alone.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import BinaryIO, cast

import pytest

from alcove_api import keys
from alcove_operator import credentials
from alcove_store import client as store_client

from .conftest import REGION, SetUpStore

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not os.environ.get("ALCOVE_LARGE_OBJECTS"), reason="takes minutes and 6 GiB of disk"),
]
SIZE = (5 << 30) + 12345
BLOCK = os.urandom(1 << 20)


@dataclass
class MadeFile:
    """:data:`SIZE` bytes that are made while they are read."""

    left: int = SIZE
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    last: bytes = b""

    def read(self, count: int = -1) -> bytes:
        count = self.left if count < 0 else min(count, self.left)
        data = (BLOCK * (count // len(BLOCK) + 1))[:count]
        self.left -= count
        self.digest.update(data)
        self.last = data or self.last
        return data


def test_a_dataset_s_file_of_more_than_5_gib_comes_back_as_it_went(set_up_store: SetUpStore) -> None:
    key, source = keys.dataset_file("d1", "large.npy"), MadeFile()
    publisher = set_up_store.client("publisher")
    store_client.put_file(publisher, keys.MAIN_BUCKET, key, cast(BinaryIO, source), SIZE)
    assert publisher.stat_object(keys.MAIN_BUCKET, key).size == SIZE
    given = credentials.session_credentials(
        set_up_store.credentials["operator"],
        set_up_store.server.url,
        REGION,
        credentials.stage_policy("d1", None),
        3600,
    )
    stager, digest = set_up_store.client_of(given), hashlib.sha256()
    for piece in store_client.stream(stager, keys.MAIN_BUCKET, key):
        digest.update(piece)
    assert digest.digest() == source.digest.digest()
    assert store_client.read_tail(stager, keys.MAIN_BUCKET, key, 100) == source.last[-100:]
    # The next server has the same disk.
    for entry in set_up_store.root.list_objects(keys.MAIN_BUCKET, prefix=key, include_version=True):
        set_up_store.root.remove_object(keys.MAIN_BUCKET, key, version_id=entry.version_id)
