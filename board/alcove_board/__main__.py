"""``python -m alcove_board``: the web server of boards, with its settings from the environment."""

from __future__ import annotations

import logging
import sys

import uvicorn
from prometheus_client import start_http_server

from alcove_api.errors import AlcoveError
from alcove_board.app import BoardServer
from alcove_board.metrics import ServerMetrics
from alcove_board.reports import ReportLinks
from alcove_board.settings import BoardSettings
from alcove_board.source import BoardSource
from alcove_kube.client import KubeClient
from alcove_store.client import connect

CONNECTIONS = 8192
"""At the same time; more are answered 503."""
KEEP_ALIVE = 75
"""Seconds that a connection may idle: a browser that follows a board asks every 5."""
API_TIMEOUT = (2.0, 10.0)


def main() -> int:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    try:
        serve(BoardSettings.from_environment())
    except AlcoveError as error:
        logging.getLogger("alcove_board").error("%s", error)
        return 1
    return 0


def serve(settings: BoardSettings) -> None:
    """Until it is told to end."""
    metrics = ServerMetrics()
    kube = KubeClient.from_pod()
    kube.patience, kube.timeout = 0.0, API_TIMEOUT
    store = connect(settings.store, read_timeout=5.0)
    bucket = settings.store.bucket
    source = BoardSource(
        kube, store, bucket, settings.namespace, lambda what: metrics.reads.labels(what).inc()
    )
    links = ReportLinks(settings.store.endpoint, settings.signed_endpoint, bucket)
    if settings.metrics_port:
        start_http_server(settings.metrics_port, registry=metrics.registry)
    server = BoardServer(source, links, metrics)
    uvicorn.run(
        server.build(), http=server.answered.protocol(), host="0.0.0.0", port=settings.port, access_log=False,
        server_header=False, proxy_headers=False, limit_concurrency=CONNECTIONS, timeout_graceful_shutdown=5,
        timeout_keep_alive=KEEP_ALIVE, log_level="warning", ws="none",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
