"""A server that remembers what it has answered says what one says that has not."""

from __future__ import annotations

import asyncio
import gc
import gzip
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import pytest
import uvicorn
from starlette.types import ASGIApp, Message

from alcove_api.board_documents import ActiveRun, PhaseActivity
from alcove_api.errors import AlcoveError
from alcove_api.leaderboard import PublishedRules
from alcove_board.answered import METHODS
from alcove_board.app import FILES, BoardServer
from alcove_board.metrics import ServerMetrics
from alcove_board.published import PublishedPhase, PublishedPhases
from alcove_board.reports import ReportLinks
from alcove_board.source import BoardSource, PastBoards

T = TypeVar("T")
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PLACE = "/cup/practice"
ADDRESSES = (PLACE, f"{PLACE}/projector", f"{PLACE}/boards", *(f"{PLACE}/{name}" for name in FILES))
SHOWN = PublishedPhase(
    "cup", "practice", PublishedRules(), 1, 1, "red", NOW, dict.fromkeys(("leaderboard.html", *FILES), "a"), "one"
)  # fmt: skip
HIDDEN = replace(SHOWN, rules=PublishedRules(reveals_at=NOW + timedelta(hours=1)), digest="two")
SOON = replace(SHOWN, rules=PublishedRules(reveals_at=NOW), digest="three")
RUN = ActiveRun(team="red", submission="first", dataset="digits", started_at=NOW)


@dataclass
class Published:
    """What cluster and store have at one moment; each file says of which state of the phase it is."""

    phase: PublishedPhase | None = SHOWN
    activity: PhaseActivity = field(default_factory=PhaseActivity)
    now: datetime = NOW
    away: bool = False
    size: int = 0

    async def phases(self) -> PublishedPhases:
        if self.away:
            raise AlcoveError("The API server is away.")
        return PublishedPhases({("cup", "practice"): self.phase} if self.phase else {})

    async def read_activity(self, _: PublishedPhase) -> PhaseActivity:
        return self.activity

    def fresh_phases(self) -> PublishedPhases | None:
        return None if self.away else PublishedPhases({("cup", "practice"): self.phase} if self.phase else {})

    def fresh_activity(self, _: PublishedPhase) -> PhaseActivity:
        return self.activity

    async def read_file(self, phase: PublishedPhase, name: str) -> bytes:
        if name == "table.json":
            return b'{"entries": []}'
        return f"<body>{phase.digest} {name}</body>".encode()

    async def list_past(self, _: PublishedPhase) -> PastBoards:
        return PastBoards()

    async def in_thread(self, work: Callable[[], T]) -> T:
        return work()


STATES = {
    "a board": Published(),
    "a new board": Published(replace(SHOWN, digest="four", generation=2)),
    "no board yet": Published(replace(SHOWN, digest="five", files={})),
    "a run goes on": Published(activity=PhaseActivity(running=(RUN,))),
    "results are hidden": Published(HIDDEN),
    "the same, shown no longer hidden": Published(HIDDEN, now=NOW + timedelta(hours=1)),
    "hidden by the clock": Published(SOON, now=NOW - timedelta(seconds=1)),
    "the same from its reveal on": Published(SOON),
    "without feedback": Published(replace(SHOWN, rules=PublishedRules(feedback="none"), digest="six")),
    "the phase is gone": Published(None),
    "the API server is away": Published(away=True),
}


