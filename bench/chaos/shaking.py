"""Has happen what a seed says while submissions run, and notes what is seen from outside meanwhile."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from alcove_api.dataset import RECHECK
from bench.chaos import api_faults, clock_faults, faults, node_faults
from bench.chaos.faults import Drawn, Kill, LastingFaults, Process
from bench.chaos.history import moment
from bench.chaos.load import DATASET, Load, has_ended
from bench.chaos.store_faults import StoreFaults
from tests.demo.hackathon import DemoError, Hackathon

GLANCE, LOOK, UNDO_AGAIN = 0.2, 1.0, 5.0
"""Seconds between two looks at the processes, at the API server, and between two tries to end a fault."""
SETTLE = 600.0
OPERATORS_LEASE = "alcove-operator"
OPERATORS = ("operator", *api_faults.ApiFaults.kinds, *clock_faults.OPERATORS)
"""Kinds that hit the operator: it works again as soon as its Lease is renewed."""
NODES = ("kubelet", *node_faults.KINDS)
"""Kinds that hit a node: it works again as soon as its own Lease is renewed, it is Ready, and takes pods."""
SEEN_BY_API = (*OPERATORS, *NODES)
Say = Callable[[str], None]
_OF_RUN = re.compile(r"(r[0-9]*|s)-[0-9a-f]{8}-")
"""How the names of Jobs of runs and scores begin, and of what they own."""


@dataclass(frozen=True)
class Awaited:
    """A fault whose part does not work again yet."""

    kind: str
    since: float
    """Unix time of the kill, or of the end of a fault that lasted."""
    pod_uid: str = ""
    before: frozenset[int] = frozenset()
    """What ran of its kind when it was killed."""
    node: str = ""
    """Of :data:`NODES`: which."""


@dataclass(frozen=True)
class Lasted:
    """A fault that lasted, as it is logged."""

    at: float
    """Unix time."""
    until: float | None
    """None where it was never ended."""
    kind: str
    applied: bool = True
    """False where it could not be brought about: it excuses nothing."""


@dataclass(frozen=True)
class UnderWay:
    """A fault that is to end."""

    began: float
    """Unix time."""
    ends: float
    """By the monotonic clock."""
    kind: str
    applied: bool = True


@dataclass
class Shaking:
    hackathon: Hackathon
    load: Load
    log: Path
    say: Say
    sources: Sequence[LastingFaults] = ()
    settle: float = SETTLE
    """Seconds after the last fault within which everything must have ended."""
    kills: list[Kill] = field(default_factory=list)
    lasted: list[Lasted] = field(default_factory=list)
    recoveries: dict[str, list[float]] = field(default_factory=dict)
    """Seconds until the part worked again, by kind."""
    restored: list[tuple[float, float, str]] = field(default_factory=list)
    """Unix times of a kill or of the end of a fault, and of when the part worked again, and the kind."""
    ended: dict[str, float] = field(default_factory=dict)
    """Unix time at which each Submission was seen to have ended, by UID."""
    together: set[frozenset[str]] = field(default_factory=set)
    """Names of the pods in which a participant's program was seen to run at one moment."""
    pods: dict[str, str] = field(default_factory=dict)
    """Names of the pods in which a process was seen, by UID."""
    there: list[dict[str, Any]] = field(default_factory=list)
    """The submissions as they were last seen."""
    _store: str = ""
    """The store's address, which is asked for before anything breaks."""
    _due: list[str] = field(default_factory=list)
    """Kinds that are to be killed as soon as there is one."""
    _awaited: list[Awaited] = field(default_factory=list)
    _under_way: list[UnderWay] = field(default_factory=list)
    _postponed: list[Drawn] = field(default_factory=list)
    """Faults of the one node, which can have one at a time."""

    def run(self, drawn: Iterable[Drawn], seconds: float) -> None:
        """Returns once all has ended, or ``settle`` after the last fault."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text("")
        self._store = self.hackathon.store_url()
        started = time.monotonic()
        for fault in drawn:
            self._look_until(_passed(started + fault.at))
            if fault.lasts:
                self._apply(fault)
                continue
            # One that has waited for such a process until now is killed once.
            if fault.kind not in self._due:
                self._due.append(fault.kind)
            if fault.kind == "check":
                self._ask_for_check()
        self._look_until(_passed(started + seconds))
        self._undo_due(float("inf"))
        self.say(
            f"{len(self.kills)} kills, {len(self.lasted)} faults that lasted, "
            f"{len(self.load.acknowledged)} submissions; now everything has to end."
        )
        if self.load.refused:
            self.say(
                f"{self.load.refused} times none could be handed in, the last time: {self.load.last_refusal}"
            )
        self._due.clear()
        too_late = _passed(time.monotonic() + self.settle)
        self._look_until(lambda: too_late() or self._is_over(), handing_in=False)
        self._note_unended()

    def cut_short(self) -> None:
        """Ends what is under way, so that what is known of it can still be judged."""
        self._undo_due(float("inf"))
        self._note_unended()

    def _look_until(self, over: Callable[[], bool], handing_in: bool = True) -> None:
        looked = 0.0
        while not over():
            self._undo_due(time.monotonic())
            if self._postponed and handing_in:
                self._apply(self._postponed.pop(0))
            self._watch_processes()
            if time.monotonic() - looked >= LOOK:
                self._look_at_api(handing_in)
                looked = time.monotonic()
            time.sleep(GLANCE)

    def _watch_processes(self) -> None:
        there = faults.list_processes(self.hackathon.cluster.name)
        self.pods |= {process.pod_uid: process.pod for process in there if process.pod_uid}
        programs = frozenset(process.pod for process in there if process.kind == "participant")
        if len(programs) > 1:
            self.together.add(programs)
        for kind in list(self._due):
            self._kill(kind, [process for process in there if process.kind == kind])
        for waiting in list(self._awaited):
            if waiting.kind not in SEEN_BY_API and self._works(waiting, there):
                self._note_recovery(waiting)

    def _apply(self, fault: Drawn) -> None:
        kinds = {one.kind for one in self._under_way}
        if fault.kind in node_faults.KINDS and not kinds.isdisjoint(node_faults.KINDS):
            self._postponed.append(fault)
            return
        if fault.kind in kinds:
            return
        began, applied = time.time(), True
        try:
            self._source(fault.kind).apply(fault.kind)
        except DemoError as error:
            # It may have begun all the same, so it is ended: what did not answer in time may have done as it was asked.
            self.say(f"{fault.kind}: {error}")
            applied = False
        self._under_way.append(UnderWay(began, time.monotonic() + fault.lasts, fault.kind, applied))
        if applied:
            self.say(f"{fault.kind} begins, for {fault.lasts:.0f} s")

    def _undo_due(self, now: float) -> None:
        """Those that are to end by ``now``, of the monotonic clock."""
        for one in [one for one in self._under_way if one.ends <= now]:
            self._under_way.remove(one)
            try:
                self._source(one.kind).undo(one.kind)
            except DemoError as error:
                self.say(f"{one.kind} could not be ended, which is tried again: {error}")
                self._under_way.append(replace(one, ends=time.monotonic() + UNDO_AGAIN))
                continue
            now_over = time.time()
            self._note_lasted(one, now_over)
            if one.applied and (one.kind in SEEN_BY_API or one.kind in StoreFaults.kinds):
                self._awaited.append(Awaited(one.kind, now_over, node=self._find_victim(one.kind)))
            self.say(f"{one.kind} ends")

    def _note_unended(self) -> None:
        for one in self._under_way:
            self._note_lasted(one, None)

    def _note_lasted(self, one: UnderWay, until: float | None) -> None:
        done = Lasted(one.began, until, one.kind, one.applied)
        self.lasted.append(done)
        self._write_log(asdict(done))

    def _find_victim(self, kind: str) -> str:
        source = self._source(kind)
        return source.node.hostname if isinstance(source, node_faults.NodeFaults) else ""

    def _source(self, kind: str) -> LastingFaults:
        return next(source for source in self.sources if kind in source.kinds)

    def _kill(self, kind: str, there: Sequence[Process]) -> None:
        # The newest: of a run under way rather than of one that ends.
        newest = max(there, key=lambda process: process.pid) if there else None
        done = faults.kill(newest, time.time()) if newest else None
        if newest is None or done is None:
            return
        self._due.remove(kind)
        self.kills.append(done)
        if kind in faults.REPLACED:
            before = frozenset(process.pid for process in there)
            self._awaited.append(Awaited(kind, done.at, done.pod_uid, before, newest.node))
        self._write_log(done.describe())
        self.say(f"killed {kind}")

    def _write_log(self, fault: Mapping[str, Any]) -> None:
        with self.log.open("a") as file:
            file.write(json.dumps(fault) + "\n")

    def _works(self, waiting: Awaited, there: Sequence[Process]) -> bool:
        kind = waiting.kind
        if kind in StoreFaults.kinds:
            return self._store_answers()
        new = [p for p in there if p.kind == kind and p.pid not in waiting.before]
        if kind == "recorder":
            return any(process.pod_uid == waiting.pod_uid for process in new)
        if not new:
            return False
        if kind == "store":
            return self._store_answers()
        return kind not in ("etcd", "kube-apiserver") or self._api_answers()

    def _store_answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._store}/minio/health/ready", timeout=2):
                return True
        except OSError:
            return False

    def _api_answers(self) -> bool:
        try:
            self.hackathon.kubectl("get", "namespace", self.hackathon.name, timeout=5)
        except DemoError:
            return False
        return True

    def _look_at_api(self, handing_in: bool) -> None:
        """What cannot be asked now is asked the next time."""
        try:
            self.there = self.load.list()
            for one in self.there:
                if has_ended(one):
                    self.ended.setdefault(one["metadata"]["uid"], time.time())
            if handing_in:
                self.load.top_up(self.there)
            self._look_at_leases()
        except DemoError:
            return

    def _look_at_leases(self) -> None:
        waiting = [one for one in self._awaited if one.kind in SEEN_BY_API]
        if not waiting:
            return
        found = json.loads(self.hackathon.kubectl("get", "leases,nodes", "-A", "-o", "json", timeout=10))
        # One that nobody holds has no time.
        renewed = {
            one["metadata"]["name"]: moment(one["spec"]["renewTime"])
            for one in found["items"]
            if one["kind"] == "Lease" and one.get("spec", {}).get("renewTime")
        }
        for one in waiting:
            if one.kind in NODES:
                works = node_faults.works(found, one.node, one.since, moment)
            else:
                # A clock that was ahead has written a moment that is still to come.
                last = renewed.get(OPERATORS_LEASE, 0.0)
                works = one.since < last < one.since + clock_faults.HOUR / 2
            if works:
                self._note_recovery(one)

    def _note_recovery(self, one: Awaited) -> None:
        back = time.time()
        self.recoveries.setdefault(one.kind, []).append(back - one.since)
        self.restored.append((one.since, back, one.kind))
        self._awaited.remove(one)

    def _ask_for_check(self) -> None:
        asked = f"{RECHECK}=chaos-{len(self.kills)}"
        try:
            self.hackathon.kubectl(
                "annotate", "dataset", DATASET, "-n", self.hackathon.name, "--overwrite", asked
            )
        except DemoError:
            self.say("The check could not be asked for.")

    def _is_over(self) -> bool:
        if len(self.there) < len(self.load.acknowledged) or not all(map(has_ended, self.there)):
            return False
        try:
            return not list_left(self.hackathon) and not list_settling(self.hackathon)
        except DemoError:
            return False


def _passed(moment: float) -> Callable[[], bool]:
    """Whether the monotonic clock has reached it."""
    return lambda: time.monotonic() >= moment


def list_left(hackathon: Hackathon) -> list[str]:
    """What a run or a score had made, in any namespace: kind, namespace and name. Raises DemoError."""
    kinds = "jobs,pods,secrets,configmaps,persistentvolumeclaims,leases.coordination.k8s.io"
    columns = "K:.kind,NS:.metadata.namespace,N:.metadata.name,U:.metadata.labels.alcove\\.dev/submission-uid"
    out = hackathon.kubectl("get", kinds, "-A", "--no-headers", "-o", f"custom-columns={columns}", timeout=20)
    return [found for line in out.splitlines() if (found := find_left(line))]


def find_left(line: str) -> str:
    """Kind, namespace and name of what a line tells of; "" where neither a label nor its name says that a run or a
    score had it made. ``line``: these three and the UID of a Submission, or "<none>"."""
    kind, namespace, name, uid = line.split()
    return f"{kind} {namespace}/{name}" if uid != "<none>" or _OF_RUN.match(name) else ""


def list_usage(hackathon: Hackathon) -> dict[str, dict[str, Any]]:
    """Status of each TeamUsage, by the team's namespace. Raises DemoError."""
    found = json.loads(hackathon.kubectl("get", "teamusages", "-n", hackathon.name, "-o", "json"))["items"]
    return {one["spec"]["team"]: one.get("status") or {} for one in found}


def list_settling(hackathon: Hackathon) -> list[str]:
    """UIDs of the Submissions whose tickets were not given back. Raises DemoError."""
    return [uid for used in list_usage(hackathon).values() for uid in used.get("settling", [])]
