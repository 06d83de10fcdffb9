"""What is missing before a phase can take Submissions: the condition Ready, the metric behind the alert, and
``alcove preflight`` all say it from here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from alcove_api.phase import Phase
from alcove_api.schemes import SCHEMES, find_metric_mismatch
from alcove_kube.client import Object
from alcove_kube.resources import DATASETS
from alcove_operator.core.conditions import ConditionValue
from alcove_operator.core.model import CompetitionView
from alcove_operator.core.reconcile_input import PhaseRules
from alcove_operator.index import Index

ProblemKind = Literal["board", "dataset", "queue"]
PROBLEM_KINDS: tuple[ProblemKind, ...] = ("board", "dataset", "queue")
_FLOAT = 4
"""Bytes of a number in the predictions that the runner of model.py writes."""


@dataclass(frozen=True)
class Problem:
    """One thing that a phase lacks."""

    phase: str
    kind: ProblemKind
    reason: str
    """One CamelCase word."""
    message: str
    """What is wrong and what to do."""
    dataset: str = ""
    """Name of the Dataset, where it is about one."""
    checking: bool = False
    """Whether it passes by itself: the Dataset is being checked."""


def find_problems(competition: CompetitionView, index: Index) -> Iterator[Problem]:
    """Of all phases, in their order; none where everything is there."""
    aliases: dict[str, str] = {}
    for phase in competition.spec.phases:
        queue = PhaseRules(competition, phase).local_queue
        problem_of_queue = index.queue_problems.get((competition.namespace, queue))
        if problem_of_queue is not None:
            yield Problem(phase.name, "queue", *problem_of_queue)
        board = index.leaderboards.get((competition.namespace, phase.name))
        if board is not None and board.competition != competition.name:
            said = f"The Competition {board.competition} in this namespace has a phase {phase.name} too"
            why = "and a Leaderboard has the name of its phase, so nobody is ranked in this one"
            told = f"{said}, {why}. Give the phase another name."
            yield Problem(phase.name, "board", "PhaseNameTaken", told)
        for name in phase.datasets:
            problem = _dataset_problem(competition, phase, name, index, aliases)
            if problem is not None:
                yield problem


def find_queue_problem(name: str, namespace: str, found: Object | None) -> tuple[str, str] | None:
    """Reason and message where Kueue can admit nothing from the LocalQueue ``name``; None where nothing is known to
    stand against it. ``found``: the LocalQueue; None where there is none."""
    waits = "so no run starts."
    if found is None:
        remedy = "Install Kueue (0.15 or later) and make it, or take the queue's name (localQueue) out."
        return "QueueMissing", f"There is no LocalQueue {name} of Kueue in {namespace}, {waits} {remedy}"
    for condition in (found.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Active" and condition.get("status") == "False":
            said = str(condition.get("message") or condition.get("reason") or "it does not say why")
            return "QueueStopped", f"Kueue's LocalQueue {name} is not active, {waits} Kueue says: {said}"
    return None


def _dataset_problem(
    competition: CompetitionView, phase: Phase, name: str, index: Index, aliases: dict[str, str]
) -> Problem | None:
    """``aliases``: name of the first Dataset that has each; it is added to."""

    def problem(reason: str, message: str, checking: bool = False) -> Problem:
        return Problem(phase.name, "dataset", reason, message, name, checking)

    unreadable = index.unreadable.get((DATASETS, competition.namespace, name))
    if unreadable is not None:
        return problem("DatasetUnreadable", f"The Dataset {name} cannot be read: {unreadable}. Correct it.")
    record = index.datasets.get((competition.namespace, name))
    if record is None:
        remedy = f"Apply a Dataset of that name, or take it out of spec.phases of {competition.name}."
        return problem("DatasetMissing", f"Phase {phase.name} names the Dataset {name}. {remedy}")
    other = aliases.setdefault(record.spec.alias, name)
    if other != name:
        said = f"The Datasets {other} and {name} both have the alias {record.spec.alias}."
        return problem("AliasTaken", f"{said} Give one of them another spec.alias.")
    if (phase.ranking or competition.spec.ranking) == "performance-profile" and record.spec.target is None:
        said = f"Phase {phase.name} ranks by how soon targets are reached, and the Dataset {name} has none."
        return problem("TargetMissing", f"{said} Set its spec.target.")
    scoring = phase.scoring or competition.spec.scoring
    mismatch = find_metric_mismatch(scoring.metric or SCHEMES[scoring.scheme].metric, record.view.task)
    if mismatch:
        said = f"Phase {phase.name} cannot score the Dataset {name}: {mismatch}"
        return problem(
            "MetricDoesNotFit", f"{said} Set scoring.metric; datasets of other tasks need another phase."
        )
    least = _FLOAT * record.view.n_test * record.view.n_labels
    if least > competition.spec.limits.recorded_bytes:
        said = f"One prediction on the Dataset {name} takes {least} bytes, but a run may save fewer."
        return problem("NoRoomToPredict", f"{said} Raise spec.limits.recordedBytes to many times that.")
    if record.view.ready is None:
        return problem("DatasetsAreChecked", f"The Dataset {name} is being checked.", checking=True)
    if not record.view.ready:
        return problem("DatasetNotReady", f"The Dataset {name} is not ready: {record.view.reason}")
    return None


def ready_condition(competition: CompetitionView, index: Index) -> ConditionValue:
    """Status, reason and message of the condition Ready: the first problem that does not pass by itself."""
    problems = list(find_problems(competition, index))
    for problem in problems:
        if not problem.checking:
            return "False", problem.reason, problem.message
    if problems:
        checked = ", ".join(dict.fromkeys(problem.dataset for problem in problems))
        return "Unknown", "DatasetsAreChecked", f"These Datasets are being checked: {checked}."
    return "True", "Ready", "Submissions are taken."
