"""A hackathon moves to another cluster and a store of another kind in the middle: two API servers, two operators."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from alcove_api import keys
from alcove_api.board_documents import CountedSubmissions
from alcove_api.documents import StoreCredentials
from alcove_api.run_documents import Verdict
from alcove_kube.resources import COMPETITIONS, DATASETS, JOBS, LEADERBOARDS, SUBMISSIONS, TEAM_USAGES
from alcove_store.client import get_bytes
from tests.cluster.layout import Cluster
from tests.cluster.lifecycle import control_plane, down
from tests.cluster.minio import minio_server
from tests.cluster.seaweedfs import seaweedfs_server
from tests.integration.operator_wiring.conftest import run_world
from tests.integration.operator_wiring.test_flow import FINISHED, publish, root_store, run_status, score
from tests.integration.operator_wiring.world import World, now, ready, wait_for

pytestmark = pytest.mark.integration
NAMESPACE, RED, BLUE = "moved", "moved-red", "moved-blue"


@pytest.fixture(scope="module")
def worlds(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, World]]:
    """The old one and the new one. The operators of both work."""
    name = f"moved-{os.getpid()}"
    with ExitStack() as stack:
        stack.callback(down, name)
        found = []
        operator = StoreCredentials(access_key="operator", secret_key="operator-secret")
        stores = minio_server(lambda _: None), seaweedfs_server(operator, "scorer", lambda _: None)
        for place, server in zip((cluster, control_plane(name)), stores, strict=True):
            store = stack.enter_context(server)
            folder = tmp_path_factory.mktemp("world")
            found.append(stack.enter_context(run_world(place, store, folder, NAMESPACE, (RED, BLUE))))
        for world in found:
            for team in (RED, BLUE):
                world.join(team, "cup")
        yield found[0], found[1]


def alcove(world: World, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of an organizer's, with the root user of the world's store."""
    root = folder / "root.json"
    given = StoreCredentials(access_key=world.minio.access_key, secret_key=world.minio.secret_key)
    root.write_bytes(given.canonical())
    more = [
        "--store",
        world.minio.url,
        "--credentials",
        str(root),
        "--kubeconfig",
        str(world.cluster.kubeconfig),
    ]
    command = [sys.executable, "-m", "alcove_cli.main", *arguments, *more]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)


def start_run(world: World, name: str, team: str) -> tuple[str, dict[str, Any], str]:
    """A Submission whose run is under way: its UID, Job and pod."""
    uid = world.submission(name, "cup", team)["metadata"]["uid"]
    job = world.job(f"r-{uid[:8]}")
    pod = world.pod_of(job)
    world.running(pod)
    wait_for(f"{name} runs", lambda: run_status(world, name, team).get("phase") == "Running")
    return uid, job, pod


def end_run(world: World, name: str, team: str, uid: str, pod: str, alc: float) -> None:
    world.ended(pod, 0, FINISHED)
    score(world, world.job(f"s-{uid[:8]}"), alc)
    wait_for(f"{name} is done", lambda: world.submission_status(name, team).get("phase") == "Done")


MADE = {"first": RED, "second": BLUE, "running": RED, "queued": BLUE}
"""Submissions and their teams, in order."""


def play(world: World) -> tuple[dict[str, str], int]:
    """Two submissions that are ranked, one that runs and one that waits: their UIDs, and the board's generation."""
    world.open_competition("cup", capacity=1)
    uids = {}
    for name, alc in (("first", 0.9), ("second", 0.6)):
        uids[name], _, pod = start_run(world, name, MADE[name])
        end_run(world, name, MADE[name], uids[name], pod, alc)
    generation = publish_all(world, 1, {uids["first"], uids["second"]})
    wait_for("a rank", lambda: world.submission_status("first", RED).get("rank"))
    wait_for("another", lambda: world.submission_status("second", BLUE).get("rank"))
    # Times of creation are whole seconds.
    last = now()
    wait_for("the next second", lambda: now() > last)
    uids["running"], _, _ = start_run(world, "running", RED)
    uids["queued"] = world.submission("queued", "cup", BLUE)["metadata"]["uid"]
    wait_for("it waits", lambda: world.submission_status("queued", BLUE).get("phase") == "Queued")
    return uids, generation


