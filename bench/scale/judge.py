"""Judges a run from the audit log, the objects as they are, and what the nodes saw: nothing of the operator's own code.

Everything that it finds wrong is a sentence. An empty list means: no run was started twice, none was lost, nobody had
more places than there are, and what the teams have used is what their Submissions used.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.scale.nodes import JobNote

OPERATOR = ":alcove-operator"
"""How the name of its user ends."""
CHANGES = ("create", "update", "patch", "delete", "deletecollection")
COMPUTE_SLACK = 1e-3
"""Seconds of compute, of each settled Submission: they are rounded to thousandths."""


@dataclass
class Writes:
    """Changes that the operator asked for, by what and on what; those that were refused count too."""

    by_kind: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    run_jobs: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Unix times at which a run's Job was made, by its name."""


def read_audit(path: Path, since: float) -> Writes:
    """What the operator changed since that Unix time, but for its Lease, which costs the same at any size."""
    found = Writes()
    with path.open() as file:
        for line in file:
            event = json.loads(line)
            about = event.get("objectRef") or {}
            at = datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()
            if not event["user"]["username"].endswith(OPERATOR) or event["verb"] not in CHANGES:
                continue
            if at < since or about.get("resource") == "leases":
                continue
            what = "/".join(filter(None, (about.get("resource", "?"), about.get("subresource", ""))))
            code = (event.get("responseStatus") or {}).get("code", 0)
            found.by_kind[f"{event['verb']} {what}"] += 1
            if code >= 400:
                found.refused[f"{event['verb']} {what} {code}"] += 1
            elif what == "jobs" and event["verb"] == "create" and about.get("name", "").startswith("r"):
                found.run_jobs[about["name"]].append(at)
    return found


