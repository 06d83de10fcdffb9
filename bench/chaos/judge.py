"""Says what of a shaken run is not as it must be, from what others wrote down: the store, the API server's audit log,
the programs' own schedules, and the log of the faults. It uses nothing of operator and scorer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from bench.chaos import excuses
from bench.chaos.history import Evidence, Run
from bench.chaos.judge_books import judge_books, judge_score
from bench.chaos.judge_predictions import judge_predictions, was_cut

LONGEST = 600.0
"""Seconds from a submission to its end that are allowed beside the faults that last meanwhile."""
MOST_ATTEMPTS = 4
"""Of a run, by the Competition that is shaken."""
ENDS_A_RUN = ("participant", "supervisor")


def find_violations(evidence: Evidence) -> list[str]:
    """An empty list: nothing was lost, nothing ran twice, and nobody paid for another's fault."""
    found = [] if evidence.runs else ["Nothing was submitted, so nothing is shown."]
    found += evidence.unreadable
    if evidence.runs and not evidence.jobs:
        found.append("The API server's audit log tells of no Job of a run.")
    for run in evidence.runs:
        try:
            found += _judge(run, evidence)
        except (KeyError, TypeError, ValueError) as error:
            found.append(f"{run.name} cannot be judged: {type(error).__name__}: {error}.")
    found += [f"The Job {name} was made {count} times." for name, count in evidence.jobs.items() if count > 1]
    found += [f"{name} was taken, and is not there." for name in evidence.lost]
    found += [
        f"{count} pods of the run {run} were alive at once."
        for pods in evidence.together
        # Named like their Job, r-UID-dataset-attempt, and five characters.
        for run, count in Counter(pod.rsplit("-", 2)[0] for pod in pods).items()
        if count > 1
    ]
    return found + judge_books(evidence)


def list_unjudged(evidence: Evidence) -> list[str]:
    """What could not be judged, because it was not noted: in evidence of earlier times, or where a part was dead."""
    gaps = (
        (evidence.usage is None, "the counts of a day and of a phase, and compute"),
        (evidence.restored is None, "when a part worked again, so the slowest of its kind is taken"),
        (any(run.scores is None for run in evidence.runs), "scores but one of each Submission"),
        (any(run.told is None for run in evidence.runs), "causes of attempts that were repeated"),
        (
            any(one.number == 0 for run in evidence.runs for a in run.attempts for one in a.predictions),
            "which predictions are there, but for how many they are",
        ),
    )
    found = [f"Not noted: {what}." for missing, what in gaps if missing]
    for run in evidence.runs:
        if run.told is None:
            continue
        found += [
            f"{run.name}: nobody noted why attempt {number} ended."
            for number in range(1, run.last)
            if not _find_cause(run, number)[0]
        ]
    return found


def _judge(run: Run, evidence: Evidence) -> list[str]:
    if run.ended_at is None:
        return [f"{run.name} never ended: {run.status.get('phase')!r}."]
    if not run.status.get("runs"):
        return [f"{run.name} has no run: {run.status.get('phase')!r}, {run.status.get('message')!r}."]
    return [
        f"{run.name}: {said}"
        for said in (
            *_judge_length(run, evidence),
            *_judge_order(run, evidence),
            *_judge_verdict(run),
            *_judge_cause(run, evidence),
            *_judge_repeats(run, evidence),
            *judge_predictions(run, evidence),
            *judge_score(run),
        )
    ]


def _judge_length(run: Run, evidence: Evidence) -> list[str]:
    ended = run.ended_at or 0.0
    lasted = [
        (max(at, run.submitted_at), ended if until is None else min(until, ended))
        for at, until, _ in evidence.lasted
    ]
    took, allowed = ended - run.submitted_at, LONGEST + measure_union(lasted)
    return [f"it took {took:.0f} s, and {allowed:.0f} s are allowed."] if took > allowed else []


