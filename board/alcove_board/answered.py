"""What most requests ask: the newest page of a phase. Answered before there is a task or a route.

Of a page that everyone may see, the answer is remembered with what it was made of. A later request gets it, or is
told that nothing is new, only while all of that is known to be the same and the phase is not hidden at this moment. Any
other request goes the whole way. So does the one after which what is known is loaded again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from weakref import ReferenceType

from prometheus_client import Counter, Histogram
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from alcove_api.board_documents import PhaseActivity
from alcove_board.metrics import ServerMetrics
from alcove_board.published import PublishedPhase, PublishedPhases
from alcove_board.rendered import Form, Rendered
from alcove_board.source import BoardSource

METHODS = (b"GET", b"HEAD")
_MORE = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"connection"})
"""Headers of requests of which there is more to read, or that want more than an answer."""


def write_heads(
    rendered: Rendered, caching: str, more: Iterable[tuple[bytes, bytes]]
) -> dict[Form, tuple[bytes, bytes]]:
    """Status line and headers of each form of the answer, up to the empty line.

    Args:
        rendered: what is sent.
        caching: what Cache-Control says.
        more: headers of every answer.
    """
    heads = {}
    for form in Form:
        headers = {name.lower(): value for name, value in rendered.headers(form, caching).items()}
        if form is not Form.UNCHANGED:
            headers["content-length"] = str(len(rendered.content(form)))
        lines = [*((name.encode(), value.encode()) for name, value in headers.items()), *more]
        status = HTTPStatus(form.status)
        first = f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
        heads[form] = (first, b"".join(b"%b: %b\r\n" % line for line in lines))
    return heads


@dataclass
class AnsweredPage:
    """The newest answer to an address of a phase, and what it was made of."""

    route: str
    """Its address with the names of its parameters, as metrics have it."""
    phase: PublishedPhase
    activity: PhaseActivity | None
    rendered: ReferenceType[Rendered]
    """Held by the cache of answers, which bounds the memory."""
    heads: Mapping[Form, tuple[bytes, bytes]]

    answers: Mapping[Form, Counter] = field(init=False)
    seconds: Histogram = field(init=False)
    """Of this address: to look a label's values up takes longer than to count."""

    def count(self, form: Form, began: float) -> None:
        """One answer. ``began``: by :func:`time.perf_counter`."""
        self.answers[form].inc()
        self.seconds.observe(time.perf_counter() - began)


class AnsweredPages:
    def __init__(self, source: BoardSource, metrics: ServerMetrics, clock: Callable[[], datetime]) -> None:
        self._source, self._metrics, self._clock = source, metrics, clock
        self._answered: dict[bytes, AnsweredPage] = {}
        """By path. Recorded of phases that there are alone: organizers make them, visitors cannot."""

    def record(self, path: str, page: AnsweredPage) -> None:
        """``page``: an answer with status 200 or 304 that anyone would have got."""
        page.answers = {form: self._metrics.requests.labels(page.route, str(form.status)) for form in Form}
        page.seconds = self._metrics.seconds.labels(page.route)
        self._answered[path.encode()] = page

    def forget_gone(self, phases: PublishedPhases) -> None:
        """Keep the pages of ``phases`` alone."""
        self._answered = {
            path: page
            for path, page in self._answered.items()
            if (page.phase.competition, page.phase.phase) in phases.phases
        }

    def find(self, url: bytes) -> tuple[AnsweredPage, Rendered] | None:
        """The page as it would be answered now; None where that is not known at once.

        Args:
            url: path and query, as the request has them.
        """
        page = self._answered.get(url)
        if page is None:
            return None
        phases, rendered = self._source.fresh_phases(), page.rendered()
        if phases is None or rendered is None:
            return None
        phase = phases.phases.get((page.phase.competition, page.phase.phase))
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
        return page, rendered

    def protocol(self) -> type[HttpToolsProtocol]:
        """The protocol of connections, for uvicorn."""
        return type("Protocol", (AnsweringProtocol,), {"pages": self})


class AnsweringProtocol(HttpToolsProtocol):
    """Answers what :class:`AnsweredPages` knows as soon as a request's headers are read; the rest is uvicorn's."""

    pages: AnsweredPages
    _answered = False
    """Whether the request that is being read has its answer."""

    def on_headers_complete(self) -> None:
        self._answered = self._answer(time.perf_counter())
        if not self._answered:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._answered:
            super().on_message_complete()

    def _answer(self, began: float) -> bool:
        """False for the whole way: also where another answer is under way, or more than an answer is wanted."""
        if (self.cycle is not None and not self.cycle.response_complete) or self.flow.write_paused:
            return False
        method = self.parser.get_method()
        if self.parser.get_http_version() != "1.1" or method not in METHODS:
            return False
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            return False
        found = self.pages.find(self.url)
        if found is None:
            return False
        known = accepted = b""
        for name, value in self.headers:
            if name == b"if-none-match":
                known = known or value
            elif name == b"accept-encoding":
                accepted = accepted or value
            elif name in _MORE and not (name == b"connection" and value.lower() == b"keep-alive"):
                return False
        page, rendered = found
        form = rendered.choose_form(known.decode("latin-1"), accepted.decode("latin-1"))
        first, headers = page.heads[form]
        lines = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        head = b"".join((first, *lines, headers, b"\r\n"))
        # Apart, so that no large page is copied for each who asks.
        self.transport.writelines((head, rendered.content(form)) if method == b"GET" else (head,))
        page.count(form, began)
        self.on_response_complete()
        return True
