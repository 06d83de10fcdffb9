"""One interleaving: a competition in which a seed draws who does what when, and what breaks in between."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import cast

from minio import Minio

from alcove_api.change_documents import CompetitionChange
from alcove_api.run_documents import Verdict
from alcove_api.score_documents import ScoredRun
from alcove_kube.client import Object
from alcove_operator.core import names
from alcove_store.errors import StoreConflictError
from tests.interleave.judge import Judge
from tests.interleave.operators import Operator, ShakenLoop, draw_delay
from tests.unit.operator_core.cluster import FATES, Pod
from tests.unit.operator_core.pods import may_run
from tests.unit.operator_wiring.hackathon import HACK, Hackathon, MemoryStore
from tests.unit.operator_wiring.memory_server import Fate

SHAKEN = 240.0
"""Seconds for which things break; afterwards all must come to its end."""
BOUND = 7200.0
"""Seconds within which it must: a lost node, three times in a row, takes most of it."""
KILL, KILLS = 0.004, 4
"""How likely an operator is killed at an await, and how often at most."""
FAILS = 0.02
"""How likely a request is refused, how likely it comes twice, and how likely its answer never comes."""
SLOW = ("no-room",)
"""Fates that take a day."""
ATTEMPTS = 3


@dataclass(frozen=True)
class ShakenStore(MemoryStore):
    asked: defaultdict[tuple[str, str], list[Verdict]] = field(default_factory=lambda: defaultdict(list))
    """Every verdict that was to be written."""

    def write_verdict(self, verdict: Verdict) -> Verdict:
        self.asked[verdict.submission_uid, verdict.alias].append(verdict)
        return super().write_verdict(verdict)

    def write_change(
        self, _namespace: str, _competition: str, number: int, change: CompetitionChange
    ) -> None:
        if number <= len(self.changes):
            raise StoreConflictError("There is such an entry already.")
        self.changes.append(change)


class World(Hackathon):
    """The hackathon of the other tests, whose nodes, controllers and people act at moments that the seed draws."""

    def __init__(self, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.total = chance.choice((1, 10))
        super().__init__(
            aliases=chance.choice(("d", "d", "de")),
            capacity=chance.choice((1, 2)),
            maxAttempts=ATTEMPTS,
            startTimeoutSeconds=120,
            limits={"parallel": chance.choice((1, 2)), "perDay": 10, "total": self.total},
        )
        self.store = ShakenStore(cast(Minio, None), "alcove")
        self.kills_left = chance.randint(0, KILLS)
        self.fates: dict[tuple[str, str], list[str]] = {}
        """Of each run, by UID and alias: what becomes of each of its attempts."""
        self.operators: list[Operator] = []
        self.judge = Judge(self)
        self.server.listeners.append(self.judge.hear)

    @property
    def shakes(self) -> bool:
        return self.loop.time() < SHAKEN

    # --- what the seed draws for each request, answer and event

    def draw_delay(self) -> float:
        return draw_delay(self.chance) if self.shakes else 0.01

    def draw_fate(self) -> Fate:
        chance = self.chance
        if not self.shakes:
            return Fate(before=0.001, after=0.001)
        refused = chance.choice((403, 429, 500)) if chance.random() < FAILS else 0
        return Fate(
            before=self.draw_delay(),
            refused=refused,
            repeated=chance.random() < FAILS,
            after=self.draw_delay(),
            lost=chance.random() < FAILS,
        )

    def kills_now(self) -> bool:
        if not self.shakes or not self.kills_left or self.chance.random() >= KILL:
            return False
        self.kills_left -= 1
        return True

    # --- what people do

    async def play(self) -> list[str]:
        """Everything that is not as it must be, in words."""
        submissions = [("red", "one"), ("blue", "two"), ("red", "three")][: self.chance.randint(1, 3)]
        everybody = [self._submit_once(team, name) for team, name in submissions]
        everybody += [self._keep_running(), self._confuse_leases(), self._nodes()]
        tasks = [asyncio.create_task(one) for one in everybody]
        try:
            await self._await_end(tasks, len(submissions))
        finally:
            for task in [*tasks, *(operator.task for operator in self.operators)]:
                task.cancel()
            await asyncio.gather(*tasks, *(o.task for o in self.operators), return_exceptions=True)
        return self.judge.faults

    async def _await_end(self, tasks: list[asyncio.Task[None]], submissions: int) -> None:
        while not self.judge.faults:
            for task in [*tasks, *(operator.task for operator in self.operators)]:
                if task.done() and not task.cancelled():
                    task.result()
            if not self.shakes and not self.judge.list_unfinished(submissions):
                await asyncio.sleep(60.0)  # for what comes late
                self.judge.look_at_the_end()
                return
            if self.loop.time() > SHAKEN + BOUND:
                self.judge.faults += self.judge.list_unfinished(submissions)
                return
            await asyncio.sleep(1.0)

    async def _submit_once(self, team: str, name: str) -> None:
        chance = self.chance
        await asyncio.sleep(chance.uniform(0.0, 60.0))
        uid = self.submit(team, name)["metadata"]["uid"]
        for raw in [raw for (plural, *_), raw in self.server.objects.items() if plural == "datasets"]:
            drawn = [fate for fate in FATES if fate not in SLOW]
            # Most programs end by themselves; otherwise nearly all would be tried again and again.
            fates = [chance.choice((chance.choice(drawn), "finished", "exit")) for _ in range(ATTEMPTS)]
            self.fates[uid, raw["spec"]["alias"]] = fates
        if chance.random() < 0.15:
            await asyncio.sleep(chance.uniform(0.0, 200.0))
            self.judge.deleted.add(uid)
            self.server._delete(
                ("submissions", team, name), self.server.objects["submissions", team, name], {}
            )

    # --- what the machines do

    async def _keep_running(self) -> None:
        """A Deployment."""
        while True:
            self.operators.append(Operator(self))
            await asyncio.wait([self.operators[-1].task])
            await asyncio.sleep(self.draw_delay())

    async def _confuse_leases(self) -> None:
        """For a while, two operators run: one of them has not yet noticed that its Lease is another's."""
        if self.chance.random() < 0.4:
            await asyncio.sleep(self.chance.uniform(0.0, 150.0))
            self.judge.two_operators = True
            second = Operator(self)
            self.operators.append(second)
            await asyncio.wait([second.task], timeout=self.chance.uniform(1.0, 90.0))
            second.kill()

    async def _nodes(self) -> None:
        while True:
            chance, objects = self.chance, list(self.server.objects.items())
            chance.shuffle(objects)
            for (plural, _, name), raw in objects:
                if self.shakes and chance.random() < 0.4:
                    continue
                current = self.server.objects.get((plural, HACK, name))
                if (
                    plural == "jobs"
                    and current is not None
                    and not (raw.get("status") or {}).get("conditions")
                ):
                    self._job(name, current)
                if plural == "pods" and current is not None:
                    self._let_go(name, current)
            await asyncio.sleep(chance.uniform(0.1, 2.0) if self.shakes else 1.0)

    def _let_go(self, name: str, pod: Object) -> None:
        """The kubelet of a pod that is to be deleted; a lost node's does nothing."""
        gone = "deletionTimestamp" in pod["metadata"] and not self._has_job(pod)
        if gone and pod["spec"].get("nodeName", "") not in self.lost:
            self.server.remove(("pods", HACK, name))

    def _start(self, name: str, job: Object) -> None:
        super()._start(name, job)
        labels = job["metadata"]["labels"]
        fates = self.fates[labels[names.SUBMISSION_UID], labels[names.DATASET]]
        self.pods[name].fate = fates[int(labels[names.ATTEMPT]) - 1]

    def _job(self, name: str, job: Object) -> None:
        labels = job["metadata"]["labels"]
        if labels[names.ROLE] == names.RUN and name not in self.pods:
            fates = self.fates[labels[names.SUBMISSION_UID], labels[names.DATASET]]
            if fates[int(labels[names.ATTEMPT]) - 1] == "no-pod":
                return
        super()._job(name, job)

    def _advance(self, name: str, job: Object) -> None:
        super()._advance(name, job)
        node = self.server.objects.get(("nodes", "", self.pods[name].raw["spec"].get("nodeName", "")))
        if node is not None and node["metadata"]["name"] in self.lost:
            conditions = [{"type": "Ready", "status": "Unknown"}]
            self.server.put("nodes", "", {**node, "status": {"conditions": conditions}})

    def _rank(self, job: Object) -> None:
        request = self._find_request(job)
        if request is None:
            return
        status = self.server.objects["leaderboards", HACK, request.leaderboard].get("status") or {}
        if status.get("generation", 0) >= request.generation:
            # As the scorer does: a board's generation only grows.
            self._end(job, "Complete")
        else:
            super()._rank(job)

    def _score(self, job: Object) -> None:
        """A run that left nothing has no score."""
        super()._score(job)
        uid = job["metadata"]["labels"][names.SUBMISSION_UID]
        for key, result in self.store.scores.items():
            if key[0] == uid:
                scored = (self._score_run(uid, run) for run in result.runs)
                self.store.scores[key] = result.replace(runs=tuple(scored))

    def _score_run(self, uid: str, run: ScoredRun) -> ScoredRun:
        if self.judge.has_saved(self.store.verdicts[uid, run.alias]):
            return run
        return run.replace(alc=None, final_score=None, snapshots=0)

    def live_pods(self) -> list[Object]:
        """Those whose programs may run now. A node that does not answer ends them at their deadline."""
        return [
            raw for (plural, *_), raw in self.server.objects.items() if plural == "pods" and self._lives(raw)
        ]

    def _lives(self, raw: Object) -> bool:
        pod: Pod | None = self.pods.get(raw["metadata"]["labels"]["job-name"])
        if not may_run(raw["status"]):
            return False
        if pod is None or raw["spec"].get("nodeName", "") not in self.lost:
            return True
        placed = raw["status"]["conditions"][0]["lastTransitionTime"]
        since = self.judge.seconds_since(placed)
        return bool(since < raw["spec"]["activeDeadlineSeconds"])


def play(seed: int) -> list[str]:
    """The faults of one interleaving. The same seed plays the same."""

    async def scenario() -> list[str]:
        return await World(seed).play()

    with asyncio.Runner(loop_factory=ShakenLoop) as runner:
        try:
            return runner.run(scenario())
        except Exception as error:
            return [f"{type(error).__name__}: {error}"]


def play_many(seeds: range, stop_at: int = 1) -> tuple[int, dict[int, list[str]]]:
    """How many were played, and the faults by seed; no more than ``stop_at`` seeds with faults are looked for."""
    found: dict[int, list[str]] = {}
    for count, seed in enumerate(seeds, 1):
        faults = play(seed)
        if faults:
            found[seed] = faults
        if len(found) >= stop_at:
            return count, found
    return len(seeds), found
