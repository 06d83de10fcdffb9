"""A competition that names a queue of Kueue: the operator's real parts, and a Kueue that admits whoever comes first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from alcove_operator.core import names
from alcove_operator.service import Service
from tests.unit.operator_wiring.hackathon import CUP, HACK, Hackathon
from tests.unit.operator_wiring.virtual_time import run, wait_until


def condition(hackathon: Hackathon) -> str:
    status: dict[str, Any] = hackathon.server.objects["competitions", HACK, CUP].get("status") or {}
    return next((c["reason"] for c in status.get("conditions", []) if c["type"] == "Ready"), "")


async def a_second_later(hackathon: Hackathon) -> None:
    """Times of creation have whole seconds."""
    until = hackathon.now + timedelta(seconds=1)
    await wait_until("a second", lambda: hackathon.now >= until, 5)


def test_the_team_that_has_used_least_goes_next_and_one_run_at_a_time_waits_in_kueue() -> None:
    async def play() -> None:
        hackathon = Hackathon(localQueue="gpus", capacity=1)
        hackathon.server.put("localqueues", HACK, {"metadata": {"name": "gpus"}})

        def waiting() -> int:
            jobs = [raw for (plural, *_), raw in hackathon.server.objects.items() if plural == "jobs"]
            return sum(bool(job["spec"].get("suspend")) for job in jobs)

        async def test(_: Service) -> None:
            uids = {}
            for name in ("first", "second", "third"):
                uids[f"red/{name}"] = hackathon.submit("red", name)["metadata"]["uid"]
                await a_second_later(hackathon)
            await wait_until("the second waits in Kueue", lambda: waiting() == 1, 60)
            uids["blue/first"] = hackathon.submit("blue", "first")["metadata"]["uid"]
            most = 0
            while hackathon.phase("red", "third") != "Done":
                most = max(most, waiting())
                await a_second_later(hackathon)
            assert most == 1
            by_uid = {names.uid8(uid): name for name, uid in uids.items()}
            order = [by_uid[job.split("-")[1]] for job in hackathon.admitted]
            assert order == ["red/first", "red/second", "blue/first", "red/third"]
            assert condition(hackathon) == "Ready"

        await hackathon.operate(test)

    run(play())


def test_kueue_gets_more_than_capacity_as_it_is_its_own() -> None:
    async def play() -> None:
        hackathon = Hackathon(localQueue="gpus", capacity=1)
        hackathon.server.put("localqueues", HACK, {"metadata": {"name": "gpus"}})
        hackathon.kueue_places, hackathon.holding = 3, True

        async def test(_: Service) -> None:
            for name in ("first", "second", "third"):
                hackathon.submit("red", name)
            await wait_until("three runs at once", lambda: hackathon.most["all"] == 3, 60)
            hackathon.holding = False
            for name in ("first", "second", "third"):
                assert (await hackathon.ended("red", name))["phase"] == "Done"

        await hackathon.operate(test)

    run(play())


def test_a_phase_with_a_queue_of_its_own_waits_for_no_run_of_another() -> None:
    async def play() -> None:
        phases = [
            {"name": "practice", "datasets": ["ds-d"], "budget": {"seconds": 30}},
            {"name": "own", "datasets": ["ds-d"], "budget": {"seconds": 30}, "localQueue": "reserved"},
        ]
        hackathon = Hackathon(localQueue="gpus", phases=phases, limits={"parallel": 2})
        hackathon.server.put("localqueues", HACK, {"metadata": {"name": "gpus"}})
        hackathon.holding = True

        def message(team: str, name: str) -> str:
            return str(hackathon.run_status(team, name).get("message", ""))

        async def test(_: Service) -> None:
            await wait_until("what is missing", lambda: condition(hackathon) == "QueueMissing", 60)
            hackathon.server.put("localqueues", HACK, {"metadata": {"name": "reserved"}})
            await wait_until("both queues", lambda: condition(hackathon) == "Ready", 60)
            hackathon.submit("red", "first")
            await wait_until("it runs", lambda: hackathon.most["all"] == 1, 60)
            hackathon.submit("blue", "waits")
            told = "Waiting in the queue gpus of Kueue."
            await wait_until("its queue is full", lambda: message("blue", "waits") == told, 60)
            hackathon.submit("red", "second", phase="own")
            await wait_until("one beside it", lambda: hackathon.most["red"] == 2, 60)
            # What a team may have under way is counted over all queues.
            hackathon.submit("red", "third", phase="own")
            await wait_until("its limit", lambda: "2 at the same time" in message("red", "third"), 60)
            hackathon.holding = False
            for team, name in (("red", "third"), ("blue", "waits")):
                assert (await hackathon.ended(team, name))["phase"] == "Done"

        await hackathon.operate(test)

    run(play())


def test_a_queue_that_is_missing_is_said_and_found_once_it_is_made() -> None:
    async def play() -> None:
        hackathon = Hackathon(localQueue="gpus")

        async def test(_: Service) -> None:
            await wait_until("the condition", lambda: condition(hackathon) == "QueueMissing", 60)
            hackathon.server.put("localqueues", HACK, {"metadata": {"name": "gpus"}})
            await wait_until("the queue seen", lambda: condition(hackathon) == "Ready", 60)

        await hackathon.operate(test)

    run(play())


def test_an_attempt_that_has_ended_keeps_no_other_run_from_kueue() -> None:
    """Its Job is gone, and another follows only when the organizer has repaired the dataset."""

    async def play() -> None:
        budget = {"seconds": 30}
        phases = [
            {"name": "practice", "datasets": ["ds-d"], "budget": budget},
            {"name": "other", "datasets": ["ds-e"], "budget": budget},
        ]
        hackathon = Hackathon("de", localQueue="gpus", phases=phases)
        hackathon.server.put("localqueues", HACK, {"metadata": {"name": "gpus"}})
        hackathon.holding, hackathon.run_fate = True, "deleted"

        def run_of(team: str, alias: str) -> dict[str, Any]:
            return hackathon.run_status(team, "one", alias)

        async def test(_: Service) -> None:
            hackathon.submit("red", "one")
            await wait_until("it runs", lambda: run_of("red", "d").get("phase") == "Running", 60)
            dataset = hackathon.server.objects["datasets", HACK, "ds-d"]
            ready = {**dataset["status"]["conditions"][0], "status": "False", "reason": "Damaged"}
            status = {**dataset["status"], "conditions": [ready]}
            hackathon.server.put("datasets", HACK, {**dataset, "status": status})
            hackathon.holding = False
            await wait_until(
                "the dataset is missed", lambda: "not ready" in run_of("red", "d")["message"], 120
            )
            # As the operator deletes it where Kueue has stopped it before it could end.
            hackathon.server.remove(("jobs", HACK, hackathon.run_jobs()[0]))
            hackathon.run_fate = "deadline"
            hackathon.submit("blue", "one", phase="other")
            assert (await hackathon.ended("blue", "one", 120))["phase"] == "Done"

        await hackathon.operate(test)

    run(play())
