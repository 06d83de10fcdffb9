"""How full the disks of the store are, with the operator's own user, against real stores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alcove_api import keys
from alcove_operator.errors import OperatorError
from alcove_operator.store_disks import read_disk_space
from alcove_store.client import StoreConfig
from alcove_store.errors import StoreUnavailableError
from tests.integration.store.conftest import REGION, SetUpStore

pytestmark = pytest.mark.integration


def _config(store: SetUpStore, who: str, folder: Path) -> StoreConfig:
    path = folder / f"{who}.json"
    path.write_bytes(store.credentials[who].canonical())
    return StoreConfig(store.server.url, REGION, keys.MAIN_BUCKET, path)


def test_the_operator_is_told_of_disks(set_up_store: SetUpStore, tmp_path: Path) -> None:
    if set_up_store.server.kind != "minio":
        with pytest.raises(OperatorError, match="Only MinIO says it"):
            read_disk_space(_config(set_up_store, "operator", tmp_path))
        return
    found = read_disk_space(_config(set_up_store, "operator", tmp_path))
    assert 0 < found.free_bytes <= found.size_bytes


def test_nobody_else_is_told(set_up_store: SetUpStore, tmp_path: Path) -> None:
    for who in set_up_store.credentials.keys() - {"operator"}:
        with pytest.raises(OperatorError, match="does not say how full its disks are"):
            read_disk_space(_config(set_up_store, who, tmp_path))


def test_a_wrong_address_is_the_stores_fault(set_up_store: SetUpStore, tmp_path: Path) -> None:
    away = replace(_config(set_up_store, "operator", tmp_path), endpoint="http://127.0.0.1:9")
    with pytest.raises(StoreUnavailableError):
        read_disk_space(away)
