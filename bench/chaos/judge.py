"""Says what of a shaken run is not as it must be, from what others wrote down: the store, the API server's audit log,
the programs' own schedules, and the log of the faults. It uses nothing of operator and scorer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from bench.chaos.load import PREDICTIONS, WRAPS

STAMP_SLACK = 0.05
"""Seconds: the moment of the go, by the wall clock, is not taken at the very moment of it by the monotonic one."""
ALC_SLACK = 1e-6
LONGEST = 600.0
"""Seconds from a submission to its end that are allowed beside the faults that last meanwhile."""
RECORDERS_CLOCK = ("recorder-clock-ahead", "recorder-clock-behind")
"""Faults of the clock that says when a go was, but not how long after it something came: while there is one, nothing
can be concluded from the moment of a go."""
NODES = (
    "node-lost", "node-rebooted", "node-cut-off", "node-drained", "node-full", "node-slow", "node-clock-ahead",
    "node-clock-behind",
)  # fmt: skip
ENDS_A_RUN = ("participant", "supervisor")
MAY_COST_AN_ATTEMPT = (
    "recorder", "kubelet", "containerd", "kube-apiserver", "etcd", "etcd-compacted", "store", "store-slow",
    "store-resets", "store-truncates", "store-errs", *RECORDERS_CLOCK, *NODES,
)  # fmt: skip
"""Faults after which a run may be repeated, at the platform's cost."""


@dataclass(frozen=True)
class Prediction:
    stamp: float
    """Seconds after the go, as it was recorded."""
    made: int
    """Milliseconds, modulo :data:`~bench.chaos.load.WRAPS`, as the program wrote them into it."""
    since: float
    """Seconds since the program's object was constructed, which was after the go, likewise."""


@dataclass(frozen=True)
class Attempt:
    """What one pod left in the store."""

    number: int
    pod_uid: str
    go_at: float | None
    """Unix time; None where it had no go."""
    seconds: float
    """From the go to its last process's end; −1 where that is not known."""
    records: int
    """Predictions that the manifest names."""
    predictions: tuple[Prediction, ...]
    """Those of them that are there."""


@dataclass(frozen=True)
class Run:
    """One submission, which has one run."""

    name: str
    uid: str
    submitted_at: float
    ended_at: float | None
    """When it was seen to have ended."""
    status: Mapping[str, Any]
    attempts: Sequence[Attempt]
    verdict: Mapping[str, Any] | None
    scored: Mapping[str, Any] | None
    """The run in the newest score that is stored."""
    recomputed: float | None
    """ALC by another program; None where there is nothing to compute."""

    @property
    def run(self) -> Mapping[str, Any]:
        runs: Sequence[Mapping[str, Any]] = self.status.get("runs") or [{}]
        return runs[0]


@dataclass(frozen=True)
class Evidence:
    runs: Sequence[Run]
    kills: Sequence[tuple[float, str, str]]
    """Unix time, kind, and UID of the pod where it was in one."""
    jobs: Mapping[str, int]
    """Run Jobs by name, and how often the API server was asked to make them and did."""
    lasted: Sequence[tuple[float, float, str]] = ()
    """Faults that lasted: Unix times of beginning and end, and kind."""
    together: Sequence[frozenset[str]] = ()
    """Names of pods in which participants' programs were seen at one moment."""
    lost: Sequence[str] = ()
    """Submissions that the API server took, and that are not there."""
    left: Sequence[str] = ()
    """Jobs and pods that are there though all has ended."""
    settling: Sequence[str] = ()
    totals: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By team: Submissions that are counted, and that were handed in and not owed back."""
    recoveries: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Seconds until a part worked again, by kind of fault. Not judged."""


