"""A server that remembers what it has answered says what one says that has not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, TypeVar, cast

import pytest
from starlette.types import ASGIApp, Message

from alcove_api.board_documents import ActiveRun, PhaseActivity
from alcove_api.errors import AlcoveError
from alcove_api.leaderboard import PublishedRules
from alcove_board.app import FILES, BoardServer
from alcove_board.metrics import ServerMetrics
from alcove_board.published import PhaseKey, PublishedPhase
from alcove_board.reports import ReportLinks
from alcove_board.source import BoardSource

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

    async def phases(self) -> dict[PhaseKey, PublishedPhase]:
        if self.away:
            raise AlcoveError("The API server is away.")
        return {("cup", "practice"): self.phase} if self.phase else {}

    async def read_activity(self, _: PublishedPhase) -> PhaseActivity:
        return self.activity

    async def read_file(self, phase: PublishedPhase, name: str) -> bytes:
        if name == "table.json":
            return b'{"entries": []}'
        return f"<body>{phase.digest} {name}</body>".encode()

    async def list_past(self, _: PublishedPhase) -> tuple[()]:
        return ()

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
        server = BoardServer(
            cast(BoardSource, self), cast(ReportLinks, None), self.metrics, lambda: self.state.now
        )
        self.app: ASGIApp = server.build()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.state, name)

    async def ask(self, path: str, etag: str = "", method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        said: list[Message] = []

        async def send(message: Message) -> None:
            said.append(message)

        async def receive() -> Message:
            return {"type": "http.request"}

        headers = [(b"if-none-match", etag.encode())] if etag else []
        scope = {
            "type": "http", "method": method, "path": path, "headers": headers, "query_string": b"", "root_path": "",
        }  # fmt: skip
        await self.app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in said[1:])
        return said[0]["status"], {n.decode(): v.decode() for n, v in said[0]["headers"]}, body


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_what_was_answered_before_changes_no_answer(before: str, after: str) -> None:
    async def scenario() -> None:
        for path, method in product(ADDRESSES, ("GET", "HEAD", "POST")):
            server = Visited(STATES[before])
            _, headers, _ = await server.ask(path)
            etag = headers.get("etag", 'W/"none"')
            server.state = STATES[after]
            # A failure names what could be rendered before: that stands in for what cannot be read.
            assert await server.ask(path, etag, method) == await Visited(STATES[after]).ask(
                path, etag, method
            )

    asyncio.run(scenario())


@pytest.mark.parametrize("path", [path for path in ADDRESSES if not path.endswith("/boards")])
def test_nothing_is_routed_or_made_while_nothing_is_new(path: str) -> None:
    async def scenario() -> None:
        server = Visited(Published())
        _, headers, _ = await server.ask(path)
        server.state.read_file = server.state.in_thread = None  # type: ignore[method-assign,assignment]
        cast(Any, server.app)._inner = None
        for etag in (headers["etag"], f'"other", {headers["etag"]}'):
            status, again, body = await server.ask(path, etag)
            assert (status, again["etag"], body) == (304, headers["etag"], b"")
        route = path.replace(PLACE, "/{competition}/{phase}")
        counted = {(s.labels["address"], s.labels["status"]): s.value
                   for family in server.metrics.requests.collect() for s in family.samples}  # fmt: skip
        assert counted == {(route, "200"): 1, (route, "304"): 2}

    asyncio.run(scenario())
