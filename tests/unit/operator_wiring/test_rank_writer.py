"""A new entry at the top of a board is not a write for every team at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from alcove_api.leaderboard import Entry, LeaderboardStatus
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.rank_writer import AT_ONCE, MOVED_PAUSE, RankWriter
from alcove_operator.service import Service
from alcove_operator.store import BoardPlace, BoardPlaces, OperatorStore
from tests.unit.operator_wiring.hackathon import CUP, HACK, WATCHED, Hackathon
from tests.unit.operator_wiring.virtual_time import run

TEAMS = tuple(f"team-{number:03}" for number in range(2 * AT_ONCE))


@dataclass
class Board:
    """Of one Submission a team, which have ended."""

    hackathon: Hackathon
    service: Service
    generation: int = 0
    table: dict[str, BoardPlace] = field(default_factory=dict)

    @property
    def writer(self) -> RankWriter:
        return self.service.competitions.rankings.ranks

    @property
    def competition(self) -> CompetitionView:
        return self.service.index.competitions[HACK, CUP]

    def view(self, team: str) -> SubmissionView:
        return self.service.index.submissions[team, "first"]

    async def look(self, order: tuple[str, ...], listed: int = len(TEAMS)) -> float | None:
        """After a board with this order of teams, of which the status lists some."""
        uids = [self.view(team).uid for team in order]
        self.table = {
            uid: BoardPlace(rank, float(rank), team)
            for rank, (uid, team) in enumerate(zip(uids, order, strict=True), 1)
        }
        entries = tuple(
            Entry(rank=p.rank, team=p.team, submission="first", submission_uid=uid, average_rank=p.rank)
            for uid, p in list(self.table.items())[:listed]
        )
        status = LeaderboardStatus.model_construct(
            generation=self.generation, teams=len(order), entries=entries
        )
        phase = self.competition.spec.phases[0]
        return await self.writer.write(
            self.competition, phase, self.service.index.submissions_of(HACK, CUP), status
        )

    def ranks(self) -> dict[str, int | None]:
        return {team: self.view(team).status.rank for team in TEAMS}


def play(test: Callable[[Board], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        hackathon = Hackathon(teams=TEAMS)
        hackathon.events = {plural: asyncio.Queue() for plural in WATCHED}
        for team in TEAMS:
            raw = hackathon.submit(team, "first")
            hackathon.server.put("submissions", team, {**raw, "status": {"phase": "Done"}})
        service = hackathon.service()
        await service.start()
        await test(Board(hackathon, service))

    run(whole())


async def look_until_told(board: Board, order: tuple[str, ...]) -> None:
    while (after := await board.look(order)) is not None:
        await asyncio.sleep(after)


def right(order: tuple[str, ...]) -> dict[str, int | None]:
    return {team: rank for rank, team in enumerate(order, 1)}


def test_who_is_new_is_told_at_once_and_who_has_moved_after_a_while() -> None:
    async def test(board: Board) -> None:
        *others, newcomer = TEAMS
        await look_until_told(board, tuple(others))
        assert board.ranks() == {**right(tuple(others)), newcomer: None}
        await asyncio.sleep(MOVED_PAUSE * len(TEAMS))
        order = (newcomer, *others)
        assert await board.look(order) == 0.0
        told = board.ranks()
        assert told[newcomer] == 1
        assert sum(told[team] == rank for team, rank in right(order).items()) == AT_ONCE
        await look_until_told(board, order)
        assert board.ranks() == right(order)
        # Those that move again wait.
        again = (*others, newcomer)
        after = await board.look(again)
        assert after is not None
        assert 0 < after <= MOVED_PAUSE * len(TEAMS)
        assert board.ranks() == right(order)
        await asyncio.sleep(after)
        await look_until_told(board, again)
        assert board.ranks() == right(again)

    play(test)


def test_the_rest_of_a_long_board_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(board: Board) -> None:
        reads: list[int] = []

        def places(*_where: str) -> BoardPlaces:
            reads.append(board.generation)
            return BoardPlaces(written, board.table)

        monkeypatch.setattr(OperatorStore, "places", lambda _store, *where: places(*where))
        board.generation, written = 3, 2
        for _ in range(3):
            await board.look(TEAMS, listed=100)
        assert reads == [3, 3, 3], "the table was that of an older board"
        written = 3
        for _ in range(3):
            await board.look(TEAMS, listed=100)
        assert reads == [3] * 4

    play(test)
