"""Datasets that teams offer each other, on real stores: the bound on their bytes, and offers that mean harm."""

from __future__ import annotations

import hashlib
import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from alcove_api import keys
from alcove_api.errors import AlcoveError
from alcove_api.offers import SLOTS, OfferedDataset, OfferPermits, slot_bytes
from alcove_format.errors import OutputExistsError, SolutionError
from alcove_operator.offers import sign_permits
from alcove_operator.store import OperatorStore
from alcove_store.errors import DigestError, StoreError
from alcove_store.pack import write_archive
from alcove_store.post import send_upload
from alcove_toolkit.errors import ExchangeError
from alcove_toolkit.offers import list_offers, pack_offer, pull_offer

from .conftest import SetUpStore
from .test_exchange import content, made, quiet

UPLOADS = keys.UPLOADS_BUCKET
LIMIT = 1 << 30


def permits(store: SetUpStore, team: str, most: int = 1 << 20) -> OfferPermits:
    """As the operator writes them into the Secret of the team."""
    operator = OperatorStore(store.client("operator"), keys.MAIN_BUCKET)
    return sign_permits(operator, store.server.url, team, most, datetime.now(UTC))


def offer(store: SetUpStore, team: str, slot: int, name: str, archive: bytes, **changes: object) -> None:
    """What `alcove dataset push` sends, or an entry that lies about it."""
    given = permits(store, team).slots[slot]
    digest = digest_of(archive)
    entry = OfferedDataset(name=name, sha256=digest, bytes=len(archive)).replace(**changes).canonical()
    send_upload(given.archive, io.BytesIO(archive), len(archive), given.archive.url)
    send_upload(given.entry, io.BytesIO(entry), len(entry), given.entry.url)


def digest_of(archive: bytes) -> str:
    return hashlib.sha256(archive).hexdigest()


def packed(path: Path, solution: Path | None, name: str = "x") -> bytes:
    output = io.BytesIO()
    pack_offer(path, solution, name, output)
    return output.getvalue()


def test_a_team_gets_what_another_offers_with_its_solution(set_up_store: SetUpStore, tmp_path: Path) -> None:
    data = made(tmp_path)
    archive = packed(data, data.with_suffix(".solution"))
    assert archive == packed(data, data.with_suffix(".solution")), "the same files, the same archive"
    offer(set_up_store, "team-a", 0, "ours", archive, has_solution=True)
    other = set_up_store.client("team-b")
    (listed,) = list_offers(other, UPLOADS, "team-a")
    assert (listed.team, listed.slot, listed.offered.name) == ("team-a", 0, "ours")
    found, digest = pull_offer(
        other, UPLOADS, "team-a", "ours", tmp_path / "out", sha256="", limit=LIMIT, say=quiet
    )
    assert (digest, content(found)) == (listed.offered.sha256, content(data))
    assert found.with_suffix(".solution").read_bytes() == data.with_suffix(".solution").read_bytes()
    with pytest.raises(OutputExistsError):
        pull_offer(other, UPLOADS, "team-a", "ours", tmp_path / "out", sha256="", limit=LIMIT, say=quiet)
    # The slot is used again, and the room that it takes stays that of one archive.
    changed = packed(made(tmp_path / "second", 5.0), None)
    offer(set_up_store, "team-a", 0, "ours", changed)
    (newer,) = list_offers(other, UPLOADS, "team-a")
    assert newer.offered.sha256 == digest_of(changed)
    key = keys.shared_archive("team-a", 0)
    assert len(list(set_up_store.root.list_objects(UPLOADS, prefix=key, include_version=True))) == 1
    found, _ = pull_offer(
        other, UPLOADS, "team-a", "ours", tmp_path / "new", sha256="", limit=LIMIT, say=quiet
    )
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["ours.data"]


def test_what_a_team_offers_is_bounded_before_the_bytes_are_in(set_up_store: SetUpStore) -> None:
    most = slot_bytes(4 << 20)
    given = permits(set_up_store, "team-a", most)
    assert len(given.slots) == SLOTS
    too_much = bytes(most + 1)
    for slot in given.slots:
        with pytest.raises(StoreError):
            send_upload(slot.archive, io.BytesIO(too_much), len(too_much), slot.archive.url)
    assert permits(set_up_store, "team-a", slot_bytes(0)).slots == ()
    sizes = [o.size or 0 for o in set_up_store.root.list_objects(UPLOADS, prefix="shared/", recursive=True)]
    assert sum(sizes) < SLOTS * most


def tar(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        archive.addfile(member)
    return output.getvalue()


HOSTILE = {
    "up": tar("../up"),
    "absolute": tar("/etc/sample"),
    "other": tar("train/run.sh"),
    "hidden": tar("train/.bashrc"),
    "top": tar("sample-0"),
    "link": tar("train/sample-0", tarfile.SYMTYPE, "/etc/passwd"),
    "none": b"no archive",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_an_archive_that_means_harm_writes_nothing(
    set_up_store: SetUpStore, tmp_path: Path, what: str
) -> None:
    offer(set_up_store, "team-b", 1, what, HOSTILE[what])
    client = set_up_store.client("team-a")
    with pytest.raises(ExchangeError):
        pull_offer(client, UPLOADS, "team-b", what, tmp_path / "out", sha256="", limit=LIMIT, say=quiet)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_archive_that_unpacks_to_more_than_allowed_is_refused(
    set_up_store: SetUpStore, tmp_path: Path
) -> None:
    output = io.BytesIO()
    size = 8 << 20
    write_archive(
        cast(BinaryIO, output), [("train/sample-0", size, iter(bytes(1 << 20) for _ in range(8)))], level=9
    )
    offer(set_up_store, "team-b", 1, "bomb", output.getvalue())
    client = set_up_store.client("team-a")
    with pytest.raises(ExchangeError):
        pull_offer(client, UPLOADS, "team-b", "bomb", tmp_path / "out", sha256="", limit=1 << 20, say=quiet)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_entry_that_lies_is_refused_or_passed_over(set_up_store: SetUpStore, tmp_path: Path) -> None:
    archive, client = tar("train/sample-0"), set_up_store.client("team-a")
    offer(set_up_store, "team-b", 2, "lies", archive, sha256="0" * 64)
    with pytest.raises(DigestError):
        pull_offer(client, UPLOADS, "team-b", "lies", tmp_path / "out", sha256="", limit=LIMIT, say=quiet)
    for entry in (b"not JSON", b'{"name": "\x1b[2J"}', b"[" * 1000):
        given = permits(set_up_store, "team-b").slots[3].entry
        send_upload(given, io.BytesIO(entry), len(entry), given.url)
        assert all(listed.slot != 3 for listed in list_offers(client, UPLOADS, "team-b"))
    with pytest.raises(AlcoveError, match="no dataset 'absent'"):
        pull_offer(client, UPLOADS, "team-b", "absent", tmp_path, sha256="", limit=LIMIT, say=quiet)


def test_a_wrong_solution_is_not_packed(tmp_path: Path) -> None:
    data = made(tmp_path)
    data.with_suffix(".solution").write_text("1 0\n0 7\n")
    with pytest.raises(SolutionError, match="row 2"):
        packed(data, data.with_suffix(".solution"))
