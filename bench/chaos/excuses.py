"""Which faults can bring an attempt to which end, and when a fault can still do so: the judge's own table.

It is about what the platform pays for. A fault excuses the end of an attempt where it can bring that cause about, and
was in the attempt's own pod, or beside it between its beginning and its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from bench.chaos.history import Evidence, Run, moment

RECORDERS_CLOCK = ("recorder-clock-ahead", "recorder-clock-behind")
_STORE = ("store", "store-slow", "store-resets", "store-truncates", "store-errs")
_API = ("etcd", "kube-apiserver", "etcd-compacted")
_RUNTIME = ("kubelet", "containerd")
_DOWN = ("node-lost", "node-rebooted")
_AWAY = (*_DOWN, "node-cut-off")
_NODES_CLOCK = ("node-clock-ahead", "node-clock-behind")
PARTS = ("recorder", "participant", "supervisor")
"""What is in a run's pod: killed there, it concerns that run alone."""


@dataclass(frozen=True)
class Excuses:
    own: tuple[str, ...] = ()
    """Killed in the attempt's own pod."""
    beside: tuple[str, ...] = ()


EXCUSES: Mapping[str, Excuses] = MappingProxyType({
    # The runtime makes no container, it finds no files, or our runner is killed before it asks for the go.
    "CouldNotStart": Excuses(("participant",), (*_RUNTIME, *_DOWN, "node-full")),
    "ImagePull": Excuses((), (*_RUNTIME, *_AWAY, "node-slow", "node-full")),
    # No pod, no node, no container or no data in time; or main's first process is killed before the go.
    "NeverStarted": Excuses(
        PARTS,
        (
            *_RUNTIME, *_API, "kube-controller-manager", *_STORE, *_AWAY, "node-drained", "node-full", "node-slow",
            *_NODES_CLOCK,
        ),
    ),
    # The node does not say what became of the pod, or its runtime finds no process again.
    "NodeLost": Excuses((), (*_AWAY, *_RUNTIME, *_API, "node-slow", *_NODES_CLOCK)),
    "PodGone": Excuses((), (*_AWAY, "node-drained")),
    "Preempted": Excuses((), ("node-drained", "node-full")),
    # Where it writes is on the node's disk.
    "RecorderLost": Excuses(("recorder",), (*_DOWN, "node-full")),
    "StagingFault": Excuses((), (*_STORE, *_RUNTIME, *_AWAY, "node-slow", "node-full")),
    "StoppedEarly": Excuses((), _NODES_CLOCK),
    # The store refuses what is signed at a wrong time.
    "StoreAway": Excuses((), (*_STORE, *RECORDERS_CLOCK, "node-cut-off", "node-slow")),
    # Nothing that happens here fills it.
    "StoreFull": Excuses(),
})  # fmt: skip
"""By cause: all that the platform pays for."""
UNKNOWN = Excuses(
    tuple(sorted({kind for one in EXCUSES.values() for kind in one.own})),
    tuple(sorted({kind for one in EXCUSES.values() for kind in one.beside})),
)
"""Of a cause that was not noted."""

AFTERMATH = 10.0
_AFTERMATHS: Mapping[str, float] = MappingProxyType(
    # Its containers are made again after a pause, it takes pods again, and what was late is told.
    dict.fromkeys((*_AWAY, *_NODES_CLOCK, "node-drained", "node-full", "node-slow"), 30.0)
)
"""Seconds, both: how long after it is over, and the part works again, a fault can still bring an end about."""
SLOWEST = 30.0
"""Seconds until a part works again where nobody has noted how long that took."""

_SAID: Sequence[tuple[str, str]] = (
    (r"The object store did not answer", "StoreAway"),
    (r"The object store was full", "StoreFull"),
    (r"The node \S+ stopped the pod before", "StoppedEarly"),
    (r"The node \S+ (was lost|was restarted|did not report)", "NodeLost"),
    (r"The pod was taken off its node", "Preempted"),
    (r"The pod was \S+ from outside", "PodGone"),
    (r"(The Job got no pod|No node had room|Pull and staging took longer)", "NeverStarted"),
    (r"(The pod ended before the go|The pod's deadline passed before the go)", "NeverStarted"),
    (r"(The dataset or the code could not be staged|Staging ended unexpectedly)", "StagingFault"),
    (r"The platform's image for", "ImagePull"),
    (r"The platform's runner could not be started", "CouldNotStart"),
    (r"The recorder, which keeps", "RecorderLost"),
)
"""How messages of the operator begin, and what cause they are of."""


@dataclass(frozen=True)
class Fault:
    begins: float
    over: float
    """Unix times; from ``over`` on it can bring nothing about any more."""
    kind: str
    pod_uid: str = ""


def list_faults(evidence: Evidence) -> Iterator[Fault]:
    """Those that came about."""
    for at, kind, pod in evidence.kills:
        yield Fault(at, _find_end(at, kind, evidence), kind, pod)
    for at, until, kind in evidence.lasted:
        yield Fault(at, _find_end(until, kind, evidence) if until is not None else float("inf"), kind)


