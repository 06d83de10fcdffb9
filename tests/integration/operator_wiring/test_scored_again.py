"""New settings, on a real API server and a real store: what has ended is scored again, and no board mixes scores."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from alcove_api.comparison import Comparison
from alcove_api.phase import ScoringSpec
from alcove_cli import rescore
from alcove_cli.errors import FailedError
from alcove_cli.rescore_plan import ScoringChanges, plan_rescore
from alcove_cli.rescore_wait import wait_until_shown
from alcove_kube.resources import COMPETITIONS, DEPLOYMENTS, JOBS
from alcove_operator import config
from alcove_operator.core import parse_objects
from tests.integration.operator_wiring.test_flow import FINISHED, environment, find_requested, publish, score
from tests.integration.operator_wiring.world import BLUE, GREEN, World, wait_for

pytestmark = pytest.mark.integration


def scored(world: World, name: str, team: str) -> dict[str, Any]:
    """A submission whose run has ended and is scored; its status."""
    uid = world.submission(name, "again", team)["metadata"]["uid"]
    pod = world.pod_of(world.job(f"r-{uid[:8]}"))
    world.running(pod)
    world.ended(pod, 0, FINISHED)
    score(world, world.job(f"s-{uid[:8]}"), 0.7)
    return wait_for(f"{name} is scored", lambda: done(world, name, team)) | {"uid": uid}


def done(world: World, name: str, team: str) -> dict[str, Any] | None:
    status = world.submission_status(name, team)
    return status if status.get("phase") == "Done" else None


def board_jobs(world: World) -> list[str]:
    return sorted(
        j["metadata"]["name"] for j in world.list(JOBS) if j["metadata"]["name"].startswith("a-again-")
    )


def told(world: World, name: str, team: str) -> str:
    conditions = world.submission_status(name, team).get("conditions", [])
    return next((str(c["message"]) for c in conditions if c["type"] == "Scored"), "")


def test_a_board_is_made_of_new_scores_alone_and_one_that_failed_is_left_out_until_it_has_one(
    world: World,
) -> None:
    for team in (BLUE, GREEN):
        world.join(team, "again")
    world.open_competition("again")
    old = {team: scored(world, "scored", team) for team in (BLUE, GREEN)}
    wait_for("a rank", lambda: ranked(world))
    before = board_jobs(world)

    body = {"spec": {"scoring": {"scheme": "autodl"}}}
    world.ask("PATCH", COMPETITIONS.path("hack", "again"), body, "application/merge-patch+json")
    jobs = {team: world.job(f"s-{old[team]['uid'][:8]}") for team in (BLUE, GREEN)}
    score(world, jobs[BLUE], 0.4)
    new = wait_for("another score", lambda: changed(world, BLUE, old[BLUE]))
    assert new["runs"][0]["alc"] == 0.4
    assert done(world, "scored", GREEN), "what has ended stays so"
    assert world.submission_status("scored", GREEN)["runs"][0]["alc"] == 0.7, "shown until there is another"
    assert board_jobs(world) == before, "one has an old score, the other a new one"

    # Inputs at fault: not tried again, and said.
    failed = jobs[GREEN]["metadata"]["name"]
    world.finish(jobs[GREEN], ok=False, reason="PodFailurePolicy")
    wait_for("it is said", lambda: failed in told(world, "scored", GREEN))
    assert told(world, "scored", GREEN).startswith("The earlier score is shown.")
    asked = publish(world, next_board(world, before))
    assert {e.team: e.scoring_digest for e in asked.entries}[GREEN] != old[GREEN]["scoringDigest"]

    # The organizer repairs it and deletes the Job.
    before = board_jobs(world)
    world.delete(JOBS, failed)
    job = wait_for("another try", lambda: another(world, failed, jobs[GREEN]["metadata"]["uid"]))
    assert environment(job, "score")["ALCOVE_REQUEST"] == environment(jobs[GREEN], "score")["ALCOVE_REQUEST"]
    score(world, job, 0.3)
    wait_for("its score", lambda: changed(world, GREEN, old[GREEN]))
    assert told(world, "scored", GREEN) == "Scored."
    asked = publish(world, next_board(world, before))
    assert {e.team for e in asked.entries} == {BLUE, GREEN}


def test_alcove_rescore_tries_again_what_was_never_scored(world: World) -> None:
    containers = [
        {
            "name": "operator",
            "image": "alcove/operator:1",
            "env": [{"name": n, "value": v} for n, v in world.operator.environment.items()],
        }
    ]
    labels = {"app": "operator"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    world.create(DEPLOYMENTS, {"kind": "Deployment", "metadata": {"name": rescore.OPERATOR}, "spec": spec})
    world.join(BLUE, "mended")
    world.open_competition("mended")
    uid = world.submission("never", "mended", BLUE)["metadata"]["uid"]
    pod = world.pod_of(world.job(f"r-{uid[:8]}"))
    world.running(pod)
    world.ended(pod, 0, FINISHED)
    job = world.job(f"s-{uid[:8]}")
    world.finish(job, ok=False, reason="PodFailurePolicy")
    wait_for("it is said", lambda: job["metadata"]["name"] in told(world, "never", BLUE))

    rescore.rescore_competition(
        world.api, "hack/mended", rescore.RescoreOptions(ScoringChanges(), dry_run=True)
    )
    found = world.find(JOBS, job["metadata"]["name"])
    assert found is not None
    assert found["metadata"]["uid"] == job["metadata"]["uid"]
    rescore.rescore_competition(world.api, "hack/mended", rescore.RescoreOptions(ScoringChanges()))
    again = wait_for("another try", lambda: another(world, job["metadata"]["name"], job["metadata"]["uid"]))
    score(world, again, 0.6)
    assert wait_for("its score", lambda: done(world, "never", BLUE))["runs"][0]["alc"] == 0.6


def test_alcove_rescore_does_not_wait_for_settings_that_somebody_else_replaced(world: World) -> None:
    world.open_competition("edited")
    now = parse_objects.competition_view(world.ask("GET", COMPETITIONS.path("hack", "edited")))
    settings = config.from_environment(world.operator.environment)
    wanted = plan_rescore(now, [], {}, ScoringSpec(scheme="autodl"))
    waits = wait_until_shown(world.api, settings, now, wanted, Comparison(boards=()), 60.0, print)
    with pytest.raises(FailedError, match="Somebody else changed the Competition's scoring"):
        asyncio.run(waits)


def ranked(world: World) -> bool:
    """Plays the aggregate job for each board that is asked for, until the later of the two is on one."""
    for job in world.list(JOBS):
        if job["metadata"]["name"] not in board_jobs(world) or job.get("status", {}).get("conditions"):
            continue
        if find_requested(world, job):
            publish(world, job)
    return world.submission_status("scored", GREEN).get("rank") is not None


def next_board(world: World, before: list[str]) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        new = [j for j in world.list(JOBS) if j["metadata"]["name"] in set(board_jobs(world)) - set(before)]
        return new[0] if new else None

    return wait_for("the next board", look)


def changed(world: World, team: str, old: dict[str, Any]) -> dict[str, Any] | None:
    status = world.submission_status("scored", team)
    return status if status["scoringDigest"] != old["scoringDigest"] else None


def another(world: World, name: str, uid: str) -> dict[str, Any] | None:
    found = world.find(JOBS, name)
    return found if found and found["metadata"]["uid"] != uid else None
