"""A backup leaves out what is for the moment, and a restore that is repeated writes nothing again."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alcove_api import keys
from alcove_cli.backup import BackupList, StoredObject, WholeStore
from alcove_cli.restore import Backup, fill_store
from alcove_store.client import get_bytes, put_bytes

from .conftest import SetUpStore

pytestmark = pytest.mark.integration
MAIN, UPLOADS = keys.MAIN_BUCKET, keys.UPLOADS_BUCKET


def whole(store: SetUpStore) -> WholeStore:
    return WholeStore(store.root, {"main": MAIN, "solutions": keys.SOLUTIONS_BUCKET, "uploads": UPLOADS})


def versions(store: SetUpStore, key: str) -> int:
    return len(list(store.root.list_objects(MAIN, prefix=key, recursive=True, include_version=True)))


def save(folder: Path, contents: dict[str, bytes]) -> Backup:
    entries = []
    for number, (key, data) in enumerate(contents.items()):
        (folder / str(number)).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        entries.append(StoredObject(bucket="main", key=key, bytes=len(data), sha256=digest, file=str(number)))
    listed = BackupList(
        competition_namespace="cup", competition="cup", made_at=datetime.now(UTC), objects_sha256="0" * 64,
        store=tuple(entries),
    )  # fmt: skip
    return Backup(folder, listed, ())


def test_permits_and_probes_are_in_no_backup(set_up_store: SetUpStore) -> None:
    bundle = keys.team_bundle("red", "a" * 64)
    for key in (f"{keys.PERMITS}{bundle}", bundle):
        put_bytes(set_up_store.root, UPLOADS, key, b"{}")
    put_bytes(set_up_store.root, MAIN, keys.probe("saved"), b"x")
    listed = whole(set_up_store).list_objects()
    set_up_store.root.remove_object(MAIN, keys.probe("saved"))
    assert ("uploads", bundle) in listed
    assert not [key for _, key in listed if key.startswith((keys.PERMITS, "probes/"))]


def test_whose_a_store_is_too_is_found_however_much_each_has(set_up_store: SetUpStore) -> None:
    for owner, number in (("backup-a", 1), ("backup-a", 2), ("backup-b", 1)):
        put_bytes(set_up_store.root, MAIN, keys.change(owner, "cup.two", number), b"{}")
    found = whole(set_up_store).find_competitions()
    assert found >= {"backup-a.cup.two", "backup-b.cup.two"}
    assert "" not in found


def test_a_repeated_restore_puts_only_what_is_not_there_or_is_another(
    set_up_store: SetUpStore, tmp_path: Path
) -> None:
    there, other, missing = (keys.score_result("urestored", name) for name in ("there", "other", "missing"))
    backup = save(tmp_path, {there: b"same", other: b"right", missing: b"more"})
    put_bytes(set_up_store.root, MAIN, there, b"same")
    put_bytes(set_up_store.root, MAIN, other, b"wrong")
    said: list[str] = []
    for _ in range(2):
        fill_store(backup, whole(set_up_store), said.append)
    assert [versions(set_up_store, key) for key in (there, other, missing)] == [1, 2, 1]
    assert get_bytes(set_up_store.root, MAIN, other) == b"right"
    assert said == ["1 object of these the store had already.", "3 objects of these the store had already."]
