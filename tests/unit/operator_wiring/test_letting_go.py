"""Submissions that leave the index while somebody works on them."""

from __future__ import annotations

import asyncio

import pytest

from alcove_kube.client import Object
from alcove_kube.resources import SUBMISSIONS, Resource
from alcove_operator.service import Service
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