@dataclass
class Visited:
    """The server before a state that can be replaced."""

    state: Published

    def __post_init__(self) -> None:
        self.metrics = ServerMetrics()
        self.server = BoardServer(
            cast(BoardSource, self), cast(ReportLinks, None), self.metrics, lambda: self.state.now
        )
        self.app: ASGIApp = self.server.build()
        self.answered = self.server.answered

    def __getattr__(self, name: str) -> Any:
        return getattr(self.state, name)

    async def ask(
        self, path: str, etag: str = "", method: str = "GET", encoding: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body, as a connection would get them."""
        found = self.answered.find(path.encode()) if method.encode() in METHODS else None
        if found is not None:
            page, rendered = found
            form = rendered.choose_form(etag, encoding)
            page.count(form, 0.0)
            first, headers = page.heads[form]
            lines = [line.split(": ", 1) for line in headers.decode().splitlines()]
            body = rendered.content(form) if method == "GET" else b""
            return int(first.split()[1]), {name: value for name, value in lines}, body
        said: list[Message] = []

        async def send(message: Message) -> None:
            said.append(message)

        async def receive() -> Message:
            return {"type": "http.request"}

        asked = {b"if-none-match": etag.encode(), b"accept-encoding": encoding.encode()}
        scope = {
            "type": "http", "method": method, "path": path, "query_string": b"", "root_path": "",
            "headers": [header for header in asked.items() if header[1]],
        }  # fmt: skip
        await self.app(scope, receive, send)
        # The body of an answer to HEAD is left out by the server below.
        body = b"".join(message.get("body", b"") for message in said[1:] if method != "HEAD")
        return said[0]["status"], {n.decode(): v.decode() for n, v in said[0]["headers"]}, body


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_what_was_answered_before_changes_no_answer(before: str, after: str) -> None:
    async def scenario() -> None:
        for path in ADDRESSES:
            server = Visited(STATES[before])
            _, headers, _ = await server.ask(path)
            server.state = STATES[after]
            known = headers.get("etag", 'W/"none"')
            # A failure names what could be rendered before: that stands in for what cannot be read.
            for asked in (
                (),
                (known,),
                ("", "GET", "gzip, br"),
                (known, "HEAD"),
                ("", "HEAD"),
                (known, "POST"),
            ):
                assert await server.ask(path, *asked) == await Visited(STATES[after]).ask(path, *asked)

    asyncio.run(scenario())


@pytest.mark.parametrize("path", [path for path in ADDRESSES if not path.endswith("/boards")])
def test_nothing_is_routed_or_made_while_nothing_is_new(path: str) -> None:
    async def scenario() -> None:
        server = Visited(Published())
        _, headers, page = await server.ask(path)
        server.state.read_file = server.state.in_thread = None  # type: ignore[method-assign,assignment]
        cast(Any, server.app)._inner = None
        for etag in (headers["etag"], f'"other", {headers["etag"]}'):
            status, again, body = await server.ask(path, etag)
            assert (status, again["etag"], body) == (304, headers["etag"], b"")
        for etag in ("", '"other"'):
            assert await server.ask(path, etag) == (200, headers, page)
        _, again, packed = await server.ask(path, encoding="gzip")
        assert (again["content-encoding"], gzip.decompress(packed)) == ("gzip", page)
        route = path.replace(PLACE, "/{competition}/{phase}")
        counted = {(s.labels["address"], s.labels["status"]): s.value
                   for family in server.metrics.requests.collect() for s in family.samples if s.value}  # fmt: skip
        assert counted == {(route, "200"): 4, (route, "304"): 2}

    asyncio.run(scenario())


def test_a_look_at_what_may_be_old_goes_the_whole_way() -> None:
    async def scenario() -> None:
        server = Visited(Published())
        _, headers, _ = await server.ask(PLACE)
        server.state.fresh_phases = lambda: None  # type: ignore[method-assign]
        assert server.answered.find(PLACE.encode()) is None
        assert (await server.ask(PLACE, headers["etag"]))[0] == 304

    asyncio.run(scenario())


def test_an_answer_that_memory_has_no_room_for_is_not_held_here() -> None:
    async def scenario() -> None:
        server = Visited(Published())
        await server.ask(PLACE)
        assert server.answered.find(PLACE.encode()) is not None
        cast(Any, server.server)._answers._entries.clear()
        await asyncio.sleep(0)  # the task that made it ends
        gc.collect()
        assert server.answered.find(PLACE.encode()) is None
        assert (await server.ask(PLACE))[0] == 200

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["/", "/competitions.json", f"{PLACE}/boards"])
def test_a_list_is_made_once_for_a_crowd_and_anew_for_what_it_says(path: str) -> None:
    async def scenario() -> None:
        server = Visited(Published())
        page = await server.ask(path)
        server.state = Published(now=NOW + timedelta(milliseconds=900))
        server.state.in_thread = None  # type: ignore[method-assign,assignment]
        assert await server.ask(path) == page
        # In the same second: another board, and results that are hidden from now on.
        for phase in (replace(SHOWN, rules=PublishedRules(title="Cup"), digest="four"), HIDDEN):
            server.state = Published(phase)
            answer = await server.ask(path)
            assert answer == await Visited(Published(phase)).ask(path)
            assert answer[1]["etag"] != page[1]["etag"]

    asyncio.run(scenario())


def test_of_a_phase_that_is_gone_nothing_is_held() -> None:
    async def scenario() -> None:
        server = Visited(Published())
        for path in ADDRESSES:
            await server.ask(path)
        last, answered = cast(Any, server.server), cast(Any, server.answered)
        assert last._last
        assert answered._answered
        server.state = Published(None)
        assert (await server.ask("/other/phase"))[0] == 404
        assert not last._last
        assert not answered._answered

    asyncio.run(scenario())


async def read_answers(
    reader: asyncio.StreamReader, *methods: str
) -> list[tuple[int, dict[str, str], bytes]]:
    """Status, headers and body of the answer to each; the date left out."""
    found = []
    for method in methods:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = 0 if method == "HEAD" else int(headers.get("content-length", 0))
        body = await reader.readexactly(length)
        headers.pop("date")
        found.append((int(first.split()[1]), headers, body))
    return found


def test_over_a_connection_both_ways_of_answering_say_the_same_in_order() -> None:
    async def scenario() -> None:
        visited = Visited(Published())
        settings = uvicorn.Config(
            visited.app, http=visited.answered.protocol(), lifespan="off", server_header=False, access_log=False
        )  # fmt: skip
        server = uvicorn.Server(settings)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            serving = asyncio.create_task(server.serve([listener]))
            reader, writer = await asyncio.open_connection(*listener.getsockname())

            def ask(*lines: str, method: str = "GET", body: str = "") -> None:
                head = "\r\n".join((f"{method} {PLACE} HTTP/1.1", "host: x", *lines))
                writer.write(f"{head}\r\n\r\n{body}".encode())

            ask()
            ((status, headers, page),) = await read_answers(reader, "GET")
            assert status == 200
            known = f"If-None-Match: {headers['etag']}"
            ask(known)
            ask(known, "Connection: keep-alive")
            ask(known, "Content-Length: 2", body="xx")  # the whole way: there is a body to read
            ask(known, method="HEAD")
            ask(known, method="POST")
            ask()
            ask("Accept-Encoding: gzip", "Content-Length: 2", body="xx")
            ask("Accept-Encoding: gzip")
            ask(method="HEAD")
            ask("Content-Length: 2", method="HEAD", body="xx")
            ask(known)
            ask("If-None-Match: other")
            ask(known, "Connection: close")
            methods = ["GET"] * 3 + ["HEAD", "POST"] + ["GET"] * 3 + ["HEAD"] * 2 + ["GET"] * 3
            answers = await read_answers(reader, *methods)
            assert [a[0] for a in answers] == [
                304,
                304,
                304,
                304,
                405,
                200,
                200,
                200,
                200,
                200,
                304,
                200,
                304,
            ]
            assert await reader.read() == b"", "it closes"
            plain = [said for status, said, _ in answers[:-1] if status == 304]
            assert all(said == plain[0] for said in plain)
            assert answers[-1][1] == {**plain[0], "connection": "close"}
            assert answers[5] == answers[11] == (200, headers, page)
            assert answers[6] == answers[7]
            assert gzip.decompress(answers[7][2]) == page
            assert answers[8] == answers[9] == (200, headers, b"")
            writer.close()
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            cast(Any, visited.app)._inner = None
            ask(known)
            ask("If-None-Match: other")
            ask("Content-Length: 2", body="xx")
            assert [a[0] for a in await read_answers(reader, *["GET"] * 3)] == [304, 200, 500]
            writer.close()
            server.should_exit = True
            await serving

    asyncio.run(scenario())
