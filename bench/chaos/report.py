"""The table of ``make chaos``: which faults there were, what became of the runs, and when the part worked again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from bench.chaos import faults
from bench.chaos.excuses import measure_strictness
from bench.chaos.history import Evidence, Run

INSIDE = ("recorder", "recorder-parent", "participant", "supervisor")
"""What is in the pod of one run; all else is beside every run that is under way."""


def table(found: Sequence[Evidence]) -> str:
    """Markdown, of one or several times."""
    lines = [
        "| fault | times | runs inside or beside it | works again: p50 | p99 |",
        "|---|---|---|---|---|",
    ]
    happened = Counter(
        kind
        for one in found
        for kind in [kind for _, kind, _ in one.kills] + [kind for _, _, kind in one.lasted]
    )
    kinds = [*faults.KINDS, *sorted(set(happened) - set(faults.KINDS))]
    outcomes = [count_outcomes(one, kinds) for one in found]
    for kind in kinds:
        counts = sum((one[kind] for one in outcomes), Counter[str]())
        told = ", ".join(f"{count} {what}" for what, count in counts.most_common())
        seconds = [took for one in found for took in one.recoveries.get(kind, ())]
        p50, p99 = (quantile(seconds, part) for part in (0.5, 0.99))
        lines.append(f"| {kind} | {happened[kind]} | {told or '–'} | {p50} | {p99} |")
    return "\n".join(lines)


def summary(found: Sequence[Evidence], violations: int) -> str:
    """What comes below the table, in a sentence or two."""
    took = [run.ended_at - run.submitted_at for one in found for run in one.runs if run.ended_at is not None]
    kills, lasted, runs = (
        sum(map(len, each)) for each in zip(*((o.kills, o.lasted, o.runs) for o in found), strict=True)
    )
    failed = sum(len(one.failed) for one in found)
    unapplied = f"{failed} faults could not be brought about. " if failed else ""
    return (
        f"{kills} kills, {lasted} faults that lasted, {runs} submissions, {violations} violations. "
        f"{unapplied}From handing in to the end: {quantile(took, 0.5)} (p50), {quantile(took, 0.99)} (p99)."
    )


def describe_strictness(found: Sequence[Evidence]) -> str:
    """How much it shows that no attempt ended without an excuse, in a sentence."""
    shares = sorted(measure_strictness(found).items(), key=lambda share: (share[1], share[0]))
    told = ", ".join(f"{cause} {share:.0%}" for cause, share in shares)
    return f"If it had ended so, a fault would have excused this share of all attempts: {told}."


def quantile(seconds: Sequence[float], part: float) -> str:
    return f"{np.quantile(seconds, part):.1f} s" if seconds else "–"


def count_outcomes(evidence: Evidence, kinds: Iterable[str]) -> dict[str, Counter[str]]:
    """By fault: what became of the runs in whose pods, or beside which, it was."""
    found: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    for at, kind, pod in evidence.kills:
        inside = [run for run in evidence.runs if pod in {attempt.pod_uid for attempt in run.attempts}]
        beside = [run for run in evidence.runs if run.submitted_at <= at <= (run.ended_at or at)]
        for run in inside if kind in INSIDE else beside:
            found[kind][describe(run)] += 1
    for at, until, kind in evidence.lasted:
        for run in evidence.runs:
            ended = float("inf") if run.ended_at is None else run.ended_at
            if at <= ended and (until is None or run.submitted_at <= until):
                found[kind][describe(run)] += 1
    return found


def describe(run: Run) -> str:
    if run.run.get("chargedTo") == "Participant":
        return "ended, what was saved counts"
    if run.run.get("cause") != "Finished":
        return "given up, at the platform's cost"
    return "as without it" if run.run.get("attempt") == 1 else "repeated"
