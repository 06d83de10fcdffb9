"""What most requests ask: is the page still the one that the browser has? Answered before there is a task or a route.

Of a page that everyone may see, what it was made of when it was last answered is remembered. A later request is told
that nothing is new only while all of that is known to be the same and the phase is not hidden at this moment; any other
request goes the whole way. So does the one after which what is known is loaded again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client import Counter, Histogram
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from alcove_api.board_documents import PhaseActivity
from alcove_board.metrics import ServerMetrics
from alcove_board.published import PublishedPhase
from alcove_board.source import BoardSource

METHODS = (b"GET", b"HEAD")
_MORE = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"connection"})
"""Headers of requests of which there is more to read, or that want more than an answer."""


@dataclass
class AnsweredPage:
    """The newest answer to an address of a phase, and what it was made of."""

    route: str
    """Its address with the names of its parameters, as metrics have it."""
    phase: PublishedPhase
    activity: PhaseActivity | None
    etag: str
    headers: bytes
    """Of an answer that nothing is new, up to the empty line."""

    name: bytes = field(init=False)
    answers: Counter = field(init=False)
    seconds: Histogram = field(init=False)
    """Of this address: to look a label's values up takes longer than to count."""

    def __post_init__(self) -> None:
        self.name = self.etag.encode()

    def count(self, began: float) -> None:
        """One answer that nothing is new. ``began``: by :func:`time.perf_counter`."""
        self.answers.inc()
        self.seconds.observe(time.perf_counter() - began)


class UnchangedPages:
    def __init__(self, source: BoardSource, metrics: ServerMetrics, clock: Callable[[], datetime]) -> None:
        self._source, self._metrics, self._clock = source, metrics, clock
        self._answered: dict[bytes, AnsweredPage] = {}
        """By path. Recorded of phases that there are alone: organizers make them, visitors cannot."""

    def record(self, path: str, page: AnsweredPage) -> None:
        """``page``: an answer with status 200 or 304 that anyone would have got."""
        page.answers = self._metrics.requests.labels(page.route, "304")
        page.seconds = self._metrics.seconds.labels(page.route)
        self._answered[path.encode()] = page

    def find(self, url: bytes, known: bytes) -> AnsweredPage | None:
        """The page that the browser has as it would be answered now; None where that is not known at once.

        Args:
            url: path and query, as the request has them.
            known: the request's If-None-Match.
        """
        page = self._answered.get(url)
        if page is None or page.name not in known:
            return None
        phases = self._source.fresh_phases()
        if phases is None:
            return None
        phase = phases.get((page.phase.competition, page.phase.phase))
        if phase is None:
            del self._answered[url]
            return None
        if phase.digest != page.phase.digest or phase.is_hidden(self._clock()):
            return None
        if page.activity is not None:
            activity = self._source.fresh_activity(phase)
            if activity is not page.activity:
                if activity != page.activity:
                    return None
                page.activity = activity
        return page

    def protocol(self) -> type[HttpToolsProtocol]:
        """The protocol of connections, for uvicorn."""
        return type("Protocol", (ConditionalProtocol,), {"pages": self})


class ConditionalProtocol(HttpToolsProtocol):
    """Answers what :class:`UnchangedPages` knows as soon as a request's headers are read; the rest is uvicorn's."""

    pages: UnchangedPages
    _answered = False
    """Whether the request that is being read has its answer."""

    def on_headers_complete(self) -> None:
        began = time.perf_counter()
        page = self._find()
        self._answered = page is not None
        if page is None:
            super().on_headers_complete()
            return
        lines = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        self.transport.write(b"".join((b"HTTP/1.1 304 Not Modified\r\n", *lines, page.headers, b"\r\n")))
        page.count(began)
        self.on_response_complete()

    def on_message_complete(self) -> None:
        if not self._answered:
            super().on_message_complete()

    def _find(self) -> AnsweredPage | None:
        """None for the whole way: also where another answer is under way, or more than an answer is wanted."""
        if (self.cycle is not None and not self.cycle.response_complete) or self.flow.write_paused:
            return None
        if self.parser.get_http_version() != "1.1" or self.parser.get_method() not in METHODS:
            return None
        known = b""
        for name, value in self.headers:
            if name == b"if-none-match":
                known = value
            elif name in _MORE and not (name == b"connection" and value.lower() == b"keep-alive"):
                return None
        crowded = self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency
        return self.pages.find(self.url, known) if known and not crowded else None
