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
PARTS = ("recorder", "recorder-parent", "participant", "supervisor")
"""What is in a run's pod: killed there, it concerns that run alone."""


@dataclass(frozen=True)
class Excuses:
    own: tuple[str, ...] = ()
    """Killed in the attempt's own pod."""
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reason:
    words: str
    """With which the operator's message begins, as a regular expression."""
    cause: str
    excuses: Excuses


_SLOW_START = Excuses(
    ("recorder",), (*_RUNTIME, *_API, *_STORE, *_AWAY, "node-full", "node-slow", *_NODES_CLOCK)
)
REASONS: Sequence[Reason] = (
    # The runtime makes no container, it finds no files, or our runner is killed before it asks for the go.
    Reason(
        "The platform's runner could not be started", "CouldNotStart",
        Excuses(("participant",), (*_RUNTIME, *_DOWN, "node-full")),
    ),
    Reason("The platform's image for", "ImagePull", Excuses((), (*_RUNTIME, *_AWAY, "node-slow", "node-full"))),
    Reason("The Job got no pod", "NeverStarted", Excuses((), ("kube-controller-manager", *_API))),
    # A node takes pods once the controller manager has seen that it is Ready.
    Reason(
        "No node had room", "NeverStarted",
        Excuses((), ("kube-controller-manager", "kubelet", *_API, *_AWAY, "node-drained", "node-full", *_NODES_CLOCK)),
    ),
    Reason("Pull and staging took longer", "NeverStarted", _SLOW_START),
    Reason("The pod's deadline passed before the go", "NeverStarted", _SLOW_START),
    Reason(
        "(The pod|The container's first process) ended before the go", "NeverStarted",
        Excuses(PARTS, (*_RUNTIME, *_DOWN, "node-full")),
    ),
    # A node that says nothing is lost; one whose runtime finds no process again was restarted.
    Reason(
        r"The node \S+ (was lost|did not report)", "NodeLost",
        Excuses((), (*_AWAY, "kubelet", *_API, "node-slow", *_NODES_CLOCK)),
    ),
    Reason(r"The node \S+ was restarted", "NodeLost", Excuses((), (*_DOWN, *_RUNTIME))),
    Reason(r"The pod was \S+ from outside", "PodGone", Excuses((), (*_AWAY, "node-drained"))),
    Reason("The pod was taken off its node", "Preempted", Excuses((), ("node-drained", "node-full"))),
    # Where it writes is on the node's disk.
    Reason(
        "The recorder, which keeps", "RecorderLost", Excuses(("recorder", "recorder-parent"), (*_DOWN, "node-full"))
    ),
    Reason(
        "(The dataset or the code could not be staged|Staging ended unexpectedly)", "StagingFault",
        Excuses((), (*_STORE, *_RUNTIME, *_AWAY, "node-slow", "node-full")),
    ),
    Reason(r"The node \S+ stopped the pod before", "StoppedEarly", Excuses((), _NODES_CLOCK)),
    # The store refuses what is signed at a wrong time.
    Reason(
        "The object store did not answer", "StoreAway",
        Excuses((), (*_STORE, *RECORDERS_CLOCK, "node-cut-off", "node-slow")),
    ),
    # Nothing that happens here fills it.
    Reason("The object store was full", "StoreFull", Excuses()),
)  # fmt: skip
"""All for which the platform pays."""


def _unite(reasons: Sequence[Reason]) -> Excuses:
    own = {kind for one in reasons for kind in one.excuses.own}
    return Excuses(
        tuple(sorted(own)), tuple(sorted({kind for one in reasons for kind in one.excuses.beside}))
    )


CAUSES = frozenset(one.cause for one in REASONS)
UNKNOWN = _unite(REASONS)
"""Of a cause that was not noted."""

AFTERMATH = 10.0
_AFTERMATHS: Mapping[str, float] = MappingProxyType(
    # Its containers are made again after a pause, it takes pods again, and what was late is told.
    dict.fromkeys((*_AWAY, *_NODES_CLOCK, "node-drained", "node-full", "node-slow"), 30.0)
)
"""Seconds, both: how long after it is over, and the part works again, a fault can still bring an end about."""
SLOWEST = 30.0
"""Seconds until a part works again where nobody has noted how long that took."""


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
    for one in run.told or ():
        if one.attempt == number and one.cause:
            return one.cause, one.payer
    words = _find_words(run, number)
    if not words:
        return "", ""
    reason = _find_reason(words)
    if reason is None:
        raise ValueError(words)
    return reason.cause, "Platform"


def _find_words(run: Run, number: int) -> str:
    """How the operator explained the end of an attempt; "" where that was not noted. One that is repeated at once is
    never told by its cause, but by the message of the next."""
    told = run.told or ()
    said = next((one.message for one in told if one.attempt == number and one.cause), "")
    begins = f"Attempt {number + 1} of "
    after = next((one.message for one in told if one.message.startswith(begins)), "")
    return said or after.partition(": ")[2]


def _find_reason(words: str) -> Reason | None:
    return next((one for one in REASONS if re.match(one.words, words)), None)


def find_excuses(run: Run, number: int, cause: str) -> Excuses:
    """Of an attempt that ended with ``cause``, or with any where that is ""; the operator's words narrow it down."""
    reason = _find_reason(_find_words(run, number))
    if reason is not None and reason.cause == cause:
        return reason.excuses
    return _unite([one for one in REASONS if one.cause == cause]) if cause else UNKNOWN


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
    excuses = find_excuses(run, number, cause)
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
        for cause in sorted(CAUSES)
    }


def has_wrong_go(run: Run, number: int, evidence: Evidence) -> bool:
    """Whether the moment of an attempt's go may be that of a clock that was stepped."""
    return not find_beside(run, number, evidence).isdisjoint(RECORDERS_CLOCK)
