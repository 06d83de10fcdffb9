"""Copies the ranks of a board to the Submissions that they are of.

A new entry at the top moves every team. Who newly counts, or counts no more, is told at the next look. Where a rank
has only moved, the board shows that at once, and the Submission after a while that grows with the number of teams: it
takes a write each.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from alcove_api.leaderboard import LeaderboardStatus
from alcove_api.phase import Phase
from alcove_kube.client import Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import SUBMISSIONS
from alcove_operator.api import Api
from alcove_operator.core import boards
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.index import Index
from alcove_operator.store import BoardPlace, BoardPlaces, OperatorStore

MOVED_PAUSE = 0.1
"""Seconds for each rank that is written because it has moved, until the next are."""
AT_ONCE, HANDS = 100, 4
"""Writes of one look, and how many of these at a time: other turns have requests too."""
_Board = tuple[str, str]
"""UID of the competition, and phase."""


@dataclass
class _Round:
    """Of writing ranks that have moved."""

    uids: set[str] = field(default_factory=set)
    """Of the Submissions that are left to write."""
    next_at: float = 0.0
    """When, on the event loop's clock, the next may begin."""


@dataclass
class RankWriter:
    """Turns of one competition alone write these fields of its Submissions, and there is one at a time."""

    api: Api
    index: Index
    store: OperatorStore
    _rounds: dict[_Board, _Round] = field(default_factory=dict)
    _tables: dict[_Board, BoardPlaces] = field(default_factory=dict)
    """The last that was read of boards with more entries than a Leaderboard's status has."""

    async def write(
        self,
        competition: CompetitionView,
        phase: Phase,
        views: Iterable[SubmissionView],
        board: LeaderboardStatus,
    ) -> float | None:
        """Writes rank, place, average rank, `counted`, `excluded` where they differ; returns in how many seconds it
        has more to write.

        Raises:
            ApiError: a Submission could not be written.
            StoreError: the store failed.
        """
        places = await self._find_places(competition, phase, board)
        sharing = Counter(place.rank for place in places.values())
        news: list[tuple[SubmissionView, Object]] = []
        moved: dict[str, tuple[SubmissionView, Object]] = {}
        for view in views:
            if view.spec is None or view.spec.phase != phase.name or view.unreadable:
                continue
            left_out = boards.find_exclusion(competition.spec, phase.name, view.team, view.name)
            wanted = _ranked(places.get(view.uid), board.teams, sharing, left_out.reason if left_out else "")
            shown = _shown(view)
            if shown == wanted:
                continue
            if all(shown[name] == wanted[name] for name in ("counted", "excluded")):
                moved[view.uid] = (view, wanted)
            else:
                news.append((view, wanted))
        chosen = news[:AT_ONCE]
        left, again = self._choose_moved((competition.uid, phase.name), moved, AT_ONCE - len(chosen))
        chosen += [moved[uid] for uid in left]
        hands = asyncio.Semaphore(HANDS)
        await asyncio.gather(*(self._write_one(hands, view, wanted) for view, wanted in chosen))
        return 0.0 if len(news) > AT_ONCE else again

    def _choose_moved(
        self, board: _Board, moved: Mapping[str, object], most: int
    ) -> tuple[list[str], float | None]:
        """UIDs of those to write now, and in how many seconds there is more to do."""
        now, round_ = asyncio.get_running_loop().time(), self._rounds.setdefault(board, _Round())
        if moved and not round_.uids and now >= round_.next_at:
            round_.uids, round_.next_at = set(moved), now + MOVED_PAUSE * len(moved)
        round_.uids &= moved.keys()
        chosen = sorted(round_.uids)[:most]
        round_.uids -= set(chosen)
        if round_.uids:
            return chosen, 0.0
        return chosen, max(0.0, round_.next_at - now) if len(moved) > len(chosen) else None

    async def _find_places(
        self, competition: CompetitionView, phase: Phase, board: LeaderboardStatus
    ) -> Mapping[str, BoardPlace]:
        """By the Submissions' UIDs."""
        places = {e.submission_uid: BoardPlace(e.rank, e.average_rank, e.team) for e in board.entries}
        if board.teams <= len(places):
            return places
        # The status holds the first hundred; the aggregate job writes the rest of the table right after it.
        key = (competition.uid, phase.name)
        table = self._tables.get(key)
        if table is None or table.generation != board.generation:
            where = (competition.namespace, competition.name, phase.name)
            table = self._tables[key] = await asyncio.to_thread(self.store.places, *where)
        return {**table.by_uid, **places}

    async def _write_one(self, hands: asyncio.Semaphore, view: SubmissionView, ranked: Object) -> None:
        # Without a resource version: nobody else changes these fields, and who changes others reads them again.
        async with hands:
            try:
                made = await self.api.patch(
                    SUBMISSIONS, view.namespace, view.name, {"status": ranked}, "status"
                )
            except ApiError as error:
                if error.not_found:
                    return
                raise
        self.index.apply(SUBMISSIONS, made)


def _shown(view: SubmissionView) -> Object:
    status = view.status
    return {
        "rank": status.rank,
        "place": status.place,
        "averageRank": status.average_rank,
        "counted": status.counted,
        "excluded": status.excluded,
    }


def _ranked(place: BoardPlace | None, teams: int, sharing: Mapping[int, int], excluded: str) -> Object:
    """The fields of a Submission's status that say how it is ranked.

    ``sharing``: how many teams have a rank; ``excluded``: why it is left out, or "". It may be on the board still: the
    next one is being made.
    """
    if excluded or place is None:
        shown = "excluded" if excluded else ""
        return {"rank": None, "place": shown, "averageRank": None, "counted": False, "excluded": excluded}
    shown = f"{place.rank}{'=' if sharing[place.rank] > 1 else ''}/{teams}"
    return {
        "rank": place.rank,
        "place": shown,
        "averageRank": place.average_rank,
        "counted": True,
        "excluded": "",
    }
