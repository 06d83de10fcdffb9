"""Whether the operator gets on, answered from a thread of its own: a busy event loop is not a dead one.

Alive is who makes progress. An event loop that stands still for a minute, or turns that are due of which none has ended
for two minutes, will not get better by waiting: every request and every turn ends within seconds, done or failed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STANDSTILL_SECONDS, STUCK_SECONDS = 60.0, 120.0
PATH = "/healthz"


@dataclass
class Liveness:
    """:meth:`beat` is called on the event loop, :meth:`find_problem` anywhere."""

    clock: Callable[[], float] = time.monotonic
    _beat_at: float = field(init=False)
    _progress_at: float = field(init=False)
    _turns: int = -1

    def __post_init__(self) -> None:
        self._beat_at = self._progress_at = self.clock()

    def beat(self, turns: int, waiting: int) -> None:
        """``turns``: that have ended so far; ``waiting``: that are due now."""
        self._beat_at = self.clock()
        if turns != self._turns or not waiting:
            self._turns, self._progress_at = turns, self._beat_at

    def find_problem(self) -> str:
        """A sentence; "" where there is none."""
        now = self.clock()
        if now - self._beat_at > STANDSTILL_SECONDS:
            return f"The event loop has stood still for {now - self._beat_at:.0f} s."
        if now - self._progress_at > STUCK_SECONDS:
            return f"Turns are due, and none has ended for {now - self._progress_at:.0f} s."
        return ""


@contextmanager
def answer_probes(liveness: Liveness, port: int) -> Iterator[int]:
    """Until the block ends; gives the port, a free one where ``port`` is 0. Raises OSError where it is taken."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            problem = liveness.find_problem() if self.path == PATH else "There is nothing here."
            found = HTTPStatus.SERVICE_UNAVAILABLE if self.path == PATH else HTTPStatus.NOT_FOUND
            text = (problem or "It gets on.").encode()
            self.send_response(found if problem else HTTPStatus.OK)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="liveness", daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
