"""Addresses and answers. Every one is GET or HEAD, and shows what everyone may see; but for a team's signed links."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from weakref import ref

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alcove_api.board_documents import PhaseActivity
from alcove_api.errors import AlcoveError
from alcove_board import pages
from alcove_board.answered import AnsweredPage, AnsweredPages, write_heads
from alcove_board.metrics import ServerMetrics
from alcove_board.published import PublishedPhase, PublishedPhases
from alcove_board.rendered import CSV, HTML, JSON, Rendered, render
from alcove_board.reports import ReportLinks
from alcove_board.shared_cache import SharedCache
from alcove_board.source import BoardSource, NotYetWrittenError, PastBoards
from alcove_store.errors import StoreError, StoreUnavailableError

log = logging.getLogger(__name__)
MOST_BYTES = 96 << 20
"""Of answers that are kept, each plain and compressed."""
LIST_BYTES = 4 << 20
"""Likewise of lists, which are made anew each second."""
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    # The link to a report is its key: no other site is told of it.
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
NO_REPORT = "This link shows no report. It may have expired; to make a new one: alcove report NAME --link"
REVALIDATE, KEEP, PRIVATE = "no-cache", "public, max-age=31536000, immutable", "private, no-store"
FILES = ("table.json", "table.csv", "history.json", "curves.json", "activity.json")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]{0,63}")


@dataclass(frozen=True)
class PageKey:
    """What an answer is made of: ``digest`` and ``version`` tell what ``phase`` is, or which of its earlier boards."""

    view: str
    """A page's, or the name of a file."""
    digest: str
    hidden: bool = False
    activity: PhaseActivity | None = None
    phase_path: str = ""
    """Of an earlier board: "<competition>/<phase>"."""
    version: str = ""
    """Of an earlier board's page in the store. Its bytes are no part of this: a cache counts values, and not keys."""
    past: PastBoards | None = None
    phase: PublishedPhase | None = field(default=None, compare=False)
    phases: PublishedPhases | None = field(default=None, compare=False)
    now: datetime | None = field(default=None, compare=False)