def find_violations(evidence: Evidence) -> list[str]:
    """An empty list: nothing was lost, nothing ran twice, and nobody paid for another's fault.

    That nobody was repeated for nothing is shown where few kinds of faults happen alone: with all of them, nearly every
    run has one beside it that excuses it.
    """
    found = [] if evidence.runs else ["Nothing was submitted, so nothing is shown."]
    if evidence.runs and not evidence.jobs:
        found.append("The API server's audit log tells of no Job of a run.")
    found += [said for run in evidence.runs for said in _judge(run, evidence)]
    found += [f"The Job {name} was made {count} times." for name, count in evidence.jobs.items() if count > 1]
    found += [f"{name} was taken, and is not there." for name in evidence.lost]
    found += [
        f"{count} pods of the run {run} were alive at once."
        for pods in evidence.together
        # Named like their Job, r-UID-dataset-attempt, and five characters.
        for run, count in Counter(pod.rsplit("-", 2)[0] for pod in pods).items()
        if count > 1
    ]
    found += [f"{what} is left behind." for what in evidence.left]
    found += [f"The ticket of {uid} was never given back." for uid in evidence.settling]
    for team, (counted, handed_in) in evidence.totals.items():
        if counted != handed_in:
            found.append(f"{team} has {handed_in} Submissions, and {counted} are counted.")
    return found


def _judge(run: Run, evidence: Evidence) -> list[str]:
    if run.ended_at is None:
        return [f"{run.name} never ended: {run.status.get('phase')!r}."]
    return [
        f"{run.name}: {said}"
        for said in (
            *_judge_length(run, evidence),
            *_judge_attempts(run, evidence),
            *_judge_cause(run, evidence),
            *_judge_predictions(run, evidence),
            *_judge_score(run),
        )
    ]


def _judge_length(run: Run, evidence: Evidence) -> list[str]:
    ended = run.ended_at or 0.0
    lasted = sum(max(0.0, min(until, ended) - max(at, run.submitted_at)) for at, until, _ in evidence.lasted)
    took, allowed = ended - run.submitted_at, LONGEST + lasted
    return [f"it took {took:.0f} s, and {allowed:.0f} s are allowed."] if took > allowed else []


def _judge_attempts(run: Run, evidence: Evidence) -> list[str]:
    found = []
    went = sorted((a for a in run.attempts if a.go_at is not None), key=lambda a: a.go_at or 0.0)
    for number, count in Counter(attempt.number for attempt in went).items():
        if count > 1:
            found.append(f"attempt {number} had {count} pods that ran.")
    for first, second in pairwise(() if _has_wrong_go(run, evidence) else went):
        end = (first.go_at or 0.0) + max(0.0, first.seconds)
        if (second.go_at or 0.0) < end:
            found.append(
                f"attempt {second.number} began {end - (second.go_at or 0.0):.1f} s before the end of another."
            )
    last = run.run.get("attempt", 0)
    if run.verdict is None:
        found.append("there is no verdict.")
    elif run.run.get("podUid") and run.verdict["attempt"] != last:
        found.append(f"attempt {last} is the last, and the verdict names {run.verdict['attempt']}.")
    elif went and run.verdict["attempt"] not in (None, max(a.number for a in went)):
        found.append(f"the verdict names attempt {run.verdict['attempt']}, and a later one ran.")
    return found


def _hits(run: Run, evidence: Evidence, number: int) -> set[str]:
    """What was killed in the pods of an attempt."""
    pods = {attempt.pod_uid for attempt in run.attempts if attempt.number == number}
    return {kind for _, kind, pod in evidence.kills if pod in pods}


def _beside(run: Run, evidence: Evidence) -> set[str]:
    """What was killed while the run was under way, in no pod of its own."""
    ended = run.ended_at or float("inf")
    own = {attempt.pod_uid for attempt in run.attempts}
    killed = {kind for at, kind, pod in evidence.kills if run.submitted_at <= at <= ended and pod not in own}
    return killed | {kind for at, until, kind in evidence.lasted if at <= ended and until >= run.submitted_at}


def _has_wrong_go(run: Run, evidence: Evidence) -> bool:
    """Whether the moments of its goes may be those of a clock that was stepped."""
    return not _beside(run, evidence).isdisjoint(RECORDERS_CLOCK)


