"""Copies the ranks of a board to the Submissions that they are of.

A new entry at the top moves every team. Who newly counts, or counts no more, is told at the next looks, a bounded
number at each. Where a rank has only moved, the board shows it first, and the Submission after a while that grows with
the number of teams: it takes a write each.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field

from alcove_api.leaderboard import LeaderboardStatus
from alcove_api.phase import Phase
from alcove_api.words import write_place
from alcove_kube.client import Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import SUBMISSIONS
from alcove_operator.api import Api
from alcove_operator.core import boards
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.index import Index
from alcove_operator.store import BoardPlace, BoardPlaces, OperatorStore

log = logging.getLogger(__name__)
MOVED_PAUSE = 0.1
"""Seconds for each rank that is written because it has moved, until the next are."""
WRITES_PER_LOOK, HANDS = 100, 4
"""Writes of one look, and how many of these at a time: other turns have requests too."""
REFUSED_PAUSE = 60.0
"""Seconds until a Submission that the server did not let be written is tried again; others go meanwhile."""
_Board = tuple[str, str]
"""UID of the competition, and phase."""
_Write = tuple[SubmissionView, Object]
"""A Submission, and those fields of its status that say how it is ranked."""


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
    _refused: dict[str, float] = field(default_factory=dict)
    """By UID of a Submission that could not be written: when, on the event loop's clock, it is tried again."""

    async def write(
        self, competition: CompetitionView, phase: Phase, board: LeaderboardStatus
    ) -> float | None:
        """Writes rank, place, average rank, `counted`, `excluded` where they differ; returns in how many seconds it
        has more to write. A Submission that the server refuses costs no other its rank.

        Raises:
            ApiError: the server did not answer, or has too much to do.
            StoreError: the store failed.
        """
        places, whole = await self._find_places(competition, phase, board)
        sharing = Counter(place.rank for place in places.values())
        newly: dict[str, _Write] = {}
        moved: dict[str, _Write] = {}
        now, waits = asyncio.get_running_loop().time(), list[float]()
        for view in self._list_concerned(competition, phase, places.keys()):
            if view.unreadable:
                continue
            left_out = boards.find_exclusion(competition.spec, phase.name, view.team, view.name)
            if not whole and view.uid not in places and left_out is None:
                continue
            wanted = _ranked(places.get(view.uid), board.teams, sharing, left_out.reason if left_out else "")
            shown = _shown(view)
            if shown == wanted:
                continue
            if (wait := self._refused.get(view.uid, now) - now) > 0:
                waits.append(wait)
            elif all(shown[name] == wanted[name] for name in ("counted", "excluded")):
                moved[view.uid] = (view, wanted)
            else:
                newly[view.uid] = (view, wanted)
        moved_round = self._begin_round((competition.uid, phase.name), moved)
        chosen = [*newly.values()][:WRITES_PER_LOOK]
        chosen += [moved[uid] for uid in sorted(moved_round.uids)[: WRITES_PER_LOOK - len(chosen)]]
        await self._write_each(chosen, moved_round)
        if moved_round.uids or len(newly) > WRITES_PER_LOOK:
            return 0.0
        if len(newly) + len(moved) > len(chosen):
            waits.append(max(0.0, moved_round.next_at - now))
        return min(waits, default=None)

    def _list_concerned(
        self, competition: CompetitionView, phase: Phase, places: Set[str]
    ) -> list[SubmissionView]:
        """Those on the board, by their UIDs in ``places``; those that say they are; and those that are left out of it;
        earliest first."""
        where = (competition.namespace, competition.name, phase.name)
        found = {view.uid: view for view in self.index.ranked_submissions(*where)}
        known = (self.index.submission_by_uid(uid) for uid in places - found.keys())
        found |= {view.uid: view for view in known if view is not None}
        if left_out := {entry.team for entry in competition.spec.excluded}:
            views = self.index.submissions_in_phase(*where)
            found |= {view.uid: view for view in views if view.team in left_out}
        return sorted(found.values(), key=boards.creation_order)

    def forget(self, competitions: Collection[str]) -> None:
        """Drops what it knows of all but these, by their UIDs."""
        for of_boards in (self._rounds, self._tables):
            for board in [board for board in of_boards if board[0] not in competitions]:
                del of_boards[board]
        now = asyncio.get_running_loop().time()
        self._refused = {uid: at for uid, at in self._refused.items() if at > now}

    def _begin_round(self, board: _Board, moved: Mapping[str, object]) -> _Round:
        """The one under way, or a new one where its time has come; without those that are as they should be."""
        now, found = asyncio.get_running_loop().time(), self._rounds.setdefault(board, _Round())
        if moved and not found.uids and now >= found.next_at:
            found.uids, found.next_at = set(moved), now + MOVED_PAUSE * len(moved)
        found.uids &= moved.keys()
        return found

    async def _find_places(
        self, competition: CompetitionView, phase: Phase, board: LeaderboardStatus
    ) -> tuple[Mapping[str, BoardPlace], bool]:
        """By the Submissions' UIDs; and whether these are all that the board has."""
        places = {e.submission_uid: BoardPlace(e.rank, e.average_rank, e.team) for e in board.entries}
        if board.teams <= len(places):
            return places, True
        # The status holds the first hundred; the aggregate job writes the rest of the table right after it.
        key = (competition.uid, phase.name)
        table = self._tables.get(key)
        if table is None or table.generation != board.generation:
            where = (competition.namespace, competition.name, phase.name)
            table = self._tables[key] = await asyncio.to_thread(self.store.places, *where)
        if table.generation != board.generation:
            return places, False
        return {**table.by_uid, **places}, True

    async def _write_each(self, chosen: list[_Write], moved_round: _Round) -> None:
        """Raises ApiError where the server as a whole takes none: no more are begun then, and none is under way."""
        hands = asyncio.Semaphore(HANDS)
        refused: list[ApiError] = []
        failed: list[ApiError] = []

        async def write_one(view: SubmissionView, ranked: Object) -> None:
            async with hands:
                if failed:
                    return
                try:
                    # Without a resource version: nobody else changes these fields, and who changes others reads them
                    # again. With the UID: another of this name has another rank.
                    body = {"metadata": {"uid": view.object_uid or view.uid}, "status": ranked}
                    made = await self.api.patch(SUBMISSIONS, view.namespace, view.name, body, "status")
                except ApiError as error:
                    if error.status in (0, 429):
                        failed.append(error)
                        return
                    self._refused[view.uid] = asyncio.get_running_loop().time() + REFUSED_PAUSE
                    if not (error.not_found or error.conflict):
                        refused.append(error)
                else:
                    self.index.apply(SUBMISSIONS, made)
                moved_round.uids.discard(view.uid)

        async with asyncio.TaskGroup() as writes:
            for view, ranked in chosen:
                writes.create_task(write_one(view, ranked))
        if refused:
            log.warning("%d ranks were not written, and are tried again: %s", len(refused), refused[0])
        if failed:
            raise failed[0]


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
    shown = f"{write_place(place.rank, sharing[place.rank] > 1)}/{teams}"
    return {
        "rank": place.rank,
        "place": shown,
        "averageRank": place.average_rank,
        "counted": True,
        "excluded": "",
    }
