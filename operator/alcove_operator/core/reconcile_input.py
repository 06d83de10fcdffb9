"""All that one Submission's next step depends on, in one frozen piece."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from alcove_api.competition import CompetitionSpec
from alcove_api.phase import LogPolicy, Phase, ScoringSpec
from alcove_api.run_names import alias_of
from alcove_api.schemes import BoardRanking
from alcove_operator.core.model import (
    CompetitionView,
    DatasetView,
    Facts,
    JobView,
    PodView,
    ReconcileSettings,
    SubmissionView,
)


@dataclass(frozen=True)
class PhaseRules:
    """What the Submission runs under."""

    competition: CompetitionView
    phase: Phase

    @property
    def spec(self) -> CompetitionSpec:
        return self.competition.spec

    @property
    def logs(self) -> LogPolicy:
        """What teams see of their runs' output."""
        return self.phase.logs or self.spec.logs

    @property
    def scoring(self) -> ScoringSpec:
        """The phase's own, or the competition's."""
        return self.phase.scoring or self.spec.scoring

    @property
    def local_queue(self) -> str:
        """Of Kueue: the phase's own, or the competition's; "" where neither names one."""
        return self.phase.local_queue or self.spec.local_queue or ""

    @property
    def ranking(self) -> BoardRanking:
        """The phase's own, or the competition's."""
        return self.phase.ranking or self.spec.ranking

    @property
    def penalty(self) -> float:
        """Standard deviations over the repeats that are taken off a dataset's mean."""
        if self.ranking != "mean-minus-std":
            return 0.0
        return 1.0 if self.phase.std_penalty is None else self.phase.std_penalty


@dataclass(frozen=True)
class ReconcileInput:
    submission: SubmissionView
    rules: PhaseRules
    datasets: Mapping[str, DatasetView]
    """By alias."""
    jobs: Mapping[str, JobView]
    """By name; of this Submission."""
    pods: Mapping[str, PodView]
    """By name of their Job; of this Submission."""
    facts: Facts
    settings: ReconcileSettings
    now: datetime

    @property
    def uid(self) -> str:
        return self.submission.uid

    @property
    def blind(self) -> bool:
        """Whether nothing of this Submission may be seen where it is: the organizer sees everything all along."""
        return not self.submission.of_organizer and is_blind(self.rules.phase, self.now)

    def dataset_of(self, run: str) -> DatasetView | None:
        """Of a run, by its name; None where the dataset is gone."""
        return self.datasets.get(alias_of(run))


def is_blind(phase: Phase, now: datetime) -> bool:
    """Whether nothing about the runs may be seen yet."""
    if phase.reveals_at is not None:
        return now < phase.reveals_at
    return phase.feedback.mode == "none"


def find_rules(submission: SubmissionView, competition: CompetitionView | None) -> PhaseRules | None:
    """None where the competition or its phase is gone."""
    if competition is None or submission.spec is None:
        return None
    phase = competition.phase(submission.spec.phase)
    return PhaseRules(competition, phase) if phase is not None else None


def pods_by_job(submission: SubmissionView, pods: Iterable[PodView]) -> dict[str, PodView]:
    """One pod a Job: the one whose records count, else the newest."""
    counted = {run.pod_uid for run in submission.status.runs}
    ordered = sorted(pods, key=lambda pod: (pod.uid in counted, pod.created_at, pod.uid))
    return {pod.job: pod for pod in ordered}


def datasets_by_alias(rules: PhaseRules, datasets: Mapping[str, DatasetView]) -> dict[str, DatasetView]:
    """A dataset that left the phase still serves the Submissions that were admitted before."""
    ordered = sorted(datasets.values(), key=lambda dataset: dataset.name, reverse=True)
    wanted = [datasets[name] for name in rules.phase.datasets if name in datasets]
    return {dataset.alias: dataset for dataset in (*ordered, *wanted)}
