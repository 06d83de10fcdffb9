"""One operator at a time: who is killed is followed, who lives is left alone."""

from __future__ import annotations

import asyncio
import time
import urllib.request

import pytest

from alcove_kube.resources import LEASES
from alcove_operator.errors import LeaseLostError
from alcove_operator.lease import Lease
from tests.integration.operator_wiring.world import NAMESPACE, World

pytestmark = pytest.mark.integration
DURATION = 4


def lease(world: World, identity: str) -> Lease:
    return Lease(world.api, NAMESPACE, "for-a-test", identity, duration=DURATION)


def test_a_holder_that_was_killed_is_followed_when_its_lease_runs_out(world: World) -> None:
    async def scenario() -> float:
        await lease(world, "killed").acquire()
        began = time.monotonic()
        await asyncio.wait_for(lease(world, "next").acquire(), 60)
        return time.monotonic() - began

    assert asyncio.run(scenario()) >= DURATION
    held = world.find(LEASES, "for-a-test")
    assert held is not None
    assert held["spec"]["holderIdentity"] == "next"
    world.delete(LEASES, "for-a-test")


def test_a_holder_that_renews_keeps_it_and_a_given_back_lease_is_free_at_once(world: World) -> None:
    async def scenario() -> None:
        first, second = lease(world, "first"), lease(world, "second")
        await first.acquire()
        holding = asyncio.create_task(first.hold())
        waiting = asyncio.create_task(second.acquire())
        done, _ = await asyncio.wait({waiting, holding}, timeout=1.5 * DURATION)
        assert not done, "the second got it beside a first that renews, or the first gave up"
        holding.cancel()
        await first.release()
        await asyncio.wait_for(waiting, 60)

    asyncio.run(scenario())
    world.delete(LEASES, "for-a-test")


def test_a_holder_that_finds_another_in_its_place_stops(world: World) -> None:
    async def scenario() -> None:
        first = lease(world, "first")
        await first.acquire()
        path = LEASES.path(NAMESPACE, "for-a-test")
        taken = {"spec": {"holderIdentity": "thief", "leaseDurationSeconds": 60}}
        world.ask("PATCH", path, taken, "application/merge-patch+json")
        with pytest.raises(LeaseLostError):
            await asyncio.wait_for(first.hold(), 60)

    asyncio.run(scenario())
    world.delete(LEASES, "for-a-test")


def test_the_running_operator_is_healthy(world: World) -> None:
    port = world.operator.environment["ALCOVE_HEALTH_PORT"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=60) as answer:
        assert answer.status == 200
