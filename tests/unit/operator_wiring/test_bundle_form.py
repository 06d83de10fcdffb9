"""What a team can do to an upload beside its bytes is nothing that the operator goes by."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from minio.credentials import StaticProvider

from alcove_operator.errors import CodeError
from alcove_operator.service import Service
from alcove_operator.store import OperatorStore
from alcove_store.client import client, get_bytes, read_tail, refused_answer
from alcove_store.errors import StoreError, StoreFullError, StoreUnavailableError
from tests.unit.operator_wiring.hackathon import Hackathon, MemoryStore
from tests.unit.operator_wiring.virtual_time import run, wait_until


@contextmanager
def storing(data: bytes, encoding: str = "identity", status: int = 200) -> Iterator[OperatorStore]:
    """A store whose every object has these bytes, and the ``Content-Encoding`` that a field of the form gave it."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            self.send_header("Content-Encoding", encoding)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Last-Modified", "Mon, 05 Jan 2026 12:00:00 GMT")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        yield OperatorStore(client(endpoint, "us-east-1", StaticProvider("operator", "secret")), "alcove")
        server.shutdown()


def test_a_team_cannot_make_the_store_look_away_by_an_encoding_that_its_bundle_does_not_have() -> None:
    data = b"no archive"
    with storing(data, "gzip") as store, pytest.raises(CodeError) as refused:
        store.take_bundle("team-a", hashlib.sha256(data).hexdigest(), 1000)
    assert refused.value.reason == "BundleUnreadable"
    assert not refused.value.wait


def test_the_bytes_of_a_bundle_are_those_that_were_sent() -> None:
    data = gzip.compress(bytes(1 << 20))
    with storing(data, "gzip") as store:
        with pytest.raises(CodeError) as refused:
            store.take_bundle("team-a", "0" * 64, 1 << 16)
        assert read_tail(store.client, "alcove", "log", 1 << 21) == data
    assert refused.value.reason == "DigestMismatch", "of what it unpacks to nothing is read"


def test_a_bundle_that_the_team_has_encrypted_is_refused_and_not_waited_for() -> None:
    """SeaweedFS takes a key of the team's own from the headers of a form's request, and then refuses to read it."""
    answer = b"<Error><Code>InvalidArgument</Code><Message>encrypted by the customer's key</Message></Error>"
    with storing(answer, status=400) as store, pytest.raises(CodeError) as refused:
        store.take_bundle("team-a", "0" * 64, 1000)
    assert refused.value.reason == "BundleUnreadable"
    assert not refused.value.wait


@pytest.mark.parametrize("status", [403, 503])
def test_a_store_that_refuses_or_fails_for_now_costs_no_bundle(status: int) -> None:
    code = {403: b"AccessDenied", 503: b"SlowDown"}[status]
    answer = b"<Error><Code>%s</Code></Error>" % code
    with storing(answer, status=status) as store, pytest.raises(StoreError) as failed:
        store.take_bundle("team-a", "0" * 64, 1000)
    assert failed.value.retriable


def test_a_quota_that_is_used_up_is_a_full_store() -> None:
    """As Ceph says it."""
    answer = b"<Error><Code>QuotaExceeded</Code></Error>"
    with storing(answer, status=403) as store, pytest.raises(StoreFullError):
        get_bytes(store.client, "alcove", "key")
    assert isinstance(refused_answer("the upload", 403, answer), StoreFullError)


def test_an_upload_that_comes_too_often_is_told_when_it_may_come_again() -> None:
    """In the words of SeaweedFS's gate; those of others are not passed on."""
    answer = b"<Error><Code>TooManyUploads</Code><Message>Try again in 4m0s.</Message></Error>"
    failed = refused_answer("the upload", 429, answer)
    assert failed.retriable
    assert str(failed) == "The object store refused the upload: TooManyUploads. Try again in 4m0s."
    assert "4m0s" not in str(refused_answer("the upload", 403, answer))
    assert "\x1b" not in str(refused_answer("the upload", 429, answer.replace(b"4m", b"\x1b[2J")))


def test_an_upload_that_cannot_be_read_is_no_evidence_that_the_store_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A team can replace it while it is read, and then some stores break the connection off."""
    asked = 0

    def take_bundle(*_: object) -> None:
        nonlocal asked
        asked += 1
        raise StoreUnavailableError("The object store did not answer for reading a bundle (ProtocolError).")

    monkeypatch.setattr(MemoryStore, "exists", lambda *_: False)
    monkeypatch.setattr(MemoryStore, "take_bundle", take_bundle)

    async def scenario() -> None:
        hackathon = Hackathon()

        async def test(service: Service) -> None:
            hackathon.submit("red", "one")
            await wait_until("it is asked for again", lambda: asked > 2, 600)
            assert service.submissions.store_seen_away is None

        await hackathon.operate(test)

    run(scenario())