class BoardServer:
    def __init__(
        self,
        source: BoardSource,
        links: ReportLinks,
        metrics: ServerMetrics,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.source, self.links, self.metrics, self.clock = source, links, metrics, clock
        self._answers = SharedCache[PageKey, Rendered](
            self._make, most_bytes=MOST_BYTES, measure=lambda rendered: rendered.size
        )
        self._lists = SharedCache[PageKey, Rendered](
            self._make, most_bytes=LIST_BYTES, measure=lambda rendered: rendered.size
        )
        self._seen = PublishedPhases()
        self._last: dict[tuple[str, str, str, bool], PageKey] = {}
        """By view, competition, phase and whether it is hidden: the newest that could be made."""
        self.answered = AnsweredPages(source, metrics, clock)
        metrics.begin(route.path for route in self.routes())
        metrics.cached.set_function(lambda: self._answers.size + self._lists.size + source.size)

    def routes(self) -> list[Route]:
        """All addresses that there are."""
        phase = "/{competition}/{phase}"
        return [
            Route("/", self.index),
            Route("/competitions.json", partial(self.index, as_json=True)),
            Route("/-/healthz", self.health),
            Route("/-/style.css", self.style),
            Route("/-/live.js", self.script),
            Route("/-/reports/{team}/{uid}", self.report),
            Route(phase, partial(self.board, view="board")),
            Route(f"{phase}/all", partial(self.board, view="all")),
            Route(f"{phase}/projector", partial(self.board, view="projector")),
            Route(f"{phase}/boards", self.past_boards),
            Route(f"{phase}/boards/{{version}}", self.past_board),
            *(Route(f"{phase}/{name}", partial(self.file, name=name)) for name in FILES),
        ]

    def build(self) -> ASGIApp:
        handlers = {HTTPException: answer_http_error, AlcoveError: self.answer_failure}
        app = Starlette(routes=self.routes(), exception_handlers=handlers)  # type: ignore[arg-type]
        # An address is right or it is not; a redirect would be made of what the visitor says our name is.
        app.router.redirect_slashes = False
        return Frame(app, self.metrics)

    async def health(self, _: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def style(self, request: Request) -> Response:
        return answer(request, _style(), KEEP)

    async def script(self, request: Request) -> Response:
        return answer(request, _script(), KEEP)

    async def index(self, request: Request, *, as_json: bool = False) -> Response:
        phases, now = await self.source.phases(), self.clock()
        said = "".join(f"{phase.digest}{phase.is_hidden(now)}" for phase in phases.phases.values())
        digest = hashlib.sha256(f"{said}{len(phases.unreadable)}{phases.cut}".encode()).hexdigest()
        # What the dates say changes with the time. A crowd has it made once a second.
        key = PageKey(
            "competitions.json" if as_json else "index", digest, version=str(int(now.timestamp())),
            phases=phases, now=now,
        )  # fmt: skip
        return answer(request, await self._lists.get(key))

    async def board(self, request: Request, *, view: str) -> Response:
        return answer(request, await self._newest(await self._find(request), view, request.scope))

    async def file(self, request: Request, *, name: str) -> Response:
        phase = await self._find(request)
        if phase.is_hidden(self.clock()):
            said = {"detail": "Results are not shown yet.", "revealsAt": _isoformat(phase.rules.reveals_at)}
            return JSONResponse(said, 404, headers={"Cache-Control": REVALIDATE})
        if not phase.files and name != "activity.json":
            return JSONResponse(
                {"detail": "No board has been made yet."}, 404, headers={"Cache-Control": REVALIDATE}
            )
        return answer(request, await self._newest(phase, name, request.scope))

    async def past_boards(self, request: Request) -> Response:
        phase = await self._find(request)
        if phase.is_hidden(self.clock()):
            return answer(request, await self._newest(phase, "board"))
        past = await self.source.list_past(phase)
        return answer(request, await self._lists.get(PageKey("boards", phase.digest, past=past, phase=phase)))

    async def past_board(self, request: Request) -> Response:
        phase = await self._find(request)
        if phase.is_hidden(self.clock()):
            return answer(request, await self._newest(phase, "board"))
        version = request.path_params["version"]
        if not _VERSION.fullmatch(version):
            raise HTTPException(404)
        try:
            digest = await self.source.find_past(phase, version)
        except StoreUnavailableError:
            raise
        except StoreError as error:
            # Of a version that there never was, and of one that is no version at all, stores say different things.
            raise HTTPException(404) from error
        phase_path = f"{phase.competition}/{phase.phase}"
        key = PageKey("past", digest, phase_path=phase_path, version=version, phase=phase)
        return answer(request, await self._answers.get(key))

    async def report(self, request: Request) -> Response:
        """Of a link that does not show a report it is not said why: whoever has no right learns nothing."""
        team, uid = request.path_params["team"], request.path_params["uid"]
        query = dict(request.query_params)
        stored = None
        if _NAME.fullmatch(team) and _VERSION.fullmatch(uid) and len(request.url.query) < 2048:
            stored = await self.source.in_thread(partial(self.links.fetch, team, uid, query), chosen=True)
        if stored is None:
            raise HTTPException(404, NO_REPORT)
        # Up to 16 MiB: too much to do between the answers to others.
        page = await self.source.in_thread(partial(pages.report_page, stored), chosen=True)
        return Response(page, media_type=HTML, headers={"Cache-Control": PRIVATE})

    async def answer_failure(self, request: Request, error: Exception) -> Response:
        self.metrics.failures.labels(type(error).__name__).inc()
        return answer_message(
            request, 503, "Not now", "This cannot be shown at the moment. Try again in a minute."
        )

    async def _find(self, request: Request) -> PublishedPhase:
        phases = await self.source.phases()
        if phases is not self._seen:
            self._seen = phases
            self._last = {view: key for view, key in self._last.items() if view[1:3] in phases.phases}
            self.answered.forget_gone(phases)
        phase = phases.phases.get((request.path_params["competition"], request.path_params["phase"]))
        if phase is None:
            raise HTTPException(404)
        return phase

    async def _newest(self, phase: PublishedPhase, view: str, scope: Scope | None = None) -> Rendered:
        """While the newest board is being written, the one before it.

        ``scope``: of a request to the page's own address, whose next one may be answered without this.
        """
        hidden = phase.is_hidden(self.clock())
        activity = None
        if not hidden and view in ("board", "all", "projector", "activity.json"):
            activity = await self.source.read_activity(phase)
        key = PageKey(view, phase.digest, hidden, activity, phase=phase)
        last_of = (view, phase.competition, phase.phase, hidden)
        try:
            rendered = await self._answers.get(key)
        except (NotYetWrittenError, StoreError):
            if last_of not in self._last:
                raise
            return await self._answers.get(self._last[last_of])
        self._last[last_of] = key
        if scope is not None and not hidden:
            heads = write_heads(rendered, REVALIDATE, HEADERS)
            self.answered.record(
                scope["path"], AnsweredPage(_address(scope), phase, activity, ref(rendered), heads)
            )
        return rendered

    async def _make(self, key: PageKey) -> Rendered:
        phase, phases, now, earlier = key.phase, key.phases, key.now, key.past
        if phases is not None and now is not None:
            if key.view == "index":
                return await self._work(lambda: pages.index_page(phases, now), HTML)
            return await self._work(lambda: pages.index_document(phases, now), JSON)
        assert phase is not None
        if earlier is not None:
            return await self._work(lambda: pages.past_page(phase, earlier), HTML)
        if key.hidden:
            return render(pages.countdown_page(phase), HTML)
        if key.view == "past":
            past = await self.source.read_past(phase, key.version)
            return await self._work(lambda: pages.board_page(phase, past, "past"), HTML)
        if key.view == "activity.json":
            assert key.activity is not None
            return render(key.activity.canonical(), JSON)
        if key.view == "table.csv":
            table = await self.source.read_file(phase, "table.json")
            return await self._work(lambda: pages.table_csv(table), CSV)
        if key.view in FILES:
            data = await self.source.read_file(phase, key.view)
            return await self._work(lambda: data, JSON)
        stored = await self.source.read_file(phase, "leaderboard.html") if phase.files else None
        return await self._work(lambda: pages.board_page(phase, stored, key.view, key.activity), HTML)

    async def _work(self, make: Callable[[], bytes], media_type: str) -> Rendered:
        """A large board takes long enough to render and to compress that others would notice."""
        return await self.source.in_thread(lambda: render(make(), media_type))


@cache
def _style() -> Rendered:
    return render(pages.style(), "text/css; charset=utf-8")


@cache
def _script() -> Rendered:
    return render(pages.script(), "text/javascript; charset=utf-8")


def _isoformat(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def answer(request: Request, rendered: Rendered, caching: str = REVALIDATE) -> Response:
    """Nothing but the name of the content where the browser has it, compressed where it can unpack that."""
    asked = request.headers
    form = rendered.choose_form(asked.get("if-none-match", ""), asked.get("accept-encoding", ""))
    return Response(rendered.content(form), form.status, rendered.headers(form, caching))


def answer_message(
    _: Request, status: int, title: str, said: str, more: Mapping[str, str] | None = None
) -> Response:
    """``more``: headers."""
    page = pages.message_page(title, said)
    return Response(page, status, media_type=HTML, headers={"Cache-Control": "no-store", **(more or {})})


def answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        said = error.detail if error.detail != "Not Found" else "There is no such page."
        return answer_message(request, 404, "Not found", said)
    # Of a method that is not allowed, those that are.
    return answer_message(request, error.status_code, "Not possible", error.detail, error.headers)


def _address(scope: Scope) -> str:
    """With the names of its parameters: one for each kind of page."""
    route = scope.get("route")
    return route.path if isinstance(route, Route) else "none"


class Frame:
    """Around all: headers that say what a browser may do with an answer, and the counts."""

    def __init__(self, inner: ASGIApp, metrics: ServerMetrics) -> None:
        self._inner, self._metrics = inner, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def send_framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        try:
            await self._inner(scope, receive, send_framed)
        finally:
            self._count(_address(scope), status, began)

    def _count(self, address: str, status: int, began: float) -> None:
        self._metrics.requests.labels(address, str(status)).inc()
        self._metrics.seconds.labels(address).observe(time.perf_counter() - began)
