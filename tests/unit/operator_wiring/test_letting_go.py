"""Submissions that leave the index while somebody works on them."""

from __future__ import annotations

import asyncio

import pytest

from alcove_kube.client import Object
from alcove_kube.resources import SUBMISSIONS, Resource
from alcove_operator.core import names
from alcove_operator.service import Service
from tests.unit.operator_core.pods import may_run
from tests.unit.operator_wiring.hackathon import CUP, HACK, Hackathon
from tests.unit.operator_wiring.memory_server import Fate
from tests.unit.operator_wiring.test_wiring import job_of, list_teams, with_list
from tests.unit.operator_wiring.virtual_time import run, wait_until

ANSWER = 300.0
"""Seconds that the answer to a write takes: longer than until a team is let go of."""


def test_a_team_that_is_let_go_of_during_a_status_write_starts_no_run() -> None:
    """Its place is another's by the time that the answer comes."""

    async def scenario() -> None:
        hackathon = with_list("red", "blue")
        hackathon.holding = True
        late = Fate(after=ANSWER)
        hackathon.api.fate = lambda verb, of: (
            late if (verb, of.plural) == ("PATCH", "submissions") else Fate()
        )

        async def test(service: Service) -> None:
            hackathon.submit("red", "one")
            await wait_until(
                "its attempt is written", lambda: hackathon.run_status("red", "one").get("attempt"), 3000
            )
            hackathon.api.fate = lambda *_: Fate()
            list_teams(hackathon, "blue")
            hackathon.server.unlisted.add(("submissions", "red"))
            await wait_until("red is let go of", lambda: ("red", "one") not in service.index.submissions, 120)
            await asyncio.sleep(ANSWER)
            assert hackathon.run_jobs() == []
            assert ("red", "one") not in service.index.submissions
            hackathon.submit("blue", "two")
            await wait_until("blue runs", lambda: hackathon.phase("blue", "two") == "Running", 60)

        await hackathon.operate(test)

    run(scenario())


def test_a_submission_that_goes_while_another_is_looked_at_stops_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a namespace cannot be listed, each is asked for by its name, and events come in between."""

    async def scenario() -> None:
        hackathon = with_list("red", "blue")
        hackathon.holding = True

        async def test(_: Service) -> None:
            for name in ("one", "two"):
                hackathon.submit("red", name)
            await wait_until("one runs", lambda: job_of(hackathon, "red"), 60)
            hackathon.server.unlisted.add(("submissions", "red"))
            find = hackathon.api.find

            async def find_late(resource: Resource, namespace: str, name: str) -> Object | None:
                other = ("submissions", namespace, "two" if name == "one" else "one")
                if resource is SUBMISSIONS and other in hackathon.server.objects:
                    hackathon.server.remove(other)
                    await asyncio.sleep(1)
                return await find(resource, namespace, name)

            monkeypatch.setattr(hackathon.api, "find", find_late)
            there = [("submissions", "red", name) for name in ("one", "two")]
            await wait_until(
                "one is gone", lambda: sum(key in hackathon.server.objects for key in there) == 1, 1000
            )
            await asyncio.sleep(60)
            hackathon.submit("blue", "three")
            await wait_until("blue runs", lambda: hackathon.phase("blue", "three") == "Running", 600)

        await hackathon.operate(test)

    run(scenario())


def test_a_team_that_is_taken_back_waits_for_a_place_with_its_next_attempt() -> None:
    """Its place became another's when its Job had ended and nobody knew of it."""

    async def scenario() -> None:
        hackathon = with_list("red", "blue")
        hackathon.change_spec("competitions", HACK, CUP, capacity=1)
        hackathon.holding = True
        hackathon.run_fate = "preempted"

        async def test(service: Service) -> None:
            hackathon.submit("red", "one")
            await hackathon.running("red", "one")
            list_teams(hackathon, "blue")
            await wait_until("red is let go of", lambda: ("red", "one") not in service.index.submissions, 120)
            hackathon.holding = False
            await wait_until("its attempt has ended", lambda: have_ended(hackathon, 1), 60)
            hackathon.run_fate, hackathon.holding = "finished", True
            hackathon.submit("blue", "two")
            await hackathon.running("blue", "two")
            list_teams(hackathon, "red", "blue")
            await wait_until("red is back", lambda: ("red", "one") in service.index.submissions, 120)
            await asyncio.sleep(120)
            assert hackathon.run_status("red", "one")["attempt"] == 1
            assert hackathon.most["all"] == 1
            hackathon.holding = False
            await hackathon.ended("blue", "two")
            assert (await hackathon.ended("red", "one"))["phase"] == "Done"
            assert hackathon.run_status("red", "one")["attempt"] == 2
            assert hackathon.most["all"] == 1

        await hackathon.operate(test)

    run(scenario())


def test_attempts_are_repeated_one_after_the_other_once_there_are_fewer_places() -> None:
    """Whatever goes on goes on; what is repeated waits for a place."""

    async def scenario() -> None:
        hackathon = Hackathon("def", capacity=3)
        hackathon.holding = True
        hackathon.run_fate = "preempted"

        async def test(_: Service) -> None:
            hackathon.submit("red", "one")
            await wait_until("all run", lambda: count_live(hackathon) == 3, 60)
            hackathon.change_spec("competitions", HACK, CUP, capacity=1)
            hackathon.run_fate, hackathon.holding = "finished", False
            await wait_until("the first attempts have ended", lambda: have_ended(hackathon, 1), 60)
            hackathon.most.clear()
            assert (await hackathon.ended("red", "one"))["phase"] == "Done"
            assert [hackathon.run_status("red", "one", alias)["attempt"] for alias in "def"] == [2, 2, 2]
            assert hackathon.most["all"] == 1

        await hackathon.operate(test)

    run(scenario())


def have_ended(hackathon: Hackathon, attempt: int) -> bool:
    """Whether no pod of a run's attempt with this number is there that may run."""
    pods = [raw for (plural, *_), raw in hackathon.server.objects.items() if plural == "pods"]
    mine = [raw for raw in pods if raw["metadata"]["labels"][names.ATTEMPT] == str(attempt)]
    return not any(may_run(raw["status"]) for raw in mine)


def count_live(hackathon: Hackathon) -> int:
    """Pods whose participant's container goes on."""
    return sum(pod.stage == 3 for pod in hackathon.pods.values())
