"""Places are given while others go on, however many wait."""

from __future__ import annotations

import asyncio

from alcove_kube.client import Object
from alcove_operator.core.census import count_submissions
from alcove_operator.places import VIEWS_A_TURN
from alcove_operator.service import Service
from tests.unit.operator_wiring.hackathon import CUP, HACK, WATCHED, Hackathon
from tests.unit.operator_wiring.virtual_time import run

SUBMISSIONS, CAPACITY = 3 * VIEWS_A_TURN, 10


def test_others_go_on_while_places_are_given() -> None:
    async def play() -> None:
        hackathon = Hackathon("de", capacity=CAPACITY, limits={"parallel": CAPACITY})
        for number in range(SUBMISSIONS):
            raw = hackathon.submit("red", f"s-{number:04}")
            runs = [{"dataset": alias} for alias in "de"]
            hackathon.server.put("submissions", "red", {**raw, "status": {"phase": "Queued", "runs": runs}})
        hackathon.events = {plural: asyncio.Queue() for plural in WATCHED}
        service = hackathon.service()
        await service.start()
        views = service.index.open_submissions_of(HACK, CUP)
        counted = count_submissions(views, frozenset("de"))
        steps = 0

        async def take_turns() -> None:
            nonlocal steps
            while True:
                steps += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(take_turns())
        competition = service.index.competitions[HACK, CUP]
        first = await service.competitions._places.give(competition, views, counted, hackathon.now)
        beside.cancel()
        given = [view.name for view in views for _ in service.submissions.grants.of(view.uid).aliases]
        assert given == [f"s-{number:04}" for number in range(CAPACITY // 2) for _ in "de"]
        assert first[views[-1].uid] == 2 * SUBMISSIONS - CAPACITY - 1
        assert steps > SUBMISSIONS / VIEWS_A_TURN

    run(play())


def test_the_first_thing_that_is_written_says_where_a_submission_stands() -> None:
    async def play() -> None:
        hackathon = Hackathon(capacity=1)
        first: dict[str, Object] = {}

        def note(plural: str, raw: Object, _gone: bool) -> None:
            if plural == "submissions" and raw.get("status"):
                first.setdefault(raw["metadata"]["name"], raw["status"])

        hackathon.server.listeners.append(note)

        async def test(_: Service) -> None:
            for name in ("one", "two"):
                hackathon.submit("red", name)
            await hackathon.ended("red", "two")

        await hackathon.operate(test)
        assert (first["one"]["phase"], first["one"]["runs"][0]["attempt"]) == ("Running", 1)
        assert (first["two"]["phase"], first["two"]["cause"]) == ("Queued", "Place 1")

    run(play())
