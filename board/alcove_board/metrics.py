"""What the server counts of itself. Of visitors nothing is kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

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
        self.failures = Counter(
            "alcove_board_server_failures_total", "Requests that could not be answered, by kind of error.", ("kind",),
            registry=self.registry,
        )  # fmt: skip
        self.cached = Gauge(
            "alcove_board_server_cached_bytes",
            "Bytes of boards that are kept in memory.",
            registry=self.registry,
        )
