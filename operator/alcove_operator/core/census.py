"""What the runs of one competition hold: places, or a place in the queue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from alcove_api.run_names import alias_of, repeat_of
from alcove_operator.core import capacity
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules
from alcove_operator.core.repeats import draw_resources
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
        uid, phase, team = view.uid, view.spec.phase, queue_team(view)
        for place, run in enumerate(view.status.runs):
            if run.phase in OVER:
                continue
            if run.attempt:
                running[uid, run.dataset] = team
                # Where its Job waits in Kueue, it is queued all the same.
                counts = queued if run.phase == "Queued" else active
                counts[phase] = counts.get(phase, 0) + 1
                continue
            queued[phase] = queued.get(phase, 0) + 1
            if not view.deleting and alias_of(run.dataset) in ready:
                waiting.append(capacity.Waiting(view.created_at, uid, place, run.dataset, team))
    return Census(tuple(waiting), running, queued, active)


class Pool(NamedTuple):
    """Runs that wait for the same places."""

    again: bool
    """Reruns have places of their own: in the others' queue, teams could tell from their own waits how long those of a
    blind phase took."""
    local_queue: str
    """Of Kueue; "" where the operator gives the places."""


def find_pool(competition: CompetitionView, view: SubmissionView | None) -> Pool:
    """Of a Submission's runs. ``view``: None where it is not indexed."""
    phase = competition.phase(view.spec.phase) if view is not None and view.spec is not None else None
    queue = PhaseRules(competition, phase).local_queue if phase else competition.spec.local_queue or ""
    return Pool(view is not None and view.original is not None, queue)


def find_pools(competition: CompetitionView, views: Iterable[SubmissionView]) -> dict[str, Pool]:
    """:func:`find_pool` of many, by UID."""
    known: dict[tuple[str, bool], Pool] = {}
    pools = {}
    for view in views:
        alike = (view.spec.phase if view.spec else "", view.original is not None)
        if alike not in known:
            known[alike] = find_pool(competition, view)
        pools[view.uid] = known[alike]
    return pools


def find_demand(competition: CompetitionView, views: Mapping[str, SubmissionView], key: capacity.Key) -> str:
    """What a run asks of a node, as text; "" where its phase is gone. ``views``: by UID."""
    view = views.get(key[0])
    phase = competition.phase(view.spec.phase) if view is not None and view.spec is not None else None
    return draw_resources(phase, repeat_of(key[1])).model_dump_json() if phase is not None else ""
