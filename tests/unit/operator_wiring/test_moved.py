"""What the operator does with objects that were restored from a backup: known by what they were first."""

from __future__ import annotations

from typing import Any

from alcove_api.competition import CompetitionSpec
from alcove_api.run_documents import Verdict
from tests.unit.operator_wiring.hackathon import CUP, HACK, Hackathon
from tests.unit.operator_wiring.virtual_time import run, wait_until

ORIGIN = {"uid": "first-0", "createdAt": "2020-01-01T00:00:00Z", "generation": 5}


def moved(hackathon: Hackathon, plural: str, namespace: str, name: str, **status: Any) -> None:
    raw = hackathon.server.objects[plural, namespace, name]
    hackathon.server.put(plural, namespace, {**raw, "status": {**status, "origin": ORIGIN}})


def test_the_audit_list_of_a_moved_competition_goes_on() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()
        moved(hackathon, "competitions", HACK, CUP)

        async def test(_: object) -> None:
            await wait_until("it is entered", lambda: hackathon.store.changes, 60)
            hackathon.change_spec("competitions", HACK, CUP, title="Moved")
            await wait_until("the change is entered", lambda: len(hackathon.store.changes) == 2, 60)

        await hackathon.operate(test)
        first, second = hackathon.store.changes
        assert (first.competition_uid, first.generation, first.changes) == ("first-0", 6, ())
        assert (second.competition_uid, second.generation) == ("first-0", 7)
        assert second.changes
        assert CompetitionSpec.model_validate(second.spec).title == "Moved"

    run(scenario())


def test_a_moved_submission_runs_under_its_first_uid_and_is_let_go_of_by_its_present_one() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()
        hackathon.submit("red", "one")
        moved(hackathon, "submissions", "red", "one")

        async def test(_: object) -> None:
            await hackathon.ended("red", "one")
            assert hackathon.run_jobs() == ["r-first0-d-1"]
            assert isinstance(hackathon.store.verdicts["first-0", "d"], Verdict)
            assert hackathon.status("red", "one")["origin"] == ORIGIN
            about = {
                raw["regarding"]["uid"]
                for (plural, *_), raw in hackathon.server.objects.items()
                if plural == "events" and raw["regarding"]["kind"] == "Submission"
            }
            assert about == {hackathon.server.objects["submissions", "red", "one"]["metadata"]["uid"]}

        await hackathon.operate(test)

    run(scenario())
