"""Keeps the ranking of each phase up to date: asks for an aggregation when what counts has changed, and hands the
ranks on to the Submissions.

What was asked for last is in the Leaderboard (``spec.requested``), so nothing is forgotten when the operator restarts.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alcove_api.base import GROUP
from alcove_api.board_documents import AggregateRequest, BoardExclusion, BoardSubmission
from alcove_api.leaderboard import LeaderboardStatus, RequestedBoard
from alcove_api.phase import Phase
from alcove_kube.resources import JOBS, LEADERBOARDS, SUBMISSIONS
from alcove_operator.api import Api
from alcove_operator.config import OperatorSettings
from alcove_operator.core import boards, names, scoring
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.core.picks import PhasePicks
from alcove_operator.core.reconcile_input import PhaseRules, is_blind
from alcove_operator.core.status import cut_line
from alcove_operator.counted import CountedKeeper
from alcove_operator.executor import Executor, to_json
from alcove_operator.index import Index
from alcove_operator.metrics import Metrics
from alcove_operator.rank_writer import RankWriter
from alcove_operator.records import AGGREGATE, BoardRecord, JobRecord
from alcove_operator.scorer_jobs import aggregate_job
from alcove_operator.team_list import TeamList

log = logging.getLogger(__name__)
GENERATION = f"{GROUP}/generation"
MESSAGE = 256
"""Characters of a phase's message."""
AGAIN = timedelta(seconds=60)
"""After a failed aggregation, this long after it was asked for it is asked for again."""


