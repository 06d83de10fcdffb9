"""The gate before SeaweedFS: forms that mean harm, sent byte by byte."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest
import urllib3

from alcove_api import keys
from alcove_store import client as store_client
from tests.cluster.api import seaweedfs_server

from .conftest import SCORER, SIGNER, SetUpStore, set_up
from .forms import (
    BOUNDARY,
    FILE,
    GIB,
    MIB,
    PATIENCE,
    TAIL,
    Sender,
    another_gate,
    bundle,
    fields_of,
    is_there,
    sign,
    try_upload,
    until,
    upload,
    write_fields,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SetUpStore]:
    with seaweedfs_server(SIGNER, SCORER, lambda _: None) as server:
        yield set_up(server, tmp_path_factory.mktemp("users"))


@pytest.fixture(scope="module")
def hasty(store: SetUpStore) -> Iterator[SetUpStore]:
    """Behind a gate that waits a second for a form's fields, and three for a piece of its file."""
    with another_gate(store, "-patience=1s", "-period=8s") as found:
        yield found


def test_a_form_that_does_not_say_how_long_it_is_is_not_read(store: SetUpStore) -> None:
    with Sender(store.server) as sender:
        sender.begin(None)
        status, answer = sender.hear()
    assert (status, b"<Code>MissingContentLength</Code>" in answer) == (411, True)


def test_a_form_longer_than_any_permit_is_not_read(store: SetUpStore) -> None:
    with Sender(store.server) as sender:
        sender.begin(6 * GIB, Expect="100-continue")
        status, answer = sender.hear()
    assert (status, b"<Code>EntityTooLarge</Code>" in answer) == (413, True)
    assert b"100 Continue" not in answer, "nobody is asked for its bytes"


