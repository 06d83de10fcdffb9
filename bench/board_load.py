"""A crowd before the web server of boards, beside nginx (Debian) with the same file. All traffic stays on loopback.

    python -m bench.board_load [--viewers 1000] [--seconds 4] [--teams 50]

needs Debian's packages ``nginx-light`` and ``wrk``. The server is one process, nginx has one worker; the crowd has the
other core. First the viewers follow a board as browsers do, each with a look every 5 s, while a new board comes. Then
``wrk`` asks as fast as it is answered, of both servers in turn, round after round: the median of the rounds' ratios
is shown. Processor time per answer says the same on a machine that has other work too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import hashlib
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import urllib3
from minio.credentials import StaticProvider

from alcove_api import keys
from alcove_api.board_documents import BoardHistory
from alcove_api.documents import StoreCredentials
from alcove_api.leaderboard import BoardFile
from alcove_scorer.board_status import as_status
from alcove_scorer.job_aggregate import render_board
from alcove_store.client import client, put_bytes
from bench.__main__ import heading
from tests.cluster.api import StoreServer, minio_server
from tests.cluster.stores import free_port
from tests.integration.pages.competition import competition
from tests.unit.kube.server import Answer, ScriptedServer, serving

ROUNDS = 5
EVERY = 5.0
"""Seconds between two looks of a browser, as templates/live.js has it."""
PATH = "/spring-hackathon/practice"


@dataclass
class Site:
    """The server as the image starts it, an object store, and an API server that answers as it is told."""

    port: int
    metrics_port: int
    process: subprocess.Popen[bytes]
    minio: StoreServer
    cluster: ScriptedServer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"

    def publish(self, teams: int, generation: int) -> None:
        publish(self.minio, self.cluster, teams, generation)

    def reads(self) -> dict[str, float]:
        """What was asked of API server and store, as the server counts it."""
        text = urllib3.request("GET", f"http://127.0.0.1:{self.metrics_port}/metrics").data.decode()
        found = re.findall(r'^alcove_board_server_reads_total\{what="(\w+)"\} (\S+)$', text, re.M)
        return {name: float(count) for name, count in found}

    def memory(self) -> float:
        """MiB resident at most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024


def publish(minio: StoreServer, cluster: ScriptedServer, teams: int, generation: int) -> None:
    board = competition(teams, 5, generation=generation)
    now = datetime.now(UTC)
    files = render_board(board, BoardHistory(), now)
    store = client(minio.url, "us-east-1", StaticProvider(minio.access_key, minio.secret_key))
    if not store.bucket_exists(keys.MAIN_BUCKET):
        store.make_bucket(keys.MAIN_BUCKET)
    for name, data in files.items():
        put_bytes(
            store, keys.MAIN_BUCKET, keys.board("hackathon", "spring-hackathon", "practice", name), data
        )
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    listed = tuple(BoardFile(name=name, sha256=digest) for name, digest in digests.items())
    status = (
        as_status(board, now)
        .replace(files=listed)
        .model_dump(mode="json", by_alias=True, exclude={"conditions"})
    )
    spec = {"competition": "spring-hackathon", "phase": "practice"}
    cluster.steps[:] = [Answer(body={"items": [{"spec": spec, "status": status}]})]


@contextlib.contextmanager
def running_site(folder: Path, teams: int) -> Iterator[Site]:
    port, metrics_port = free_port(), free_port()
    with minio_server(lambda _: None) as minio, serving(Answer(body={"items": []})) as cluster:
        publish(minio, cluster, teams, 1)
        credentials = StoreCredentials(access_key=minio.access_key, secret_key=minio.secret_key)
        (folder / "credentials.json").write_bytes(credentials.canonical())
        environment = {
            "PATH": os.environ["PATH"], "KUBECONFIG": cluster.kubeconfig(folder), "ALCOVE_PORT": str(port),
            "ALCOVE_METRICS_PORT": str(metrics_port), "ALCOVE_COMPETITION_NAMESPACE": "hackathon",
            "ALCOVE_STORE_ENDPOINT": minio.url, "ALCOVE_STORE_REGION": "us-east-1",
            "ALCOVE_STORE_BUCKET": keys.MAIN_BUCKET, "ALCOVE_STORE_CREDENTIALS": str(folder / "credentials.json"),
            "MALLOC_ARENA_MAX": "1",
        }  # fmt: skip
        process = subprocess.Popen([sys.executable, "-I", "-m", "alcove_board"], env=environment)
        try:
            wait_for(f"http://127.0.0.1:{port}{PATH}")
            yield Site(port, metrics_port, process, minio, cluster)
        finally:
            process.terminate()
            process.wait(20)


