"""Upload permits on real stores: one key, a size, an hour, and no credentials."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from alcove_api import keys
from alcove_api.uploads import FormField, UploadPermit
from alcove_kube.resources import SUBMISSIONS
from alcove_operator.core.model import CodeFact
from alcove_operator.index import Index
from alcove_operator.store import OperatorStore
from alcove_operator.uploads import Uploads
from alcove_store import client as store_client
from alcove_store.errors import StoreDeniedError, StoreError, StoreNotFoundError
from alcove_store.post import send_upload

from .conftest import SetUpStore

LIMIT = 12 << 20
"""More than the SDK would send in one piece, and than a form that is held in memory."""


def permit(store: SetUpStore, key: str, limit: int = LIMIT, seconds: int = 3600) -> UploadPermit:
    operator = OperatorStore(store.client("operator"), keys.MAIN_BUCKET)
    return operator.permit_upload(
        key, limit, datetime.now(UTC) + timedelta(seconds=seconds), store.server.url
    )


def send(given: UploadPermit, data: bytes) -> None:
    send_upload(given, io.BytesIO(data), len(data), given.url)


def stored(store: SetUpStore, key: str) -> bytes:
    return store_client.get_bytes(store.root, keys.UPLOADS_BUCKET, key)


def test_a_permit_stores_one_object_and_a_second_upload_takes_no_more_room(set_up_store: SetUpStore) -> None:
    key = keys.team_bundle("team-a", "1" * 64)
    given = permit(set_up_store, key)
    for data in (bytes(LIMIT), b"\r\n--x--\r\n" * 1000):
        send(given, data)
        assert stored(set_up_store, key) == data
    versions = set_up_store.root.list_objects(keys.UPLOADS_BUCKET, prefix=key, include_version=True)
    assert len(list(versions)) == 1


def test_the_store_refuses_more_bytes_than_the_permit_says(set_up_store: SetUpStore) -> None:
    key = keys.team_bundle("team-a", "2" * 64)
    given = permit(set_up_store, key, limit=1000)
    with pytest.raises(StoreError) as refused:
        send(given, bytes(1001))
    assert not refused.value.retriable
    with pytest.raises(StoreNotFoundError):
        stored(set_up_store, key)
    send(given, bytes(1000))
    assert len(stored(set_up_store, key)) == 1000


def test_a_permit_is_for_its_key_and_its_hour_alone(set_up_store: SetUpStore) -> None:
    key, other = keys.team_bundle("team-a", "3" * 64), keys.team_bundle("team-b", "3" * 64)
    given = permit(set_up_store, key)
    moved = given.replace(fields=(FormField(name="key", value=other), *given.fields[1:]))
    with pytest.raises(StoreDeniedError):
        send(moved, b"x")
    elsewhere = f"{set_up_store.server.url}/{keys.MAIN_BUCKET}"
    with pytest.raises(StoreDeniedError):
        send_upload(given, io.BytesIO(b"x"), 1, elsewhere)
    with pytest.raises(StoreDeniedError):
        send(permit(set_up_store, key, seconds=-1), b"x")
    for absent in (key, other):
        with pytest.raises(StoreNotFoundError):
            stored(set_up_store, absent)


def submission(name: str, sha256: str, version: str = "1", **status: object) -> dict[str, object]:
    competition = {"namespace": "cup", "name": "cup"}
    return {
        "metadata": {
            "name": name,
            "namespace": "team-a",
            "uid": name,
            "resourceVersion": version,
            "creationTimestamp": "2026-01-05T12:00:00Z",
        },
        "spec": {"competition": competition, "phase": "practice", "code": {"bundle": {"sha256": sha256}}},
        "status": status,
    }


@pytest.fixture
def uploads(set_up_store: SetUpStore) -> Uploads:
    operator = OperatorStore(set_up_store.client("operator"), keys.MAIN_BUCKET)
    # The store is the whole file's.
    operator.forget_permits(operator.list_permits())
    found = Uploads(operator, Index(), set_up_store.server.url)
    found.index.settle(SUBMISSIONS, "team-a", found.index.known(SUBMISSIONS, "team-a"), set())
    return found


def ask(uploads: Uploads, name: str, sha256: str, most: int = 2) -> UploadPermit | None:
    """What a Submission is answered whose bundle is not there."""
    uploads.index.apply(SUBMISSIONS, submission(name, sha256))
    view = uploads.index.submissions["team-a", name]
    answer = asyncio.run(uploads.take_bundle(view, sha256, 1000, most))
    assert (answer.accepted, answer.wait) == (False, True)
    return answer.permit


def test_a_team_has_no_more_permits_than_it_may_however_often_it_asks(uploads: Uploads) -> None:
    first = ask(uploads, "one", "5" * 64)
    assert first is not None
    assert ask(uploads, "same-bytes", "5" * 64) is not None, "it can write no more by it"
    assert ask(uploads, "two", "6" * 64) is not None
    assert ask(uploads, "three", "7" * 64) is None
    # A permit outlives its Submission, so nothing is won by deleting that.
    for name in ("one", "same-bytes", "two"):
        uploads.index.drop(SUBMISSIONS, ("team-a", name), 1)
    assert ask(uploads, "four", "8" * 64) is None
    uploads.clock = lambda: datetime.now(UTC) + timedelta(hours=2)
    assert ask(uploads, "five", "9" * 64) is not None


def test_an_operator_that_starts_anew_knows_permits_by_the_status(uploads: Uploads) -> None:
    given = ask(uploads, "one", "5" * 64)
    assert given is not None
    uploads.index.apply(SUBMISSIONS, submission("one", "5" * 64, "2", upload=given.model_dump(mode="json")))
    again = Uploads(uploads.store, uploads.index, uploads.endpoint)
    assert ask(again, "two", "6" * 64, most=1) is None


def test_an_operator_that_starts_anew_counts_permits_of_submissions_that_are_gone(uploads: Uploads) -> None:
    assert ask(uploads, "gone", "1a" * 32) is not None
    uploads.index.drop(SUBMISSIONS, ("team-a", "gone"), 1)
    again = Uploads(uploads.store, uploads.index, uploads.endpoint)
    assert ask(again, "next", "1b" * 32, most=1) is None
    again.clock = lambda: datetime.now(UTC) + timedelta(hours=2)
    assert ask(again, "later", "1c" * 32, most=1) is not None


def test_what_another_cluster_waits_for_is_not_swept_away(uploads: Uploads, set_up_store: SetUpStore) -> None:
    """Its teams may have the same names; it takes what it waits for before its permit ends."""
    elsewhere = keys.team_bundle("team-a", "2a" * 32)
    send(permit(set_up_store, elsewhere), b"x")
    asyncio.run(uploads.sweep(lambda team: team == "team-a"))
    assert stored(set_up_store, elsewhere) == b"x"
    uploads.clock = lambda: datetime.now(UTC) + timedelta(hours=1, minutes=1)
    asyncio.run(uploads.sweep(lambda team: team == "team-a"))
    assert elsewhere not in uploads.store.list_uploads(keys.BUNDLES)
    assert uploads.store.list_permits() == {}, "no note outlives its permit"


def test_no_permit_is_given_for_what_is_being_deleted(uploads: Uploads, set_up_store: SetUpStore) -> None:
    """What came by it would be deleted with what was there before."""
    sha256 = "3a" * 32
    send(permit(set_up_store, keys.team_bundle("team-a", sha256)), b"x")
    uploads.index.apply(SUBMISSIONS, submission("admitted", sha256, phase="Running"))
    answers: list[CodeFact] = []

    async def sweep() -> None:
        loop, real = asyncio.get_running_loop(), uploads.store

        class Watched(OperatorStore):
            def delete_uploads(self, gone: Sequence[str]) -> None:
                super().delete_uploads(gone)
                uploads.index.apply(SUBMISSIONS, submission("again", sha256))
                view = uploads.index.submissions["team-a", "again"]
                asked = uploads.take_bundle(view, sha256, 1000, 99)
                answers.append(asyncio.run_coroutine_threadsafe(asked, loop).result(30))

        uploads.store = Watched(real.client, real.bucket, real.uploads)
        await uploads.sweep(lambda team: team == "team-a")

    asyncio.run(sweep())
    assert (answers[0].wait, answers[0].permit) == (True, None)
    assert ask(uploads, "again", sha256, most=99) is not None


def test_what_no_submission_waits_for_is_deleted(uploads: Uploads, set_up_store: SetUpStore) -> None:
    awaited, admitted, late = ("a" * 64, "b" * 64, "c" * 64)
    for sha256 in (awaited, admitted):
        send(permit(set_up_store, keys.team_bundle("team-a", sha256)), b"x")
    given = ask(uploads, "deleted-meanwhile", late)
    assert given is not None
    uploads.index.drop(SUBMISSIONS, ("team-a", "deleted-meanwhile"), 1)
    send(given, b"x")
    unseen, elsewhere = keys.team_bundle("team-b", "d" * 64), keys.team_bundle("of-another-release", "e" * 64)
    for key in (unseen, elsewhere):
        send(permit(set_up_store, key), b"x")
    uploads.index.apply(SUBMISSIONS, submission("waits", awaited))
    uploads.index.apply(SUBMISSIONS, submission("runs", admitted, phase="Running"))
    asyncio.run(uploads.sweep(lambda team: team in ("team-a", "team-b")))
    left = uploads.store.list_uploads(keys.BUNDLES)
    assert [key for key in left if key.startswith("bundles/team-a/")] == [keys.team_bundle("team-a", awaited)]
    assert {unseen, elsewhere} <= set(left), "whose Submissions are not known"


def test_the_operator_lists_and_deletes_uploads(set_up_store: SetUpStore) -> None:
    operator = OperatorStore(set_up_store.client("operator"), keys.MAIN_BUCKET)
    key = keys.team_bundle("team-a", "4" * 64)
    send(permit(set_up_store, key), b"x")
    came = operator.list_uploads(keys.BUNDLES)[key]
    assert abs(datetime.now(UTC) - came) < timedelta(minutes=5)
    operator.delete_uploads([key])
    assert key not in operator.list_uploads(keys.BUNDLES)
