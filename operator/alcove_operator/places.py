"""Gives the places of one competition to the runs that wait, and tells the others their place in the queue."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from alcove_operator.core import capacity, names, usage
from alcove_operator.core.census import Census, Pool, find_demand, find_pool, find_pools, queue_team
from alcove_operator.core.model import CompetitionView, QueuePlace, SubmissionView
from alcove_operator.core.reconcile_input import is_blind
from alcove_operator.core.run_ends import is_dead
from alcove_operator.index import Index, WorkKey
from alcove_operator.store_room import WAITS, StoreRoom
from alcove_operator.submissions import Submissions
from alcove_operator.workqueue import WorkQueue

VIEWS_A_TURN = 500
"""Submissions that are looked at before others go on."""


_ByUid = dict[str, frozenset[str]]
"""Aliases by UID of their Submission."""


def _group(keys: Iterable[capacity.Key]) -> _ByUid:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for uid, alias in keys:
        found[uid].add(alias)
    return {uid: frozenset(aliases) for uid, aliases in found.items()}


@dataclass
class Places:
    """Who goes next is decided without an await: a place given while others go on could be given twice."""

    index: Index
    queue: WorkQueue[WorkKey]
    submissions: Submissions
    room: StoreRoom | None
    """None where the store always has room."""

    async def give(
        self, competition: CompetitionView, views: Sequence[SubmissionView], counted: Census, now: datetime
    ) -> dict[str, int]:
        """A place that was given stays given until the run shows it: nobody else may get it in between.

        Args:
            views: the Submissions under way.
            counted: their runs.

        Returns: the first place in the queue of each Submission that waits, by UID.
        """
        given, kept, plans = self._decide(competition, views, counted, now)
        for view in views:
            mine = given.get(view.uid, frozenset()), kept.get(view.uid, frozenset())
            if self.submissions.grants.give(view.uid, *mine):
                self.queue.add(WorkKey("submission", view.namespace, view.name))
        return await self._tell_places(views, plans)

    def _decide(
        self, competition: CompetitionView, views: Sequence[SubmissionView], counted: Census, now: datetime
    ) -> tuple[_ByUid, _ByUid, dict[Pool, capacity.CapacityPlan]]:
        """All runs of each Submission that were given a place and wait still; those that have one and may begin another
        attempt; and what was decided on those that wait."""
        by_uid = {view.uid: view for view in views}
        granted = {
            view.uid: aliases for view in views if (aliases := self.submissions.grants.of(view.uid).aliases)
        }
        still_waiting = {
            (run.submission_uid, run.alias): run.team
            for run in counted.waiting
            if run.submission_uid in granted and run.alias in granted[run.submission_uid]
        }
        running = self._unseen(competition) | counted.running | still_waiting
        used = self._compute(competition, now)
        pools = find_pools(competition, views)
        given = set(still_waiting)
        plans: dict[Pool, capacity.CapacityPlan] = {}
        found = set(pools.values())
        for pool in sorted(found, reverse=True):
            waiting = counted.waiting
            if len(found) > 1:
                waiting = tuple(run for run in waiting if pools[run.submission_uid] == pool)
            plans[pool] = self._plan(competition, pool, waiting, running, pools, by_uid, used)
            given |= plans[pool].grants
            for key in plans[pool].grants:
                running[key] = queue_team(by_uid[key[0]])
        kept = self._keep(competition, running, pools, by_uid, now)
        return _group(given), _group(kept), plans

    def _keep(
        self,
        competition: CompetitionView,
        running: Mapping[capacity.Key, str],
        pools: Mapping[str, Pool],
        views: Mapping[str, SubmissionView],
        now: datetime,
    ) -> set[capacity.Key]:
        """The runs that may begin another attempt. ``pools`` and ``views``: by UID of the Submission."""
        held: defaultdict[Pool, list[capacity.Key]] = defaultdict(list)
        for key in running:
            held[pools.get(key[0]) or find_pool(competition, None)].append(key)
        kept: set[capacity.Key] = set()
        for pool, keys in held.items():
            # Kueue lets begin what there is room for.
            most = len(keys) if pool.local_queue else competition.spec.capacity
            repeated = [] if len(keys) <= most else self._list_repeated(keys, views, now)
            kept |= capacity.keep_places(keys, repeated, most)
        return kept

    def _list_repeated(
        self, keys: Sequence[capacity.Key], views: Mapping[str, SubmissionView], now: datetime
    ) -> list[capacity.Key]:
        """Those of ``keys`` of which nothing is under way: first those that were told before that they may go on, then
        first come, first served."""
        idle = [key for key in keys if key[0] in views and not self._is_under_way(key, views[key[0]], now)]

        def rank(key: capacity.Key) -> tuple[bool, datetime, str]:
            return key[1] not in self.submissions.grants.of(key[0]).kept, views[key[0]].created_at, key[0]

        return sorted(idle, key=rank)

    def _is_under_way(self, key: capacity.Key, view: SubmissionView, now: datetime) -> bool:
        """Whether a run that has a place has a pod that may run, or may get one without another attempt's beginning."""
        uid, alias = key
        run = next((run for run in view.status.runs if run.dataset == alias), None)
        if run is None or not run.attempt:
            return True
        jobs = {job.name for job in self.index.jobs_of(uid) if (job.role, job.alias) == (names.RUN, alias)}
        pods = [pod for pod in self.index.pods_of(uid) if pod.job == names.run_job(uid, alias, run.attempt)]
        if run.cause:
            return any(not is_dead(pod, self.submissions.settings, now) for pod in pods)
        return bool(jobs or pods)

    async def _tell_places(
        self, views: Sequence[SubmissionView], plans: Mapping[Pool, capacity.CapacityPlan]
    ) -> dict[str, int]:
        places: defaultdict[str, dict[str, QueuePlace]] = defaultdict(dict)
        first: dict[str, int] = {}
        for pool, plan in plans.items():
            await asyncio.sleep(0)
            for (uid, alias), place in plan.places.items():
                places[uid][alias] = capacity.round_place(place)
                if not pool.again:
                    first[uid] = min(place.position, first.get(uid, place.position))
        for begin in range(0, len(views), VIEWS_A_TURN):
            await asyncio.sleep(0)
            for view in views[begin : begin + VIEWS_A_TURN]:
                if self.submissions.grants.tell_places(view.uid, places.get(view.uid, {})):
                    self.queue.add(WorkKey("submission", view.namespace, view.name))
        return first

    def _plan(
        self,
        competition: CompetitionView,
        pool: Pool,
        waiting: Sequence[capacity.Waiting],
        running: Mapping[capacity.Key, str],
        pools: Mapping[str, Pool],
        views: Mapping[str, SubmissionView],
        used: Mapping[str, float],
    ) -> capacity.CapacityPlan:
        """For the runs of one pool. ``pools`` and ``views``: by UID of the Submission."""
        unseen, spec = find_pool(competition, None), competition.spec
        of = {key: pools.get(key[0], unseen) for key in running}
        held = {key: team for key, team in running.items() if of[key] == pool}
        elsewhere = Counter(
            team for key, team in running.items() if of[key] != pool and of[key].again is pool.again
        )
        parallel = spec.capacity if pool.again else spec.limits.parallel
        if self.room is not None and self.room.full:
            return capacity.grant_nothing(waiting, held, used, WAITS)
        if not pool.local_queue:
            return capacity.grant_places(waiting, held, used, spec.capacity, parallel, elsewhere)
        demand_of = partial(find_demand, competition, views)
        asked = {demand_of(key) for key in held if self._is_asked_for(key, views.get(key[0]))}
        return capacity.hand_to_kueue(waiting, held, used, parallel, asked, demand_of, elsewhere)

    def _is_asked_for(self, key: capacity.Key, view: SubmissionView | None) -> bool:
        """Whether Kueue has yet to let a Job of the run begin, one that is not made yet included.

        An attempt that had a pod, or whose end is decided, asks Kueue for nothing, though its Job is gone. ``view``: of
        its Submission; None where that is not indexed.
        """
        run = next((run for run in view.status.runs if run.dataset == key[1]), None) if view else None
        if run is not None and (run.pod_uid or run.cause):
            return False
        jobs = [job for job in self.index.jobs_of(key[0]) if job.role == names.RUN and job.alias == key[1]]
        latest = max(jobs, key=lambda job: job.attempt, default=None)
        return latest is None or latest.suspended

    def _compute(self, competition: CompetitionView, now: datetime) -> dict[str, float]:
        """Compute seconds of each team: what is settled, and what its Submissions under way have used so far."""
        phases = {phase.name: (phase, is_blind(phase, now)) for phase in competition.spec.phases}
        used = {}
        for team, counted in self.index.with_usage(competition).usage.items():
            used[team] = counted.compute_seconds
            for view in filter(None, map(self.index.submission_by_uid, counted.settling)):
                phase, hidden = phases.get(view.spec.phase if view.spec else "", (None, False))
                if phase is not None:
                    used[team] += usage.compute_seconds(view.status.runs, phase, now, hidden)
        return used

    def _unseen(self, competition: CompetitionView) -> dict[capacity.Key, str]:
        """Runs whose Jobs are there, though no Submission of theirs is indexed: they hold their places all the same."""
        return {
            (record.view.submission_uid, record.view.alias): record.labels.get(names.TEAM, "")
            for record in self.index.jobs.values()
            if record.view.role == names.RUN
            and not record.view.finished
            and record.labels.get(names.COMPETITION) == competition.name
            and self.index.submission_by_uid(record.view.submission_uid) is None
        }