def measure_union(spans: Sequence[tuple[float, float]]) -> float:
    """How long at least one of them lasts: those that overlap count once. Whoever ends before it begins is none."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def _judge_order(run: Run, evidence: Evidence) -> list[str]:
    found = []
    went = sorted((a for a in run.attempts if a.go_at is not None), key=lambda a: a.go_at or 0.0)
    for number, count in Counter(attempt.number for attempt in went).items():
        if count > 1:
            found.append(f"attempt {number} had {count} pods that ran.")
    for first, second in pairwise(went):
        # The moments of their goes may be those of a clock that was stepped.
        if any(excuses.has_wrong_go(run, one.number, evidence) for one in (first, second)):
            continue
        end = (first.go_at or 0.0) + max(0.0, first.seconds)
        if (second.go_at or 0.0) < end:
            found.append(
                f"attempt {second.number} began {end - (second.go_at or 0.0):.1f} s before the end of another."
            )
    return found


def _judge_verdict(run: Run) -> list[str]:
    if run.verdict is None:
        return ["there is no verdict."]
    found = []
    named, pod = run.verdict.get("attempt"), run.verdict.get("pod_uid")
    went = [attempt.number for attempt in run.attempts if attempt.go_at is not None]
    if run.run.get("podUid") and named != run.last:
        found.append(f"attempt {run.last} is the last, and the verdict names {named}.")
    elif went and named not in (None, max(went)):
        found.append(f"the verdict names attempt {named}, and a later one ran.")
    if pod and all(attempt.pod_uid != pod for attempt in run.attempts):
        found.append(f"the verdict names attempt {named}, of which the store has nothing.")
    if not pod and run.run.get("cause") == "Finished":
        found.append("it has Finished, and the verdict names no pod.")
    told = tuple(run.verdict.get(key) for key in ("cause", "charged_to"))
    shown = tuple(run.run.get(key) for key in ("cause", "chargedTo"))
    if named == run.last and told != shown:
        found.append(f"the verdict says {told}, and the status {shown}.")
    return found


def _judge_cause(run: Run, evidence: Evidence) -> list[str]:
    """Of the last attempt."""
    cause, payer = excuses.find_cause(run, run.last)
    hits = excuses.find_hits(run, run.last, evidence)
    if payer == "Participant":
        if hits.isdisjoint(ENDS_A_RUN):
            return [f"the participant pays for {cause}, though only {sorted(hits)} were killed in its pod."]
        if cause != "Signalled":
            return [f"the participant pays for {cause}, though {sorted(hits)} were killed in its pod."]
    elif payer == "Platform":
        found = [] if excuses.is_excused(run, run.last, cause, evidence) else [_deny(run, run.last, evidence)]
        if run.last < MOST_ATTEMPTS:
            found.append(f"it was given up after attempt {run.last} of {MOST_ATTEMPTS}, with {cause}.")
        return found
    elif cause != "Finished":
        return [f"it ended with {cause}, and {payer or 'nobody'} pays."]
    elif was_cut(run, evidence):
        return [f"it has {cause}, though {sorted(hits)} were killed in its pod before it had saved all."]
    return []


def _judge_repeats(run: Run, evidence: Evidence) -> list[str]:
    """Each attempt but the last must have ended by what the platform pays for, and a fault must excuse that."""
    found = []
    for number in range(1, run.last):
        cause, payer = _find_cause(run, number)
        if cause and not payer:
            found.append(f"attempt {number} was repeated for a reason that is none: {cause}")
        elif cause and payer != "Platform":
            found.append(f"attempt {number} was repeated, though {payer} pays for {cause}.")
        elif not excuses.is_excused(run, number, cause, evidence):
            found.append(_deny(run, number, evidence))
    return found


def _find_cause(run: Run, number: int) -> tuple[str, str]:
    try:
        return excuses.find_cause(run, number)
    except ValueError as reason:
        return str(reason), ""


def _deny(run: Run, number: int, evidence: Evidence) -> str:
    cause = _find_cause(run, number)[0] or "a cause that was not noted"
    how = "it was repeated" if number < run.last else "it was given up"
    inside = sorted(excuses.find_hits(run, number, evidence))
    beside = sorted(excuses.find_beside(run, number, evidence))
    return (
        f"{how}, and nothing was killed that excuses it: attempt {number} ended with {cause}, with {inside} killed in "
        f"its pod and {beside} beside it."
    )