@contextlib.contextmanager
def running_nginx(folder: Path, page: bytes) -> Iterator[tuple[str, int]]:
    """One worker with the page as a file, compressed beforehand as our server has it; gives address and process."""
    port = free_port()
    (folder / "www").mkdir()
    (folder / "www" / "board.html").write_bytes(page)
    (folder / "www" / "board.html.gz").write_bytes(gzip.compress(page, 6))
    (folder / "nginx.conf").write_text(
        f"master_process off; pid {folder}/pid; error_log {folder}/error.log; events {{ worker_connections 4096; }}\n"
        f"http {{ access_log off; gzip_static on; keepalive_requests 1000000; types {{ text/html html; }}\n"
        f"client_body_temp_path {folder}/t; proxy_temp_path {folder}/t; fastcgi_temp_path {folder}/t;\n"
        f"uwsgi_temp_path {folder}/t; scgi_temp_path {folder}/t;\n"
        f"server {{ listen 127.0.0.1:{port}; root {folder}/www; }} }}\n"
    )
    os.chmod(folder, 0o755)
    process = subprocess.Popen(["/usr/sbin/nginx", "-c", str(folder / "nginx.conf"), "-g", "daemon off;"])
    try:
        wait_for(f"http://127.0.0.1:{port}/board.html")
        yield f"http://127.0.0.1:{port}/board.html", process.pid
    finally:
        process.terminate()
        process.wait(20)


def wait_for(url: str) -> None:
    end = time.monotonic() + 60
    while True:
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            if urllib3.request("GET", url, retries=False).status == 200:
                return
        if time.monotonic() > end:
            raise TimeoutError(f"{url} did not answer within 60 s")
        time.sleep(0.05)


