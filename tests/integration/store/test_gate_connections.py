"""The gate before SeaweedFS: who may keep a connection, and who has a place among those that upload."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3

from alcove_api import keys
from alcove_store import client as store_client
from tests.cluster.api import seaweedfs_server

from .conftest import SCORER, SIGNER, SetUpStore, set_up
from .forms import (
    GIB,
    MIB,
    PATIENCE,
    TAIL,
    Sender,
    another_gate,
    bundle,
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
    """Behind a gate that waits three seconds until a piece of an answer is taken."""
    with another_gate(store, "-patience=1s") as found:
        yield found


@pytest.fixture(scope="module")
def narrow(store: SetUpStore) -> Iterator[SetUpStore]:
    """Behind a gate that lets few connections wait, and those long."""
    with another_gate(store, "-waiting=20", "-patience=10m") as found:
        yield found


def test_a_body_that_does_not_come_keeps_no_connection(narrow: SetUpStore) -> None:
    """SeaweedFS waits for it before it says no."""
    with ExitStack() as stack:
        silent = stack.enter_context(Sender(narrow.server))
        silent.send(f"PUT /b/k HTTP/1.1\r\nHost: {silent.host}\r\nContent-Length: 10\r\n\r\n".encode())

        def closed_by_five_more() -> bool:
            for _ in range(5):
                stack.enter_context(Sender(narrow.server))
            return not silent.is_open

        until(closed_by_five_more, "the connection that waited longest is closed")


def test_a_request_on_a_connection_that_was_idle_waits_from_then_on(narrow: SetUpStore) -> None:
    with ExitStack() as stack:
        idle = stack.enter_context(Sender(narrow.server))
        earlier = [stack.enter_context(Sender(narrow.server)) for _ in range(15)]
        # The gate takes connections one after the other, so it has all of these once it answers on a later one.
        assert urllib3.request("GET", f"{narrow.server.url}/readyz", retries=False).status == 200
        headers = f"Host: {idle.host}\r\nContent-Length: 10\r\nExpect: 100-continue"
        idle.send(f"PUT /b/k HTTP/1.1\r\n{headers}\r\n\r\n".encode())
        # Said once the body is asked for: the gate has taken the request by then.
        assert idle.socket.recv(4096).startswith(b"HTTP/1.1 100 ")
        for _ in range(10):
            stack.enter_context(Sender(narrow.server))
        until(lambda: not earlier[0].is_open, "the connection that waited longest is closed")
        # Not whether it says nothing: the store says 100 Continue too.
        assert is_kept(idle.socket)


@contextmanager
def ask_for(store: SetUpStore, key: str) -> Iterator[socket.socket]:
    """A connection on which an object was asked for, and whose end here takes few bytes before they are read."""
    url = urlsplit(store.root.get_presigned_url("GET", keys.MAIN_BUCKET, key))
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        reader.settimeout(PATIENCE)
        reader.connect((url.hostname, url.port))
        request = f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n"
        reader.sendall(request.encode())
        yield reader


def is_kept(client: socket.socket) -> bool:
    """Whether the gate still has the connection: who does not read is not told that it was closed."""
    try:
        gate, own = (f"{port:04X}" for _, port in (client.getpeername(), client.getsockname()))
    except OSError:  # Reset: it has no peer any more.
        return False
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    states = [row[3] for row in rows if row[1].endswith(f":{gate}") and row[2].endswith(f":{own}")]
    return states == ["01"]


@pytest.fixture(scope="module")
def large(store: SetUpStore) -> str:
    """An object that no buffer between gate and client has room for."""
    key = "runs/u/d/1-p/large.npy"
    store_client.put_bytes(store.client("operator"), keys.MAIN_BUCKET, key, bytes(16 * MIB))
    return key


def test_who_does_not_read_the_answer_is_cut_off(hasty: SetUpStore, large: str) -> None:
    with ask_for(hasty, large) as reader:
        assert reader.recv(8) == b"HTTP/1.1"
        until(lambda: not is_kept(reader), "the gate closes the connection")


def test_who_reads_slowly_gets_all_of_it(hasty: SetUpStore, large: str) -> None:
    """However long it takes in all."""
    with ask_for(hasty, large) as reader:
        found = bytearray()
        began = time.monotonic()
        while piece := reader.recv(1 << 18, socket.MSG_WAITALL):
            found += piece
            time.sleep(0.1)
    assert time.monotonic() - began > 2 * 3, "longer than the gate waits for one piece"
    _, _, body = bytes(found).partition(b"\r\n\r\n")
    assert body == bytes(16 * MIB)


def test_who_reads_no_answer_takes_the_place_of_no_other(narrow: SetUpStore, large: str) -> None:
    with ExitStack() as stack:
        readers = [stack.enter_context(ask_for(narrow, large)) for _ in range(40)]
        until(lambda: sum(map(is_kept, readers)) <= 20, "those that have waited longest are closed")
        assert len(store_client.get_bytes(narrow.root, keys.MAIN_BUCKET, large)) == 16 * MIB


def test_a_team_that_replays_and_drips_stops_nobody_else(store: SetUpStore) -> None:
    """It holds as many connections as it gets, of every kind, and its permit is used up."""
    permit, size = sign(store, bundle("a"), MIB), MIB
    with ExitStack() as stack:
        open_: list[Sender] = []

        def hold() -> Sender:
            open_.append(stack.enter_context(Sender(store.server)))
            return open_[-1]

        for _ in range(400):
            hold()
        for _ in range(400):
            hold().begin(GIB)
        for _ in range(400):
            sender = hold()
            sender.begin(GIB)
            sender.send(write_fields({"key": "x"}))
        answers = []
        for _ in range(8):
            sender = hold()
            sender.begin_file(sign(store, keys.shared_archive("team-a", 0), size), size)
        for _ in range(6):
            with Sender(store.server) as replay:
                replay.begin_file(permit, size)
                replay.send(bytes(size) + TAIL)
                answers.append(replay.hear()[0])
        assert set(answers) <= {204, 429}
        assert answers.count(204) <= 3
        for digit in "cd":
            upload(sign(store, bundle(digit, "team-b"), size), size)
            assert is_there(store, bundle(digit, "team-b"))
        store_client.put_bytes(
            store.client("operator"), keys.MAIN_BUCKET, "runs/u/d/1-p/log.txt", bytes(size)
        )


def test_a_few_teams_do_not_take_the_places_of_all(store: SetUpStore) -> None:
    """Half of the places are for one form of a team each."""
    with another_gate(store, "-patience=10m") as gate, ExitStack() as stack:

        def begin(team: str, count: int) -> list[Sender]:
            """Forms of which the last byte does not come yet."""
            found = []
            for number in range(count):
                sender = stack.enter_context(Sender(gate.server))
                sender.begin_file(sign(gate, bundle(str(number), team)), 2)
                sender.send(b"x")
                found.append(sender)
            return found

        def begin_all_but_one(team: str, count: int) -> tuple[list[Sender], bytes]:
            """Those that are taken, and what is said to the one that is not, whichever it is."""
            senders = begin(team, count)
            until(lambda: sum(sender.is_open for sender in senders) == count - 1, f"one of {team} is refused")
            (refused,) = (sender for sender in senders if not sender.is_open)
            return [sender for sender in senders if sender is not refused], refused.hear()[1]

        held = []
        for number in range(4):
            taken, said = begin_all_but_one(f"several-{number}", 5)
            held += taken
            assert b"uploading 4 files already" in said
        for number in range(16):
            taken, said = begin_all_but_one(f"single-{number}", 2)
            held += taken
            assert b"so are many others" in said
        (late,) = begin("late", 1)
        status, said = late.hear()
        assert (status, b"<Code>SlowDown</Code>" in said) == (503, True)
        for sender in held:
            sender.send(b"x" + TAIL)
            assert sender.hear()[0] == 204
        until(lambda: not try_upload(sign(gate, bundle("0", "late")), 1), "there is room again")
