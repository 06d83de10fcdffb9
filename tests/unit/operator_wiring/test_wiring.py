"""The operator's real parts together, on an API server in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sized
from typing import Any

import pytest
from kopf._cogs.clients import api, fetching
from kopf._cogs.structs import references
from kopf._core.reactor import queueing

from alcove_api.board_documents import PhaseActivity
from alcove_kube.client import Object
from alcove_kube.resources import SUBMISSIONS, Resource
from alcove_operator.config import OperatorSettings
from alcove_operator.core import names
from alcove_operator.index import WorkKey
from alcove_operator.service import RELIST_EVERY, Service
from alcove_operator.watches import kopf_settings
from alcove_store.errors import StoreDeniedError
from tests.unit.operator_core.pods import stamp
from tests.unit.operator_wiring.hackathon import CUP, HACK, EventFate, Hackathon, MemoryStore
from tests.unit.operator_wiring.listing import jobs, submissions
from tests.unit.operator_wiring.memory_server import Fate
from tests.unit.operator_wiring.virtual_time import VirtualTimeLoop, run, wait_until


def test_a_submission_goes_its_way_when_nothing_is_in_the_way() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()

        async def test(_: Service) -> None:
            hackathon.submit("red", "one")
            status = await hackathon.ended("red", "one", 120)
            assert (status["phase"], status["runs"][0]["cause"]) == ("Done", "DeadlineReached")
            await wait_until("it is settled", lambda: hackathon.usage("red")["settling"] == [], 10)
            assert hackathon.usage("red")["total"] == 1

        await hackathon.operate(test)

    run(scenario())


def test_a_list_from_before_a_job_was_made_does_not_end_its_run() -> None:
    """The Job is made though its Secret is refused, and has finished before any event tells of its pod."""

    async def scenario() -> None:
        hackathon = Hackathon()
        refused = {"jobs": 1, "secrets": 1}

        def request_fate(verb: str, resource: Resource) -> Fate:
            if verb == "POST" and refused.get(resource.plural, 0) > 0:
                refused[resource.plural] -= 1
                return Fate(refused=500)
            return Fate()

        hackathon.api.fate = request_fate
        hackathon.event_fate = lambda plural: EventFate(after=25.0 if plural == "pods" else 0.0)

        async def test(_: Service) -> None:
            hackathon.submit("red", "one")
            status = await hackathon.ended("red", "one", 300)
            found = status["runs"][0]
            assert (found["attempt"], found["cause"]) == (1, "DeadlineReached")
            assert refused == {"jobs": 0, "secrets": 0}

        await hackathon.operate(test)

    run(scenario())


# --- What can be listed is watched.


def test_a_namespace_that_becomes_readable_is_watched_without_a_restart() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()
        hackathon.server.forbidden.add(("submissions", "red"))

        async def test(_: Service) -> None:
            assert (hackathon.watches("red"), hackathon.watches("blue")) == (False, True)
            await asyncio.sleep(100)
            assert len(hackathon.opened) == 1, "nothing has changed"
            hackathon.server.forbidden.clear()
            await wait_until("red is watched", lambda: hackathon.watches("red"), 35)
            hackathon.submit("red", "one")
            await wait_until("red's Submission is seen", lambda: hackathon.phase("red", "one"), 3)
            assert hackathon.watches("blue")
            assert sum(watch.alive for watch in hackathon.opened) == 1

        await hackathon.operate(test)

    run(scenario())


def test_a_namespace_that_is_gone_ends_no_other_teams_watch() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()

        async def test(_: Service) -> None:
            hackathon.server.forbidden.add(("submissions", "red"))
            # As kopf does when one of its namespaces cannot be listed.
            hackathon.opened[-1].alive = False
            await wait_until("blue is watched again", lambda: hackathon.watches("blue"), 35)
            assert not hackathon.watches("red")
            hackathon.submit("blue", "one")
            assert (await hackathon.ended("blue", "one", 120))["phase"] == "Done"

        await hackathon.operate(test)

    run(scenario())


# --- What comes in while a turn awaits is not overwritten.


def test_a_place_that_is_given_while_a_turn_awaits_is_used_at_once() -> None:
    async def scenario() -> None:
        hackathon = Hackathon("de", capacity=2, limits={"parallel": 2})
        hackathon.holding = True
        red, cup = WorkKey("submission", "red", "two"), WorkKey("competition", HACK, CUP)

        async def test(service: Service) -> None:
            hackathon.submit("blue", "one")
            await wait_until("blue has both places", lambda: len(hackathon.run_jobs()) == 2, 30)
            hackathon.submit("red", "two")
            await wait_until("red waits", lambda: hackathon.phase("red", "two") == "Queued", 30)

            def shown() -> tuple[set[str], int]:
                activity = hackathon.store.activity.get("practice", PhaseActivity())
                return {run.team for run in activity.running}, activity.waiting

            await wait_until(
                "everyone sees that blue runs and red waits", lambda: shown() == ({"blue"}, 2), 30
            )
            hackathon.holding = False
            await hackathon.ended("blue", "one", 120)
            await wait_until("red's first run has a node", lambda: len(hackathon.run_jobs()) >= 3, 30)
            await wait_until("both of red's runs are there", lambda: len(hackathon.run_jobs()) == 4, 3)
            assert service.queue.failures(red) == service.queue.failures(cup) == 0

        await hackathon.operate(test)

    run(scenario())


def test_a_grant_that_comes_in_while_a_turn_awaits_is_not_overwritten() -> None:
    async def scenario() -> None:
        hackathon = Hackathon("de", capacity=1, limits={"parallel": 2})
        hackathon.holding = True

        async def test(service: Service) -> None:
            hackathon.submit("red", "one")
            await hackathon.running("red", "one")
            uid = hackathon.server.objects["submissions", "red", "one"]["metadata"]["uid"]
            await asyncio.sleep(25)  # what is known of its Node is too old by then
            gate = hackathon.api.gates["GET", "nodes"] = asyncio.Event()
            service.queue.add(WorkKey("submission", "red", "one"))
            await wait_until("its turn awaits", lambda: hackathon.api.waiting, 60)
            hackathon.change_spec("competitions", HACK, CUP, capacity=2)
            await wait_until(
                "the grant is there", lambda: len(service.submissions.grants.of(uid).aliases) > 0, 10
            )
            gate.set()
            await wait_until("the second run starts", lambda: len(hackathon.run_jobs()) == 2, 2)

        await hackathon.operate(test)

    run(scenario())


def test_a_name_that_is_used_again_during_a_turn_is_another_submission() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()
        hackathon.holding = True

        async def test(_: Service) -> None:
            hackathon.submit("red", "one")
            await hackathon.running("red", "one")
            await asyncio.sleep(25)
            gate = hackathon.api.gates["GET", "nodes"] = asyncio.Event()
            await wait_until("a turn awaits", lambda: hackathon.api.waiting, 60)
            hackathon.server.remove(("submissions", "red", "one"))
            second = hackathon.submit("red", "one")["metadata"]["uid"]
            await asyncio.sleep(1)
            gate.set()
            hackathon.holding = False
            assert (await hackathon.ended("red", "one", 600))["phase"] == "Done"
            assert hackathon.server.objects["submissions", "red", "one"]["metadata"]["uid"] == second
            assert len(hackathon.store.taken) == 2, "what was learnt of the first was taken for the second's"

        await hackathon.operate(test)

    run(scenario())


# --- Everything goes by one clock.


def test_checks_of_datasets_and_metrics_go_by_the_operators_clock() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()
        unchecked = {"alias": "new", "dataSha256": "a" * 64, "solutionSha256": "b" * 64}
        hackathon.server.put("datasets", HACK, {"metadata": {"name": "new"}, "spec": unchecked})

        def said() -> list[Object]:
            status = hackathon.server.objects["datasets", HACK, "new"].get("status") or {}
            return list(status.get("conditions") or [])

        async def test(service: Service) -> None:
            await wait_until("its check has begun", said, 30)
            assert said()[0]["lastTransitionTime"].startswith(f"{hackathon.now:%Y-%m-%dT%H:%M}")
            hackathon.submit("red", "one")
            await hackathon.ended("red", "one", 120)
            waits = service.metrics.queue_wait.labels(CUP, "practice")
            assert 0 <= waits._sum.get() < 60

        await hackathon.operate(test)

    run(scenario())


# --- Who waits is told of it rarely.


def test_who_waits_far_behind_is_not_told_of_every_start_before_them() -> None:
    async def scenario() -> None:
        teams = tuple(f"t{number}" for number in range(6))
        hackathon = Hackathon(teams=teams, capacity=2, limits={"parallel": 1, "perDay": 100})
        told: Counter[str] = Counter()
        messages: dict[str, str] = {}

        def listen(plural: str, raw: Object, _gone: bool) -> None:
            message = str(((raw.get("status") or {}).get("runs") or [{}])[0].get("message", ""))
            name = raw["metadata"]["name"]
            if plural == "submissions" and message.endswith("goes next.") and messages.get(name) != message:
                told[name] += 1
                messages[name] = message

        async def test(_: Service) -> None:
            hackathon.server.listeners.append(listen)
            every = [(team, f"{team}-{number}") for number in range(6) for team in teams]
            for team, name in every:
                hackathon.submit(team, name)
            for team, name in every:
                await hackathon.ended(team, name, 7200)
            assert len(told) > 20
            # The last of 36: among the first 64, 32, 16, 8, 4; then 2 and 1.
            assert max(told.values()) <= 8, told

        await hackathon.operate(test)

    run(scenario())


# --- A store without room.


def test_while_the_store_is_full_nothing_starts_and_it_goes_on_by_itself() -> None:
    async def scenario() -> None:
        hackathon = Hackathon(capacity=2)
        hackathon.holding = True

        def condition() -> tuple[str, str] | None:
            status = hackathon.server.objects["competitions", HACK, CUP].get("status") or {}
            found = [c for c in status.get("conditions", []) if c["type"] == "StoreHasRoom"]
            return (found[0]["status"], found[0]["reason"]) if found else None

        async def test(service: Service) -> None:
            hackathon.submit("red", "early")
            await wait_until("it runs", lambda: hackathon.run_status("red", "early").get("attempt"), 60)
            assert condition() is None, "nothing is said of a store that was never full"
            hackathon.store.lacks.add("room")
            await service.room.look()
            hackathon.submit("blue", "late")
            await wait_until(
                "it is said",
                lambda: "store is full" in hackathon.run_status("blue", "late").get("message", ""),
                60,
            )
            await asyncio.sleep(600)
            assert hackathon.run_status("blue", "late").get("attempt", 0) == 0
            assert condition() == ("False", "StoreFull")
            hackathon.holding = False
            assert (await hackathon.ended("red", "early", 600))["phase"] == "Done", "what runs is left alone"
            hackathon.store.lacks.clear()
            await service.room.look()
            assert (await hackathon.ended("blue", "late", 600))["phase"] == "Done"
            assert condition() == ("True", "HasRoom")

        await hackathon.operate(test)

    run(scenario())


# --- A watch may miss that something is gone.


def test_a_job_whose_end_no_watch_told_of_keeps_no_submission_for_long() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()
        hackathon.holding = True

        async def test(_: Service) -> None:
            hackathon.submit("red", "one")
            await hackathon.running("red", "one")
            # As between the operator's list and the list that a watch begins with: no event follows.
            for plural, name in (("jobs", jobs(hackathon)[0]), ("pods", f"{jobs(hackathon)[0]}-pod")):
                del hackathon.server.objects[plural, HACK, name]
            hackathon.server.request("DELETE", "/apis/alcove.dev/v1alpha1/namespaces/red/submissions/one")
            await wait_until("it is gone", lambda: not submissions(hackathon), 60)

        await hackathon.operate(test)

    run(scenario())


@pytest.mark.parametrize("everything", [False, True])
def test_a_list_that_is_refused_costs_no_run_its_credentials(
    everything: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        hackathon = Hackathon()
        hackathon.holding = True
        renewed: list[str] = []

        async def refresh(_self: Any, job: str, *_: Any) -> None:
            renewed.append(job)

        async def test(service: Service) -> None:
            hackathon.submit("red", "one")
            await hackathon.running("red", "one")
            await asyncio.sleep(15)
            hackathon.server.forbidden.add(("jobs", HACK))
            monkeypatch.setattr(type(service.credentials), "refresh", refresh)
            await service.resync(everything)
            # The one that scores while it runs has credentials too; one that ranks has no short-lived ones.
            made = [job for plural, _, job in hackathon.server.created if plural == "jobs"]
            assert sorted(renewed) == sorted(job for job in made if not job.startswith("a-"))
            assert set(hackathon.run_jobs()) < set(renewed)

        await hackathon.operate(test)

    run(scenario())


def test_a_watch_that_hangs_is_begun_again_long_before_all_teams_are_listed_again() -> None:
    settings, relist = kopf_settings(), RELIST_EVERY * OperatorSettings.model_fields["resync_seconds"].default
    networking, watching = settings.networking, settings.watching
    assert networking.connect_timeout <= networking.request_timeout
    assert watching.server_timeout < watching.client_timeout
    assert watching.client_timeout + networking.request_timeout < relist / 2


def test_an_event_in_a_slow_round_of_the_loop_ends_no_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, seen = kopf_settings(), list[Any]()
    deadline = min(settings.watching.inactivity_timeout, 1000.0)

    async def list_nothing(**_: Any) -> AsyncIterator[Any]:
        yield [], "1"

    async def stream(**_: Any) -> AsyncIterator[Any]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        came = loop.create_future()

        def come() -> None:
            came.set_result(None)
            loop.now += 2  # what else is done in this round takes until after the deadline

        loop.call_later(deadline - 1, come)
        await came
        yield {"type": "ADDED", "object": {"metadata": {"uid": "u", "name": "one", "resourceVersion": "2"}}}
        await asyncio.sleep(10_000)

    async def process(*, raw_event: Any, **_: Any) -> None:
        seen.append(raw_event)

    async def scenario() -> None:
        monkeypatch.setattr(fetching, "fetch_objs", list_nothing)
        monkeypatch.setattr(api, "stream", stream)
        resource = references.Resource("alcove.dev", "v1alpha1", "submissions", namespaced=True)
        reading = queueing.watcher(namespace="red", settings=settings, resource=resource, processor=process)
        watching = asyncio.create_task(reading)
        await wait_until("the event is taken in", lambda: seen, 2000)
        await asyncio.sleep(30)
        assert not watching.done()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    run(scenario())


# --- What is kept in memory goes when what it is about is gone.


def list_learnt(service: Service) -> list[Sized]:
    """All that is kept in memory of Submissions beside the index."""
    submissions = service.submissions
    return [submissions._facts, submissions.grants, service.executor._emitted]


async def submit_before_its_code(hackathon: Hackathon, team: str) -> None:
    """So that there is something to tell, by an Event."""
    hackathon.submit(team, "one", "code")
    await wait_until(
        "the code is missed", lambda: hackathon.status(team, "one").get("cause") == "CodeMissing", 60
    )
    hackathon.server.put(
        "configmaps", team, {"metadata": {"name": "code"}, "data": {"model.py": "class Model: ..."}}
    )


def test_of_what_has_ended_nothing_is_kept_that_was_learnt() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()

        async def test(service: Service) -> None:
            await submit_before_its_code(hackathon, "red")
            await wait_until("it runs", lambda: hackathon.phase("red", "one") == "Running", 60)
            assert [len(found) for found in list_learnt(service)] == [1, 1, 1]
            await hackathon.ended("red", "one", 120)
            await wait_until("it is forgotten", lambda: not any(map(len, list_learnt(service))), 60)

        await hackathon.operate(test)

    run(scenario())


def test_nothing_is_kept_of_what_is_gone() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()
        hackathon.holding = True

        async def test(service: Service) -> None:
            for team in ("red", "blue"):
                await submit_before_its_code(hackathon, team)
            await wait_until("both run", lambda: all_run(hackathon), 60)
            assert [len(found) for found in list_learnt(service)] == [2, 2, 2]
            for team in ("red", "blue"):
                hackathon.server.request(
                    "DELETE", f"/apis/alcove.dev/v1alpha1/namespaces/{team}/submissions/one"
                )
            await wait_until("both are gone", lambda: not service.index.submissions, 300)
            await service.resync(everything=True)
            assert [len(found) for found in list_learnt(service)] == [0, 0, 0]
            assert service.submissions._quiet == {}
            assert service.credentials._known == {}

        await hackathon.operate(test)

    run(scenario())


def all_run(hackathon: Hackathon) -> bool:
    return all(hackathon.phase(team, "one") == "Running" for team in hackathon.teams)


# --- What teams may know of the rules.


def test_a_board_publishes_the_rules_as_they_are_and_nothing_of_datasets() -> None:
    async def scenario() -> None:
        hackathon = Hackathon(title="Cup")

        def rules() -> dict[str, object]:
            board = hackathon.server.objects.get(("leaderboards", HACK, "practice"))
            return board["spec"]["rules"] if board else {}

        async def test(_: Service) -> None:
            await wait_until("the board", lambda: rules() != {}, 10)
            assert (rules()["title"], rules()["budgetSeconds"], rules()["perDay"]) == ("Cup", 30, 10)
            assert "closesAt" not in rules()
            (phase,) = hackathon.server.objects["competitions", HACK, CUP]["spec"]["phases"]
            hidden = {
                **phase,
                "budget": {"seconds": 30, "disclosed": False},
                "closesAt": "2026-02-01T00:00:00Z",
            }
            hackathon.change_spec("competitions", HACK, CUP, phases=[hidden], limits={"perDay": 3})
            await wait_until("the new rules", lambda: rules().get("perDay") == 3, 10)
            assert rules()["closesAt"] == "2026-02-01T00:00:00Z"
            assert rules().get("budgetSeconds") is None
            assert "ds-" not in str(rules())

        await hackathon.operate(test)

    run(scenario())


# --- Teams come and go.


def list_teams(hackathon: Hackathon, *teams: str) -> None:
    hackathon.server.put(
        "configmaps", HACK, {"metadata": {"name": "alcove-teams"}, "data": {"namespaces": "\n".join(teams)}}
    )


def job_of(hackathon: Hackathon, team: str) -> list[str]:
    """Names of the run Jobs of a team that are there."""
    return [
        name
        for (plural, _, name), raw in hackathon.server.objects.items()
        if plural == "jobs" and name.startswith("r-") and raw["metadata"]["labels"]["alcove.dev/team"] == team
    ]


def with_list(*teams: str) -> Hackathon:
    """A hackathon whose teams are listed in a ConfigMap, as the chart does it."""
    hackathon = Hackathon(teams=("red", "blue", "green"))
    hackathon.settings = hackathon.settings.model_copy(
        update={"namespaces": (), "teams_config_map": "alcove-teams"}
    )
    list_teams(hackathon, *teams)
    return hackathon


def test_a_team_that_is_added_is_served_and_nobody_else_is_interrupted() -> None:
    async def scenario() -> None:
        hackathon = with_list("red", "blue")
        hackathon.holding = True

        async def test(_: Service) -> None:
            hackathon.submit("red", "one")
            await wait_until("red runs", lambda: hackathon.phase("red", "one") == "Running", 60)
            hackathon.submit("green", "early")
            await asyncio.sleep(60)
            assert hackathon.phase("green", "early") == "", "it is no team yet"
            list_teams(hackathon, "red", "blue", "green")
            await wait_until("green runs", lambda: hackathon.phase("green", "early") == "Running", 90)
            assert hackathon.run_status("red", "one")["attempt"] == 1
            assert len(hackathon.run_jobs()) == 2

        await hackathon.operate(test)

    run(scenario())


def test_what_lives_is_listed_when_the_list_can_be_believed_and_not_again_and_again() -> None:
    """A list of the second in which a Job ended may be too old, as its time is in whole seconds."""

    async def scenario() -> None:
        hackathon = Hackathon()
        hackathon.holding = True
        asked: Counter[str] = Counter()

        def count(verb: str, resource: Resource) -> Fate:
            asked[f"{verb} {resource.plural}"] += 1
            return Fate(before=0.01)

        hackathon.api.fate = count

        async def test(_: Service) -> None:
            hackathon.submit("red", "one")
            await hackathon.running("red", "one")
            (name,) = hackathon.run_jobs()
            asked.clear()
            hackathon.server.remove(("pods", HACK, f"{name}-pod"))
            ended = {"type": "Failed", "status": "True", "lastTransitionTime": stamp(hackathon.now)}
            job = hackathon.server.objects["jobs", HACK, name]
            hackathon.server.put("jobs", HACK, {**job, "status": {"conditions": [ended]}})
            await wait_until(
                "it is tried again", lambda: hackathon.run_status("red", "one")["attempt"] == 2, 60
            )
            assert 1 <= asked["GET pods"] <= 3

        await hackathon.operate(test)

    run(scenario())


def test_a_ticket_whose_submission_is_not_yet_seen_is_kept() -> None:
    """Another operator counted it, and its ticket is here before its event is: without it nothing would be charged."""

    async def scenario() -> None:
        hackathon = Hackathon()
        hackathon.holding = True

        async def test(_: Service) -> None:
            hackathon.submit("red", "first")
            await wait_until("it runs", lambda: hackathon.phase("red", "first") == "Running", 60)
            hackathon.event_fate = lambda plural: EventFate(lost=plural == "submissions")
            late = hackathon.submit("red", "late")["metadata"]["uid"]
            raw = hackathon.server.objects["teamusages", HACK, names.usage_name(CUP, "red")]
            counted = {**raw["status"], "settling": [*raw["status"]["settling"], late], "total": 2}
            hackathon.server.put("teamusages", HACK, {**raw, "status": counted})
            await asyncio.sleep(5)
            assert late in hackathon.usage("red")["settling"]
            hackathon.holding = False
            await wait_until("both are settled", lambda: hackathon.usage("red")["settling"] == [], 600)
            assert hackathon.usage("red")["total"] == 2

        await hackathon.operate(test)

    run(scenario())


def test_a_team_that_is_taken_out_is_let_go_of_and_its_submissions_can_be_deleted() -> None:
    async def scenario() -> None:
        hackathon = with_list("red", "blue")
        hackathon.holding = True

        async def test(service: Service) -> None:
            for team in ("red", "blue"):
                hackathon.submit(team, "one")
            await wait_until("both run", lambda: len(hackathon.run_jobs()) == 2, 60)
            list_teams(hackathon, "blue")
            # Its Role is gone with it: what the operator still may is to read and patch one Submission by its name.
            hackathon.server.unlisted.add(("submissions", "red"))
            await wait_until("red's Job is gone", lambda: not job_of(hackathon, "red"), 90)
            finalizers = hackathon.server.objects["submissions", "red", "one"]["metadata"]["finalizers"]
            assert finalizers == []
            assert ("red", "one") not in service.index.submissions
            assert ("blue", "one") in service.index.submissions
            await asyncio.sleep(400)
            assert hackathon.server.objects["submissions", "red", "one"]["metadata"]["finalizers"] == []
            await wait_until("its ticket goes", lambda: hackathon.usage("red")["settling"] == [], 60)
            assert hackathon.usage("blue")["settling"] != []
            # It comes back with all that it had.
            hackathon.server.unlisted.clear()
            list_teams(hackathon, "blue", "red")
            await wait_until("red is seen", lambda: ("red", "one") in service.index.submissions, 90)

        await hackathon.operate(test)

    run(scenario())


def test_a_namespace_that_is_deleted_with_its_submissions_ends() -> None:
    """Its Role goes first, so that neither a list nor a watch tells that they are to be deleted."""

    async def scenario() -> None:
        hackathon = with_list("red", "blue")
        hackathon.holding = True

        async def test(_: Service) -> None:
            hackathon.submit("red", "one")
            await wait_until("red runs", lambda: hackathon.phase("red", "one") == "Running", 60)
            hackathon.server.unlisted.add(("submissions", "red"))
            for watch in hackathon.opened:
                watch.stop()
            hackathon.server.delete(SUBMISSIONS, "red", "one")
            await wait_until(
                "it is gone", lambda: ("submissions", "red", "one") not in hackathon.server.objects, 120
            )
            await wait_until("its Job is gone", lambda: not job_of(hackathon, "red"), 60)

        await hackathon.operate(test)

    run(scenario())


def test_a_list_of_teams_that_is_gone_removes_nobody() -> None:
    async def scenario() -> None:
        hackathon = with_list("red", "blue")

        async def test(service: Service) -> None:
            hackathon.server.remove(("configmaps", HACK, "alcove-teams"))
            await asyncio.sleep(100)
            assert service.teams.namespaces == {"red", "blue"}
            hackathon.submit("red", "one")
            assert (await hackathon.ended("red", "one", 300))["phase"] == "Done"

        await hackathon.operate(test)

    run(scenario())


# --- The audit list is in nobody's way.


def test_a_store_that_refuses_the_audit_list_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one whose policies are those of an earlier release."""

    async def scenario() -> None:
        hackathon = Hackathon()
        refused = 0

        def refuse(*_: object) -> tuple[int, None]:
            nonlocal refused
            refused += 1
            raise StoreDeniedError("The object store refused it.")

        with monkeypatch.context() as patch:
            patch.setattr(MemoryStore, "last_change", refuse)

            async def test(_: Service) -> None:
                hackathon.submit("red", "one")
                assert (await hackathon.ended("red", "one", 120))["phase"] == "Done"
                await asyncio.sleep(600)
                assert 1 <= refused <= 15, "once a minute"

            await hackathon.operate(test)

        async def later(_: Service) -> None:
            await wait_until("the list begins", lambda: hackathon.store.changes, 60)
            hackathon.change_spec("competitions", HACK, CUP, title="Another")
            await wait_until("a change", lambda: len(hackathon.store.changes) == 2, 60)
            assert [c.text for c in hackathon.store.changes[1].changes] == ['spec.title: new, "Another"']

        await hackathon.operate(later)

    run(scenario())
