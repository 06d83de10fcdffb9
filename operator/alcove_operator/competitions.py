"""One turn on one Competition: is it sound, who goes next, how many run, and is its ranking up to date."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from alcove_api.base import Conditions
from alcove_api.competition import PhaseStatus
from alcove_api.leaderboard import PublishedRules
from alcove_kube.client import Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import COMPETITIONS, LEADERBOARDS, LOCAL_QUEUES, SUBMISSIONS
from alcove_operator.api import Api
from alcove_operator.audit_list import AuditList
from alcove_operator.clock import utc_now
from alcove_operator.config import OperatorSettings
from alcove_operator.core import decisions, names, placement
from alcove_operator.core.census import Census, count_submissions
from alcove_operator.core.conditions import READY, ConditionValue, find_condition, set_condition
from alcove_operator.core.model import CompetitionView, PodView
from alcove_operator.core.phases import describe_phases
from alcove_operator.core.published_rules import publish_rules
from alcove_operator.core.reconcile_input import PhaseRules, is_blind
from alcove_operator.executor import to_json
from alcove_operator.index import Index, WorkKey
from alcove_operator.looks import Looks
from alcove_operator.metrics import Metrics
from alcove_operator.places import Places
from alcove_operator.preparation import find_queue_problem, ready_condition
from alcove_operator.store_room import ROOM, StoreRoom
from alcove_operator.submissions import Submissions
from alcove_operator.team_list import TeamList
from alcove_operator.unwatched import Unknown, UnwatchedObjects
from alcove_operator.workqueue import WorkQueue

log = logging.getLogger(__name__)
QUEUE_SECONDS = 20.0
"""Between two looks at the LocalQueue of Kueue."""


TURN_PAUSE = 200e-6
"""Seconds between two turns for each Submission under way: a competition takes a part of the operator's time that does
not grow with it."""
COUNTS_PAUSE = 0.9
"""Seconds between two writes of the Competition's status where only its counts of runs are others."""


@dataclass
class _Pace:
    """When, on the event loop's clock, the next turn of a competition may do what."""

    turn_at: float = 0.0
    counts_at: float = 0.0