@dataclass
class Crowd:
    """Viewers with a connection each, who ask for what they have and are told that nothing is new, mostly."""

    port: int
    etags: dict[int, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    fresh: int = 0
    unchanged: int = 0

    async def follow(self, viewers: int, until: float) -> None:
        await asyncio.gather(*(self._view(i, until) for i in range(viewers)))

    async def _view(self, viewer: int, until: float) -> None:
        await asyncio.sleep(random.uniform(0, EVERY))
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            while time.monotonic() < until:
                asked = (
                    f"GET {PATH} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n"
                    f"If-None-Match: {self.etags.get(viewer, '')}\r\n\r\n"
                )
                began = time.perf_counter()
                writer.write(asked.encode())
                await self._take(viewer, reader)
                self.seconds.append(time.perf_counter() - began)
                await asyncio.sleep(EVERY * random.uniform(0.8, 1.2))
        finally:
            writer.close()

    async def _take(self, viewer: int, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status = head.split()[1]
        fields = dict(re.findall(r"^([\w-]+): (.*?)\r$", head.lower(), re.M))
        await reader.readexactly(int(fields.get("content-length", 0)))
        if status not in ("200", "304"):
            raise ValueError(f"the server answered {status}")
        self.etags[viewer] = re.findall(r"(?mi)^etag: (.*?)\r$", head)[0]
        self.fresh += status == "200"
        self.unchanged += status == "304"


@dataclass(frozen=True)
class Served:
    """What one server did in one round."""

    rate: float
    """Answers a second."""
    microseconds: float
    """Processor time of the server per answer."""


def ask_fast(url: str, pid: int, seconds: int, viewers: int, *headers: str) -> Served:
    """What ``wrk`` gets of the process ``pid`` by as many connections."""
    argv = ["wrk", "-t1", f"-c{viewers}", f"-d{seconds}s", "--timeout", "30s"]
    argv += [part for header in ("Accept-Encoding: gzip", *headers) for part in ("-H", header)]
    before = processor_seconds(pid)
    done = subprocess.run([*argv, url], capture_output=True, text=True, check=True).stdout
    spent = processor_seconds(pid) - before
    if "Non-2xx" in done and "If-None-Match" not in " ".join(headers):
        raise ValueError(f"{url} did not answer all: {done}")
    answers = int(re.findall(r"(\d+) requests in", done)[0])
    return Served(float(re.findall(r"Requests/sec:\s+([\d.]+)", done)[0]), 1e6 * spent / answers)


def processor_seconds(pid: int) -> float:
    """Of one process, with all its threads, in user mode and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def compare(site: Site, nginx: tuple[str, int], seconds: int, viewers: int, *, conditional: bool) -> str:
    """Asks both in turn."""
    rounds = []
    for _ in range(ROUNDS):
        served = []
        for url, pid in ((site.url, site.process.pid), nginx):
            etag = urllib3.request("GET", url, headers={"Accept-Encoding": "gzip"}).headers["ETag"]
            headers = [f"If-None-Match: {etag}"] if conditional else []
            served.append(ask_fast(url, pid, seconds, viewers, *headers))
        rounds.append(served)
    ours, theirs = zip(*rounds, strict=True)
    ratio = statistics.median(a.rate / b.rate for a, b in rounds)
    rates = [statistics.median(each.rate for each in found) for found in (ours, theirs)]
    times = [statistics.median(each.microseconds for each in found) for found in (ours, theirs)]
    what = "nothing new (304)" if conditional else "the whole page, gzip"
    return (
        f"| answers a second, {what} | {rates[0]:,.0f} | {rates[1]:,.0f} | {ratio:.2f} | nginx, one worker, the same "
        f"file; processor time per answer {times[0]:.0f} µs and {times[1]:.0f} µs; {site.memory():.0f} MiB of ours at "
        f"most |"
    )


def measure(viewers: int, seconds: int, teams: int) -> list[str]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="alcove-load-") as name:
        folder = Path(name)
        with running_site(folder, teams) as site:
            page = urllib3.request("GET", site.url).data
            before = site.reads()
            crowd = Crowd(site.port)

            async def follow_and_change() -> None:
                following = asyncio.create_task(crowd.follow(viewers, time.monotonic() + 4 * EVERY))
                await asyncio.sleep(2 * EVERY)
                await asyncio.to_thread(site.publish, teams, 2)
                await following

            asyncio.run(follow_and_change())
            reads = {what: count - before.get(what, 0) for what, count in site.reads().items()}
            spent = sorted(crowd.seconds)
            p50, p99 = statistics.median(spent), spent[int(0.99 * len(spent))]
            rows.append(
                f"| {viewers:,} viewers follow a board of {teams} teams ({len(page) >> 10} KiB), and a new one comes: "
                f"p99 (median) | {1000 * p99:.1f} ms ({1000 * p50:.1f} ms) | – | – | {crowd.fresh:,} boards and "
                f"{crowd.unchanged:,} answers without content; {reads.get('file', 0):.0f} read of the store and "
                f"{reads.get('leaderboards', 0):.0f} of the API server; {site.memory():.0f} MiB at most |"
            )
            with running_nginx(folder, page) as nginx:
                for conditional in (True, False):
                    rows.append(compare(site, nginx, seconds, viewers, conditional=conditional))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.board_load", description=__doc__)
    parser.add_argument("--viewers", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--teams", type=int, default=50)
    arguments = parser.parse_args()
    missing = [name for name in ("wrk", "/usr/sbin/nginx") if shutil.which(name) is None]
    if missing:
        print(f"Missing: {', '.join(missing)}. Install Debian's nginx-light and wrk.", file=sys.stderr)
        return 1
    rows = measure(arguments.viewers, arguments.seconds, arguments.teams)
    print(
        heading()
        + "\n| figure | Alcove | baseline | ratio | the baseline, and what else |\n|---|---|---|---|---|"
    )
    print("\n".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
