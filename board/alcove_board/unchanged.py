"""What most requests ask: is the page still the one that the browser has? Answered before any routing.

Of a page that everyone may see, what it was made of when it was last answered is remembered. A later request is told
that nothing is new only while all of that is the same and the phase is not hidden at this moment; any other request
goes the whole way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from starlette.types import Scope

from alcove_api.board_documents import PhaseActivity
from alcove_api.errors import AlcoveError
from alcove_board.published import PublishedPhase
from alcove_board.source import BoardSource


@dataclass(frozen=True)
class AnsweredPage:
    """The newest answer to an address of a phase, and what it was made of."""

    route: str
    """Its address with the names of its parameters, as metrics have it."""
    phase: PublishedPhase
    activity: PhaseActivity | None
    etag: str


class UnchangedPages:
    def __init__(self, source: BoardSource, clock: Callable[[], datetime]) -> None:
        self._source, self._clock = source, clock
        self._answered: dict[str, AnsweredPage] = {}
        """By path. Recorded of phases that there are alone: organizers make them, visitors cannot."""

    def record(self, path: str, page: AnsweredPage) -> None:
        """``page``: an answer with status 200 or 304 that anyone would have got."""
        self._answered[path] = page

    async def find(self, scope: Scope) -> AnsweredPage | None:
        """The page that the request asks for, where the browser has it as it would be answered now; else None."""
        page = self._answered.get(scope["path"])
        if page is None or scope["method"] not in ("GET", "HEAD") or not _has(scope, page.etag):
            return None
        try:
            phase = (await self._source.phases()).get((page.phase.competition, page.phase.phase))
            if phase is None:
                self._answered.pop(scope["path"], None)
                return None
            if phase.digest != page.phase.digest or phase.is_hidden(self._clock()):
                return None
            if page.activity is not None and await self._source.read_activity(phase) != page.activity:
                return None
        except AlcoveError:
            return None
        return page


def _has(scope: Scope, etag: str) -> bool:
    """Whether the request says that the browser has the page of that name."""
    known = next((value for name, value in scope["headers"] if name == b"if-none-match"), b"")
    return etag.encode() in known
