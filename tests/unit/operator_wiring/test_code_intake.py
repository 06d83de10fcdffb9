"""Taking code in: beside everything else, one of a team at a time, and no failure is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import replace

import pytest

from alcove_operator.code_intake import ADMISSIONS_AT_ONCE, Admissions
from alcove_operator.core.actions import AdmitCode
from alcove_operator.core.model import CodeFact, SubmissionView
from alcove_operator.core.parse_objects import submission_view
from alcove_operator.errors import OperatorError

ACTION = AdmitCode(7, 1)
ANY = submission_view({"metadata": {"name": "one", "namespace": "red", "uid": "1"}})


class Taker:
    """Takes code for as long as the test wants; notes who is at it."""

    def __init__(self) -> None:
        self.at_it: list[str] = []
        self.most: Counter[str] = Counter()
        self.due: list[str] = []
        self.go_on = asyncio.Event()
        self.fails = False
        self.admissions = Admissions(self.take, lambda view: self.due.append(view.uid))

    async def take(self, view: SubmissionView, action: AdmitCode) -> CodeFact:
        self.at_it.append(view.namespace)
        self.most["all"] = max(self.most["all"], len(self.at_it))
        self.most[view.namespace] = max(self.most[view.namespace], self.at_it.count(view.namespace))
        await self.go_on.wait()
        self.at_it.remove(view.namespace)
        if self.fails:
            raise OperatorError("The store is away.")
        return CodeFact(True, sha256=view.uid, bytes=action.limit_bytes)

    async def settled(self) -> None:
        """Until nothing moves any more of its own accord."""
        for _ in range(50):
            await asyncio.sleep(0)


def run(test: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


def test_a_team_with_many_bundles_keeps_no_other_waiting() -> None:
    async def test() -> None:
        taker = Taker()
        flood = [replace(ANY, uid=f"red-{n}") for n in range(20)]
        of_other_teams = [replace(ANY, uid=team, namespace=team) for team in ("blue", "green", "grey")]
        for view in (*flood, *of_other_teams):
            assert taker.admissions.ask(view, ACTION) is None
        await taker.settled()
        assert sorted(taker.at_it) == ["blue", "green", "red"]
        taker.go_on.set()
        await taker.settled()
        assert sorted(taker.due) == sorted(view.uid for view in (*flood, *of_other_teams))
        assert (taker.most["red"], taker.most["all"]) == (1, ADMISSIONS_AT_ONCE)
        assert taker.admissions.ask(of_other_teams[0], ACTION) == CodeFact(True, sha256="blue", bytes=7)

    run(test())


def test_asking_again_meanwhile_takes_nothing_twice() -> None:
    async def test() -> None:
        taker = Taker()
        for _ in range(3):
            assert taker.admissions.ask(ANY, ACTION) is None
            await taker.settled()
        assert taker.at_it == ["red"]
        taker.go_on.set()
        await taker.settled()
        assert taker.due == ["1"]

    run(test())


def test_a_failure_is_told_once_and_then_tried_again() -> None:
    async def test() -> None:
        taker = Taker()
        taker.fails = True
        taker.go_on.set()
        assert taker.admissions.ask(ANY, ACTION) is None
        await taker.settled()
        with pytest.raises(OperatorError, match="away"):
            taker.admissions.ask(ANY, ACTION)
        taker.fails = False
        assert taker.admissions.ask(ANY, ACTION) is None
        await taker.settled()
        assert taker.admissions.ask(ANY, ACTION) is not None

    run(test())


def test_answers_that_nobody_will_ask_for_are_dropped() -> None:
    async def test() -> None:
        taker = Taker()
        taker.go_on.set()
        taker.admissions.ask(ANY, ACTION)
        await taker.settled()
        taker.admissions.forget({"another"})
        assert taker.admissions.ask(ANY, ACTION) is None  # begins again

    run(test())
