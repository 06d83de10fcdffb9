"""What is written down of a shaken run, as the judge reads it. Plain data: nothing of operator and scorer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Prediction:
    stamp: float
    """Seconds after the go, as it was recorded."""
    made: int
    """Milliseconds, modulo :data:`~bench.chaos.load.WRAPS`, as the program wrote them into it."""
    since: float
    """Seconds since the program's object was constructed, which was after the go, likewise."""
    number: int = 0
    """Which of the program's it is, by its content, from 1 on; 0 where that was not noted."""


@dataclass(frozen=True)
class Attempt:
    """What one pod left in the store."""

    number: int
    pod_uid: str
    go_at: float | None
    """Unix time; None where it had no go."""
    seconds: float
    """From the go to its last process's end; negative where that is not known."""
    records: int
    """Predictions that the manifest names."""
    predictions: tuple[Prediction, ...]
    """Those of them that are there."""


@dataclass(frozen=True)
class Told:
    """What the operator wrote of a run into the status, by the API server's audit log."""

    at: float
    """Unix time."""
    attempt: int
    pod_uid: str
    cause: str
    payer: str
    message: str


@dataclass(frozen=True)
class Score:
    """One of those that the store has of a Submission."""

    digest: str
    """Of the rules that it was made by; the status names the one that is shown."""
    stored_at: float
    """Unix time."""
    sha256: str
    """Of what is stored."""
    run: Mapping[str, Any] | None
    """None where it has none."""


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
    """The run in the score that the status names; of earlier times, in any."""
    recomputed: float | None
    """ALC by another program; None where there is nothing to compute."""
    scores: Sequence[Score] | None = None
    """All that there are; None of times that did not note them."""
    told: Sequence[Told] | None = None
    """In the order of time; None of times that did not note it."""
    verdict_sha256: str = ""
    """Of what is stored; "" of times that did not note it."""

    @property
    def run(self) -> Mapping[str, Any]:
        runs: Sequence[Mapping[str, Any]] = self.status.get("runs") or [{}]
        return runs[0]

    @property
    def last(self) -> int:
        """The attempt that the status names; 0 before the first."""
        return int(self.run.get("attempt") or 0)

    @property
    def team(self) -> str:
        return self.name.partition("/")[0]


@dataclass(frozen=True)
class Evidence:
    runs: Sequence[Run]
    kills: Sequence[tuple[float, str, str]]
    """Unix time, kind, and UID of the pod where it was in one."""
    jobs: Mapping[str, int]
    """Run Jobs by name, and how often the API server was asked to make them and did."""
    lasted: Sequence[tuple[float, float | None, str]] = ()
    """Faults that lasted: Unix times of beginning and end (None: it was never ended), and kind."""
    together: Sequence[frozenset[str]] = ()
    """Names of pods in which participants' programs were seen at one moment."""
    lost: Sequence[str] = ()
    """Submissions that the API server took, and that are not there."""
    left: Sequence[str] = ()
    """What a run or a score had made, and is there though all has ended."""
    settling: Sequence[str] = ()
    totals: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By team, of times that did not note ``usage``: Submissions that are counted, and that were handed in and not owed
    back."""
    recoveries: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Seconds until a part worked again, by kind of fault."""
    failed: Sequence[tuple[float, float | None, str]] = ()
    """As ``lasted``: faults that could not be brought about. They excuse nothing."""
    restored: Sequence[tuple[float, float, str]] | None = None
    """Unix times of a kill or of the end of a fault, and of when the part worked again, and the kind; None of times
    that did not note it."""
    made: Mapping[str, float] = field(default_factory=dict)
    """Unix time at which each run Job was first made."""
    pods: Mapping[str, str] = field(default_factory=dict)
    """Names of pods in which a process was seen, by UID."""
    usage: Mapping[str, Mapping[str, Any]] | None = None
    """Status of each team's TeamUsage; None of times that did not note it."""
    unreadable: Sequence[str] = ()
    """What could not be collected, in sentences."""


def moment(text: str) -> float:
    """Unix time of one in ISO 8601."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
