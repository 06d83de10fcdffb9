"""Many turns that count at once are few writes, and each is told what became of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from pydantic import ValidationError

from alcove_api.competition import CompetitionStatus
from alcove_kube.errors import ApiError
from alcove_kube.resources import Resource
from alcove_operator.core import usage
from alcove_operator.core.model import CompetitionView, QuotaRefusal
from alcove_operator.errors import OperatorError
from alcove_operator.index import Index
from alcove_operator.usage_writer import Change, UsageWriter
from tests.unit.operator_wiring.hackathon import CUP, HACK, Hackathon
from tests.unit.operator_wiring.memory_server import Fate
from tests.unit.operator_wiring.virtual_time import run

REF = (HACK, CUP)


class Counting:
    def __init__(self) -> None:
        self.hackathon = Hackathon(limits={"perDay": 1000, "total": 10000, "parallel": 1000})
        self.hackathon.api.fate = self.fate
        self.writer = UsageWriter(self.hackathon.api, Index())
        self.fates: list[Fate] = []
        """Of the next changes; every request takes a second."""
        self.patches = 0

    def fate(self, verb: str, _resource: Resource) -> Fate:
        if verb != "PATCH":
            return Fate(before=1.0)
        self.patches += 1
        return self.fates.pop(0) if self.fates else Fate(before=1.0)

    def count(self, team: str, uid: str) -> Change:
        def change(status: CompetitionStatus, competition: CompetitionView) -> CompetitionStatus:
            found = usage.count_submission(
                status, competition.spec, team, "practice", uid, self.hackathon.now
            )
            assert not isinstance(found, QuotaRefusal)
            return found

        return change

    def ask(self, team: str, uid: str) -> asyncio.Task[None]:
        return asyncio.create_task(self.writer.change(REF, self.count(team, uid)))

    def totals(self) -> dict[str, int]:
        return {team: self.hackathon.usage(team).get("total", 0) for team in self.hackathon.teams}


def scenario(test: Callable[[Counting], Coroutine[Any, Any, None]]) -> None:
    async def play() -> None:
        await test(Counting())

    run(play())


def test_what_is_asked_for_while_a_write_is_under_way_goes_into_one_write() -> None:
    async def test(counting: Counting) -> None:
        asked = [counting.ask(("red", "blue")[number % 2], f"uid-{number}") for number in range(200)]
        await asyncio.gather(*asked)
        assert counting.totals() == {"red": 100, "blue": 100}
        assert counting.patches <= 2

    scenario(test)


def test_what_is_counted_already_is_no_write() -> None:
    async def test(counting: Counting) -> None:
        await counting.ask("red", "one")
        await asyncio.gather(counting.ask("red", "one"), counting.ask("red", "one"))
        assert (counting.totals()["red"], counting.patches) == (1, 1)

    scenario(test)


def test_a_conflict_is_read_and_written_again() -> None:
    async def test(counting: Counting) -> None:
        counting.fates = [Fate(refused=409), Fate(refused=409)]
        await asyncio.gather(counting.ask("red", "one"), counting.ask("blue", "two"))
        assert counting.totals() == {"red": 1, "blue": 1}
        counting.fates = [Fate(refused=409)] * 100
        with pytest.raises(OperatorError, match="changed by others each time"):
            await counting.ask("red", "three")

    scenario(test)


def test_a_failure_is_told_to_all_whose_changes_it_took_and_to_no_other() -> None:
    async def test(counting: Counting) -> None:
        first = counting.ask("red", "one")
        await asyncio.sleep(0.5)
        second = [counting.ask("red", "two"), counting.ask("blue", "three")]
        counting.fates = [Fate(before=1.0), Fate(refused=500)]
        await first
        found = await asyncio.gather(*second, return_exceptions=True)
        assert all(isinstance(error, ApiError) for error in found)
        assert counting.totals() == {"red": 1, "blue": 0}
        # As the work queue does, they ask again.
        await asyncio.gather(counting.ask("red", "two"), counting.ask("blue", "three"))
        assert counting.totals() == {"red": 2, "blue": 1}

    scenario(test)


def test_a_turn_that_is_stopped_leaves_the_others_theirs() -> None:
    async def test(counting: Counting) -> None:
        first = counting.ask("red", "one")
        await asyncio.sleep(0.5)
        others = [counting.ask("blue", f"uid-{number}") for number in range(3)]
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(*others)
        assert counting.totals()["blue"] == 3

    scenario(test)


def test_a_change_that_cannot_be_made_stops_no_other() -> None:
    """The status has room for so many teams, and blue is one more: it alone is told."""

    async def test(counting: Counting) -> None:
        raw = counting.hackathon.server.objects["competitions", HACK, CUP]
        used = [{"team": team} for team in ("red", *(f"team-{number:04}" for number in range(1999)))]
        counting.hackathon.server.put("competitions", HACK, {**raw, "status": {"usage": used}})
        asked = [counting.ask("blue", "one"), counting.ask("red", "two")]
        refused, counted = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(refused, ValidationError)
        assert counted is None
        assert counting.totals() == {"red": 1, "blue": 0}

    scenario(test)


def test_a_competition_that_is_gone_is_no_error() -> None:
    async def test(counting: Counting) -> None:
        await counting.writer.change((HACK, "gone"), _never)

    scenario(test)


def _never(_status: CompetitionStatus, _competition: CompetitionView) -> CompetitionStatus:
    raise AssertionError("there is nothing to change")
