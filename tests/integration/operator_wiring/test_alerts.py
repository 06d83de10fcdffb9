"""Alerts fire by their causes and resolve: a real Prometheus, with the chart's rules, reads a real operator.

Time in the rules is 240 times as fast, so half an hour is 7.5 s. What needs a scheduler is tried in
tests/e2e/test_monitoring.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minio import MinioAdmin
from minio.credentials import StaticProvider

from alcove_api.run_documents import RecorderReport, RunConfig
from alcove_kube.resources import COMPETITIONS, JOBS, PODS
from tests.cluster.layout import Cluster
from tests.cluster.minio import minio_server
from tests.cluster.stores import StoreServer
from tests.demo.prometheus import Prometheus, run_prometheus
from tests.integration.operator_wiring import hastened_operator
from tests.integration.operator_wiring.conftest import run_world
from tests.integration.operator_wiring.test_flow import environment, finished, publish, score
from tests.integration.operator_wiring.world import World, wait_for
from tests.integration.supervisor.harness import Workshop, run_recorder, workshop_of_pod

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="a small file system needs root to be mounted"),
]
NAMESPACE, RED = "watched", "watched-red"
MANY = 12
"""More than the operator has workers."""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of 256 MiB."""
    small = tmp_path_factory.mktemp("small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(small)], check=True)
    yield small
    subprocess.run(["umount", str(small)], check=True)


@pytest.fixture(scope="module")
def small_store(disk: Path) -> Iterator[StoreServer]:
    with minio_server(lambda _: None, disk) as server:
        yield server


@pytest.fixture(scope="module")
def watched(
    cluster: Cluster, small_store: StoreServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    folder, program = tmp_path_factory.mktemp("watched"), (hastened_operator.__file__,)
    often = {"ALCOVE_RESYNC_SECONDS": "1"}
    with run_world(cluster, small_store, folder, NAMESPACE, (RED,), program, **often) as world:
        yield world


@pytest.fixture(scope="module")
def prometheus(watched: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    address = f"127.0.0.1:{watched.operator.environment['ALCOVE_METRICS_PORT']}"
    folder = tmp_path_factory.mktemp("prometheus")
    with run_prometheus({"alcove-operator": address}, NAMESPACE, folder) as running:
        yield running


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def begun(world: World, name: str, competition: str) -> tuple[str, dict[str, Any], str]:
    """A Submission whose run has its pod: its UID, the run's Job, and the pod."""
    uid = world.submission(name, competition, RED)["metadata"]["uid"]
    job = world.job(f"r-{uid[:8]}")
    return uid, job, world.pod_of(job)


def set_capacity(world: World, competition: str, runs: int) -> None:
    path = COMPETITIONS.path(NAMESPACE, competition)
    world.ask("PATCH", path, {"spec": {"capacity": runs}}, "application/merge-patch+json")


def test_a_store_that_is_away_and_the_queue_behind_it(watched: World, prometheus: Prometheus) -> None:
    watched.join(RED, "queue")
    watched.open_competition("queue", capacity=1, limits={"perDay": MANY, "total": MANY})
    for number in range(MANY):
        watched.submission(f"queued-{number}", "queue", RED)
    wait_for("all in the queue", lambda: all(
        watched.submission_status(f"queued-{number}", RED).get("runs") for number in range(MANY)
    ))  # fmt: skip
    with stopped(watched.minio.pid):
        set_capacity(watched, "queue", MANY)
        prometheus.wait_firing("AlcoveWorkQueueOld")
        prometheus.wait_firing("AlcoveStoreAway")
    prometheus.wait_resolved("AlcoveWorkQueueOld")
    prometheus.wait_resolved("AlcoveStoreAway")


def test_a_store_that_refuses_the_operator_and_its_runs_credentials(
    watched: World, prometheus: Prometheus
) -> None:
    watched.join(RED, "refused")
    watched.open_competition("refused")
    begun(watched, "renewed", "refused")
    root = StaticProvider(watched.minio.access_key, watched.minio.secret_key)
    admin = MinioAdmin(endpoint=watched.minio.endpoint, credentials=root, secure=False)
    admin.user_disable("operator")
    try:
        prometheus.wait_firing("AlcoveStoreRefusing")
        prometheus.wait_firing("AlcoveCredentialsEnding")
    finally:
        admin.user_enable("operator")
    prometheus.wait_resolved("AlcoveCredentialsEnding")
    prometheus.wait_resolved("AlcoveStoreRefusing")


def test_an_operator_that_is_down_and_a_disk_that_fills(
    watched: World, prometheus: Prometheus, disk: Path
) -> None:
    assert watched.operator.stop() == 0
    prometheus.wait_firing("AlcoveOperatorDown")
    filler = disk / "filler"
    room = os.statvfs(disk)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, (room.f_bavail - room.f_blocks // 20) * room.f_frsize)
    try:
        watched.operator.start()
        prometheus.wait_resolved("AlcoveOperatorDown")
        prometheus.wait_firing("AlcoveStoreFilling")
    finally:
        filler.unlink()
    # It asks once a minute, and when it starts.
    assert watched.operator.stop() == 0
    watched.operator.start()
    prometheus.wait_resolved("AlcoveStoreFilling")


WRITER = """
import os
for number in range(10 ** 6):
    os.link('large.npy', f'out/.{number}.tmp')
    os.rename(f'out/.{number}.tmp', f'out/{number}.npy')
    os.sched_yield()
"""
ROWS, LABELS, BUDGET_SECONDS = 1_000_000, 10, 4


def run_on_a_node_that_stalls(shop: Workshop, config: RunConfig) -> tuple[int, RecorderReport]:
    """The supervisor's status and the recorder's report of a run whose node stands still twice.

    At first the recorder does, with half a file copied; then the supervisor, when the budget ends.
    """
    np.save(shop.folder / "large.npy", np.zeros((ROWS, LABELS), np.float32))
    size = (shop.folder / "large.npy").stat().st_size

    def is_copying() -> bool:
        sizes = [file.stat().st_size for file in (shop.folder / "spool").rglob("*") if file.is_file()]
        return any(1 << 20 < written < size for written in sizes)

    with run_recorder(shop, config) as recorder:
        run = shop.python(WRITER)
        for _ in range(100):
            wait_for("a copy under way", is_copying)
            with stopped(recorder.pid):
                if is_copying():
                    pass_time(1.2)
                    break
        with stopped(shop.supervisor_pid(run)):
            pass_time(BUDGET_SECONDS)
        status = run.wait()
    return status, RecorderReport.model_validate_json((shop.folder / "report.json").read_bytes())


def pass_time(seconds: float) -> None:
    """A process that stands still for a time is what is tested, so this waits for time and nothing else."""
    end = time.monotonic() + seconds
    wait_for("the time", lambda: time.monotonic() > end)


def test_a_lost_node_a_slow_one_a_scorer_that_fails_and_a_late_board(
    watched: World, prometheus: Prometheus
) -> None:
    watched.join(RED, "late")
    watched.open_competition("late", ROWS, budget_seconds=BUDGET_SECONDS)
    uid, _, pod = begun(watched, "late", "late")
    drained = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    watched.status(PODS, pod, {"phase": "Failed", "conditions": [drained]})
    # The operator deletes the Job at once, so no controller can end it.
    prometheus.wait_firing("AlcovePlatformFaults")

    second = watched.job(f"r-{uid[:8]}-late-digits-2")
    pod = watched.pod_of(second)
    watched.running(pod)
    config = RunConfig.model_validate_json(environment(second, "recorder")["ALCOVE_RUN"])
    with workshop_of_pod(Path(sys.executable).parent / "alcove-supervisor") as shop:
        watched.reported(pod, *run_on_a_node_that_stalls(shop, config))
    prometheus.wait_firing("AlcoveOvershoot", "late-practice")
    prometheus.wait_firing("AlcoveStampLag", "late-practice")

    job = watched.job(f"s-{uid[:8]}")
    watched.finish(job, ok=False, reason="PodFailurePolicy")
    prometheus.wait_firing("AlcoveScorerFailing")
    wait_for("the Job's end is seen", lambda: watched.submission_status("late", RED).get("conditions"))
    watched.delete(JOBS, job["metadata"]["name"])
    score(watched, another(watched, job), 0.5)
    wait_for("Done", lambda: finished(watched, "late", RED))
    prometheus.wait_firing("AlcoveBoardStale", "late-practice")
    publish(watched, watched.job("a-late-practice-"))

    prometheus.wait_resolved("AlcoveBoardStale", "late-practice")
    prometheus.wait_resolved("AlcovePlatformFaults")
    prometheus.wait_resolved("AlcoveScorerFailing")
    prometheus.wait_resolved("AlcoveOvershoot", "late-practice")
    prometheus.wait_resolved("AlcoveStampLag", "late-practice")


def another(world: World, job: dict[str, Any]) -> dict[str, Any]:
    """The Job of the same name in its place."""

    def look() -> dict[str, Any] | None:
        found = world.find(JOBS, job["metadata"]["name"])
        return found if found and found["metadata"]["uid"] != job["metadata"]["uid"] else None

    return wait_for("another try", look)
