"""The server as the image starts it, before a real MinIO with the chart's rights; only the API server is played."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3

from alcove_api import keys
from alcove_api.board_documents import BoardHistory
from alcove_api.leaderboard import BoardFile, LeaderboardStatus
from alcove_scorer.board import Board
from alcove_scorer.board_status import as_status
from alcove_scorer.job_aggregate import render_board
from alcove_store.client import put_bytes
from tests.cluster.stores import free_port
from tests.integration.pages import competition as made
from tests.integration.store.conftest import REGION, SetUpStore, certificate, set_up_store
from tests.unit.kube.server import Answer, ScriptedServer, serving

__all__ = ["certificate", "set_up_store"]
NAMESPACE = "hackathon"
COMPETITION = "spring-hackathon"
TITLE = "Spring hackathon"


@dataclass
class RunningServer:
    """The process, and what stands behind it."""

    port: int
    metrics_port: int
    store: SetUpStore
    cluster: ScriptedServer
    leaderboards: dict[str, dict[str, Any]]
    histories: dict[str, BoardHistory] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        shown = {name.replace("_", "-"): value for name, value in headers.items()}
        return urllib3.request(
            "GET", f"http://127.0.0.1:{self.port}{path}", headers=shown, redirect=False, retries=False
        )

    def metric(self, name: str) -> float:
        """A sample of the server's own metrics, by name and labels as Prometheus writes them; 0 where there is none."""
        text = urllib3.request("GET", f"http://127.0.0.1:{self.metrics_port}/metrics").data.decode()
        return next(
            (float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name} ")), 0.0
        )

    def publish(self, phase: str, board: Board | None = None, **rules: Any) -> dict[str, bytes]:
        """The phase as operator and aggregate job leave it: files in the store, digests in the Leaderboard."""
        files: dict[str, bytes] = {}
        status = LeaderboardStatus()
        now = datetime.now(UTC)
        if board is not None:
            files = render_board(board, self.histories.get(phase, BoardHistory()), now)
            self.histories[phase] = BoardHistory.model_validate_json(files["history.json"])
            digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
            listed = tuple(BoardFile(name=name, sha256=digest) for name, digest in digests.items())
            status = as_status(board, now).replace(files=listed)
            for name, data in files.items():
                put_bytes(self.store.client("aggregate"), keys.MAIN_BUCKET, self.key(phase, name), data)
        self.leaderboards[phase] = {
            "spec": {"competition": COMPETITION, "phase": phase, "rules": {"title": TITLE, **rules}},
            "status": status.model_dump(mode="json", by_alias=True, exclude={"conditions"}),
        }
        self.cluster.steps[:] = [Answer(body={"items": list(self.leaderboards.values())})]
        return files

    def set_rules(self, phase: str, **rules: Any) -> None:
        """What the Leaderboard publishes; its board stays."""
        self.leaderboards[phase]["spec"]["rules"] = {"title": TITLE, **rules}
        self.cluster.steps[:] = [Answer(body={"items": list(self.leaderboards.values())})]

    def key(self, phase: str, name: str) -> str:
        return keys.board(NAMESPACE, COMPETITION, phase, name)

    def wait_for(self, path: str, text: str) -> str:
        """The page at ``path``, once it has ``text``."""
        end = time.monotonic() + 20
        while text not in (page := str(self.get(path).data, "utf-8")):
            assert time.monotonic() < end, f"{path} never had {text!r}"
            time.sleep(0.1)
        return page


def board_of(teams: int, datasets: int = 3, generation: int = 1) -> Board:
    return made.competition(teams, datasets, generation=generation)


@pytest.fixture(scope="module")
def server(
    set_up_store: SetUpStore, certificate: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """With three phases: ``practice`` has a board, ``final`` has one that is hidden, and ``later`` has none."""
    folder = tmp_path_factory.mktemp("board")
    (folder / "credentials.json").write_bytes(set_up_store.credentials["board"].canonical())
    port, metrics_port = free_port(), free_port()
    with serving(Answer(body={"items": []})) as cluster:
        running = RunningServer(port, metrics_port, set_up_store, cluster, {})
        running.publish("practice", board_of(12))
        running.publish("final", board_of(5), revealsAt=(datetime.now(UTC) + timedelta(hours=2)).isoformat())
        running.publish("later")
        environment = {
            "PATH": os.environ["PATH"], "KUBECONFIG": cluster.kubeconfig(folder), "ALCOVE_PORT": str(port),
            "ALCOVE_METRICS_PORT": str(metrics_port), "ALCOVE_COMPETITION_NAMESPACE": NAMESPACE,
            "ALCOVE_STORE_ENDPOINT": set_up_store.server.url, "ALCOVE_STORE_REGION": REGION,
            "ALCOVE_STORE_BUCKET": keys.MAIN_BUCKET, "ALCOVE_STORE_CREDENTIALS": str(folder / "credentials.json"),
            "ALCOVE_STORE_CA": str(certificate / "ca.crt"),
            # Teams know the store by another name than this server does.
            "ALCOVE_STORE_SIGNED_ENDPOINT": SIGNED,
        }  # fmt: skip
        with started(environment, folder / "log") as process:
            wait_until_healthy(process, port, folder / "log")
            yield running


SIGNED = "https://store.example.org"


@contextmanager
def started(environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The server's process; it is told to end afterwards, and has to."""
    argv = [sys.executable, "-I", "-m", "alcove_board"]
    with log.open("wb") as output:
        process = subprocess.Popen(argv, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()


def wait_until_healthy(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            if urllib3.request("GET", f"http://127.0.0.1:{port}/-/healthz", retries=False).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            pass
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)