@dataclass
class Rankings:
    api: Api
    index: Index
    executor: Executor
    settings: OperatorSettings
    metrics: Metrics
    teams: TeamList
    counted: CountedKeeper = field(init=False)
    ranks: RankWriter = field(init=False)
    failing: dict[tuple[str, str], str] = field(default_factory=dict)
    """By competition and phase: why the last board that was asked for is not made."""
    _current: set[tuple[str, str]] = field(default_factory=set)
    """Competitions and phases whose board showed all that counts when it was last looked at."""
    _stale: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """Since when each other board has not."""
    _measured: dict[tuple[str, str], str] = field(default_factory=dict)
    """UID of the last aggregate Job whose time was taken."""
    _picks: dict[tuple[str, str], PhasePicks] = field(default_factory=dict)
    """By the Competition's UID and the phase."""

    def __post_init__(self) -> None:
        self.counted = CountedKeeper(self.index, self.executor.store, self.teams)
        self.ranks = RankWriter(self.api, self.index, self.executor.store)

    async def work(self, competition: CompetitionView, now: datetime) -> float | None:
        """Returns after how many seconds it wants to look again, though nothing happens."""
        wishes = [await self._phase(competition, phase, now) for phase in competition.spec.phases]
        return min((w for w in wishes if w is not None), default=None)

    def forget(self, competitions: Collection[str]) -> None:
        """Drops what it knows of all but these, by their UIDs."""
        self._picks = {of: picks for of, picks in self._picks.items() if of[0] in competitions}
        self.counted.forget(competitions)
        self.ranks.forget(competitions)

    async def _phase(self, competition: CompetitionView, phase: Phase, now: datetime) -> float | None:
        await asyncio.sleep(0)
        # Before what is gone is read: whatever goes after this is among these, and else would be in neither.
        views = self.index.submissions_in_phase(competition.namespace, competition.name, phase.name)
        deleted = await self.counted.keep(competition, phase)
        await asyncio.sleep(0)
        board = (
            None if is_blind(phase, now) else self.index.leaderboards.get((competition.namespace, phase.name))
        )
        if board is None or board.competition != competition.name:
            # None is to be made, so none fails or is late.
            where = (competition.name, phase.name)
            await self._delete([job for job in self._jobs(*where) if not job.view.finished])
            self.failing.pop(where, None)
            self._stale.pop(where, None)
            self.metrics.show_stale(*where, None)
            wait = (phase.reveals_at - now).total_seconds() if phase.reveals_at else 0.0
            return wait if wait > 0 else None
        ranked = await self.ranks.write(competition, phase, board.status)
        # Each step passes over all that was ever submitted; others go on in between.
        await asyncio.sleep(0)
        rules, datasets = PhaseRules(competition, phase), self.index.datasets_by_name()
        picks = self._picks.setdefault((competition.uid, phase.name), PhasePicks())
        for _ in picks.renew(rules, views, datasets, self.teams.namespaces):
            await asyncio.sleep(0)
        counted = boards.select_ranked(rules, picks.picked(), deleted, datasets)
        excluded = boards.list_excluded(rules, views, deleted)
        again = await self._aggregate(rules, counted, excluded, board, now)
        self._measure(competition, phase, board, now)
        return min((wish for wish in (ranked, again) if wish is not None), default=None)

    def _measure(self, competition: CompetitionView, phase: Phase, board: BoardRecord, now: datetime) -> None:
        """How long aggregations take, and since when the board lacks something."""
        where, asked = (competition.name, phase.name), board.requested
        for job in self._jobs(*where):
            if asked is None or job.view.finished != "Complete" or job.view.finished_at is None:
                continue
            if _generation(job) == asked.generation and job.view.uid != self._measured.get(where):
                self._measured[where] = job.view.uid
                took = job.view.finished_at - max(job.view.created_at, asked.requested_at)
                self.metrics.observe_aggregate(*where, max(0.0, took.total_seconds()))
        if where in self._current:
            self._stale.pop(where, None)
        else:
            self._stale.setdefault(where, now)
        self.metrics.show_stale(*where, self._stale.get(where))

    async def _aggregate(
        self,
        rules: PhaseRules,
        counted: list[SubmissionView],
        excluded: tuple[BoardExclusion, ...],
        board: BoardRecord,
        now: datetime,
    ) -> float | None:
        where = (rules.competition.name, rules.phase.name)
        self._current.discard(where)
        jobs, asked = self._jobs(*where), board.requested
        waiting = next((job for job in jobs if _is_waiting(job, asked)), None)
        if any(not job.view.finished and job is not waiting for job in jobs):
            # One at a time. What changes meanwhile is looked at when it has ended.
            return None
        self.failing.pop(where, None)
        built = await self._build_request(rules, counted, excluded, board.status)
        if built is None:
            return await self._start_ahead(rules, jobs, board, now)
        request, inputs = built
        if asked is not None and asked.inputs == inputs:
            made = next((job for job in jobs if _generation(job) == asked.generation), None)
            if made is not None and made.view.finished == "Complete":
                self._current.add(where)
                await self._delete([job for job in jobs if _generation(job) < asked.generation])
                return await self._start_ahead(rules, jobs, board, now)
            if made is not None:
                self.failing[where] = self._explain_failure(made)
                if now < asked.requested_at + AGAIN:
                    return (asked.requested_at + AGAIN - now).total_seconds()
                said = "The ranking of %s failed (%s); it is asked for again."
                log.warning(said, rules.phase.name, made.view.message)
        generation = _generation(waiting) if waiting else await self._create_job(rules, board)
        await self._ask(request.replace(generation=generation), inputs, now)
        await self._delete([job for job in jobs if job is not waiting])
        return None

    async def _build_request(
        self,
        rules: PhaseRules,
        counted: list[SubmissionView],
        excluded: tuple[BoardExclusion, ...],
        board: LeaderboardStatus,
    ) -> tuple[AggregateRequest, str] | None:
        """What the board is to be made of, and what names that; None where it stays as it is."""
        if not counted and not excluded and not board.generation:
            self._current.add((rules.competition.name, rules.phase.name))
            return None
        datasets = self.index.datasets_by_name()
        wanted = boards.compute_digests(counted, rules, datasets)
        if boards.list_awaited(counted, wanted, (job.view for job in self.index.jobs.values())):
            # Each that is scored brings its competition here again.
            return None
        unseen_entries = await self._keep_unseen(rules.competition, rules.phase, counted, wanted, board)
        if unseen_entries is None:
            # Until all namespaces can be listed, or the organizer takes such a team out.
            return None
        aliases = tuple(datasets[name].alias for name in rules.phase.datasets if name in datasets)
        targets = boards.list_targets(rules, datasets)
        request = boards.build_board_request(
            rules, aliases, counted, wanted, unseen_entries, excluded, targets
        )
        return request, _digest_inputs(request, counted, wanted)

    async def _start_ahead(
        self,
        rules: PhaseRules,
        jobs: Sequence[JobRecord],
        board: BoardRecord,
        now: datetime,
    ) -> float | None:
        """While a score may come at any moment, a Job waits for what it is to rank: its start, a second or two, is then
        over. Returns after how many seconds that is otherwise."""
        open_views = self.index.open_submissions_of(rules.competition.namespace, rules.competition.name)
        foreseen = (boards.foresee_score(view, rules) for view in open_views)
        spans = [span for span in foreseen if span is not None and now < span[1]]
        asked = board.requested.generation if board.requested else 0
        # One that failed before it was asked stands until the next board is: another would fail alike.
        ahead = [job for job in jobs if _generation(job) > asked]
        if not any(begin <= now for begin, _ in spans):
            await self._delete(ahead)
        elif not ahead:
            await self._create_job(rules, board)
        moments = [begin if now < begin else end for begin, end in spans]
        return min(((moment - now).total_seconds() for moment in moments), default=None)

    async def _keep_unseen(
        self,
        competition: CompetitionView,
        phase: Phase,
        counted: list[SubmissionView],
        wanted: Mapping[str, str],
        board: LeaderboardStatus,
    ) -> tuple[BoardSubmission, ...] | None:
        """Entries of teams whose namespaces have not been listed: their absence from the index proves nothing."""
        unseen = {team for team in self.teams.namespaces if not self.index.is_filled(SUBMISSIONS, team)}
        unseen -= {view.team for view in counted}
        if not unseen or not board.generation:
            return ()
        where = (competition.namespace, competition.name, phase.name, board.generation)
        last = await asyncio.to_thread(self.executor.store.board_request, *where)
        return boards.keep_unseen(last, unseen, wanted)

    async def _create_job(self, rules: PhaseRules, board: BoardRecord) -> int:
        """A Job for the next board, which waits for its request; the board's generation."""
        competition, phase = rules.competition, rules.phase.name
        asked = board.requested.generation if board.requested else 0
        # Also those that are being deleted: one of the same name would be taken for this.
        jobs = self._jobs(competition.name, phase, deleting=True)
        generation = max([board.status.generation, asked, *map(_generation, jobs)]) + 1
        labels = {
            names.ROLE: AGGREGATE,
            names.COMPETITION: competition.name,
            names.PHASE: phase,
            GENERATION: str(generation),
        }
        place = (competition.namespace, competition.name, phase)
        job = aggregate_job(f"a-{phase}-{generation}", labels, place, generation, self.settings)
        await self.executor.create_job(job)
        return generation

    async def _ask(self, request: AggregateRequest, inputs: str, now: datetime) -> None:
        """Tells the Job of this generation what to rank: first the store, then where it looks."""
        digest = await asyncio.to_thread(self.executor.store.write_board_request, request)
        requested = RequestedBoard(
            generation=request.generation, sha256=digest, inputs=inputs, requested_at=now
        )
        body = {"spec": {"requested": to_json(requested)}}
        made = await self.api.patch(LEADERBOARDS, request.competition_namespace, request.leaderboard, body)
        self.index.apply(LEADERBOARDS, made)

    def _explain_failure(self, job: JobRecord) -> str:
        pods = (record for record in self.index.pods.values() if record.view.job == job.view.name)
        said = next((record.message for record in pods if record.message), job.view.message)
        return cut_line(f"The board is not made, and tried again. Job {job.view.name}: {said}", MESSAGE)

    def _jobs(self, competition: str, phase: str, *, deleting: bool = False) -> list[JobRecord]:
        """``deleting``: also those that are being deleted."""
        wanted = {names.ROLE: AGGREGATE, names.COMPETITION: competition, names.PHASE: phase}
        return [
            record
            for record in self.index.jobs.values()
            if wanted.items() <= record.labels.items() and (deleting or not record.view.deleting)
        ]

    async def _delete(self, jobs: list[JobRecord]) -> None:
        for job in jobs:
            name = (self.settings.competition_namespace, job.view.name)
            if await self.api.delete(JOBS, *name):
                self.index.mark_deleting(name)


def _digest_inputs(
    request: AggregateRequest, counted: Sequence[SubmissionView], wanted: Mapping[str, str]
) -> str:
    """Names what a board is made of.

    Those that have no such score yet are left out of the board, as are those whose score, held back until the reveal,
    is gone from the store: once they have one, it is to be made again.
    """
    missing = [
        v.uid for v in counted if wanted[v.uid] != v.status.scoring_digest or scoring.is_held_back(v.status)
    ]
    return hashlib.sha256(request.canonical() + "".join(missing).encode()).hexdigest()[:16]


def _generation(job: JobRecord) -> int:
    return int(job.labels.get(GENERATION, "0"))


def _is_waiting(job: JobRecord, asked: RequestedBoard | None) -> bool:
    """Whether it has not been told what to rank."""
    return not job.view.finished and _generation(job) > (asked.generation if asked else 0)
