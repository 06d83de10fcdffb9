"""What is wrong with Jobs, of all phases: these are faults of the platform, so they are shown for blind ones too.

A prediction may make a scorer's Job fail. So for a blind phase only the time of the last failure is shown, not how many
there were.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alcove_operator.core import names
from alcove_operator.core.reconcile_input import is_blind
from alcove_operator.datasets import read_result
from alcove_operator.index import Index
from alcove_operator.job_credentials import JobCredentials
from alcove_operator.metrics import Metrics
from alcove_operator.records import AGGREGATE, CHECK, JobRecord

SCORER_ROLES = (names.SCORE, AGGREGATE, CHECK)


@dataclass
class JobsHealth:
    index: Index
    credentials: JobCredentials
    metrics: Metrics
    _failed: set[str] = field(default_factory=set)
    """UIDs of the scorer's Jobs that were counted as failed, while they exist."""

    def __post_init__(self) -> None:
        for role in SCORER_ROLES:
            self.metrics.scorer_failures.labels(role)

    def measure(self, now: datetime) -> None:
        """Counts anew. Never awaits."""
        failed = {
            record.view.uid: (namespace, record)
            for (namespace, _), record in self.index.jobs.items()
            if record.view.role in SCORER_ROLES
            and record.view.finished == "Failed"
            and not self._found_unsound(record)
        }
        for uid in failed.keys() - self._failed:
            namespace, record = failed[uid]
            if record.view.role != CHECK and self._is_hidden(namespace, record, now):
                self.metrics.scorer_fault_at.labels(record.view.role).set(now.timestamp())
            else:
                self.metrics.scorer_failures.labels(record.view.role).inc()
        self._failed = set(failed)
        live = {
            name: record
            for name, record in self.index.jobs.items()
            if record.is_run and not record.view.finished and not record.view.deleting
        }
        late = sum(self._is_late(namespace, record, now) for (namespace, _), record in live.items())
        self.metrics.overdue_starts.set(late)
        self.metrics.overdue_credentials.set(self.credentials.count_overdue([job for _, job in live]))

    def _is_hidden(self, namespace: str, record: JobRecord, now: datetime) -> bool:
        """Whether it is of a blind phase, or of one that is not known."""
        competition = self.index.competitions.get((namespace, record.labels.get(names.COMPETITION, "")))
        phase = competition.phase(record.labels.get(names.PHASE, "")) if competition else None
        return phase is None or is_blind(phase, now)

    def _found_unsound(self, record: JobRecord) -> bool:
        """Whether it is a check that was done: that a Dataset is unsound is no fault of the scorer's."""
        if record.view.role != CHECK:
            return False
        told = (pod.message for pod in self.index.pods.values() if pod.view.job == record.view.name)
        return any(read_result(message) is not None for message in told)

    def _is_late(self, namespace: str, record: JobRecord, now: datetime) -> bool:
        """Whether it has had half of the start timeout, and the participant's container has not begun."""
        competition = self.index.competitions.get((namespace, record.labels.get(names.COMPETITION, "")))
        if competition is None:
            return False
        patience = timedelta(seconds=competition.spec.start_timeout_seconds / 2)
        pods = [pod for pod in self.index.pods_of(record.view.submission_uid) if pod.job == record.view.name]
        begun = any(pod.main is not None and pod.main.started_at is not None for pod in pods)
        return not begun and record.view.created_at + patience < now
