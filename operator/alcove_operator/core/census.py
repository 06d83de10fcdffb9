"""What the runs of one competition hold: places, or a place in the queue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from alcove_api.run_names import alias_of
from alcove_operator.core import capacity
from alcove_operator.core.model import SubmissionView
from alcove_operator.core.run_ends import OVER
from alcove_operator.core.status import ENDED


@dataclass(frozen=True)
class Census:
    """Runs of one competition, by what they hold."""

    waiting: tuple[capacity.Waiting, ...]
    running: dict[capacity.Key, str]
    queued: dict[str, int]
    """Runs that wait, for whatever reason, by phase."""
    active: dict[str, int]
    """Runs that hold a place, by phase."""


def queue_team(view: SubmissionView) -> str:
    """As whose run it is queued. What the organizer has run is no team's use: it must not hold back, or let show
    through, what the team itself submits."""
    return f"{view.namespace}/{view.team}" if view.of_organizer else view.namespace


def count_submissions(submissions: Iterable[SubmissionView], ready: frozenset[str]) -> Census:
    """Counts the runs of ``submissions``; only those on datasets whose alias is in ``ready`` can be given a place."""
    waiting: list[capacity.Waiting] = []
    running: dict[capacity.Key, str] = {}
    queued: dict[str, int] = {}
    active: dict[str, int] = {}
    for view in submissions:
        if view.spec is None or view.status.phase in ENDED:
            continue
        for place, run in enumerate(view.status.runs):
            if run.phase in OVER:
                continue
            if run.attempt:
                running[view.uid, run.dataset] = queue_team(view)
                # Where its Job waits in Kueue, it is queued all the same.
                counts = queued if run.phase == "Queued" else active
                counts[view.spec.phase] = counts.get(view.spec.phase, 0) + 1
                continue
            queued[view.spec.phase] = queued.get(view.spec.phase, 0) + 1
            if not view.deleting and alias_of(run.dataset) in ready:
                waiting.append(
                    capacity.Waiting(view.created_at, view.uid, place, run.dataset, queue_team(view))
                )
    return Census(tuple(waiting), running, queued, active)
