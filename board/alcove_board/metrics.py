"""What the server counts of itself. Of visitors nothing is kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from alcove_board.source import NotYetWrittenError
from alcove_kube.errors import ApiError
from alcove_store.errors import (
    StoreDeniedError,
    StoreError,
    StoreNotFoundError,
    StoreTooLargeError,
    StoreUnavailableError,
)

READS = ("leaderboards", "file", "versions", "activity")
STATUSES = ("200", "304", "404", "503")
FAILURES = (
    ApiError, StoreError, StoreUnavailableError, StoreDeniedError, StoreNotFoundError, StoreTooLargeError,
    NotYetWrittenError,
)  # fmt: skip
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
# A gauge beside each counter and histogram, which nothing reads: a third more series.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass
class ServerMetrics:
    registry: CollectorRegistry = field(default_factory=lambda: CollectorRegistry(auto_describe=True))

    def __post_init__(self) -> None:
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "alcove_board_server_requests_total", "Answers, by kind of address and status.", ("address", "status"),
            registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "alcove_board_server_request_seconds", "From a request to the end of its answer.", ("address",),
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.reads = Counter(
            "alcove_board_server_reads_total",
            "What was asked of the API server and the store: leaderboards, file, versions or activity.",
            ("what",), registry=self.registry,
        )  # fmt: skip
        # Of a counter that begins with 1, Prometheus sees no increase.
        for what in READS:
            self.reads.labels(what)
        self.failures = Counter(
            "alcove_board_server_failures_total", "Requests that could not be answered, by kind of error.", ("kind",),
            registry=self.registry,
        )  # fmt: skip
        for kind in FAILURES:
            self.failures.labels(kind.__name__)
        self.cached = Gauge(
            "alcove_board_server_cached_bytes",
            "Bytes of boards that are kept in memory.",
            registry=self.registry,
        )

    def begin(self, addresses: Iterable[str]) -> None:
        """Starts what is counted of each kind of address with 0."""
        for address in addresses:
            self.seconds.labels(address)
            for status in STATUSES:
                self.requests.labels(address, status)
