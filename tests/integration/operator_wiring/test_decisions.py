"""An organizer's decisions by ``alcove manage``, on a real API server: what they bring about, and who is named."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from alcove_api import keys
from alcove_api.board_documents import AggregateRequest
from alcove_api.change_documents import CompetitionChange
from alcove_kube.resources import COMPETITIONS, EVENTS, JOBS
from tests.integration.operator_wiring.test_flow import (
    FINISHED,
    environment,
    find_requested,
    root_store,
    run_status,
    score,
)
from tests.integration.operator_wiring.world import NAMESPACE, RED, World, wait_for

pytestmark = pytest.mark.integration
CUP = "decided"


def manage(world: World, *words: str) -> subprocess.CompletedProcess[str]:
    where = ("--competition", f"{NAMESPACE}/{CUP}", "--kubeconfig", str(world.cluster.kubeconfig))
    command = [sys.executable, "-m", "alcove_cli.main", "manage", *words, *where]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def changes(world: World) -> list[CompetitionChange]:
    store, prefix = root_store(world), keys.changes(NAMESPACE, CUP)
    found = sorted(str(o.object_name) for o in store.list_objects(keys.MAIN_BUCKET, prefix=prefix))
    read = [store.get_object(keys.MAIN_BUCKET, key).read() for key in found]
    return [CompetitionChange.model_validate_json(data) for data in read]


def condition(world: World, kind: str) -> dict[str, Any]:
    competition = world.find(COMPETITIONS, CUP) or {}
    found = (competition.get("status") or {}).get("conditions") or []
    return next((c for c in found if c["type"] == kind), {})


def board_request(world: World) -> AggregateRequest | None:
    """What the newest board of the phase is made of."""
    jobs = [j for j in world.list(JOBS) if j["metadata"]["name"].startswith(f"a-{CUP}-practice-")]
    newest = next((job for job in jobs if find_requested(world, job)), None)
    if newest is None:
        return None
    key = environment(newest, "aggregate")["ALCOVE_REQUEST_KEY"]
    return AggregateRequest.model_validate_json(root_store(world).get_object(keys.MAIN_BUCKET, key).read())


def finish_boards(world: World) -> None:
    for job in world.list(JOBS):
        ranks = job["metadata"]["name"].startswith(f"a-{CUP}-") and find_requested(world, job)
        if ranks and not (job.get("status") or {}).get("conditions"):
            world.finish(job)


def refuse_what_is_wrong(world: World) -> None:
    """Nothing that is wrong gets through, by the command or by kubectl."""
    for words, said in (
        (("exclude", "hack-nobody", "--reason", "x"), "is not the namespace of a team"),
        (("exclude", RED, "--submission", "scoerd", "--reason", "x"), "There is no Submission"),
        (("stop", RED, "hangs", "--reason", "two\nlines"), "reason cannot be"),
        (("extend", f"{CUP}-practice", "2099-01-01 00:00"), "open without end"),
    ):
        refused = manage(world, *words)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert said in refused.stderr
    path, typo = COMPETITIONS.path(NAMESPACE, CUP), [{"team": "hack-nobody", "reason": "A typo"}]
    world.ask("PATCH", path, {"spec": {"excluded": typo}}, "application/merge-patch+json")
    found = wait_for(
        "a condition", lambda: condition(world, "DecisionsApply").get("status") == "False" or None
    )
    assert found
    assert "hack-nobody" in condition(world, "DecisionsApply")["message"]
    world.ask("PATCH", path, {"spec": {"excluded": []}}, "application/merge-patch+json")
    wait_for(
        "the condition passes", lambda: condition(world, "DecisionsApply").get("status") == "True" or None
    )


def check_list(world: World) -> None:
    """It has every change in order, with its author as the API server has it; Events tell it, and nothing twice."""

    def told() -> list[str] | None:
        kinds = [c.kind for e in changes(world) for c in e.changes]
        return kinds if kinds and kinds[-1] == "Reinstated" else None

    kinds = wait_for("the list", told)
    assert kinds == ["Excluded", "Reinstated", "RunsCancelled", "QuotaGivenBack", "Excluded", "Reinstated"]
    by_command = [c for e in changes(world) for c in e.changes][2:]
    assert all(c.author.startswith("alcove ") and c.at is not None for c in by_command)
    events = [
        e
        for e in world.list(EVENTS)
        if e["regarding"].get("kind") == "Competition" and e["regarding"]["name"] == CUP
    ]
    assert {e["reason"] for e in events} == set(kinds)
    # An operator that starts again tells nothing twice.
    path = COMPETITIONS.path(NAMESPACE, CUP)
    world.operator.kill()
    world.operator.start()
    world.ask("PATCH", path, {"spec": {"title": "Another title"}}, "application/merge-patch+json")
    wait_for("the next entry", lambda: [c for c in changes(world)[-1].changes if "title" in c.text] or None)
    assert [c.kind for e in changes(world) for c in e.changes] == [*kinds, "SpecChanged"]


def extend(world: World) -> None:
    """A phase with an end gets a later one; that too has its Event and its line in the list, with the author."""

    def wait_for_last(kind: str) -> CompetitionChange:
        def look() -> CompetitionChange | None:
            newest = changes(world)[-1]
            return newest if [c.kind for c in newest.changes] == [kind] else None

        return wait_for(f"{kind} in the list", look)

    phases = (world.find(COMPETITIONS, CUP) or {})["spec"]["phases"]
    ending = {"spec": {"phases": [phases[0] | {"closesAt": "2099-01-01T00:00:00Z"}]}}
    world.ask("PATCH", COMPETITIONS.path(NAMESPACE, CUP), ending, "application/merge-patch+json")
    wait_for_last("PhaseShortened")
    extended = manage(world, "extend", f"{CUP}-practice", "2099-02-01T00:00:00Z")
    assert extended.returncode == 0, extended.stderr
    (change,) = wait_for_last("PhaseExtended").changes
    assert change.author.startswith("alcove ")
    assert f"The phase {CUP}-practice closes at 2099-02-01T00:00:00Z" in change.text
    wait_for("its Event", lambda: [e for e in world.list(EVENTS) if e["reason"] == "PhaseExtended"])


def test_every_decision_takes_effect_and_is_in_the_audit_list(world: World) -> None:
    world.open_competition(CUP, limits={"perDay": 2, "total": 2})
    world.join(RED, CUP)
    uid = world.submission("scored", CUP)["metadata"]["uid"]
    world.running(pod := world.pod_of(job := world.job(f"r-{uid[:8]}")))
    stopping = world.submission("hangs", CUP)["metadata"]["uid"]
    world.running(world.pod_of(hanging := world.job(f"r-{stopping[:8]}")))
    assert wait_for("the list begins", lambda: changes(world))[0].changes == ()

    refuse_what_is_wrong(world)

    # A run is stopped, and its Job with it.
    stopped = manage(world, "stop", RED, "hangs", "--reason", "It hangs")
    assert stopped.returncode == 0, stopped.stderr
    wait_for("the cause", lambda: run_status(world, "hangs", RED).get("cause") == "Cancelled" or None)
    assert run_status(world, "hangs", RED)["message"].startswith("The organizer stopped it: It hangs.")
    assert wait_for("its Job goes", lambda: world.find(JOBS, hanging["metadata"]["name"]) is None or None)

    # Quota is given back: a third submission passes.
    third = world.submission("third", CUP)
    refused_at = wait_for(
        "a refusal", lambda: world.submission_status("third").get("phase") == "Rejected" or None
    )
    assert third
    assert refused_at
    assert manage(world, "give-back", RED, "1", "--day", "today", "--reason", "Node lost").returncode == 0
    wait_for(
        "the list",
        lambda: [c for e in changes(world) for c in e.changes if c.kind == "QuotaGivenBack"] or None,
    )
    world.submission("fourth", CUP)
    wait_for("it is admitted", lambda: world.submission_status("fourth").get("admittedAt"))
    assert "of 3 in all" in world.submission_status("fourth")["quota"]

    # Left out of the board and put back.
    world.ended(pod, 0, FINISHED)
    world.finish(job)
    score(world, world.job(f"s-{uid[:8]}"), 0.75)
    wait_for("the board", lambda: board_request(world))
    finish_boards(world)
    assert (
        manage(world, "exclude", RED, "--submission", "scored", "--reason", "Leaked labels").returncode == 0
    )
    left = wait_for("a board without", lambda: ((r := board_request(world)) and r.excluded and r) or None)
    assert left.entries == ()
    assert [(e.team, e.submission, e.reason) for e in left.excluded] == [(RED, "scored", "Leaked labels")]
    wait_for(
        "the team is told",
        lambda: world.submission_status("scored").get("excluded") == "Leaked labels" or None,
    )
    assert world.submission_status("scored")["place"] == "excluded"
    finish_boards(world)
    assert manage(world, "reinstate", RED, "--submission", "scored").returncode == 0
    back = wait_for("a board with it", lambda: ((r := board_request(world)) and r.entries and r) or None)
    assert [e.submission for e in back.entries] == ["scored"]
    wait_for("the team is told", lambda: not world.submission_status("scored").get("excluded") or None)

    check_list(world)
    extend(world)
