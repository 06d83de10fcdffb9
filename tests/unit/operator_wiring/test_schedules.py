"""Whatever the network does to requests and watch events, every Submission ends well, once, and within the limits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from alcove_kube.errors import ApiError
from alcove_kube.resources import Resource
from alcove_operator.core import names
from alcove_operator.service import Service
from tests.unit.operator_wiring.hackathon import EventFate, Hackathon
from tests.unit.operator_wiring.memory_server import Fate
from tests.unit.operator_wiring.virtual_time import run, wait_until

FINE = Fate()
FATES = (
    FINE, FINE, FINE,
    Fate(before=0.3), Fate(after=0.3), Fate(before=7.0), Fate(after=7.0), Fate(before=45.0),
    Fate(refused=403), Fate(refused=409), Fate(refused=429), Fate(refused=500),
    Fate(lost=True), Fate(lost=True, after=20.0), Fate(repeated=True),
)  # fmt: skip
EVENTS = (
    EventFate(), EventFate(), EventFate(after=0.5), EventFate(after=20.0), EventFate(lost=True),
    EventFate(repeated=True),
)  # fmt: skip
CAPACITY, PARALLEL = 2, 1
SCHEDULES = st.lists(st.integers(0, len(FATES) - 1), min_size=100, max_size=100)
EVENT_SCHEDULES = st.lists(st.integers(0, len(EVENTS) - 1), min_size=100, max_size=100)


def one_by_one(schedule: list[int]) -> Iterator[int]:
    """Then 0 for ever: in the end the network behaves."""
    yield from schedule
    while True:
        yield 0


async def play(hackathon: Hackathon, requests: list[int], events: list[int], crashes: list[float]) -> None:
    tape, event_tape = one_by_one(requests), one_by_one(events)

    def request_fate(verb: str, _resource: Resource) -> Fate:
        fate = FATES[next(tape)]
        # A conflict is an answer about a version or a name: no server gives it to a reader, or for a new name.
        return FINE if fate.refused == 409 and verb != "PATCH" else fate

    hackathon.event_fate = lambda _plural: EVENTS[next(event_tape)]
    submissions = [("red", "one"), ("blue", "two"), ("red", "three")]
    for team, name in submissions:
        hackathon.submit(team, name)
    objects = hackathon.server.objects
    uids = [objects["submissions", team, name]["metadata"]["uid"] for team, name in submissions]

    async def until_killed(seconds: float, _: Service) -> None:
        await wait_until("the kill", lambda: hackathon.loop.time() >= seconds, seconds + 1)

    async def to_the_end(_: Service) -> None:
        for team, name in submissions:
            status = await hackathon.ended(team, name, 7200)
            run_of = status["runs"][0]
            assert (status["phase"], run_of["attempt"], run_of["cause"]) == ("Done", 1, "DeadlineReached"), (
                status
            )

        def settled() -> bool:
            return all(hackathon.usage(team)["settling"] == [] for team in hackathon.teams)

        await wait_until("all are settled", settled, 1200)

    hackathon.api.fate = request_fate
    for seconds in sorted(crashes):
        await operate(hackathon, partial(until_killed, seconds))
    await operate(hackathon, to_the_end)

    created = Counter(hackathon.run_jobs())
    assert created == {names.run_job(uid, "d", 1): 1 for uid in uids}
    assert hackathon.most["all"] <= CAPACITY
    assert all(hackathon.most[team] <= PARALLEL for team in hackathon.teams)
    assert (hackathon.usage("red")["total"], hackathon.usage("blue")["total"]) == (2, 1)
    # Each run is charged from its go to its end (10 s in this model, see pods.py), on one CPU or GPU.
    per_run = hackathon.usage("blue")["computeSeconds"]
    assert per_run > 0
    assert hackathon.usage("red")["computeSeconds"] == 2 * per_run


async def operate(hackathon: Hackathon, test: Callable[[Service], Coroutine[Any, Any, None]]) -> None:
    """As a Deployment does: an operator that cannot start is started again."""
    while True:
        try:
            await hackathon.operate(test)
            return
        except ApiError:
            await asyncio.sleep(1.0)


# Without shrinking: a failing schedule plays hours of virtual time, hundreds of times.
@settings(
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    requests=SCHEDULES,
    events=EVENT_SCHEDULES,
    crashes=st.lists(st.floats(1.0, 150.0), min_size=1, max_size=3),
)
def test_every_submission_ends_well_once_and_within_the_limits(
    requests: list[int], events: list[int], crashes: list[float]
) -> None:
    async def scenario() -> None:
        limits = {"parallel": PARALLEL, "perDay": 10, "total": 10}
        await play(Hackathon(capacity=CAPACITY, limits=limits), requests, events, crashes)

    run(scenario())