REFUSED: dict[str, tuple[Callable[[dict[str, str]], dict[str, str]], int, bytes]] = {
    "a wrong signature": (lambda f: f | {"x-amz-signature": "0" * 64}, 403, b"SignatureDoesNotMatch"),
    "a key of nobody": (
        lambda f: f | {"x-amz-credential": f["x-amz-credential"].replace(SIGNER.access_key, "somebody")},
        403,
        b"InvalidAccessKeyId",
    ),
    "another team's key": (lambda f: f | {"key": bundle("b", "team-b")}, 403, b"AccessDenied"),
    "another policy": (lambda f: f | {"policy": f["policy"][:-8]}, 403, b"SignatureDoesNotMatch"),
    "no policy": (lambda f: {name: f[name] for name in f if name != "policy"}, 403, b"AccessDenied"),
    "a field that nobody signed": (lambda f: f | {"x-amz-storage-class": "COLD"}, 403, b"AccessDenied"),
    "no field before the file": (lambda _: {}, 403, b"AccessDenied"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_who_has_no_permit_is_refused_before_a_byte_of_the_file_is_read(store: SetUpStore, what: str) -> None:
    """The form says that it has a gigabyte, of which none is ever sent."""
    change, wanted, code = REFUSED[what]
    head = write_fields(change(fields_of(sign(store, bundle("1"), GIB)))) + FILE
    with Sender(store.server) as sender:
        sender.begin(len(head) + GIB + len(TAIL))
        sender.send(head)
        status, answer = sender.hear()
    assert (status, code in answer) == (wanted, True), answer
    assert b"Nothing was stored" in answer


def test_a_permit_that_ended_is_refused_before_the_file(store: SetUpStore) -> None:
    with Sender(store.server) as sender:
        sender.begin_file(sign(store, bundle("1"), GIB, seconds=-1), GIB)
        assert sender.hear()[0] == 403


@pytest.mark.parametrize(("size", "code"), [(MIB + 1, b"EntityTooLarge"), (GIB, b"EntityTooLarge")])
def test_a_file_larger_than_its_permit_is_refused_before_it_is_read(
    store: SetUpStore, size: int, code: bytes
) -> None:
    with Sender(store.server) as sender:
        sender.begin_file(sign(store, bundle("2")), size)
        status, answer = sender.hear()
    assert (status, code in answer) == (400, True)


@pytest.mark.parametrize("head", [bytes(40_000), write_fields({"key": "x" * 40_000}), b"--" * 20_000])
def test_fields_are_bounded(store: SetUpStore, head: bytes) -> None:
    with Sender(store.server) as sender:
        sender.begin(GIB)
        sender.send(head)
        assert sender.hear()[0] == 400


@pytest.mark.parametrize(
    "kind",
    [
        f"multipart/mixed; like=multipart/form-data; boundary={BOUNDARY}",
        f"text/multipart/form-data; boundary={BOUNDARY}",
        "multipart/form-data",
        f"MULTIPART/FORM-DATA; boundary={BOUNDARY}; boundary=other",
    ],
)
def test_nothing_else_passes_for_a_form(store: SetUpStore, kind: str) -> None:
    """SeaweedFS takes more for a form than is one."""
    with Sender(store.server) as sender:
        sender.begin(GIB, kind=kind)
        assert sender.hear()[0] == 400


def test_what_breaks_off_or_ends_otherwise_than_it_said_leaves_no_object(store: SetUpStore) -> None:
    key, size = bundle("3"), MIB
    permit = sign(store, key, 4 * MIB)
    with Sender(store.server) as sender:
        sender.begin_file(permit, size)
        sender.send(bytes(size))  # but not the end of the form
        sender.socket.shutdown(socket.SHUT_WR)
        assert sender.hear()[0] == 400
    for content in (bytes(size - 500) + b"\r\n" + write_fields({"more": "fields"}), bytes(size - 500) + TAIL):
        with Sender(store.server) as sender:
            sender.begin_file(permit, size)
            sender.send((content + bytes(size))[:size] + TAIL)
            assert sender.hear()[0] == 400
    assert not is_there(store, key)
    with Sender(store.server) as sender:
        sender.begin_file(permit, size)
        sender.send(bytes(size) + TAIL)
        assert sender.hear()[0] == 204
    assert is_there(store, key)


def test_a_form_takes_no_room_but_in_the_store(store: SetUpStore) -> None:
    """SeaweedFS alone has it in a temporary file first."""
    folder, size = store.server.folder, 32 * MIB
    assert folder is not None
    with Sender(store.server) as sender:
        sender.begin_file(sign(store, bundle("4"), size), size)
        sender.send(bytes(size - 1))
        assert [p.name for p in (folder / "tmp").rglob("*") if p.is_file() and p.stat().st_size > MIB] == []
        sender.send(bytes(1) + TAIL)
        assert sender.hear()[0] == 204


def test_fields_that_drip_are_cut_off(hasty: SetUpStore) -> None:
    with Sender(hasty.server) as sender:
        sender.begin(GIB)
        sender.send(write_fields({"key": "x"}))
        status, answer = sender.hear()
    assert (status, b"<Code>RequestTimeout</Code>" in answer) == (408, True)


def test_a_file_that_drips_is_cut_off(hasty: SetUpStore) -> None:
    key = bundle("5")
    with Sender(hasty.server) as sender:
        sender.begin_file(sign(hasty, key), MIB)
        end = time.monotonic() + PATIENCE
        while sender.is_open:
            assert time.monotonic() < end
            sender.send(b"x")
            time.sleep(0.05)
        assert sender.hear()[0] in (0, 408)
    assert not is_there(hasty, key)


def test_a_file_that_is_not_here_when_its_permit_ends_is_cut_off(store: SetUpStore) -> None:
    key = bundle("6")
    with Sender(store.server) as sender:
        sender.begin_file(sign(store, key, seconds=2), MIB)
        sender.send(bytes(1000))
        assert sender.hear()[0] == 403
    assert not is_there(store, key)


def test_a_request_for_credentials_is_short_and_does_not_drip(hasty: SetUpStore) -> None:
    form = "application/x-www-form-urlencoded"
    for length, wanted in ((MIB, 413), (1000, 408)):
        with Sender(hasty.server, "/") as sender:
            sender.begin(length, kind=form)
            sender.send(b"A" * min(length - 1, 70_000))
            assert sender.hear()[0] == wanted


OTHER = "AK/20261201/us-east-1/iam/aws4_request"


@pytest.mark.parametrize(
    ("start", "credential", "signature"),
    [
        ("POST http://store", None, ""),
        ("POST http://store?Action=AssumeRole", None, ""),
        ("PUT /b/k", OTHER, "0"),
        ("PUT /b/k", OTHER.replace("/aws4", "/ aws4"), "0"),
        ("PUT /b/k", OTHER.replace("aws4_request", "x"), "0"),
        ("PUT /b/k", OTHER, "/s3/aws4_request"),
        ("PUT /b/k?X-Amz-Credential=AK/20261201/us-east-1/s3/aws4_request", OTHER, "0"),
        (f"PUT /b/k?X-Amz-Credential={OTHER}", None, ""),
    ],
)
def test_no_way_of_writing_hides_a_body_that_is_read_unchecked(
    hasty: SetUpStore, start: str, credential: str | None, signature: str
) -> None:
    """SeaweedFS would read 10 MiB of each before it knows who sends it."""
    signed = f"Authorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature={signature}\r\n"
    with Sender(hasty.server) as sender:
        sender.send(
            f"{start} HTTP/1.1\r\nHost: {sender.host}\r\n{signed if credential else ''}"
            f"Content-Length: {MIB}\r\n\r\n".encode()
        )
        sender.send(b"A" * 70_000)
        assert sender.hear()[0] == 413


def test_the_rest_goes_through_as_it_is(store: SetUpStore) -> None:
    """What the kubelet asks for, and names that a signature covers as they are written."""
    for path in ("/healthz", "/readyz"):
        assert urllib3.request("GET", f"{store.server.url}{path}", retries=False).status == 200
    key = "runs/u/ä b+c=d/1-p/(e)~*'.npy"
    store_client.put_bytes(store.client("operator"), keys.MAIN_BUCKET, key, b"x")
    assert store_client.get_bytes(store.client("operator"), keys.MAIN_BUCKET, key) == b"x"


def test_a_permit_can_be_used_three_times_whole_and_again_later(hasty: SetUpStore) -> None:
    permit = sign(hasty, bundle("7"))
    said = [message for _ in range(10) if (message := try_upload(permit, MIB))]
    assert len(said) >= 5
    assert all("TooManyUploads" in message and "Try again in" in message for message in said)
    with Sender(hasty.server) as sender:
        sender.begin_file(permit, MIB)
        status, answer = sender.hear()
        assert (status in (204, 429), b"\r\nRetry-After: " in answer) == (True, status == 429)
    upload(sign(hasty, bundle("8")), MIB)

    until(lambda: not try_upload(permit, MIB), "it can be used again")


def test_what_is_not_sent_does_not_count(store: SetUpStore) -> None:
    """Whose connection breaks early can begin again."""
    permit = sign(store, bundle("9"), 8 * MIB)
    for _ in range(8):
        with Sender(store.server) as sender:
            sender.begin_file(permit, 8 * MIB)
            sender.send(bytes(1000))
    until(lambda: not try_upload(permit, 8 * MIB), "the whole file is taken")
