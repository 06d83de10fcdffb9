"""How full the object store is, as MinIO itself has counted: two requests, whatever lies in it.

The operator asks with its own user, whose policy has two rights for it that read no object: the place of its bucket,
with which MinIO tells that bucket's sizes, and the server's information, which has the free space of its disks. Nobody
else may ask, and the answer is in the operator's metrics alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from minio import MinioAdmin
from minio.error import MinioAdminException

from alcove_operator.errors import OperatorError
from alcove_store.client import FileProvider, StoreConfig, http_pool, store_errors


@dataclass(frozen=True)
class StoreUsage:
    prefix_bytes: Mapping[str, int]
    """All versions of all objects, by the first part of their keys; empty until MinIO has counted once."""
    free_bytes: int
    size_bytes: int
    """Of all disks together."""


def read_usage(config: StoreConfig) -> StoreUsage:
    """Asks the store.

    Raises:
        StoreError: it does not answer.
        OperatorError: it is no MinIO, or does not let the operator ask.
    """
    url = urlsplit(config.endpoint)
    admin = MinioAdmin(
        endpoint=url.netloc,
        credentials=FileProvider(config.credentials),
        region=config.region,
        secure=url.scheme == "https",
        http_client=http_pool(),
    )
    try:
        with store_errors("how full it is"):
            account = json.loads(admin.account_info(prefix_usage=True))
            server = json.loads(admin.info())
    except (MinioAdminException, ValueError) as error:
        raise OperatorError(
            f"The store does not say how full it is: {str(error)[:200]}.",
            consequence="The metrics of its sizes are missing.",
            remedy="Only MinIO says it; there, run the store's setup again (`helm upgrade`).",
        ) from error
    disks = [disk for server in server.get("servers") or () for disk in server.get("drives") or ()]
    return StoreUsage(
        _prefixes(account, config.bucket),
        sum(int(disk.get("availspace") or 0) for disk in disks),
        sum(int(disk.get("totalspace") or 0) for disk in disks),
    )


def _prefixes(account: Mapping[str, Any], bucket: str) -> dict[str, int]:
    found = [b for b in account.get("Buckets") or () if b.get("name") == bucket]
    usage: dict[str, int] = {}
    for name, size in ((found[0].get("prefixUsage") or {}) if found else {}).items():
        first = name.strip("/").split("/")[0]
        usage[first] = usage.get(first, 0) + int(size)
    return usage
