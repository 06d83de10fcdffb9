"""How full the object store's disks are, as MinIO itself tells: one request.

The operator asks with its own user, whose policy has one right for it that reads no object: the server's information.
Nobody else may ask, and the answer is in the operator's metrics alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from minio import MinioAdmin
from minio.error import MinioAdminException

from alcove_operator.errors import OperatorError
from alcove_store.client import FileProvider, StoreConfig, http_pool, store_errors


@dataclass(frozen=True)
class DiskSpace:
    """Of all disks together."""

    free_bytes: int
    size_bytes: int


def read_disk_space(config: StoreConfig) -> DiskSpace:
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
        with store_errors("how full its disks are"):
            told = json.loads(admin.info())
    except (MinioAdminException, ValueError) as error:
        raise OperatorError(
            f"The store does not say how full its disks are: {str(error)[:200]}.",
            consequence="Its free bytes are missing; alert and dashboard take those of its volume from the kubelet.",
            remedy="Only MinIO says it; there, run the store's setup again (`helm upgrade`).",
        ) from error
    disks = [disk for server in told.get("servers") or () for disk in server.get("drives") or ()]
    return DiskSpace(
        sum(int(disk.get("availspace") or 0) for disk in disks),
        sum(int(disk.get("totalspace") or 0) for disk in disks),
    )
