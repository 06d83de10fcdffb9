"""Prometheus metrics: one for every promise. Nothing of a blind phase is counted before its reveal.

Only what exists has series: those of a team that has left the board, or of a competition that is gone, are dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from alcove_api.submission import RunStatus, SubmissionStatus
from alcove_operator.board_series import GAUGES, Series
from alcove_operator.core.causes import CAUSES_BY_PAYER
from alcove_operator.core.model import CompetitionView, PodView, SubmissionView
from alcove_operator.core.reconcile_input import is_blind
from alcove_operator.core.run_ends import OVER, find_start_times
from alcove_operator.index import WorkKind
from alcove_operator.store_metrics import Measured, StoreMetrics

_WAITS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400)
_STAGES = (0.5, 1, 2, 5, 10, 20, 60, 120, 300, 900)
_INSTANTS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_TURNS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_STANDSTILLS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_PHASE = ("competition", "phase")
# A gauge beside each counter and histogram, which nothing reads: a third more series.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class RunEvidence:
    """What is known of one run beside its status, when the status is written."""

    created_at: datetime | None = None
    """Of its newest Job."""
    pod: PodView | None = None


class _Shown(Collector):
    """The gauges of all competitions, each as its last turn has made them."""

    def __init__(self) -> None:
        self.series: dict[str, Series] = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        # A scrape is another thread: what it reads is replaced as a whole, and never changed.
        known = list(self.series.values())
        for name, (documentation, labels) in GAUGES.items():
            family = GaugeMetricFamily(name, documentation, labels=labels)
            for series in known:
                for values, number in series.get(name, {}).items():
                    family.add_metric(values, number)
            yield family


@dataclass
class Metrics:
    registry: CollectorRegistry = field(default_factory=lambda: CollectorRegistry(auto_describe=True))
    _shown: _Shown = field(default_factory=_Shown)
    _counted: set[tuple[str, str]] = field(default_factory=set)
    """Competitions and phases that any histogram or counter is about."""

    def __post_init__(self) -> None:
        self.registry.register(self._shown)
        ProcessCollector(registry=self.registry)
        self._make_time_histograms()
        self._make_run_metrics()
        self._make_operator_metrics()
        self._make_fault_metrics()
        self.store = StoreMetrics(self.registry)

    def _histogram(self, name: str, documentation: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, documentation, _PHASE, buckets=buckets, registry=self.registry)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self.registry)

    def _gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        return Gauge(name, documentation, labels, registry=self.registry)

    def _measured(self, name: str, documentation: str) -> Measured:
        return Measured(name, documentation, self.registry)

    def _make_time_histograms(self) -> None:
        self.queue_wait = self._histogram(
            "alcove_queue_wait_seconds", "From a run's admission to the start of its first attempt.", _WAITS
        )
        self.pull_time = self._histogram(
            "alcove_pull_seconds",
            "Image pulls of a run: from its node to staging, and from the end of that to its own container.",
            _STAGES,
        )
        self.stage_time = self._histogram(
            "alcove_stage_seconds", "How long it took to bring data and code to a run.", _STAGES
        )
        self.start_time = self._histogram(
            "alcove_start_seconds",
            "From the creation of a run's Job to its go: scheduling, image pull and staging.",
            _STAGES,
        )
        self.overshoot = self._histogram(
            "alcove_overshoot_seconds",
            "From the end of the budget to the end of the participant's last process.",
            _INSTANTS,
        )
        self.stamp_lag = self._histogram(
            "alcove_stamp_lag_seconds",
            "Longest time of a run from the first sight of a prediction to its stamp.",
            _INSTANTS,
        )
        self.score_time = self._histogram(
            "alcove_score_seconds", "From the end of a Submission's last run to its score.", _WAITS
        )
        self.aggregate_time = self._histogram(
            "alcove_aggregate_seconds", "From the creation of an aggregate Job to its end.", _WAITS
        )
        self._histograms = (
            self.queue_wait, self.pull_time, self.stage_time, self.start_time, self.overshoot, self.stamp_lag,
            self.score_time, self.aggregate_time,
        )  # fmt: skip

    def _make_run_metrics(self) -> None:
        self.runs = self._counter(
            "alcove_runs_total",
            "Runs that ended, by cause and by who bears it.",
            *_PHASE,
            "cause",
            "charged_to",
        )
        self.lost_attempts = self._counter(
            "alcove_attempts_lost_total",
            "Attempts of runs that ended by a fault of the platform, whether or not they were repeated.",
            *_PHASE,
        )
        self.snapshots = self._counter(
            "alcove_snapshots_total",
            "Predictions that runs saved; result: taken or refused.",
            *_PHASE,
            "result",
        )
        self.stale_since = self._gauge(
            "alcove_board_stale_since_timestamp_seconds",
            "Since when there is something that the board does not show yet; Unix time. Absent where it shows all.",
            *_PHASE,
        )
        self._per_phase = (
            *self._histograms, self.runs, self.lost_attempts, self.snapshots, self.stale_since,
        )  # fmt: skip

    def _make_operator_metrics(self) -> None:
        self.work_age = self._measured(
            "alcove_work_queue_age_seconds", "How long the key that has waited longest has been due."
        )
        self.work_depth = self._measured("alcove_work_queue_depth", "Keys that are due and wait.")
        self.work_failures = self._counter(
            "alcove_work_failures_total", "Turns that failed and were repeated.", "kind"
        )
        for kind in get_args(WorkKind):
            self.work_failures.labels(kind)
        self.turn_cpu = Histogram(
            "alcove_turn_cpu_seconds",
            "Processor time of one turn, by what it was about.",
            ("kind",),
            buckets=_TURNS,
            registry=self.registry,
        )
        self.standstill = Histogram(
            "alcove_loop_standstill_seconds",
            "How long the event loop worked on while something else was due; looked at every 20 ms.",
            buckets=_STANDSTILLS,
            registry=self.registry,
        )
        self.api_requests = self._counter(
            "alcove_api_requests_total", "Requests to the API server, watches left out.", "verb", "resource"
        )
        self.api_failures = self._counter(
            "alcove_api_failures_total",
            "Requests that failed; status: of HTTP, 0 where there was no answer. 404 and 409 are answers.",
            "verb",
            "resource",
            "status",
        )

    def _make_fault_metrics(self) -> None:
        self.scorer_failures = self._counter(
            "alcove_scorer_failures_total",
            "Jobs of the scorer that failed, without blind phases; role: score, aggregate or check.",
            "role",
        )
        self.scorer_fault_at = self._gauge(
            "alcove_scorer_fault_timestamp_seconds",
            "When a Job of the scorer for a blind phase failed last; Unix time. Absent where none has since the start.",
            "role",
        )
        self.platform_fault_at = self._gauge(
            "alcove_platform_fault_timestamp_seconds",
            "When a fault of the platform last cost a run of any phase an attempt; Unix time, 0: not since the start.",
        )
        self.overdue_starts = self._measured(
            "alcove_runs_overdue_start",
            "Runs of all phases that have had a Job for half of the start timeout, and no go.",
        )
        self.renewal_failures = self._counter(
            "alcove_credentials_renewal_failures_total", "Renewals of a Job's store credentials that failed."
        )
        self.overdue_credentials = self._measured(
            "alcove_credentials_overdue_runs",
            "Runs under way whose store credentials have less than a third of their life left; renewed at half.",
        )

    def show(self, competition: str, series: Series) -> None:
        """The gauges of one competition, in place of those before; what is counted of other phases of it goes.

        What is counted of its phases begins with 0: of a counter that begins with 1, Prometheus sees no increase.
        """
        self._shown.series[competition] = series
        phases = {(labels[0], labels[1]) for labels in series.get("alcove_runs_running", {})}
        self._drop({(name, phase) for name, phase in self._counted if name == competition} - phases)
        self._counted |= phases
        for labels in phases:
            for metric in (*self._histograms, self.lost_attempts):
                metric.labels(*labels)
            for result in ("taken", "refused"):
                self.snapshots.labels(*labels, result)
            for payer, causes in CAUSES_BY_PAYER.items():
                for cause in causes:
                    self.runs.labels(*labels, cause, payer or "nobody")

    def show_stale(self, competition: str, phase: str, since: datetime | None) -> None:
        """``since``: when the board began to lack something; None where it lacks nothing."""
        if since is not None:
            self._counted.add((competition, phase))
            self.stale_since.labels(competition, phase).set(since.timestamp())
        else:
            self.stale_since.remove_by_labels({"competition": competition, "phase": phase})

    def count_request(self, verb: str, plural: str) -> None:
        """What is counted of those without an answer begins with 0, for the same reason as in :meth:`show`."""
        self.api_requests.labels(verb, plural).inc()
        self.api_failures.labels(verb, plural, "0")

    def count_failed_request(self, verb: str, plural: str, status: int) -> None:
        self.api_failures.labels(verb, plural, str(status)).inc()

    def forget(self, competitions: Collection[str]) -> None:
        """Drops all series of competitions other than these."""
        for competition in self._shown.series.keys() - competitions:
            self.store.forget(competition)
            del self._shown.series[competition]
        self._drop({(name, phase) for name, phase in self._counted if name not in competitions})

    def _drop(self, gone: Collection[tuple[str, str]]) -> None:
        for name, phase in gone:
            for metric in self._per_phase:
                metric.remove_by_labels({"competition": name, "phase": phase})
        self._counted -= set(gone)

    def observe(
        self,
        view: SubmissionView,
        new: SubmissionStatus,
        competition: CompetitionView | None,
        evidence: Mapping[str, RunEvidence],
        now: datetime,
    ) -> None:
        """Counts what a written change of status says. ``evidence``: of each run, by alias."""
        phase = competition.phase(view.spec.phase) if competition and view.spec else None
        if competition is None or phase is None:
            return
        before = {run.dataset: run for run in view.status.runs}
        changes = [(before.get(run.dataset, RunStatus(dataset=run.dataset)), run) for run in new.runs]
        # No participant can bring it about, so it tells nothing of how runs end, nor of what they score: also of a
        # blind phase it is said that there was one, and neither where nor how many.
        if any(_is_attempt_lost(old, run) for old, run in changes):
            self.platform_fault_at.set(now.timestamp())
        if is_blind(phase, now):
            return
        labels = (competition.name, phase.name)
        self._counted.add(labels)
        for old, run in changes:
            self._run(old, run, labels, evidence.get(run.dataset, RunEvidence()), now)
        ends = [run.ended_at for run in new.runs if run.ended_at is not None]
        if view.status.phase == "Scoring" and new.phase == "Done" and ends:
            self.score_time.labels(*labels).observe(max(0.0, (now - max(ends)).total_seconds()))

    def observe_aggregate(self, competition: str, phase: str, seconds: float) -> None:
        self._counted.add((competition, phase))
        self.aggregate_time.labels(competition, phase).observe(seconds)

    def _run(
        self, old: RunStatus, new: RunStatus, labels: tuple[str, str], evidence: RunEvidence, now: datetime
    ) -> None:
        if _is_attempt_lost(old, new):
            self.lost_attempts.labels(*labels).inc()
        if old.attempt == 0 and new.attempt == 1 and new.queued_at is not None:
            self.queue_wait.labels(*labels).observe((now - new.queued_at).total_seconds())
        if new.phase in OVER and old.phase not in OVER:
            self._start(new, labels, evidence)
            self._end(new, labels, evidence.pod)

    def _start(self, run: RunStatus, labels: tuple[str, str], evidence: RunEvidence) -> None:
        """Told at the end: only then does anybody say when staging ended, and when the go was."""
        if run.started_at is not None and evidence.created_at is not None:
            waited = (run.started_at - evidence.created_at).total_seconds()
            self.start_time.labels(*labels).observe(max(0.0, waited))
        times = find_start_times(evidence.pod)
        if times.pulled_at is None or times.staged_at is None:
            return
        self.stage_time.labels(*labels).observe((times.staged_at - times.pulled_at).total_seconds())
        scheduled = evidence.pod.scheduled_at if evidence.pod else None
        if scheduled is not None and times.launched_at is not None:
            pulled = (times.pulled_at - scheduled) + (times.launched_at - times.staged_at)
            self.pull_time.labels(*labels).observe(max(0.0, pulled.total_seconds()))

    def _end(self, run: RunStatus, labels: tuple[str, str], pod: PodView | None) -> None:
        self.runs.labels(*labels, run.cause, run.charged_to or "nobody").inc()
        if run.overshoot_ms is not None and run.cause == "DeadlineReached":
            self.overshoot.labels(*labels).observe(run.overshoot_ms / 1000)
        report = pod.report if pod is not None else None
        if report is None:
            return
        self.snapshots.labels(*labels, "taken").inc(report.snapshots)
        self.snapshots.labels(*labels, "refused").inc(report.refused)
        if report.snapshots:
            self.stamp_lag.labels(*labels).observe(report.stamp_lag_ns / 1e9)


def _is_attempt_lost(old: RunStatus, new: RunStatus) -> bool:
    """Whether a fault of the platform has ended an attempt between the two."""
    repeated = old.attempt > 0 and new.attempt > old.attempt
    return repeated or (new.charged_to == "Platform" and new.phase in OVER and old.phase not in OVER)
