"""An operator whose answers come late, beside another that has gone on meanwhile."""

from __future__ import annotations

from alcove_kube.client import Object
from alcove_kube.resources import SUBMISSIONS
from alcove_operator.service import Service
from tests.unit.operator_wiring.hackathon import Hackathon
from tests.unit.operator_wiring.memory_server import Fate
from tests.unit.operator_wiring.virtual_time import run


def test_an_attempt_that_another_operator_has_ended_gets_no_job() -> None:
    async def play() -> None:
        hackathon = Hackathon()
        begun: list[Object] = []

        def go_on() -> None:
            raw = hackathon.server.objects["submissions", "red", "one"]
            runs = [{**run, "attempt": 2} for run in raw["status"]["runs"]]
            hackathon.server.put("submissions", "red", {**raw, "status": {**raw["status"], "runs": runs}})

        def note(plural: str, raw: Object, _gone: bool) -> None:
            runs = (raw.get("status") or {}).get("runs") if plural == "submissions" else None
            if runs and runs[0]["attempt"] == 1 and not begun:
                begun.append(raw)
                hackathon.loop.call_later(1.0, go_on)

        async def test(_: Service) -> None:
            hackathon.server.listeners.append(note)
            hackathon.api.fate = lambda verb, of: Fate(after=5.0 * (verb == "PATCH" and of is SUBMISSIONS))
            hackathon.submit("red", "one")
            await hackathon.ended("red", "one", 300)
            assert begun
            assert [name[-4:] for name in hackathon.run_jobs()] == ["-d-2"]

        await hackathon.operate(test)

    run(play())
