"""What cannot be read, listed or looked at: the operator's real parts wait, on an API server in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from alcove_kube.resources import Resource
from alcove_operator.service import Service
from tests.unit.operator_core.pods import stamp
from tests.unit.operator_wiring.hackathon import CUP, HACK, Hackathon
from tests.unit.operator_wiring.listing import jobs, submissions
from tests.unit.operator_wiring.memory_server import Fate
from tests.unit.operator_wiring.virtual_time import run, wait_until


def condition(hackathon: Hackathon, team: str, name: str) -> tuple[str, str]:
    found = hackathon.status(team, name).get("conditions") or [{}]
    return found[0].get("status", ""), found[0].get("reason", "")


def settled(hackathon: Hackathon) -> bool:
    return all(hackathon.usage(team)["settling"] == [] for team in hackathon.teams)


# --- What cannot be looked at is unknown.


def test_a_namespace_that_cannot_be_read_stops_no_other_team_and_rejects_nothing() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()

        async def test(_: Service) -> None:
            hackathon.server.forbidden.add(("namespaces", "red"))
            hackathon.submit("red", "one")
            await wait_until("red waits", lambda: condition(hackathon, "red", "one")[1] == "TeamUnknown", 10)
            hackathon.submit("blue", "two")
            await wait_until("blue runs", lambda: hackathon.phase("blue", "two") == "Running", 30)
            # Far longer than a Submission waits for what may come a moment later.
            await asyncio.sleep(300)
            assert hackathon.phase("red", "one") == ""
            assert condition(hackathon, "red", "one") == ("Unknown", "TeamUnknown")
            hackathon.server.forbidden.clear()
            assert (await hackathon.ended("red", "one", 120))["phase"] == "Done"

        await hackathon.operate(test)

    run(scenario())


def test_what_was_unknown_for_long_gets_its_patience_once_it_is_known() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()

        async def test(_: Service) -> None:
            unlabelled = {"metadata": {"name": "red", "labels": {}}}
            hackathon.server.put("namespaces", "", unlabelled)
            hackathon.server.forbidden.add(("namespaces", "red"))
            hackathon.submit("red", "one")
            await asyncio.sleep(120)
            hackathon.server.forbidden.clear()
            await wait_until("it is known", lambda: condition(hackathon, "red", "one")[1] == "NotATeam", 30)
            await asyncio.sleep(30)
            assert hackathon.phase("red", "one") == ""
            assert (await hackathon.ended("red", "one", 60))["phase"] == "Rejected"

        await hackathon.operate(test)

    run(scenario())


@pytest.mark.parametrize("status", [403, 429, 500])
def test_a_node_that_cannot_be_read_hides_no_other_nodes_loss(status: int) -> None:
    async def scenario() -> None:
        hackathon = Hackathon()
        hackathon.holding = True
        refused = True

        def fate(_verb: str, resource: Resource) -> Fate:
            return Fate(refused=status if refused and resource.plural == "nodes" else 0)

        async def test(_: Service) -> None:
            nonlocal refused
            hackathon.api.fate = fate
            hackathon.submit("red", "one")
            await hackathon.running("red", "one")
            await asyncio.sleep(60)
            assert "does not answer" not in hackathon.run_status("red", "one").get("message", "")
            refused = False
            node = next(name for plural, _, name in hackathon.server.objects if plural == "nodes")
            hackathon.server.put("nodes", "", {"metadata": {"name": node}, "status": {"conditions": []}})
            await wait_until(
                "its loss is noticed",
                lambda: "does not answer" in hackathon.run_status("red", "one").get("message", ""),
                60,
            )

        await hackathon.operate(test)

    run(scenario())


@pytest.mark.parametrize(
    ("before", "readable", "payer"),
    [(True, True, "Platform"), (False, True, "Participant"), (True, False, "Participant")],
)
def test_a_nodes_own_condition_says_whether_it_was_short_of_inodes_before_the_run(
    before: bool, readable: bool, payer: str
) -> None:
    async def scenario() -> None:
        hackathon = Hackathon()
        hackathon.holding, hackathon.run_fate = True, "inodes"
        if not readable:
            hackathon.api.fate = lambda _, resource: Fate(refused=403 if resource.plural == "nodes" else 0)

        def is_running() -> bool:
            return bool(hackathon.run_status("red", "one").get("phase") == "Running")

        async def test(_: Service) -> None:
            hackathon.submit("red", "one")
            await wait_until("it runs", is_running, 60)
            node = next(name for plural, _, name in hackathon.server.objects if plural == "nodes")
            since = stamp(hackathon.now + timedelta(seconds=-3600 if before else 3600))
            pressed = {"type": "DiskPressure", "status": "True", "lastTransitionTime": since}
            conditions = {"conditions": [{"type": "Ready", "status": "True"}, pressed]}
            hackathon.server.put("nodes", "", {"metadata": {"name": node}, "status": conditions})
            hackathon.run_fate = "finished"  # of a second attempt, if there is one
            await asyncio.sleep(30)  # what was seen of the node before is too old by now
            hackathon.holding = False
            status = await hackathon.ended("red", "one", 200)
            first = status["runs"][0]
            assert (first["attempt"] > 1) == (payer == "Platform")
            assert (first["cause"] == "NodePressure") == (payer == "Participant")

        await hackathon.operate(test)

    run(scenario())


# --- Absence from what was not listed proves nothing.


def test_a_team_that_cannot_be_listed_at_the_start_keeps_its_ticket_its_job_and_its_place() -> None:
    async def scenario() -> None:
        hackathon = Hackathon(capacity=1)
        hackathon.holding = True

        async def before(_: Service) -> None:
            hackathon.submit("red", "one")
            await hackathon.running("red", "one")

        async def after(_: Service) -> None:
            hackathon.submit("blue", "two")
            await wait_until("blue is admitted", lambda: hackathon.phase("blue", "two") == "Queued", 30)
            # Longer than it takes until Jobs without a Submission are deleted.
            await asyncio.sleep(400)
            assert len(hackathon.usage("red")["settling"]) == 1
            assert hackathon.run_jobs() == [hackathon.run_jobs()[0]], "the place was given away"
            assert ("jobs", HACK, hackathon.run_jobs()[0]) in hackathon.server.objects
            hackathon.server.forbidden.clear()
            hackathon.holding = False
            assert (await hackathon.ended("red", "one", 120))["phase"] == "Done"
            await wait_until("it is settled", lambda: hackathon.usage("red")["settling"] == [], 30)
            assert hackathon.usage("red")["computeSeconds"] > 0
            assert (await hackathon.ended("blue", "two", 600))["phase"] == "Done"

        await hackathon.operate(before)
        hackathon.server.forbidden.add(("submissions", "red"))
        await hackathon.operate(after)

    run(scenario())


def test_a_team_that_cannot_be_listed_at_the_start_stays_on_the_board() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()

        async def before(_: Service) -> None:
            for team, name in (("red", "one"), ("blue", "two")):
                hackathon.submit(team, name)
                await hackathon.ended(team, name, 120)
            await wait_until("both are ranked", lambda: len(hackathon.board()) == 2, 30)

        async def unseen(_: Service) -> None:
            await asyncio.sleep(120)
            assert hackathon.board() == ["red/one", "blue/two"]
            hackathon.submit("blue", "three")
            await hackathon.ended("blue", "three", 120)
            await wait_until("blue's newest is ranked", lambda: "blue/three" in hackathon.board(), 30)
            assert hackathon.board() == ["red/one", "blue/three"]
            # Red's score by the old settings must not be ranked with blue's by the new ones.
            hackathon.change_spec("competitions", HACK, CUP, scoring={"t0Seconds": 5.0})
            digest = hackathon.status("blue", "three")["scoringDigest"]
            await wait_until(
                "blue is scored again",
                lambda: hackathon.status("blue", "three")["scoringDigest"] != digest,
                600,
            )
            generations = len(hackathon.store.board_requests)
            await asyncio.sleep(300)
            assert hackathon.board() == ["red/one", "blue/three"]
            assert len(hackathon.store.board_requests) == generations
            hackathon.server.forbidden.clear()
            await wait_until(
                "all are ranked anew", lambda: len(hackathon.store.board_requests) > generations, 600
            )
            assert hackathon.board() == ["red/one", "blue/three"]

        await hackathon.operate(before)
        hackathon.server.forbidden.add(("submissions", "red"))
        await hackathon.operate(unseen)

    run(scenario())


def test_the_ticket_of_a_submission_that_was_taken_off_by_force_goes() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()
        hackathon.holding = True

        async def test(_: Service) -> None:
            hackathon.submit("red", "one")
            await wait_until("it is counted", lambda: hackathon.usage("red").get("settling"), 60)
            hackathon.server.remove(("submissions", "red", "one"))
            await wait_until("its ticket is gone", lambda: not hackathon.usage("red")["settling"], 60)

        await hackathon.operate(test)

    run(scenario())


# --- What cannot be read is the organizer's to correct.


def test_a_competition_that_cannot_be_read_rejects_nobody_and_loses_nothing() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()
        hackathon.holding = True

        async def test(service: Service) -> None:
            hackathon.submit("red", "one")
            await hackathon.running("red", "one")
            hackathon.change_spec("competitions", HACK, CUP, ranking="by-lot")
            hackathon.submit("blue", "two")
            for _ in range(2):
                # Far longer than a Submission waits for what may come a moment later; then after a full list.
                await asyncio.sleep(400)
                assert hackathon.phase("blue", "two") == ""
                assert condition(hackathon, "blue", "two") == ("False", "CompetitionUnreadable")
                assert hackathon.status("red", "one")["cause"] == "CompetitionUnreadable"
                await service.resync(everything=True)
            hackathon.change_spec("competitions", HACK, CUP, ranking="average")
            hackathon.holding = False
            assert (await hackathon.ended("red", "one", 120))["phase"] == "Done"
            assert (await hackathon.ended("blue", "two", 120))["phase"] == "Done"
            await wait_until("both are settled", lambda: settled(hackathon), 30)

        await hackathon.operate(test)

    run(scenario())


def test_an_operator_that_starts_beside_what_it_cannot_read_waits_and_does_not_spin() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()
        hackathon.change_spec("competitions", HACK, CUP, ranking="by-lot")
        requests: Counter[str] = Counter()

        async def test(service: Service) -> None:
            hackathon.submit("red", "one")
            await asyncio.sleep(120)
            service.api.count = lambda verb, _plural: requests.update([verb])
            await asyncio.sleep(300)
            assert condition(hackathon, "red", "one") == ("False", "CompetitionUnreadable")
            assert requests["PATCH"] == 0
            assert requests["GET"] < 100
            hackathon.change_spec("competitions", HACK, CUP, ranking="average")
            assert (await hackathon.ended("red", "one", 120))["phase"] == "Done"

        await hackathon.operate(test)

    run(scenario())


def test_a_submission_that_is_deleted_while_its_competition_cannot_be_read_is_settled_afterwards() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()
        hackathon.holding = True

        async def test(_: Service) -> None:
            hackathon.submit("red", "one")
            await hackathon.running("red", "one")
            await asyncio.sleep(10)
            hackathon.change_spec("competitions", HACK, CUP, ranking="by-lot")
            await asyncio.sleep(10)
            hackathon.server.request("DELETE", "/apis/alcove.dev/v1alpha1/namespaces/red/submissions/one")
            await wait_until("its run is stopped", lambda: not jobs(hackathon), 60)
            await asyncio.sleep(60)
            assert ("submissions", "red", "one") in hackathon.server.objects
            hackathon.change_spec("competitions", HACK, CUP, ranking="average")
            await wait_until("it is gone", lambda: not submissions(hackathon), 60)
            assert hackathon.usage("red")["settling"] == []
            assert hackathon.usage("red")["computeSeconds"] > 0

        await hackathon.operate(test)

    run(scenario())