def _was_cut(run: Run, evidence: Evidence, number: int) -> bool:
    """Whether the program of an attempt, or its supervisor, was killed before the program had saved all.

    The moments are the program's own. What is killed after the last of them may have finished: a supervisor waits
    for the recorder to have sealed what was saved.
    """
    for attempt in run.attempts:
        kills = [at for at, kind, pod in evidence.kills if pod == attempt.pod_uid and kind in ENDS_A_RUN]
        if attempt.number != number or not kills:
            continue
        if len(attempt.predictions) < PREDICTIONS:
            return True
        since_last = (int(min(kills) * 1000) - attempt.predictions[-1].made) % WRAPS
        if since_last > WRAPS // 2:
            return True
    return False


def _judge_cause(run: Run, evidence: Evidence) -> list[str]:
    cause, payer, attempt = (run.run.get(key) for key in ("cause", "chargedTo", "attempt"))
    hits = _hits(run, evidence, attempt or 0)
    if payer == "Participant":
        if hits.isdisjoint(ENDS_A_RUN):
            return [f"the participant pays for {cause}, though only {sorted(hits)} were killed in its pod."]
    elif cause != "Finished":
        excused = (hits | _beside(run, evidence)) & set(MAY_COST_AN_ATTEMPT)
        if not excused:
            return [f"it ended with {cause}, and nothing was killed that excuses it."]
    elif _was_cut(run, evidence, attempt or 0):
        return [f"it has {cause}, though {sorted(hits)} were killed in its pod before it had saved all."]
    if (attempt or 0) > 1:
        earlier = set().union(*(_hits(run, evidence, number) for number in range(1, attempt or 0)))
        if (earlier | _beside(run, evidence)).isdisjoint(MAY_COST_AN_ATTEMPT):
            return [f"it was repeated, and nothing was killed that excuses it: {sorted(earlier)}."]
    return []


def _judge_predictions(run: Run, evidence: Evidence) -> list[str]:
    """Of the attempt that counts."""
    verdict = run.verdict or {}
    counted = next((a for a in run.attempts if a.pod_uid == verdict.get("pod_uid")), None)
    if counted is None or counted.go_at is None:
        return []
    found = []
    if len(counted.predictions) != counted.records:
        found.append(
            f"{counted.records} predictions were acknowledged, and {len(counted.predictions)} are there."
        )
    if run.run.get("cause") == "Finished" and len(counted.predictions) != PREDICTIONS:
        found.append(f"it saved {PREDICTIONS} predictions, and {len(counted.predictions)} are there.")
    wrong_go = _has_wrong_go(run, evidence)
    moments = [at for at, kind, pod in evidence.kills if pod == counted.pod_uid and kind in ENDS_A_RUN]
    if moments and not wrong_go:
        # One a second; the newest may have been on its way.
        due = min(PREDICTIONS, int(min(moments) - counted.go_at) - 2)
        if len(counted.predictions) < due:
            found.append(
                f"{due} predictions were saved when it was killed, and {len(counted.predictions)} are there."
            )
    for prediction in counted.predictions:
        if prediction.stamp < prediction.since:
            found.append(
                f"a prediction is stamped {prediction.since - prediction.stamp:.3f} s before it was made."
            )
            continue
        if wrong_go:
            continue
        stamped = int((counted.go_at + prediction.stamp + STAMP_SLACK) * 1000)
        # How much later than the truth the stamp is, in the circle of the moments.
        if (stamped - prediction.made) % WRAPS > WRAPS // 2:
            late = (prediction.made - stamped) % WRAPS / 1000
            found.append(f"a prediction is stamped {late:.3f} s before it was made.")
    return found


def _judge_score(run: Run) -> list[str]:
    if run.scored is None:
        return ["there is no score."] if run.run.get("phase") == "Done" else []
    found = []
    if run.verdict is not None and run.scored["attempt"] != run.verdict["attempt"]:
        found.append(
            f"attempt {run.scored['attempt']} is scored, the verdict names {run.verdict['attempt']}."
        )
    told, again = run.scored["alc"], run.recomputed
    same = told == again or (told is not None and again is not None and abs(told - again) <= ALC_SLACK)
    return found if same else [*found, f"its ALC is {told}; computed again it is {again}."]


def moment(text: str) -> float:
    """Unix time of one in ISO 8601."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
