"""What Prometheus is told of the object store, and the gauge that is absent while its value is not known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from alcove_operator.store_disks import DiskSpace


class Measured(Collector):
    """A gauge without labels, absent while its value is not known: one of the library begins with 0."""

    def __init__(self, name: str, documentation: str, registry: CollectorRegistry) -> None:
        self._name, self._documentation = name, documentation
        self._value: float | None = None
        registry.register(self)

    def set(self, value: float | None) -> None:
        """``value``: None where it is not known (any more)."""
        self._value = value

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._documentation)
        if (value := self._value) is not None:
            family.add_metric((), value)
        yield family


class StoreMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.up = Measured(
            "alcove_store_up", "Whether the object store answered last (1) or not (0).", registry
        )
        self.has_room = Measured(
            "alcove_store_has_room",
            "Whether the object store took the last probe that it answered (1) or is full (0). Absent where not known.",
            registry,
        )
        self.errors = Counter(
            "alcove_store_errors_total",
            "Probes of the object store that failed; reason: unavailable or refused.",
            ("reason",),
            registry=registry,
        )
        for reason in ("unavailable", "refused"):
            self.errors.labels(reason)
        self._prefix_bytes = Gauge(
            "alcove_store_prefix_bytes",
            "Bytes below each prefix, old versions too; counted once an hour. Nothing that may be of a blind phase.",
            ("prefix",),
            registry=registry,
        )
        self._team_bytes = Gauge(
            "alcove_team_store_bytes",
            "Bytes of a team's Submissions without a blind phase, and, while there is none, uploads; old versions too. "
            "Of the 50 teams that have most; counted once an hour.",
            ("competition", "team"),
            registry=registry,
        )
        self._free_bytes = Measured(
            "alcove_store_free_bytes",
            "Bytes free on the store's disks. Absent while the store does not say.",
            registry,
        )
        self._size_bytes = Measured(
            "alcove_store_size_bytes",
            "Bytes of the store's disks. Absent while the store does not say.",
            registry,
        )

    def show_disks(self, space: DiskSpace | None) -> None:
        """``space``: None where the store does not say."""
        self._free_bytes.set(space.free_bytes if space else None)
        self._size_bytes.set(space.size_bytes if space else None)

    def show_prefix_bytes(self, sizes: Mapping[str, int]) -> None:
        """``sizes``: by the first part of the keys, in place of those before."""
        self._prefix_bytes.clear()
        for prefix, size in sizes.items():
            self._prefix_bytes.labels(prefix).set(size)

    def show_team_bytes(self, competition: str, sizes: Mapping[str, int]) -> None:
        """``sizes``: by team, in place of those before."""
        self.forget(competition)
        for team, size in sizes.items():
            self._team_bytes.labels(competition, team).set(size)

    def forget(self, competition: str) -> None:
        """Drops what is told of its teams."""
        self._team_bytes.remove_by_labels({"competition": competition})
