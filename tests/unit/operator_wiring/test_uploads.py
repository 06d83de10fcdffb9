"""Which uploads are swept away, and which permits are counted, by operators that share a store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from minio import Minio

from alcove_api import keys
from alcove_api.uploads import UploadPermit
from alcove_kube.resources import SUBMISSIONS
from alcove_operator.core.model import CodeFact
from alcove_operator.errors import CodeError
from alcove_operator.index import Index
from alcove_operator.store import OperatorStore
from alcove_operator.uploads import Uploads
from alcove_store.errors import StoreError, StoreUnavailableError

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
TEAM = "team-a"
FIRST, SECOND = "1" * 64, "2" * 64


@dataclass(frozen=True)
class UploadBucket(OperatorStore):
    """Its keys, with the time of each."""

    times: dict[str, datetime] = field(default_factory=dict)
    note_errors: list[StoreError] = field(default_factory=list)
    before_deletion: list[Callable[[], None]] = field(default_factory=list)
    """Each is called once, in the thread that deletes notes."""

    def take_bundle(self, _namespace: str, _sha256: str, _limit: int) -> CodeFact:
        raise CodeError("CodeMissing", "There is no bundle.", remedy="Upload it.", wait=True)

    def permit_upload(self, key: str, limit: int, expires_at: datetime, endpoint: str) -> UploadPermit:
        return UploadPermit(url=f"{endpoint}/{key}", fields=(), bytes_at_most=limit, expires_at=expires_at)

    def list_uploads(self, prefix: str) -> dict[str, datetime]:
        return {key: at for key, at in self.times.items() if key.startswith(prefix)}

    def note_permit(self, key: str) -> None:
        if self.note_errors:
            raise self.note_errors.pop()
        self.times[f"{keys.PERMITS}{key}"] = NOW

    def delete_uploads(self, gone: Sequence[str]) -> None:
        while self.before_deletion and any(key.startswith(keys.PERMITS) for key in gone):
            self.before_deletion.pop()()
        for key in gone:
            self.times.pop(key, None)


def make_uploads(store: UploadBucket) -> Uploads:
    made = Uploads(store, Index(), "http://store.example", lambda: NOW)
    made.index.settle(SUBMISSIONS, TEAM, made.index.known(SUBMISSIONS, TEAM), set())
    return made


def sweep(uploads: Uploads) -> None:
    asyncio.run(uploads.sweep(lambda team: team == TEAM))


async def ask(uploads: Uploads, name: str, sha256: str, most: int) -> UploadPermit | None:
    """What a Submission is answered whose bundle is not there."""
    metadata = {
        "name": name, "namespace": TEAM, "uid": name, "resourceVersion": "1", "creationTimestamp": NOW.isoformat(),
    }  # fmt: skip
    competition = {"namespace": "cup", "name": "cup"}
    spec = {"competition": competition, "phase": "practice", "code": {"bundle": {"sha256": sha256}}}
    uploads.index.apply(SUBMISSIONS, {"metadata": metadata, "spec": spec})
    view = uploads.index.submissions[TEAM, name]
    return (await uploads.take_bundle(view, sha256, 1000, most)).permit


def test_an_operator_that_starts_anew_sweeps_nothing_that_another_cluster_waits_for() -> None:
    """Of notes in the store nothing says whose they are: both clusters' teams have the same names."""
    store, elsewhere = UploadBucket(cast(Minio, None), "alcove"), keys.team_bundle(TEAM, FIRST)
    store.note_permit(elsewhere)
    store.times[elsewhere] = NOW
    uploads = make_uploads(store)
    sweep(uploads)
    assert elsewhere in store.times
    uploads.clock = lambda: NOW + timedelta(hours=1, minutes=1)
    sweep(uploads)
    assert store.times == {}, "no note outlives its permit"


def test_a_permit_that_nobody_got_takes_no_place() -> None:
    store = UploadBucket(cast(Minio, None), "alcove", note_errors=[StoreUnavailableError("It is away.")])
    uploads = make_uploads(store)
    with pytest.raises(StoreUnavailableError):
        asyncio.run(ask(uploads, "first", FIRST, most=1))
    assert asyncio.run(ask(uploads, "second", SECOND, most=1)) is not None


def test_no_note_of_a_permit_is_lost_to_a_sweep_of_the_one_before() -> None:
    key = keys.team_bundle(TEAM, FIRST)
    note = f"{keys.PERMITS}{key}"
    store = UploadBucket(cast(Minio, None), "alcove", times={note: NOW - timedelta(hours=2)})
    uploads = make_uploads(store)
    permits: list[UploadPermit | None] = []

    async def play() -> None:
        loop = asyncio.get_running_loop()

        def ask_meanwhile() -> None:
            asked = asyncio.run_coroutine_threadsafe(ask(uploads, "again", FIRST, most=9), loop)
            permits.append(asked.result(30))

        store.before_deletion.append(ask_meanwhile)
        await uploads.sweep(lambda team: team == TEAM)

    asyncio.run(play())
    assert [permit is not None for permit in permits] == [note in store.times]
    assert asyncio.run(ask(uploads, "again", FIRST, most=9)) is not None
    assert store.times[note] == NOW
