"""The measuring stand: what is submitted where, what is waited for, and what is read off at the end."""

from __future__ import annotations

import math
import time
import urllib.request
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from alcove_kube.client import Object
from alcove_kube.resources import (
    COMPETITIONS,
    CONFIG_MAPS,
    DATASETS,
    JOBS,
    SUBMISSIONS,
    TEAM_USAGES,
    Resource,
)
from bench.scale import judge
from bench.scale.judge import HistogramReading, Writes
from bench.scale.nodes import BARE_PLAYED, read_notes
from tests.cluster import cgroups
from tests.cluster.layout import cgroup_name, load_plan
from tests.integration.operator_wiring.world import NAMESPACE, World, cpu_seconds, ready, wait_for

CUP = "scale"
PROCESSORS = 0.5
BARE_SECONDS, IDLE_SECONDS = 6.0, 30.0
"""How long each is measured; an idle operator looks at everything twice a minute."""
BARE = "bare-"
"""How the names of a bare client's Jobs begin."""
MOST_PLAYED, PLAYED_LIMIT = 500, 300.0
"""Jobs of a bare client that nodes play at most, and in how many seconds."""
SERVER = "API server and etcd"
HANDS, PAGE = 8, 200
MEASURED = "measured"
"""Label of the Submissions that the stand makes, but for those that had ended before."""
GROWTH = 3.0
"""Logarithm of how much faster submissions come at the end of a last evening than at its beginning: 20 times."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Load:
    """What is put on the operator."""

    submissions: int
    teams: int
    datasets: int
    capacity: int
    seeded: int
    """Submissions that are in the cluster, ended, before anything is submitted."""
    limit: float
    """Seconds until a run is given up."""
    over: float = 0.0
    """Seconds until all are submitted, ever more of them towards the end; 0: all at once."""

    def arrival(self, number: int) -> float:
        """Seconds from the beginning until the submission with this number, from 0, is made."""
        return self.over * math.log1p(math.expm1(GROWTH) * number / self.submissions) / GROWTH

    @property
    def team_names(self) -> tuple[str, ...]:
        return tuple(f"hack-t{number:04}" for number in range(self.teams))

    @property
    def aliases(self) -> tuple[str, ...]:
        return tuple(f"d{number}" for number in range(1, self.datasets + 1))


@dataclass(frozen=True)
class Bare:
    """Jobs like those of runs by a client that does nothing else, one after the other: what Kubernetes itself takes."""

    made: float
    """A second, where nobody plays them."""
    cpu: float
    """Processor time of API server and etcd for each, in seconds."""
    played: float
    """A second from the first one's making to the last one's end, where the same nodes play them."""
    played_cpu: float


@dataclass
class Figures:
    """What one run of the stand has shown. Times in seconds, sizes in MiB."""

    load: Load
    finished: int = 0
    seconds: float = 0.0
    runs_seconds: float = float("nan")
    """From the making of the first run's Job to the end of the last one."""
    rss_peak: float = 0.0
    cpu: float = 0.0
    writes: Writes = field(default_factory=Writes)
    beside: dict[str, float] = field(default_factory=dict)
    """Processor time of what the operator works with, by what it is."""
    bare: Bare = field(default_factory=lambda: Bare(0.0, 0.0, 0.0, 0.0))
    first_job: float = float("nan")
    """From a Submission to its first Job, the median."""
    standstill: HistogramReading = field(default_factory=lambda: HistogramReading({}))
    turns: dict[str, HistogramReading] = field(default_factory=dict)
    """Processor time, by kind."""
    idle: float = 0.0
    """Share of a core that the operator takes when nothing happens."""
    restart: float = 0.0
    faults: list[str] = field(default_factory=list)