def publish_all(world: World, generation: int, uids: set[str]) -> int:
    """Boards from that generation on until one has these; its generation."""
    while True:
        asked = publish(world, world.job(f"a-cup-practice-{generation}"))
        assert asked.generation == generation
        if {entry.submission_uid for entry in asked.entries} == uids:
            return generation
        generation += 1


def go_on(world: World, uids: dict[str, str]) -> None:
    """The run that was under way is the platform's to repeat; there is one place, so the other waits."""
    for name, attempt, alc in (("running", "2", 0.5), ("queued", "1", 0.7)):
        job = world.job(f"r-{uids[name][:8]}")
        assert job["metadata"]["labels"]["alcove.dev/attempt"] == attempt
        pod = world.pod_of(job)
        world.running(pod)
        end_run(world, name, MADE[name], uids[name], pod, alc)
    stored = get_bytes(root_store(world), keys.MAIN_BUCKET, keys.verdict(uids["running"], "cup-digits"))
    assert Verdict.model_validate_json(stored).attempt == 2


def statuses(world: World) -> dict[str, dict[str, Any]]:
    return {name: world.submission_status(name, team) for name, team in MADE.items()}


def test_what_was_done_stays_and_what_was_queued_goes_on(worlds: tuple[World, World], tmp_path: Path) -> None:
    old, new = worlds
    folder = tmp_path / "backup"
    uids, generation = play(old)
    refused = alcove(old, tmp_path, "backup", str(folder), "--competition", f"{NAMESPACE}/cup")
    assert (refused.returncode, folder.exists()) == (2, False), refused.stderr
    assert "Stop it" in refused.stderr

    assert old.operator.stop() == 0
    before, board = statuses(old), (old.find(LEADERBOARDS, "cup-practice") or {})["status"]
    made = alcove(old, tmp_path, "backup", str(folder), "--competition", f"{NAMESPACE}/cup")
    assert made.returncode == 0, made.stderr
    assert new.operator.stop() == 0
    restored = alcove(new, tmp_path, "restore", str(folder))
    assert restored.returncode == 0, restored.stderr
    repeated = alcove(new, tmp_path, "restore", str(folder))
    assert repeated.returncode == 2, repeated.stderr
    assert "in this cluster already" in repeated.stderr
    for name, status in statuses(new).items():
        assert status.pop("origin")["uid"] == uids[name]
        assert status == before[name]
        assert (new.find(SUBMISSIONS, name, MADE[name]) or {})["metadata"]["uid"] != uids[name]
    assert (new.find(LEADERBOARDS, "cup-practice") or {})["status"] == board
    assert ready(new.find(DATASETS, "cup-digits")) == "True"

    new.operator.start()
    go_on(new, uids)
    publish_all(new, generation + 1, {uids["running"], uids["queued"]})
    check_end(old, new, uids, before)


def check_end(old: World, new: World, uids: dict[str, str], before: dict[str, dict[str, Any]]) -> None:
    """Nothing ran twice that had its score, and counts and what stands are those of one competition."""
    for name in ("first", "second"):
        assert new.submission_status(name, MADE[name])["runs"] == before[name]["runs"]
    jobs = {job["metadata"]["labels"].get("alcove.dev/submission-uid") for job in new.list(JOBS)}
    assert not jobs & {uids["first"], uids["second"]}
    usage = {u["spec"]["team"]: u["status"]["total"] for u in new.list(TEAM_USAGES)}
    assert usage == {RED: 2, BLUE: 2}
    key = keys.board(NAMESPACE, "cup", "cup-practice", "counted.json")
    document = CountedSubmissions.model_validate_json(get_bytes(root_store(new), keys.MAIN_BUCKET, key))
    assert document.competition_uid == (old.find(COMPETITIONS, "cup") or {})["metadata"]["uid"]
    assert {entry.submission_uid for entry in document.entries} == {uids["running"], uids["queued"]}
    # The operator lets go of what it did not make.
    new.delete(SUBMISSIONS, "first", RED)
    wait_for("it is gone", lambda: new.find(SUBMISSIONS, "first", RED) is None)
