"""Toxiproxy between the parts of a cluster: what goes over a connection comes late, is lost, or ends it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3

from tests.cluster.binaries import binaries
from tests.cluster.versions import binary_path
from tests.demo.hackathon import DemoError, wait_for

CONTROL = 8474
"""Port on which it is told what to do."""
PATIENCE = 15.0
"""Seconds for an answer."""


@dataclass(frozen=True)
class Toxiproxy:
    control: str
    """URL."""

    def add(self, name: str, listen: str, upstream: str) -> None:
        """A proxy; both addresses are host:port."""
        self._ask("POST", "/proxies", {"name": name, "listen": listen, "upstream": upstream, "enabled": True})

    def redirect(self, name: str, upstream: str) -> None:
        """Every connection that is there ends."""
        self._ask("POST", f"/proxies/{name}", {"upstream": upstream})

    def spoil(self, name: str, toxic: str, **attributes: int) -> None:
        """What goes from the server to its clients, over the connections that are there and over new ones."""
        body = {"name": toxic, "type": toxic, "stream": "downstream", "attributes": attributes}
        self._ask("POST", f"/proxies/{name}/toxics", body)

    def heal(self, name: str, toxic: str) -> None:
        """Also where it is healed already."""
        self._ask("DELETE", f"/proxies/{name}/toxics/{toxic}", done=(404,))

    def _ask(self, method: str, path: str, body: object = None, done: tuple[int, ...] = ()) -> None:
        url = f"{self.control}{path}"
        try:
            answer = urllib3.request(method, url, json=body, timeout=PATIENCE, retries=False)
        except urllib3.exceptions.HTTPError as error:
            raise DemoError(f"Toxiproxy does not answer: {error}") from error
        if answer.status >= 300 and answer.status not in done:
            raise DemoError(f"Toxiproxy refused {method} {path}: {answer.data.decode(errors='replace')}")


@contextmanager
def run_toxiproxy(host: str, log: Path) -> Iterator[Toxiproxy]:
    """One that runs on this machine's address ``host``. Raises DemoError."""
    binaries(["toxiproxy"], lambda _: None)
    found = Toxiproxy(f"http://{host}:{CONTROL}")
    argv = [str(binary_path("toxiproxy")), "-host", host, "-port", str(CONTROL)]
    with log.open("ab") as output, subprocess.Popen(argv, stdout=output, stderr=output) as process:

        def answers() -> bool:
            try:
                return bool(urllib3.request("GET", f"{found.control}/version", retries=False).status == 200)
            except urllib3.exceptions.HTTPError:
                return False

        try:
            wait_for("an answer of Toxiproxy", answers, 30)
            yield found
        finally:
            process.kill()