@dataclass
class Competitions:
    api: Api
    index: Index
    queue: WorkQueue[WorkKey]
    submissions: Submissions
    settings: OperatorSettings
    metrics: Metrics
    looks: Looks
    audit: AuditList
    teams: TeamList
    room: StoreRoom | None = None
    """None where the store always has room."""
    clock: Callable[[], datetime] = utc_now
    _unwatched: UnwatchedObjects = field(init=False)
    _places: Places = field(init=False)
    _paces: dict[str, _Pace] = field(default_factory=dict)
    """By UID."""

    def __post_init__(self) -> None:
        self._unwatched = UnwatchedObjects(self.api)
        self._places = Places(self.index, self.queue, self.submissions, self.room)

    async def work(self, key: WorkKey) -> None:
        await self._look_at_queue(key)
        competition = self.index.competitions.get((key.namespace, key.name))
        if competition is None:
            self.metrics.forget({known.name for known in self.index.competitions.values()})
            return
        now, pace = self.clock(), self._paces.setdefault(competition.uid, _Pace())
        if (wait := pace.turn_at - _seconds()) > 0:
            self.queue.add(key, wait)
            return
        if competition.status.usage:
            await self._move_usage(key, competition)
            return
        # What has ended holds no place: a turn costs as much as there is under way, however much was before.
        found = self.index.open_submissions_of(key.namespace, key.name)
        views = [self.submissions.newcomers.see(view) for view in found if not view.shows_rerun]
        pace.turn_at = _seconds() + TURN_PAUSE * len(views)
        ready = frozenset(
            record.spec.alias
            for ref, record in self.index.datasets.items()
            if ref[0] == key.namespace and record.view.ready
        )
        counted = count_submissions(views, ready)
        queue = await self._places.give(competition, views, counted, now)
        # First: what is seen to have taken effect may be taken back at once, and would never be in the list.
        known = self.index.versions.get((COMPETITIONS, key.namespace, key.name))
        if known is None:
            return
        again = await self.audit.update(key.namespace, key.name, competition.uid, known.generation)
        if again is not None:
            self.queue.add(key, again)
        await self._write(key, competition.uid, counted, now)
        await self._boards(competition)
        self.looks.ask(competition, known.generation, queue)

    def forget(self, competitions: Collection[str]) -> None:
        """Drops what it knows of all but these, by their UIDs."""
        self._paces = {uid: pace for uid, pace in self._paces.items() if uid in competitions}
        self.looks.forget(competitions)

    async def _look_at_queue(self, key: WorkKey) -> None:
        """Notes whether Kueue's LocalQueues, where the competition names some, can admit anything. Nothing is watched,
        so they are looked at again and again."""
        competition, namespace = self.index.competitions.get((key.namespace, key.name)), key.namespace
        if competition is None:
            return
        named = {PhaseRules(competition, phase).local_queue for phase in competition.spec.phases} - {""}
        for name in sorted(named):
            found = await self._unwatched.look(LOCAL_QUEUES, name, QUEUE_SECONDS / 2, namespace)
            problem = None if isinstance(found, Unknown) else find_queue_problem(name, namespace, found)
            self.index.queue_problems[namespace, name] = problem
        if named:
            self.queue.add(key, QUEUE_SECONDS)

    async def _write(self, key: WorkKey, uid: str, counted: Census, now: datetime) -> None:
        competition = self.index.competitions.get((key.namespace, key.name))
        if competition is None or competition.uid != uid:
            # Deleted since the turn began, or another of this name, which has turns of its own.
            return
        # The view and its version belong together: nothing is awaited in between.
        generation, version = self.index.versions[COMPETITIONS, key.namespace, key.name]
        old = competition.status
        update = {
            "observed_generation": generation,
            "conditions": self._conditions(competition, generation, now),
            "phases": self._phases(competition, counted, now),
            "running": sum(counted.active.values()),
            "queued": sum(counted.queued.values()),
            "summary": describe_phases(competition.spec.phases, now),
        }
        new = old.replace(**update)
        if new == old:
            return
        pace = self._paces.setdefault(uid, _Pace())
        only_counts = new.replace(running=old.running, queued=old.queued, phases=old.phases) == old
        if only_counts and (wait := pace.counts_at - _seconds()) > 0:
            self.queue.add(key, wait)
            return
        pace.counts_at = _seconds() + COUNTS_PAUSE
        body = {"metadata": {"resourceVersion": str(version)}, "status": to_json(new)}
        try:
            made = await self.api.patch(COMPETITIONS, key.namespace, key.name, body, "status")
        except ApiError as error:
            if not error.conflict:
                raise
            newest = await self.api.get(COMPETITIONS, key.namespace, key.name)
            self.index.apply(COMPETITIONS, newest)
            self.queue.add(key)
            return
        self.index.apply(COMPETITIONS, made)

    def _conditions(self, competition: CompetitionView, generation: int, now: datetime) -> Conditions:
        ready = ready_condition(competition, self.index)
        knows = partial(self._knows, competition)
        teams = self.teams.namespaces
        decided = decisions.find_condition(competition.spec, teams, competition.namespace, knows)
        found: dict[str, ConditionValue] = {READY: ready, decisions.DECISIONS: decided}
        conditions = competition.status.conditions
        if self.room is not None and (self.room.full or find_condition(conditions, ROOM) is not None):
            found[ROOM] = self.room.describe()
        found[placement.FITTING] = placement.find_condition(self._pods_of_runs(competition))
        for kind, value in found.items():
            conditions = set_condition(conditions, kind, value, generation=generation, now=now)
        return conditions

    def _phases(
        self, competition: CompetitionView, counted: Census, now: datetime
    ) -> tuple[PhaseStatus, ...]:
        return tuple(
            PhaseStatus(
                name=phase.name,
                submissions=self.index.count_submissions(competition.namespace, competition.name, phase.name),
                running=0 if is_blind(phase, now) else counted.active.get(phase.name, 0),
                queued=0 if is_blind(phase, now) else counted.queued.get(phase.name, 0),
                message=self.looks.messages(competition.uid).get(phase.name, ""),
            )
            for phase in competition.spec.phases
        )

    def _pods_of_runs(self, competition: CompetitionView) -> list[tuple[str, PodView]]:
        """With the name of their phase."""
        wanted = {names.ROLE: names.RUN, names.COMPETITION: competition.name}
        pods = (pod for pod in self.index.pods.values() if wanted.items() <= pod.labels.items())
        return [(pod.labels.get(names.PHASE, ""), pod.view) for pod in pods]

    def _knows(self, competition: CompetitionView, team: str, submission: str) -> bool:
        """False only where it is certain that there is no such Submission, and none that counts though it is gone.

        A rerun is in the competition's namespace, whose ever it is.
        """
        for namespace in (team, competition.namespace):
            found = self.index.submissions.get((namespace, submission))
            if not self.index.is_filled(SUBMISSIONS, namespace) or (found is not None and found.team == team):
                return True
        counted = self.looks.rankings.counted.list_names(competition)
        return counted is None or (team, submission) in counted

    async def _move_usage(self, key: WorkKey, competition: CompetitionView) -> None:
        """Of earlier releases, which kept it in the Competition's status; the next turn goes on from there."""
        await self.submissions.executor.usage.move(competition)
        self.queue.add(key)

    async def _boards(self, competition: CompetitionView) -> None:
        for phase in competition.spec.phases:
            ref = (competition.namespace, phase.name)
            rules = publish_rules(competition.spec, phase, self.settings.board_url)
            found = self.index.leaderboards.get(ref)
            if found is None:
                made = await self._make_board(competition, phase.name, rules)
            elif found.competition == competition.name and found.rules != rules:
                # With its nulls: they take away what was published before.
                body = {"spec": {"rules": rules.model_dump(mode="json", by_alias=True)}}
                made = await self.api.patch(LEADERBOARDS, *ref, body)
            else:
                continue
            self.index.apply(LEADERBOARDS, made)

    async def _make_board(self, competition: CompetitionView, phase: str, rules: PublishedRules) -> Object:
        owner = {"apiVersion": COMPETITIONS.api_version, "kind": "Competition"}
        body = {
            "apiVersion": LEADERBOARDS.api_version,
            "kind": "Leaderboard",
            "metadata": {
                "name": phase,
                "namespace": competition.namespace,
                "ownerReferences": [{**owner, "name": competition.name, "uid": competition.object_uid}],
            },
            "spec": {"competition": competition.name, "phase": phase, "rules": to_json(rules)},
        }
        try:
            return await self.api.create(LEADERBOARDS, competition.namespace, body)
        except ApiError as error:
            if not error.conflict:
                raise
            return await self.api.get(LEADERBOARDS, competition.namespace, phase)


def _seconds() -> float:
    return asyncio.get_running_loop().time()
