"""A new entry at the top of a board is not a write for every team at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from alcove_api.leaderboard import Entry, LeaderboardStatus
from alcove_kube.errors import ApiError
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.rank_writer import MOVED_PAUSE, REFUSED_PAUSE, WRITES_PER_LOOK, RankWriter
from alcove_operator.service import Service
from alcove_operator.store import BoardPlace, BoardPlaces, OperatorStore
from tests.unit.operator_wiring.hackathon import CUP, HACK, WATCHED, Hackathon
from tests.unit.operator_wiring.memory_server import Fate
from tests.unit.operator_wiring.virtual_time import run

TEAMS = tuple(f"team-{number:03}" for number in range(2 * WRITES_PER_LOOK))


@dataclass
class Board:
    """Of one Submission a team, which have ended."""

    hackathon: Hackathon
    service: Service
    generation: int = 0
    table: dict[str, BoardPlace] = field(default_factory=dict)

    @property
    def writer(self) -> RankWriter:
        return self.service.competitions.looks.rankings.ranks

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
        return await self.writer.write(self.competition, phase, status)

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
        *present, newcomer = TEAMS
        await look_until_told(board, tuple(present))
        assert board.ranks() == {**right(tuple(present)), newcomer: None}
        await asyncio.sleep(MOVED_PAUSE * len(TEAMS))
        order = (newcomer, *present)
        assert await board.look(order) == 0.0
        told = board.ranks()
        assert told[newcomer] == 1
        assert sum(told[team] == rank for team, rank in right(order).items()) == WRITES_PER_LOOK
        await look_until_told(board, order)
        assert board.ranks() == right(order)
        # Those that move again wait.
        again = (*present, newcomer)
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


def test_submissions_that_cannot_be_written_cost_no_other_its_rank() -> None:
    """One of another UID, some that are gone, one that is refused: with these alone a look's writes are used up."""

    async def test(board: Board) -> None:
        server, first = board.hackathon.server, TEAMS[:WRITES_PER_LOOK]
        for team in first:
            server.objects.pop(("submissions", team, "first"))
        renewed = board.hackathon.submit(first[0], "first")
        for _ in range(2):
            assert await board.look(TEAMS) is not None
        told = board.ranks()
        assert {team: told[team] for team in TEAMS[WRITES_PER_LOOK:]} == {
            team: rank for rank, team in enumerate(TEAMS, 1) if rank > WRITES_PER_LOOK
        }
        assert server.objects["submissions", first[0], "first"] == renewed, "it is not the one that is ranked"
        assert await board.look(TEAMS) == pytest.approx(REFUSED_PAUSE)

    play(test)


def test_a_refused_rank_is_written_once_the_server_takes_it() -> None:
    async def test(board: Board) -> None:
        api = board.hackathon.api
        fates = iter([Fate(refused=403), Fate(refused=413), Fate(refused=500)])
        api.fate = lambda *_: next(fates, Fate())
        await look_until_told(board, TEAMS)
        assert board.ranks() == right(TEAMS)

    play(test)


@pytest.mark.parametrize("status", [0, 429])
def test_once_the_server_takes_nothing_no_write_is_begun_or_goes_on(status: int) -> None:
    """A rank of the board before must not be written after one of the next."""

    async def test(board: Board) -> None:
        await look_until_told(board, TEAMS)
        await asyncio.sleep(MOVED_PAUSE * len(TEAMS))
        asked: list[str] = []

        def fail(verb: str, *_: object) -> Fate:
            asked.append(verb)
            return Fate(before=len(asked), lost=True) if status == 0 else Fate(len(asked), refused=status)

        api = board.hackathon.api
        order = (*TEAMS[1:], TEAMS[0])
        api.fate = fail
        with pytest.raises(ApiError):
            await board.look(order)
        begun = len(asked)
        assert begun < 10
        await asyncio.sleep(60)
        assert len(asked) == begun
        # The round goes on: nobody waits for the next.
        api.fate = lambda *_: Fate()
        assert await board.look(order) == 0.0
        await board.look(order)
        assert board.ranks() == right(order)

    play(test)


def test_while_the_table_is_of_another_board_only_what_the_status_lists_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(board: Board) -> None:
        await look_until_told(board, TEAMS)
        await asyncio.sleep(MOVED_PAUSE * len(TEAMS))
        stale = BoardPlaces(1, board.table)
        monkeypatch.setattr(OperatorStore, "places", lambda _store, *_where: stale)
        board.generation, order = 2, (*TEAMS[1:], TEAMS[0])
        assert await board.look(order, listed=WRITES_PER_LOOK) is None
        told = board.ranks()
        listed = right(order[:WRITES_PER_LOOK])
        assert told == {**right(TEAMS), **listed}

    play(test)