def rate(times: Iterable[float]) -> float:
    """Jobs a second from the first to the last tenth of them: the ends of a rush are no rush."""
    ordered = sorted(times)
    if len(ordered) < 10:
        return 0.0
    nine_tenths = ordered[: len(ordered) * 9 // 10]
    return (len(nine_tenths) - 1) / max(nine_tenths[-1] - nine_tenths[0], 1e-6)


def find_faults(
    submissions: Sequence[Mapping[str, Any]],
    notes: Sequence[JobNote],
    datasets: Sequence[str],
    capacity: int,
) -> list[str]:
    """Everything that is not as it must be after all have ended.

    Args:
        submissions: the objects, all of one competition.
        notes: of the nodes, about these Submissions.
        datasets: aliases; each Submission is run on each.
        capacity: places of the competition.
    """
    runs = [note for note in notes if note.role == "run"]
    return [
        *_find_unfinished(submissions, datasets),
        *_find_repeated(submissions, runs, datasets),
        *_find_overfull(runs, capacity),
    ]


def _find_unfinished(submissions: Sequence[Mapping[str, Any]], datasets: Sequence[str]) -> list[str]:
    faults = []
    for one in submissions:
        status = one.get("status") or {}
        done = sorted(run["dataset"] for run in status.get("runs", []) if run["phase"] == "Done")
        if status.get("phase") != "Done" or done != sorted(datasets):
            faults.append(f"{_name(one)} is {status.get('phase')!r} with scores on {done}.")
    return faults


def _find_repeated(
    submissions: Sequence[Mapping[str, Any]], runs: Sequence[JobNote], datasets: Sequence[str]
) -> list[str]:
    made = Counter({(note.submission_uid, note.dataset, note.uid) for note in runs})
    jobs = Counter((uid, dataset) for uid, dataset, _ in made)
    wanted = {(one["metadata"]["uid"], dataset) for one in submissions for dataset in datasets}
    twice = [f"{uid} on {dataset} had {count} Jobs." for (uid, dataset), count in jobs.items() if count > 1]
    lost = [f"{uid} on {dataset} had no Job." for uid, dataset in wanted - jobs.keys()]
    odd = [f"A Job ran {uid} on {dataset}, which nobody asked for." for uid, dataset in jobs.keys() - wanted]
    return [*twice, *lost, *odd]


def _find_overfull(runs: Sequence[JobNote], capacity: int) -> list[str]:
    """A place is held at least from a Job's making until its participant's program has ended."""
    steps = [(note.at, {"made": 1, "ended": -1}.get(note.what, 0)) for note in runs]
    held = most = 0
    for _, step in sorted(steps):
        held += step
        most = max(most, held)
    return [f"{most} runs were under way at once; there are {capacity} places."] if most > capacity else []


def find_unbalanced(
    submissions: Sequence[Mapping[str, Any]], usage: Mapping[str, Mapping[str, Any]], processors: float
) -> list[str]:
    """Where the ``usage`` of a team, as it is told in the cluster, is not what its ``submissions`` used.

    ``processors``: that a run has.
    """
    counts: Counter[str] = Counter(one["metadata"]["namespace"] for one in submissions)
    compute: dict[str, float] = defaultdict(float)
    for one in submissions:
        for run in (one.get("status") or {}).get("runs", []):
            if run.get("startedAt") and run.get("endedAt"):
                spent = datetime.fromisoformat(run["endedAt"]) - datetime.fromisoformat(run["startedAt"])
                compute[one["metadata"]["namespace"]] += processors * spent.total_seconds()
    faults = []
    for team, count in counts.items():
        told = usage.get(team, {})
        if told.get("total") != count:
            faults.append(f"{team} has {count} Submissions, and {told.get('total')} are counted.")
        if told.get("settling"):
            faults.append(f"{team} has {len(told['settling'])} Submissions that are not settled.")
        if abs(told.get("computeSeconds", 0.0) - compute[team]) > COMPUTE_SLACK * count:
            faults.append(f"{team} used {compute[team]} s, and {told.get('computeSeconds')} are counted.")
    return faults


def _name(one: Mapping[str, Any]) -> str:
    return f"{one['metadata']['namespace']}/{one['metadata']['name']}"


@dataclass(frozen=True)
class HistogramReading:
    """A Prometheus histogram: counts up to each bound, not summed up."""

    buckets: Mapping[float, float]

    @classmethod
    def read(cls, text: str, name: str, label: str = "") -> HistogramReading:
        """All series of ``name`` that have ``label`` together, from a page of metrics."""
        summed: dict[float, float] = defaultdict(float)
        for line in text.splitlines():
            if line.startswith(f"{name}_bucket") and label in line:
                labels, _, value = line.rpartition(" ")
                bound = labels.partition('le="')[2].partition('"')[0]
                summed[float(bound.replace("+Inf", "inf"))] += float(value)
        bounds = sorted(summed)
        before = [0.0, *(summed[bound] for bound in bounds)]
        return cls({bound: summed[bound] - lower for bound, lower in zip(bounds, before, strict=False)})

    def since(self, earlier: HistogramReading) -> HistogramReading:
        """What has come after ``earlier`` was read."""
        return HistogramReading({b: count - earlier.buckets.get(b, 0.0) for b, count in self.buckets.items()})

    def bound_of(self, part: float) -> float:
        """The bound below which ``part`` of all lie."""
        total, reached = sum(self.buckets.values()), 0.0
        for bound, count in sorted(self.buckets.items()):
            reached += count
            if reached >= part * total:
                return bound
        return 0.0

    def highest(self) -> float:
        return max((bound for bound, count in self.buckets.items() if count), default=0.0)


def median_wait(notes: Sequence[JobNote], submitted: Mapping[str, float]) -> float:
    """Seconds from a Submission's making to its first Job, the median; NaN where there is none."""
    first: dict[str, float] = {}
    for note in notes:
        if note.role == "run" and note.what == "made":
            first[note.submission_uid] = min(note.at, first.get(note.submission_uid, note.at))
    waits = [at - submitted[uid] for uid, at in first.items() if uid in submitted]
    return statistics.median(waits) if waits else float("nan")
