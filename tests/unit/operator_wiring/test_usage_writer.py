"""Many turns that count at once are few writes of each team's own object, and each is told what became of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from alcove_api.competition import CompetitionSpec
from alcove_api.team_usage import TeamUsageStatus
from alcove_kube.client import Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import COMPETITIONS, Resource
from alcove_operator.core import names, usage
from alcove_operator.core.model import QuotaRefusal
from alcove_operator.errors import OperatorError
from alcove_operator.index import Index
from alcove_operator.service import Service
from alcove_operator.usage_writer import Change, UsageWriter
from tests.unit.operator_wiring.hackathon import CUP, HACK, Hackathon
from tests.unit.operator_wiring.memory_server import Fate
from tests.unit.operator_wiring.virtual_time import run, wait_until

REF = (HACK, CUP)


class Counting:
    def __init__(self) -> None:
        self.hackathon = Hackathon(limits={"perDay": 1000, "total": 10000, "parallel": 1000})
        self.hackathon.api.fate = self.fate
        self.start_again()
        self.fates: list[Fate] = []
        """Of the next changes; every request takes a second."""
        self.patches = 0

    def start_again(self) -> None:
        """What another operator knows that begins now and has listed nothing but the Competition."""
        self.index = Index()
        self.index.apply(COMPETITIONS, self.raw)
        self.writer = UsageWriter(self.hackathon.api, self.index)

    @property
    def raw(self) -> Object:
        return self.hackathon.server.objects["competitions", HACK, CUP]

    def fate(self, verb: str, _resource: Resource) -> Fate:
        if verb != "PATCH":
            return Fate(before=1.0)
        self.patches += 1
        return self.fates.pop(0) if self.fates else Fate(before=1.0)

    def count(self, team: str, uid: str) -> Change:
        def change(used: TeamUsageStatus, spec: CompetitionSpec) -> TeamUsageStatus:
            found = usage.count_submission(used, spec, team, "practice", uid, self.hackathon.now)
            assert not isinstance(found, QuotaRefusal)
            return found

        return change

    def ask(self, team: str, uid: str) -> asyncio.Task[None]:
        return asyncio.create_task(self.writer.change(REF, team, self.count(team, uid)))

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
        assert counting.patches <= 4

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


def test_a_write_whose_answer_was_lost_is_not_done_twice_and_can_be_settled() -> None:
    """Nothing of it is indexed then: that there is no ticket proves nothing."""

    async def test(counting: Counting) -> None:
        def settle(used: TeamUsageStatus, _spec: CompetitionSpec) -> TeamUsageStatus:
            return usage.settle_submission(used, "practice", "one", 7.0, True, counting.hackathon.now)

        counting.fates = [Fate(lost=True)]
        with pytest.raises(ApiError):
            await counting.ask("red", "one")
        await counting.writer.change(REF, "red", settle)
        assert counting.hackathon.usage("red")["settling"] == []
        assert (counting.totals()["red"], counting.hackathon.usage("red")["computeSeconds"]) == (0, 7.0)
        counting.fates = [Fate(lost=True)]
        with pytest.raises(ApiError):
            await counting.ask("blue", "two")
        await counting.ask("blue", "two")
        assert counting.totals()["blue"] == 1

    scenario(test)


def test_an_operator_that_has_listed_nothing_finds_what_is_there() -> None:
    async def test(counting: Counting) -> None:
        await counting.ask("red", "one")
        counting.start_again()
        await counting.ask("red", "two")
        assert counting.totals()["red"] == 2

    scenario(test)


def test_an_object_that_was_deleted_by_hand_is_made_anew() -> None:
    async def test(counting: Counting) -> None:
        await counting.ask("red", "one")
        counting.hackathon.server.remove(("teamusages", HACK, names.usage_name(CUP, "red")))
        await counting.ask("red", "two")
        assert counting.totals()["red"] == 1

    scenario(test)


def test_an_object_of_an_earlier_competition_of_that_name_is_waited_for() -> None:
    async def test(counting: Counting) -> None:
        await counting.ask("red", "one")
        metadata = {**counting.raw["metadata"], "uid": "made-anew"}
        counting.hackathon.server.put("competitions", HACK, {**counting.raw, "metadata": metadata})
        counting.index.apply(COMPETITIONS, counting.raw)
        with pytest.raises(OperatorError, match="of an earlier Competition"):
            await counting.ask("red", "two")
        counting.hackathon.server.remove(("teamusages", HACK, names.usage_name(CUP, "red")))
        counting.start_again()
        await counting.ask("red", "two")
        assert counting.totals()["red"] == 1

    scenario(test)


def test_what_an_earlier_release_counted_is_moved_and_counts_on() -> None:
    earlier = [
        {"team": "red", "total": 3, "computeSeconds": 4.5, "settling": ["one"]},
        {"team": "blue", "total": 1},
    ]

    async def test(counting: Counting) -> None:
        counting.hackathon.server.put(
            "competitions", HACK, {**counting.raw, "status": {"usage": earlier, "running": 2}}
        )
        counting.start_again()
        # Before it is moved, too.
        await counting.ask("red", "two")
        assert counting.totals() == {"red": 4, "blue": 0}
        # It is stopped between two teams, and another operator goes on.
        counting.fates = [Fate(before=1.0), Fate(refused=500)]
        with pytest.raises(ApiError):
            await counting.writer.move(counting.index.competitions[REF])
        counting.start_again()
        await counting.writer.move(counting.index.competitions[REF])
        assert counting.totals() == {"red": 4, "blue": 1}
        assert counting.hackathon.usage("red")["settling"] == ["one", "two"]
        assert counting.hackathon.usage("red")["computeSeconds"] == 4.5
        assert "team" not in counting.hackathon.usage("red")
        assert counting.raw["status"] == {"running": 2}

    scenario(test)


def test_the_operator_moves_what_an_earlier_release_counted() -> None:
    async def play() -> None:
        hackathon = Hackathon()
        raw = hackathon.server.objects["competitions", HACK, CUP]
        hackathon.server.put(
            "competitions", HACK, {**raw, "status": {"usage": [{"team": "red", "total": 3}]}}
        )

        async def test(_: Service) -> None:
            await wait_until("it is moved", lambda: hackathon.usage("red").get("total") == 3, 60)
            hackathon.submit("red", "one")
            await hackathon.ended("red", "one")
            await wait_until("it is settled", lambda: hackathon.usage("red")["settling"] == [], 30)
            assert hackathon.usage("red")["total"] == 4
            assert not hackathon.server.objects["competitions", HACK, CUP]["status"].get("usage")

        await hackathon.operate(test)

    run(play())


def test_a_failure_is_told_to_all_whose_changes_it_took_and_to_no_other() -> None:
    async def test(counting: Counting) -> None:
        first = counting.ask("red", "one")
        await asyncio.sleep(0.5)
        second = [counting.ask("red", "two"), counting.ask("red", "three")]
        other = counting.ask("blue", "four")
        counting.fates = [Fate(before=1.0), Fate(before=1.0), Fate(refused=500)]
        await asyncio.gather(first, other)
        found = await asyncio.gather(*second, return_exceptions=True)
        assert all(isinstance(error, ApiError) for error in found)
        assert counting.totals() == {"red": 1, "blue": 1}
        # As the work queue does, they ask again.
        await asyncio.gather(counting.ask("red", "two"), counting.ask("red", "three"))
        assert counting.totals() == {"red": 3, "blue": 1}

    scenario(test)


def test_a_turn_that_is_stopped_leaves_the_others_theirs() -> None:
    async def test(counting: Counting) -> None:
        first = counting.ask("blue", "one")
        await asyncio.sleep(0.5)
        queued = [counting.ask("blue", f"uid-{number}") for number in range(3)]
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(*queued)
        assert {"uid-0", "uid-1", "uid-2"} <= set(counting.hackathon.usage("blue")["settling"])

    scenario(test)


def test_a_change_that_cannot_be_made_stops_no_other() -> None:
    async def test(counting: Counting) -> None:
        asked = [
            asyncio.create_task(counting.writer.change(REF, "red", _refuse)),
            counting.ask("red", "two"),
        ]
        refused, counted = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(refused, ZeroDivisionError)
        assert counted is None
        assert counting.totals()["red"] == 1

    scenario(test)


def test_a_competition_that_is_gone_is_no_error() -> None:
    async def test(counting: Counting) -> None:
        await counting.writer.change((HACK, "gone"), "red", _refuse)

    scenario(test)


def _refuse(_usage: TeamUsageStatus, _spec: CompetitionSpec) -> TeamUsageStatus:
    raise ZeroDivisionError
