"""Plays what a cluster does with Jobs: controller, kubelets, recorder and scorer, in a process of its own.

It writes one line of JSON for each Job that it sees made, start, end and go, which the judge reads.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO

from alcove_api.documents import CheckResult
from alcove_kube.client import Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import JOBS, PODS, SECRETS
from tests.cluster.layout import Cluster
from tests.cluster.stores import StoreServer
from tests.integration.operator_wiring.test_flow import FINISHED, find_requested, publish, score
from tests.integration.operator_wiring.world import NAMESPACE, Operator, World

HANDS = 6
"""Requests at once."""
LOOK_SECONDS = 1.0
"""Between two looks whether an aggregate Job has been asked."""
WATCH_SECONDS = 3600
BARE_PLAYED = "bare-played"
"""Namespace of Jobs that nobody but the player looks at."""
LABELS = "alcove.dev/"


@dataclass(frozen=True)
class JobNote:
    """What the judge is told of one Job at one moment."""

    what: Literal["made", "running", "ended", "gone"]
    at: float
    """Unix time, seconds."""
    job: str
    uid: str
    role: str
    submission_uid: str
    dataset: str


def read_notes(path: Path) -> list[JobNote]:
    return [JobNote(**json.loads(line)) for line in path.read_text().splitlines()]


@contextmanager
def played_nodes(cluster: Cluster, store: StoreServer, notes: Path, run_seconds: float) -> Iterator[int]:
    """Until the block ends; yields the id of the process.

    ``run_seconds``: how long each run goes on, on the wall clock.
    """
    context = multiprocessing.get_context("spawn")
    player = context.Process(target=_play, args=(cluster, store, notes, run_seconds), daemon=True)
    player.start()
    assert player.pid is not None
    try:
        yield player.pid
    finally:
        player.terminate()
        player.join()


def _play(cluster: Cluster, store: StoreServer, notes: Path, run_seconds: float) -> None:
    def nodes_of(namespace: str, file: TextIO) -> Nodes:
        world = World(cluster, store, Operator({}, notes.with_suffix(".unused")), namespace)
        return Nodes(world, file, run_seconds)

    with notes.open("w", buffering=1) as file:
        threading.Thread(target=nodes_of(BARE_PLAYED, file).watch, daemon=True).start()
        nodes_of(NAMESPACE, file).watch()


@dataclass
class Nodes:
    world: World
    notes: TextIO
    run_seconds: float
    _seen: set[str] = field(default_factory=set)
    """UIDs of Jobs that are played."""
    _timers: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _serial: Iterator[int] = field(default_factory=itertools.count)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _hands: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(HANDS))
    _boards: threading.Lock = field(default_factory=threading.Lock)

    def watch(self) -> None:
        threading.Thread(target=self._run_timers, daemon=True).start()
        listed = self.world.ask("GET", JOBS.path(self.world.namespace))
        for job in listed["items"]:
            self._see("ADDED", job)
        after = listed["metadata"]["resourceVersion"]
        while True:  # the server ends a watch after WATCH_SECONDS
            for event in _stream(self.world, after):
                self._see(event["type"], event["object"])
                after = event["object"]["metadata"]["resourceVersion"]

    def _see(self, event: str, job: Object) -> None:
        uid = job["metadata"]["uid"]
        if event == "DELETED":
            self._note("gone", job)
            self._submit(lambda: self._clear(job))
        elif uid not in self._seen:
            self._seen.add(uid)
            self._note("made", job)
            self._submit(lambda: self._begin(job))

    def _note(self, what: Literal["made", "running", "ended", "gone"], job: Object) -> None:
        labels = job["metadata"].get("labels") or {}
        told = {name: labels.get(LABELS + name, "") for name in ("role", "submission-uid", "dataset")}
        note = JobNote(
            *(what, time.time(), job["metadata"]["name"], job["metadata"]["uid"]),
            *(told["role"], told["submission-uid"], told["dataset"]),
        )
        self.notes.write(json.dumps(vars(note)) + "\n")

    def _submit(self, task: Callable[[], None]) -> None:
        def done() -> None:
            try:
                task()
            except ApiError as error:
                # A Job that the operator has deleted meanwhile takes its pod with it.
                if not (error.not_found or error.conflict):
                    print(f"The player of nodes failed: {error}", flush=True)

        self._hands.submit(done)

    def _later(self, seconds: float, task: Callable[[], None]) -> None:
        with self._changed:
            heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._serial), task))
            self._changed.notify()

    def _run_timers(self) -> None:
        while True:
            with self._changed:
                while not self._timers or self._timers[0][0] > time.monotonic():
                    wait = self._timers[0][0] - time.monotonic() if self._timers else None
                    self._changed.wait(wait)
                _, _, task = heapq.heappop(self._timers)
            self._submit(task)

    def _begin(self, job: Object) -> None:
        role = (job["metadata"].get("labels") or {}).get(f"{LABELS}role")
        if role == "run":
            pod = self.world.pod_of(job)
            self.world.running(pod)
            self._note("running", job)
            self._later(self.run_seconds, lambda: self._end(job, pod))
        elif role == "score":
            score(self.world, job, 0.5)
            self._note("ended", job)
        elif role == "aggregate":
            self._rank(job)
        elif role == "check":
            result = CheckResult(ok=True, n_train=100, n_test=50, n_labels=10, bytes=1000, chance_score=0.5)
            self.world.said(self.world.pod_of(job), "check", result.model_dump_json())
            self.world.finish(job)

    def _rank(self, job: Object) -> None:
        """Once it has been asked: it may have been started ahead, and be deleted again."""
        if find_requested(self.world, job):
            with self._boards:
                publish(self.world, job)
            self._note("ended", job)
        elif self.world.find(JOBS, job["metadata"]["name"]):
            self._later(LOOK_SECONDS, lambda: self._rank(job))

    def _end(self, job: Object, pod: str) -> None:
        self._note("ended", job)
        self.world.ended(pod, 0, FINISHED)
        self.world.finish(job)

    def _clear(self, job: Object) -> None:
        """As the garbage collector does."""
        name = job["metadata"]["name"]
        for resource, of in ((PODS, f"{name}-pod"), (SECRETS, name)):
            with contextlib.suppress(ApiError):
                self.world.delete(resource, of)


def _stream(world: World, after: str) -> Iterator[dict[str, Any]]:
    """Events of Jobs in the namespace of ``world``."""
    client = world.api.client
    query = [("watch", "true"), ("resourceVersion", after), ("timeoutSeconds", str(WATCH_SECONDS))]
    request = client.connection.param_serialize(
        "GET",
        JOBS.path(world.namespace),
        query_params=query,
        header_params={"Accept": "application/json"},
        auth_settings=["BearerToken"],
    )
    answer = client.connection.call_api(*request, _request_timeout=(5.0, WATCH_SECONDS)).response
    rest = b""
    for piece in answer.read_chunked(decode_content=False):
        *lines, rest = (rest + piece).split(b"\n")
        yield from map(json.loads, lines)
