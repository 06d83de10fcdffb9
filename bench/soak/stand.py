"""The soak itself: submissions at a steady rate, a recorder beside them, and what is written down meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from minio.datatypes import Object as StoredObject

from alcove_api import keys
from alcove_api.documents import StoreCredentials
from alcove_kube.client import Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import EVENTS
from alcove_operator.credentials import recorder_policy, session_credentials
from alcove_store import client as store_client
from alcove_store.errors import StoreNotFoundError
from bench.scale.stand import Stand
from bench.soak.samples import (
    BEGAN,
    BOARD_REQUEST,
    ENDED,
    EVENT,
    KILLED,
    LEFT_IN_ETCD,
    LEFT_IN_STORE,
    LEFT_OBJECTS,
    QUIET,
    STARTED,
    Notebook,
    read_process,
    read_series,
)
from tests.cluster.layout import init_pid, load_plan
from tests.integration.operator_wiring.test_flow import root_store
from tests.integration.operator_wiring.world import World
from tests.integration.recorder.harness import SECOND, Recorder, npy, recorder, run_config

PROCESS_SECONDS, STORE_SECONDS = 10.0, 60.0
"""From one look to the next: at the processes, and at the API server, etcd and the store."""
SNAPSHOTS = 900
"""That the recorder takes in the whole time: a run may have 1,000."""
SETTLE_SECONDS = 600.0
"""After the last Submission, everything is settled within this time."""
REGION = "us-east-1"


@dataclass(frozen=True)
class Pace:
    minutes: float
    rate: float
    """Submissions a minute."""
    quiet_minutes: float
    """Afterwards, without any."""

    @property
    def seconds(self) -> float:
        return 60.0 * self.minutes

    @property
    def snapshot_seconds(self) -> float:
        """From one snapshot of the recorder to the next."""
        return max(1.0, self.seconds / SNAPSHOTS)


@contextmanager
def real_recorder(world: World, folder: Path, pace: Pace) -> Iterator[Recorder]:
    """The recorder of one long run, on the same store, with the credentials that a run's recorder has."""
    run = run_config(budget_ns=int(2 * (pace.seconds + 60 * pace.quiet_minutes) + 3600) * SECOND)
    policy = recorder_policy(run.submission_uid, run.alias, run.attempt)
    root = StoreCredentials(access_key=world.minio.access_key, secret_key=world.minio.secret_key)
    session = session_credentials(root, world.minio.url, REGION, policy, run.budget_ns // SECOND)
    folder.mkdir()
    (folder / "recorder.json").write_text(session.model_dump_json())
    environment = {
        "ALCOVE_STORE_ENDPOINT": world.minio.url,
        "ALCOVE_STORE_REGION": REGION,
        "ALCOVE_STORE_BUCKET": keys.MAIN_BUCKET,
        "ALCOVE_STORE_CREDENTIALS": str(folder / "recorder.json"),
        "ALCOVE_DISK_BYTES": str(1 << 30),
    }

    store = root_store(world)

    def read(key: str) -> bytes | None:
        try:
            return store_client.get_bytes(store, keys.MAIN_BUCKET, key)
        except StoreNotFoundError:
            return None

    with recorder(folder, run, environment, read) as it:
        yield it


@dataclass
class Soak:
    stand: Stand
    recorder: Recorder
    pace: Pace
    notebook: Notebook
    submitted: dict[str, float] = field(default_factory=dict)
    """Unix times by UID."""
    saved: list[str] = field(default_factory=list)
    """Names of predictions, in the order in which they were saved."""
    over: threading.Event = field(default_factory=threading.Event)

    def play(self) -> None:
        self.stand.prepare()
        first, _ = self.stand.run_first()
        self.submitted[first["metadata"]["uid"]] = time.time()
        self._measure(first)
        self.recorder.supervisor().go()
        with ThreadPoolExecutor(5) as hands:
            beside = [
                hands.submit(self._repeat, PROCESS_SECONDS, self._look_at_processes),
                hands.submit(self._repeat, STORE_SECONDS, self._look_at_stores),
                hands.submit(self._repeat, STORE_SECONDS, self._look_at_metrics),
                hands.submit(self._repeat, self.pace.snapshot_seconds, self._save),
            ]
            try:
                self.notebook.mark(BEGAN)
                submitting = hands.submit(self._submit_steadily)
                # In this thread: a process goes with the thread that has started it.
                _await([submitting, *beside], self.pace.seconds / 2)
                self._restart()
                submitting.result()
                self.stand.await_end(time.time() + SETTLE_SECONDS, set(self.submitted))
                self.notebook.mark(QUIET)
                self._measure_board()
                self.stand.say(f"all have ended; {self.pace.quiet_minutes:g} quiet minutes follow")
                _await(beside, 60 * self.pace.quiet_minutes)
                self.notebook.mark(ENDED)
            finally:
                self.over.set()
            for one in beside:
                one.result()
        self.notebook.judge(self.stand.find_faults(self.submitted) + self._find_lost_snapshots())

    def _measure(self, first: Object) -> None:
        """What one Submission leaves, from which the growth of etcd and the store is computed."""
        self.notebook.fact(LEFT_IN_ETCD, _kib(first))
        events = self.stand.world.ask("GET", EVENTS.path(first["metadata"]["namespace"]))["items"]
        self.notebook.fact(EVENT, sum(map(_kib, events)) / max(1, len(events)))
        uid = first["metadata"]["uid"]
        left = [one for _, one in self._list_store() if uid in str(one.object_name)]
        self.notebook.fact(LEFT_OBJECTS, len(left))
        self.notebook.fact(LEFT_IN_STORE, sum(one.size or 0 for one in left) / 1024)

    def _measure_board(self) -> None:
        """The request is what each board leaves here; a real one leaves its pages' versions too."""
        requests = [one for _, one in self._list_store() if "/request-" in str(one.object_name)]
        last = max(requests, key=lambda one: one.last_modified or datetime.min.replace(tzinfo=UTC))
        self.notebook.fact(BOARD_REQUEST, (last.size or 0) / 1024)

    def _submit_steadily(self) -> None:
        began, period, teams = time.time(), 60.0 / self.pace.rate, self.stand.load.team_names
        for number in range(int(self.pace.minutes * self.pace.rate)):
            if self.over.wait(max(0.0, began + number * period - time.time())):
                return
            try:
                made = self.stand.submit(f"new-{number:05}", teams[number % len(teams)])
            except ApiError as error:
                self.stand.say(f"submission {number} was not taken: {error}")
            else:
                self.submitted[made["metadata"]["uid"]] = time.time()
            if number % 100 == 0:
                self.stand.say(f"{number} are submitted, {len(self.saved)} predictions saved")

    def _restart(self) -> None:
        self.notebook.mark(KILLED)
        self.recorder.kill()
        self.recorder.start()
        self.recorder.resume()
        self.notebook.fact("restart of the operator, s", self.stand.restart())
        self.notebook.mark(STARTED)
        self.stand.say("operator and recorder were killed and have started again")

    def _repeat(self, seconds: float, do: Callable[[], None]) -> None:
        """At whole multiples of ``seconds``, until it is over."""
        due = time.monotonic()
        while not self.over.is_set():
            try:
                do()
            except Exception as error:
                # A busy machine answers late now and then; hours are not thrown away for one look.
                self.stand.say(f"a look failed: {error!r}")
            due = max(due + seconds, time.monotonic())
            self.over.wait(due - time.monotonic())

    def _save(self) -> None:
        self.recorder.save(f"{len(self.saved)}.npy", npy(len(self.saved) / 2 / SNAPSHOTS))
        self.saved.append(f"{len(self.saved)}.npy")

    def _look_at_processes(self) -> None:
        operator = self.stand.world.operator.process
        assert operator is not None
        assert self.recorder.process is not None
        self.notebook.sample(
            {
                "submitted": float(len(self.submitted)),
                "saved": float(len(self.saved)),
                **read_process("operator", operator.pid),
                **read_process("recorder", self.recorder.process.pid),
            }
        )

    def _look_at_stores(self) -> None:
        self.notebook.sample(
            {"submitted": float(len(self.submitted)), **self._read_api_server(), **self._read_store()}
        )

    def _look_at_metrics(self) -> None:
        """As Prometheus does."""
        lines = self.stand.read_metrics().splitlines()
        self.notebook.sample({"operator series of metrics": sum(not line.startswith("#") for line in lines)})

    def _read_api_server(self) -> dict[str, float]:
        text = self.stand.world.api.client.read_text("/metrics")
        watches = read_series(text, "apiserver_longrunning_requests", "resource")
        objects = read_series(text, "apiserver_storage_objects", "resource")
        sizes = read_series(self._read_etcd(), "etcd_mvcc_db_total_size_in_use_in_bytes")
        total = read_series(text, "apiserver_storage_size_bytes")
        return {
            "API server watches": sum(watches.values()),
            **{f"watches of {kind}": count for kind, count in watches.items()},
            **{f"objects of {kind}": count for kind, count in objects.items() if count > 0},
            "etcd file": sum(total.values()) / 1024,
            "etcd in use": sum(sizes.values()) / 1024,
        }

    def _read_etcd(self) -> str:
        """It answers in the network of the cluster alone."""
        plan = load_plan(self.stand.world.cluster.name)
        assert plan is not None
        read = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:2379/metrics').read().decode())"
        inside = ["nsenter", "--target", str(init_pid(plan.state)), "--net", sys.executable, "-S", "-c", read]
        return subprocess.run(inside, check=True, capture_output=True, text=True, timeout=60).stdout

    def _read_store(self) -> dict[str, float]:
        """Objects, and KiB in them, by the first part of their keys; what the recorder wrote on its own. Versions."""
        counts: defaultdict[str, float] = defaultdict(float)
        for bucket, one in self._list_store(versions=True):
            name = str(one.object_name)
            if not name.startswith(self.recorder.prefix):
                counts["versions in the store"] += 1
            if one.is_latest != "true":
                continue
            top = f"{bucket}/{name.partition('/')[0]}"
            where = "recorder's objects" if name.startswith(self.recorder.prefix) else f"store {top}"
            counts[f"{where}, number"] += 1
            counts[f"{where}, KiB"] += (one.size or 0) / 1024
        whole = {
            f"store, {unit}": sum(v for k, v in counts.items() if k.startswith("store ") and k.endswith(unit))
            for unit in ("number", "KiB")
        }
        return {**whole, **counts}

    def _list_store(self, *, versions: bool = False) -> Iterator[tuple[str, StoredObject]]:
        """All objects, with their buckets; on request with the versions that they have replaced."""
        store = root_store(self.stand.world)
        for bucket in (keys.MAIN_BUCKET, keys.SOLUTIONS_BUCKET, keys.UPLOADS_BUCKET):
            found = store.list_objects(bucket, recursive=True, include_version=versions)
            yield from ((bucket, one) for one in found)

    def _find_lost_snapshots(self) -> list[str]:
        """The recorder ends its run; what it sealed is compared with what was saved."""
        self.recorder.supervisors[-1].end()
        try:
            records = self.recorder.sealed().records
        except AssertionError as error:
            return [f"What the recorder sealed is not as it must be: {error!r}."]
        stamps = [record.t_ns for record in records]
        faults = [f"{one.name} was refused: {one.refused}" for one in records if one.refused]
        if [record.name for record in records] != self.saved:
            faults.append(f"{len(self.saved)} predictions were saved, and {len(records)} recorded.")
        if stamps != sorted(stamps):
            faults.append("A stamp is earlier than the one before it.")
        return faults


def _kib(one: Object) -> float:
    """As JSON, which is how etcd has it."""
    return len(json.dumps(one, separators=(",", ":"))) / 1024


def _await(beside: list[Future[None]], seconds: float) -> None:
    """Waits so long, or until one of those who look on has failed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not any(one.done() for one in beside):
        time.sleep(min(1.0, max(0.0, deadline - time.monotonic())))