def _find_end(since: float, kind: str, evidence: Evidence) -> float:
    """``since``: of the kill, or the end of a fault that lasted."""
    after = _AFTERMATHS.get(kind, AFTERMATH)
    if evidence.restored is None:
        return since + max(evidence.recoveries.get(kind, ()), default=SLOWEST) + after
    found = (back for begun, back, what in evidence.restored if what == kind and begun == since)
    return max(found, default=since + SLOWEST) + after


def find_time(run: Run, number: int, evidence: Evidence) -> tuple[float, float]:
    """Unix times between which an attempt was under way, or may have been where that was not noted."""
    return _find_beginning(run, number, evidence), _find_decision(run, number)


def _find_beginning(run: Run, number: int, evidence: Evidence) -> float:
    made = evidence.made.get(name_job(run, number))
    told = (one.at for one in run.told or () if one.attempt == number)
    return made if made is not None else next(told, run.submitted_at)


def name_job(run: Run, number: int) -> str:
    """Of an attempt; the names of its pods begin with it and a hyphen."""
    return f"r-{run.uid.replace('-', '')[:8]}-{run.run.get('dataset') or ''}-{number}"


def _find_decision(run: Run, number: int) -> float:
    """When the operator said how the attempt ended, or at least that it had."""
    said = (one.at for one in run.told or () if one.attempt > number or (one.attempt == number and one.cause))
    at = next(said, None)
    if at is not None:
        return at
    created = (run.verdict or {}).get("created_at")
    # The verdict is of the last attempt.
    return moment(created) if number < run.last and created else run.ended_at or float("inf")


def find_cause(run: Run, number: int) -> tuple[str, str]:
    """Cause and payer of an attempt, as the operator told them; "" where that was not noted.

    Raises ValueError where it gives a reason that no cause has.
    """
    if number == run.last:
        return run.run.get("cause") or "", run.run.get("chargedTo") or ""
    told = run.told or ()
    for one in told:
        if one.attempt == number and one.cause:
            return one.cause, one.payer
    # One that is repeated at once is never told by its cause, but by the message of the next.
    begins = f"Attempt {number + 1} of "
    message = next((one.message for one in told if one.message.startswith(begins)), "")
    if not message:
        return "", ""
    reason = message.partition(": ")[2]
    cause = next((cause for said, cause in _SAID if re.match(said, reason)), None)
    if cause is None:
        raise ValueError(reason)
    return cause, "Platform"


def find_pods(run: Run, number: int, evidence: Evidence) -> set[str]:
    """UIDs of an attempt's pods."""
    job = name_job(run, number)
    pods = {attempt.pod_uid for attempt in run.attempts if attempt.number == number}
    pods |= {uid for uid, name in evidence.pods.items() if name.rpartition("-")[0] == job}
    pods |= {one.pod_uid for one in run.told or () if one.attempt == number}
    if number == run.last:
        pods.add(run.run.get("podUid") or "")
    return pods - {""}


def find_hits(run: Run, number: int, evidence: Evidence) -> set[str]:
    """What was killed in the pods of an attempt."""
    pods = find_pods(run, number, evidence)
    return {kind for _, kind, pod in evidence.kills if pod in pods}


def find_beside(run: Run, number: int, evidence: Evidence) -> set[str]:
    """Which faults, in no pod of a run, can have reached an attempt."""
    begun, decided = find_time(run, number, evidence)
    return {
        one.kind
        for one in list_faults(evidence)
        if one.kind not in PARTS and one.begins <= decided and one.over >= begun
    }


def is_excused(run: Run, number: int, cause: str, evidence: Evidence) -> bool:
    """``cause``: "" where that was not noted."""
    excuses = EXCUSES.get(cause, Excuses()) if cause else UNKNOWN
    hits, beside = find_hits(run, number, evidence), find_beside(run, number, evidence)
    if run.told is None:
        hits |= _find_unknown_hits(run, number, evidence)
    return not (hits.isdisjoint(excuses.own) and beside.isdisjoint(excuses.beside))


def _find_unknown_hits(run: Run, number: int, evidence: Evidence) -> set[str]:
    """What was killed during an attempt in pods that nobody knows: of times that noted only the pods that left
    something."""
    begun, decided = find_time(run, number, evidence)
    known = {attempt.pod_uid for one in evidence.runs for attempt in one.attempts}
    return {kind for at, kind, pod in evidence.kills if pod not in known and begun <= at <= decided} & set(
        PARTS
    )


def measure_strictness(found: Sequence[Evidence]) -> Mapping[str, float]:
    """By cause: the share of all attempts that would have been excused if they had ended with it. The less, the more is
    shown by that none has ended so without an excuse."""
    attempts = [
        (run, number, one) for one in found for run in one.runs for number in range(1, max(1, run.last) + 1)
    ]
    return {
        cause: sum(is_excused(run, number, cause, one) for run, number, one in attempts)
        / max(1, len(attempts))
        for cause in EXCUSES
    }


def has_wrong_go(run: Run, number: int, evidence: Evidence) -> bool:
    """Whether the moment of an attempt's go may be that of a clock that was stepped."""
    return not find_beside(run, number, evidence).isdisjoint(RECORDERS_CLOCK)
