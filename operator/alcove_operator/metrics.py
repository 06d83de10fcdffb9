"""Prometheus metrics: one for every promise. Nothing of a blind phase is counted before its reveal.

Only what exists has series: those of a team that has left the board, or of a competition that is gone, are dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from alcove_api.submission import RunStatus, SubmissionStatus
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.core.reconcile_input import is_blind
from alcove_operator.core.run_ends import OVER

_WAITS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400)
_STAGES = (0.5, 1, 2, 5, 10, 20, 60, 120, 300, 900)
_OVERSHOOTS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


@dataclass
class Metrics:
    registry: CollectorRegistry = field(default_factory=lambda: CollectorRegistry(auto_describe=True))
    _ranked: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    """Teams with a rank, by competition and phase."""
    _competitions: set[str] = field(default_factory=set)
    """Those that any series is about."""

    def __post_init__(self) -> None:
        labels = ("competition", "phase")
        self.queue_wait = Histogram(
            "alcove_queue_wait_seconds",
            "From a run's admission to the start of its first attempt.",
            labels,
            buckets=_WAITS,
            registry=self.registry,
        )
        self.start_time = Histogram(
            "alcove_start_seconds",
            "From the creation of a run's Job to the start of the participant's container: scheduling, image "
            "pull and staging.",
            labels,
            buckets=_STAGES,
            registry=self.registry,
        )
        self.overshoot = Histogram(
            "alcove_overshoot_seconds",
            "From the end of the budget to the end of the participant's last process.",
            labels,
            buckets=_OVERSHOOTS,
            registry=self.registry,
        )
        self.runs = Counter(
            "alcove_runs_total",
            "Runs that ended, by cause and by who bears it.",
            (*labels, "cause", "charged_to"),
            registry=self.registry,
        )
        self.rank = Gauge("alcove_rank", "Rank of each team.", (*labels, "team"), registry=self.registry)
        self.running = Gauge(
            "alcove_runs_running", "Runs under way.", ("competition",), registry=self.registry
        )
        self.queued = Gauge("alcove_runs_queued", "Runs that wait.", ("competition",), registry=self.registry)
        self.work_age = Gauge(
            "alcove_work_queue_age_seconds",
            "How long the key that has waited longest has been due.",
            registry=self.registry,
        )
        self.work_depth = Gauge(
            "alcove_work_queue_depth", "Keys that are due and wait.", registry=self.registry
        )
        self.work_failures = Counter(
            "alcove_work_failures_total",
            "Turns that failed and were repeated.",
            ("kind",),
            registry=self.registry,
        )
        self.api_requests = Counter(
            "alcove_api_requests_total",
            "Requests to the API server, watches left out.",
            ("verb", "resource"),
            registry=self.registry,
        )

    def show_ranks(self, competition: str, phase: str, ranks: Mapping[str, int]) -> None:
        """The board of one phase: rank by team. Teams that are no longer on it lose their series."""
        self._competitions.add(competition)
        for team in self._ranked.get((competition, phase), frozenset()) - ranks.keys():
            self.rank.remove(competition, phase, team)
        for team, rank in ranks.items():
            self.rank.labels(competition, phase, team).set(rank)
        self._ranked[competition, phase] = frozenset(ranks)

    def show_load(self, competition: str, running: int, queued: int) -> None:
        """Runs of one competition that are under way, and that wait."""
        self._competitions.add(competition)
        self.running.labels(competition).set(running)
        self.queued.labels(competition).set(queued)

    def forget(self, phases: Mapping[str, Collection[str]]) -> None:
        """Drops all series of competitions and phases other than ``phases`` (by competition)."""
        for gone in self._competitions - phases.keys():
            for metric in (
                self.queue_wait,
                self.start_time,
                self.overshoot,
                self.runs,
                self.running,
                self.queued,
            ):
                metric.remove_by_labels({"competition": gone})
        self._competitions &= phases.keys()
        for competition, phase in list(self._ranked):
            if phase not in phases.get(competition, ()):
                self.show_ranks(competition, phase, {})
                del self._ranked[competition, phase]
        self._competitions &= phases.keys()

    def observe(
        self,
        view: SubmissionView,
        new: SubmissionStatus,
        competition: CompetitionView | None,
        created: Mapping[str, datetime],
        now: datetime,
    ) -> None:
        """Counts what a written change of status says. ``created``: of the newest Job of each run, by alias."""
        phase = competition.phase(view.spec.phase) if competition and view.spec else None
        if competition is None or phase is None or is_blind(phase, now):
            return
        labels = (competition.name, phase.name)
        self._competitions.add(competition.name)
        before = {run.dataset: run for run in view.status.runs}
        for run in new.runs:
            old = before.get(run.dataset, RunStatus(dataset=run.dataset))
            self._run(old, run, labels, now)
            if run.started_at and not old.started_at and run.dataset in created:
                waited = (run.started_at - created[run.dataset]).total_seconds()
                self.start_time.labels(*labels).observe(waited)

    def _run(self, old: RunStatus, new: RunStatus, labels: tuple[str, str], now: datetime) -> None:
        if old.attempt == 0 and new.attempt == 1 and new.queued_at is not None:
            self.queue_wait.labels(*labels).observe((now - new.queued_at).total_seconds())
        if new.phase in OVER and old.phase not in OVER:
            self.runs.labels(*labels, new.cause, new.charged_to or "nobody").inc()
            if new.overshoot_ms is not None and new.cause == "DeadlineReached":
                self.overshoot.labels(*labels).observe(new.overshoot_ms / 1000)
