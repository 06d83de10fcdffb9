"""A Submission whose bundle is not there yet: looked for now and then, and taken once it is there."""

from __future__ import annotations

import asyncio

from alcove_operator.core.admission import UPLOAD_LOOK
from alcove_operator.service import Service
from tests.unit.operator_wiring.hackathon import Hackathon
from tests.unit.operator_wiring.virtual_time import run


def test_a_bundle_is_looked_for_at_a_steady_pace_and_taken_once_it_is_there() -> None:
    """What a look finds is a fact with its time: were that a reason to look, the operator would do nothing else."""

    async def scenario() -> None:
        hackathon = Hackathon()
        hackathon.store.lacks.add("bundles")

        async def test(_: Service) -> None:
            hackathon.submit("red", "awaited")
            await asyncio.sleep(60)
            assert hackathon.status("red", "awaited")["cause"] == "UploadAwaited"
            looks = len(hackathon.store.taken)
            assert 60 / UPLOAD_LOOK.total_seconds() / 2 <= looks <= 60 / UPLOAD_LOOK.total_seconds() + 2
            hackathon.store.lacks.clear()
            assert (await hackathon.ended("red", "awaited"))["phase"] == "Done"

        await hackathon.operate(test)

    run(scenario())
