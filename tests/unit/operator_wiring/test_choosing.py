"""A team cannot choose which of its Submissions counts by deleting the others."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Literal

import pytest

from alcove_operator.service import Service
from tests.unit.operator_core.pods import stamp
from tests.unit.operator_wiring.hackathon import CUP, HACK, Hackathon
from tests.unit.operator_wiring.virtual_time import run, wait_until

How = Literal["by the operator", "without the operator"]


def rule(hackathon: Hackathon, value: str) -> None:
    (phase,) = hackathon.server.objects["competitions", HACK, CUP]["spec"]["phases"]
    hackathon.change_spec("competitions", HACK, CUP, phases=[{**phase, "deletedSubmissions": value}])


def delete(hackathon: Hackathon, name: str, how: How) -> None:
    """A team may take the finalizer away as well, and then the object is gone at once."""
    spot = ("submissions", "red", name)
    if how == "without the operator":
        hackathon.server.remove(spot)
    else:
        hackathon.server._delete(spot, hackathon.server.objects[spot], {})


async def boards_after(hackathon: Hackathon, how: How, *, restart: bool) -> list[tuple[str, str]]:
    """The last board, once red has had two scored, deleted the second and blue has then come onto the board."""

    async def two_scored(_: Service) -> None:
        for name in ("one", "two"):
            hackathon.submit("red", name)
            await hackathon.ended("red", name, 300)
        await wait_until("two counts", lambda: hackathon.store.boards[-1:] == [[("red", "two")]], 60)
        if not restart:
            await delete_and_go_on(_)

    async def delete_and_go_on(_: Service) -> None:
        if not restart:
            delete(hackathon, "two", how)
        await wait_until(
            "two is gone", lambda: ("submissions", "red", "two") not in hackathon.server.objects, 60
        )
        hackathon.submit("blue", "three")
        await hackathon.ended("blue", "three", 300)
        await wait_until("blue is on the board", lambda: ("blue", "three") in hackathon.store.boards[-1], 60)
        await asyncio.sleep(60)

    await hackathon.operate(two_scored)
    if restart:
        delete(hackathon, "two", how)
        await hackathon.operate(delete_and_go_on)
    return hackathon.store.boards[-1]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("how", ["by the operator", "without the operator"])
def test_a_deleted_submission_still_stands_for_its_team(how: How, restart: bool) -> None:
    async def scenario() -> Any:
        return await boards_after(Hackathon(), how, restart=restart)

    assert run(scenario()) == [("red", "two"), ("blue", "three")]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(("scoreless", "stands"), [(True, "one"), (False, "two")])
def test_of_deleted_ones_whose_scores_were_held_back_one_without_any_does_not_stand(
    scoreless: bool, stands: str, restart: bool
) -> None:
    """Nobody is shown before the reveal that it has none, and after it there is no object to show it in."""

    async def scenario() -> Any:
        hackathon = Hackathon()
        hackathon.scoreless = {"two"} if scoreless else set()
        (phase,) = hackathon.server.objects["competitions", HACK, CUP]["spec"]["phases"]
        reveal = hackathon.now + timedelta(minutes=20)
        blind = {**phase, "feedback": {"mode": "none"}, "revealsAt": stamp(reveal)}
        hackathon.change_spec("competitions", HACK, CUP, phases=[blind])

        async def before(_: Service) -> None:
            for name in ("one", "two"):
                hackathon.submit("red", name)
                await hackathon.ended("red", name, 300)
                await asyncio.sleep(60)
            if not restart:
                await after(_)

        async def after(_: Service) -> None:
            delete(hackathon, "two", "by the operator")
            await asyncio.sleep(60)
            assert not hackathon.store.boards
            await wait_until("there is a board", lambda: bool(hackathon.store.boards), 1800)
            await asyncio.sleep(300)

        await hackathon.operate(before)
        if restart:
            await hackathon.operate(after)
        return hackathon.store.boards[-1]

    assert run(scenario()) == [("red", stands)]


def test_a_newer_one_takes_the_place_of_the_deleted() -> None:
    async def scenario() -> Any:
        hackathon = Hackathon()
        await boards_after(hackathon, "by the operator", restart=False)

        async def test(_: Service) -> None:
            hackathon.submit("red", "four")
            await hackathon.ended("red", "four", 300)
            await wait_until("four counts", lambda: ("red", "four") in hackathon.store.boards[-1], 60)

        await hackathon.operate(test)
        (counted,) = hackathon.store.documents.values()
        return hackathon.store.boards[-1], len(counted.entries)

    assert run(scenario()) == ([("blue", "three"), ("red", "four")], 2)


def test_where_the_organizer_allows_it_deleting_is_choosing() -> None:
    async def scenario() -> Any:
        hackathon = Hackathon()
        rule(hackathon, "withdraw")
        return await boards_after(hackathon, "by the operator", restart=False)

    assert run(scenario()) == [("red", "one"), ("blue", "three")]


def test_of_another_competition_of_the_same_name_nothing_stands() -> None:
    async def scenario() -> Any:
        hackathon = Hackathon()
        await boards_after(hackathon, "by the operator", restart=False)
        where, counted = hackathon.store.documents.popitem()
        hackathon.store.documents[where] = counted.replace(competition_uid="another")

        async def test(_: Service) -> None:
            before = len(hackathon.store.boards)
            await wait_until("it is asked for", lambda: len(hackathon.store.boards) > before, 60)

        await hackathon.operate(test)
        return hackathon.store.boards[-1]

    assert run(scenario()) == [("red", "one"), ("blue", "three")]
