"""A look at everything that was ever submitted to one Competition: for boards, reruns, gauges and what is shown to run.

It has turns of its own, of the kind "board". Who goes next is decided in those of the Competition
(:mod:`alcove_operator.competitions`), which wait neither for all that has ended nor for the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from alcove_kube.resources import COMPETITIONS
from alcove_operator.activity import ActivityPublisher
from alcove_operator.api import Api
from alcove_operator.board_series import build_series
from alcove_operator.clock import utc_now
from alcove_operator.core.model import CompetitionView
from alcove_operator.core.team_totals import EndedTotals
from alcove_operator.finals import Finals
from alcove_operator.index import Index, WorkKey
from alcove_operator.metrics import Metrics
from alcove_operator.rankings import Rankings
from alcove_operator.team_list import TeamList
from alcove_operator.tickets import Tickets
from alcove_operator.usage_writer import UsageWriter
from alcove_operator.workqueue import WorkQueue

LOOK_PAUSE = 200e-6
"""Seconds between two looks for each Submission that there is: a competition takes a part of the operator's time that
does not grow with it."""
SHOW_PAUSE = 5.0
"""Seconds between two times that the gauges are made; who reads them asks less often."""


@dataclass
class _Competition:
    """What is known of one from its turns and the looks before."""

    generation: int | None = None
    """Of the spec whose changes are in the audit list; None before its first turn."""
    places: Mapping[str, int] = field(default_factory=dict)
    """In the queue, of the Submissions that wait; by UID."""
    look_at: float = 0.0
    show_at: float = 0.0
    """When, on the event loop's clock, the next look, and the next gauges, may begin."""
    messages: Mapping[str, str] = field(default_factory=dict)
    """What :class:`Finals` and :class:`Rankings` last said of its phases."""
    ended: EndedTotals = field(default_factory=EndedTotals)


@dataclass
class Looks:
    api: Api
    index: Index
    queue: WorkQueue[WorkKey]
    metrics: Metrics
    rankings: Rankings
    finals: Finals
    teams: TeamList
    activity: ActivityPublisher
    usage: UsageWriter
    clock: Callable[[], datetime] = utc_now
    _tickets: Tickets = field(init=False)
    _known: dict[str, _Competition] = field(default_factory=dict)
    """By UID."""

    def __post_init__(self) -> None:
        self._tickets = Tickets(self.api, self.index, self.teams, self.usage)

    def ask(self, competition: CompetitionView, generation: int, places: Mapping[str, int]) -> None:
        """Makes a look due, after a turn of ``competition`` on this generation of its spec.

        ``places``: in the queue, of the Submissions that wait; by UID.
        """
        known = self._known.setdefault(competition.uid, _Competition())
        known.generation, known.places = generation, places
        self.queue.add(_key(competition), known.look_at - _seconds())

    async def work(self, key: WorkKey) -> None:
        """Raises what the API server and the store raise: the queue then tries again."""
        competition = self.index.competitions.get((key.namespace, key.name))
        known = self._known.get(competition.uid) if competition is not None else None
        if competition is None or known is None:
            return
        if (wait := known.look_at - _seconds()) > 0:
            self.queue.add(key, wait)
            return
        if known.generation != self.index.versions[COMPETITIONS, key.namespace, key.name].generation:
            # What is seen to have taken effect may be taken back at once: first it is in the audit list.
            self.queue.add(WorkKey("competition", key.namespace, key.name))
            return
        await self._look(key, competition, known, self.clock())
        known.look_at = _seconds() + LOOK_PAUSE * len(self.index.submissions)

    def messages(self, uid: str) -> Mapping[str, str]:
        """What people should know of its phases."""
        return self._known[uid].messages if uid in self._known else {}

    def forget(self, competitions: Collection[str]) -> None:
        """Drops what it knows of all but these, by their UIDs."""
        self._known = {uid: known for uid, known in self._known.items() if uid in competitions}
        self.rankings.forget(competitions)
        self.finals.forget(competitions)

    async def _look(
        self, key: WorkKey, competition: CompetitionView, known: _Competition, now: datetime
    ) -> None:
        """Others go on in between."""
        await self._tickets.drop_gone(competition)
        wishes = [await self.rankings.work(competition, now)]
        await asyncio.sleep(0)
        wishes.append(await self._finals(competition, known, now))
        await asyncio.sleep(0)
        wishes.append(await self._show(key, known))
        opened = self.index.open_submissions_of(key.namespace, key.name)
        wishes.append(await self.activity.publish(competition, [v for v in opened if not v.shows_rerun], now))
        for after in wishes:
            if after is not None:
                self.queue.add(key, after)

    async def _finals(self, competition: CompetitionView, known: _Competition, now: datetime) -> float | None:
        """Each rerun that it makes is an event, and so another look."""
        waits, after = await self.finals.work(competition, now)
        failing = {
            phase: said for (name, phase), said in self.rankings.failing.items() if name == competition.name
        }
        messages = {**failing, **{phase: said for phase, said in waits.items() if said}}
        if messages != known.messages:
            known.messages = messages
            self.queue.add(WorkKey("competition", competition.namespace, competition.name))
        return after

    async def _show(self, key: WorkKey, known: _Competition) -> float | None:
        if (wait := known.show_at - _seconds()) > 0:
            return wait
        competition = self.index.competitions.get((key.namespace, key.name))
        if competition is not None:
            series = await build_series(competition, self.index, known.places, self.clock(), known.ended)
            self.metrics.show(key.name, series)
            known.show_at = _seconds() + SHOW_PAUSE
        return None


def _key(competition: CompetitionView) -> WorkKey:
    return WorkKey("board", competition.namespace, competition.name)


def _seconds() -> float:
    return asyncio.get_running_loop().time()
