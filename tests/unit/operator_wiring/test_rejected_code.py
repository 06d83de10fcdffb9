"""What becomes of the code of a rejected Submission: it fills the team's quota of ConfigMaps otherwise."""

from __future__ import annotations

from alcove_operator.service import Service
from tests.unit.operator_wiring.hackathon import CUP, HACK, Hackathon
from tests.unit.operator_wiring.memory_server import Spot
from tests.unit.operator_wiring.virtual_time import run, wait_until


def code_of(hackathon: Hackathon, name: str, owner: str = "") -> Spot:
    owners = [{"kind": "Submission", "name": name, "uid": owner}] if owner else []
    code = {"metadata": {"name": name, "ownerReferences": owners}, "data": {"model.py": "class Model: ..."}}
    hackathon.server.put("configmaps", "red", code)
    return "configmaps", "red", name


def test_the_code_of_a_rejected_submission_goes_whenever_it_came() -> None:
    """`alcove submit` creates the Submission first, so that it may be rejected before its code is there."""

    async def scenario() -> None:
        hackathon = Hackathon()
        phase = hackathon.server.objects["competitions", HACK, CUP]["spec"]["phases"][0]
        closed = {**phase, "closesAt": "2026-01-01T00:00:00Z"}
        hackathon.change_spec("competitions", HACK, CUP, phases=[closed])

        async def test(_: Service) -> None:
            there = hackathon.server.objects
            foreign = code_of(hackathon, "foreign")
            hackathon.submit("red", "foreign", "foreign")
            early = code_of(hackathon, "early", hackathon.submit("red", "early", "early")["metadata"]["uid"])
            late = hackathon.submit("red", "late", "late")["metadata"]["uid"]
            for name in ("foreign", "early", "late"):
                await hackathon.ended("red", name)
            await wait_until("the code is gone", lambda: early not in there, 30)
            spot = code_of(hackathon, "late", late)
            await wait_until("the late code is gone", lambda: spot not in there, 30)
            assert foreign in there, "somebody made it by other means, and may use it again"

        await hackathon.operate(test)

    run(scenario())


def test_the_code_of_an_admitted_submission_stays() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()

        async def test(_: Service) -> None:
            spot = code_of(hackathon, "one", hackathon.submit("red", "one", "one")["metadata"]["uid"])
            assert (await hackathon.ended("red", "one"))["phase"] == "Done"
            assert spot in hackathon.server.objects

        await hackathon.operate(test)

    run(scenario())