@dataclass
class Stand:
    world: World
    load: Load
    notes: Path
    say: Say
    player: int
    """Id of the process that plays nodes."""

    def prepare(self) -> None:
        """A Competition with checked Datasets, and teams that take part in it and have code."""
        for alias in self.load.aliases:
            self.world.dataset(alias)
        resources = {"gpus": 0, "cpu": "500m", "memory": "512Mi", "disk": "256Mi"}
        phase = {"name": "practice", "datasets": list(self.load.aliases), "budget": {"seconds": 20}}
        limits = {"perDay": 1000, "total": 10000, "parallel": 1000}
        spec = {
            "phases": [{**phase, "resources": resources}],
            "limits": limits,
            "capacity": self.load.capacity,
        }
        self.world.create(COMPETITIONS, {"kind": "Competition", "metadata": {"name": CUP}, "spec": spec})
        self._side_by_side(self.load.team_names, self._make_team)
        for resource, name in ((COMPETITIONS, CUP), *((DATASETS, alias) for alias in self.load.aliases)):
            look = partial(self._is_ready, resource, name)
            wait_for(f"{resource.plural} {name} is Ready", look, 120)

    def _is_ready(self, resource: Resource, name: str) -> bool:
        return ready(self.world.find(resource, name)) == "True"

    def _make_team(self, team: str) -> None:
        self.world.join(team, CUP)
        files = {"model.py": "class Model: ...\n"}
        self.world.create(
            CONFIG_MAPS, {"kind": "ConfigMap", "metadata": {"name": "code"}, "data": files}, team
        )

    def _side_by_side(self, items: Any, do: Callable[[Any], Any]) -> list[Any]:
        with ThreadPoolExecutor(HANDS) as hands:
            return list(hands.map(do, items))

    def submit(self, name: str, team: str) -> Object:
        spec = {
            "competition": {"namespace": NAMESPACE, "name": CUP},
            "phase": "practice",
            "code": {"configMap": {"name": "code"}},
        }
        metadata = {"name": name, "labels": {MEASURED: "true"}}
        return self.world.create(
            SUBMISSIONS, {"kind": "Submission", "metadata": metadata, "spec": spec}, team
        )

    def list_submissions(self) -> list[Object]:
        """All but those that had ended before: the API server would take seconds for these alone."""
        found: list[Object] = []
        after = ""
        while True:
            page, after = self.world.api.client.find_page(SUBMISSIONS, None, PAGE, MEASURED, after)
            found += page
            if not after:
                return found

    def run_first(self) -> tuple[Object, Object]:
        """One Submission from start to end: it and one of its runs' Jobs as they were."""
        team = self.load.team_names[0]
        uid = self.submit("first", team)["metadata"]["uid"]
        job = self.world.job(f"r-{uid[:8]}")
        return wait_for("the first has ended", lambda: self._ended("first", team), 120), job

    def _ended(self, name: str, team: str) -> Object | None:
        found = self.world.find(SUBMISSIONS, name, team)
        return found if found and _is_done(found) else None

    def measure_bare(self, job: Object) -> Bare:
        """``job``: of a run, as it was made."""
        began, made, cpu = time.monotonic(), 0, self._cpu_beside()[SERVER]
        make = self._bare_client(job, "bare")
        while time.monotonic() < began + BARE_SECONDS:
            make(made)
            made += 1
        seconds, spent = time.monotonic() - began, self._cpu_beside()[SERVER] - cpu
        count = min(self.load.submissions * self.load.datasets, MOST_PLAYED)
        return Bare(made / seconds, spent / made, *self._measure_played(job, count))

    def _measure_played(self, job: Object, count: int) -> tuple[float, float]:
        """Jobs a second, and seconds of processor time for each."""
        make = self._bare_client(job, BARE_PLAYED)
        began, cpu = time.monotonic(), self._cpu_beside()[SERVER]
        for number in range(count):
            make(number)
        ended = partial(self._have_ended, count)
        wait_for(f"{count} Jobs of a bare client have ended", ended, PLAYED_LIMIT)
        return count / (time.monotonic() - began), (self._cpu_beside()[SERVER] - cpu) / count

    def _have_ended(self, count: int) -> bool:
        notes = read_notes(self.notes)
        return sum(note.what == "ended" and note.job.startswith(BARE) for note in notes) >= count

    def _bare_client(self, job: Object, namespace: str) -> Callable[[int], Object]:
        """Makes a Job with that number, in a namespace of its own."""
        labels = {"alcove.dev/role": "run"}
        spec = {k: v for k, v in job["spec"].items() if k != "selector"}
        spec["template"] = {**spec["template"], "metadata": {"labels": labels}}
        self.world.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})

        def make(number: int) -> Object:
            body = {"kind": "Job", "metadata": {"name": f"{BARE}{number}", "labels": labels}, "spec": spec}
            return self.world.create(JOBS, body, namespace)

        return make

    def measure_idle(self) -> float:
        """Share of a core that the operator takes while nothing is submitted."""
        cpu = self.world.operator.cpu_seconds()
        time.sleep(IDLE_SECONDS)
        return (self.world.operator.cpu_seconds() - cpu) / IDLE_SECONDS

    def _cpu_beside(self) -> dict[str, float]:
        processes = cgroups.processes(cgroup_name(self.world.cluster.name))
        return {
            SERVER: sum(map(cpu_seconds, processes)),
            "store": cpu_seconds(self.world.minio.pid),
            "nodes": cpu_seconds(self.player),
        }

    def seed(self, like: Object) -> None:
        """Submissions that have ended, each with the status of one that did; while no operator runs."""
        status = {
            k: v for k, v in like["status"].items() if k not in ("rank", "place", "averageRank", "counted")
        }

        def make(number: int) -> None:
            team = self.load.team_names[number % self.load.teams]
            name = f"old-{number:05}"
            metadata = {"name": name, "finalizers": like["metadata"]["finalizers"]}
            self.world.create(
                SUBMISSIONS, {"kind": "Submission", "metadata": metadata, "spec": like["spec"]}, team
            )
            self.world.status(SUBMISSIONS, name, status, team)

        self._side_by_side(range(self.load.seeded), make)

    def rush(self) -> Figures:
        """All submit; returns when all have ended, or when the limit has passed."""
        figures, load = Figures(self.load), self.load
        before, began, cpu = self.read_metrics(), time.time(), self.world.operator.cpu_seconds()
        beside = self._cpu_beside()
        teams = [load.team_names[number % load.teams] for number in range(load.submissions)]

        def submit(number: int) -> tuple[Object, float]:
            time.sleep(max(0.0, began + load.arrival(number) - time.time()))
            return self.submit(f"new-{number:05}", teams[number]), time.time()

        made = self._side_by_side(range(load.submissions), submit)
        self.say(f"{len(made)} are submitted after {time.time() - began:.1f} s")
        submitted = {one["metadata"]["uid"]: at for one, at in made}
        self.await_end(began + load.limit, set(submitted))
        figures.seconds = time.time() - began
        figures.cpu = self.world.operator.cpu_seconds() - cpu
        figures.beside = {what: now - beside[what] for what, now in self._cpu_beside().items()}
        figures.rss_peak = self.world.operator.peak_memory_mib()
        after = self.read_metrics()
        figures.standstill = _read_since(before, after, "alcove_loop_standstill_seconds")
        for kind in ("submission", "competition", "board"):
            figures.turns[kind] = _read_since(before, after, "alcove_turn_cpu_seconds", f'kind="{kind}"')
        self._judge(figures, submitted, began)
        return figures

    def await_end(self, deadline: float, uids: set[str]) -> None:
        """Until all of these have ended and are settled, or until that Unix time."""
        told = 0.0
        while time.time() < deadline:
            notes = [note for note in read_notes(self.notes) if note.submission_uid in uids]
            scored = {note.submission_uid for note in notes if note.role == "score" and note.what == "ended"}
            if time.time() > told + 10:
                told = time.time()
                jobs = sum(note.role == "run" and note.what == "made" for note in notes)
                self.say(f"{jobs} runs were started and {len(scored)} Submissions scored")
            if scored >= uids and self._is_settled():
                return
            time.sleep(1.0)

    def _is_settled(self) -> bool:
        settled = not any(team.get("settling") for team in self.usage().values())
        return settled and all(map(_is_done, self.list_submissions()))

    def usage(self) -> dict[str, Object]:
        """By team, as anybody who may look finds it."""
        listed = self.world.ask("GET", TEAM_USAGES.path(NAMESPACE))["items"]
        return {one["spec"]["team"]: one.get("status") or {} for one in listed}

    def _judge(self, figures: Figures, submitted: dict[str, float], began: float) -> None:
        plan = load_plan(self.world.cluster.name)
        assert plan is not None
        notes = [note for note in read_notes(self.notes) if note.submission_uid in submitted]
        ours = [one for one in self.list_submissions() if one["metadata"]["uid"] in submitted]
        figures.finished = sum(map(_is_done, ours))
        figures.writes = judge.read_audit(plan.audit_log, began)
        runs = [note.at for note in notes if note.role == "run" and note.what in ("made", "ended")]
        figures.runs_seconds = max(runs) - min(runs) if runs else float("nan")
        figures.first_job = judge.median_wait(notes, submitted)
        figures.faults = self.find_faults(submitted)

    def find_faults(self, submitted: Collection[str]) -> list[str]:
        """What the judge finds wrong about these Submissions, by UID, and about what the teams used."""
        notes = [note for note in read_notes(self.notes) if note.submission_uid in submitted]
        counted = self.list_submissions()
        ours = [one for one in counted if one["metadata"]["uid"] in submitted]
        found = judge.find_faults(ours, notes, self.load.aliases, self.load.capacity)
        return found + judge.find_unbalanced(counted, self.usage(), PROCESSORS)

    def restart(self) -> float:
        """Seconds until the operator, killed, has started again and knows everything."""
        self.world.operator.kill()
        return self.world.operator.start()

    def read_metrics(self) -> str:
        """The operator's page."""
        port = self.world.operator.environment["ALCOVE_METRICS_PORT"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            return str(answer.read().decode())


def _read_since(before: str, after: str, name: str, label: str = "") -> HistogramReading:
    return HistogramReading.read(after, name, label).since(HistogramReading.read(before, name, label))


def _is_done(one: Object) -> bool:
    return (one.get("status") or {}).get("phase") in ("Done", "Failed", "Rejected")
