"""A small real HTTP server that answers as it is told: late, with a refusal, or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: Object | str = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Lost:
    """The request is taken; the connection ends without an answer."""


@dataclass(frozen=True)
class Silent:
    """The request is taken; no answer comes before the test ends."""


Step = Answer | Lost | Silent


def refusal(status: int, reason: str, message: str = "no", **headers: str) -> Answer:
    return Answer(status, {"kind": "Status", "reason": reason, "message": message}, headers)


@dataclass(frozen=True)
class Asked:
    verb: str
    path: str
    content: str
    body: Any
    """What its JSON says; the bytes of a form."""


@dataclass
class ScriptedServer:
    """Answers the n-th request by the n-th step, and those that follow by the last."""

    steps: list[Step]
    asked: list[Asked] = field(default_factory=list)
    port: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, asked: Asked) -> Step:
        with self._lock:
            self.asked.append(asked)
            return self.steps[min(len(self.asked), len(self.steps)) - 1]

    @property
    def verbs(self) -> list[str]:
        return [asked.verb for asked in self.asked]

    def kubeconfig(self, folder: Path) -> str:
        return write_kubeconfig(folder, f"http://127.0.0.1:{self.port}")


def write_kubeconfig(folder: Path, server: str) -> str:
    path = folder / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "users": [{"name": "test", "user": {"token": "secret"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path.write_text(yaml.safe_dump(document))
    return str(path)


@contextmanager
def serving(*steps: Step) -> Iterator[ScriptedServer]:
    script = ScriptedServer(list(steps))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            data = self.rfile.read(length)
            content = self.headers.get("Content-Type") or ""
            body = data if content.startswith("multipart/") else json.loads(data) if data else None
            step = script.take(Asked(self.command, self.path, content, body))
            if isinstance(step, Answer):
                self._answer(step)
            else:
                if isinstance(step, Silent):
                    script.over.wait()
                self.close_connection = True

        def _answer(self, step: Answer) -> None:
            text = step.body if isinstance(step.body, str) else json.dumps(step.body)
            data = text.encode()
            self.send_response(step.status)
            for name, value in {**step.headers, "Content-Length": str(len(data))}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield script
    finally:
        script.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
