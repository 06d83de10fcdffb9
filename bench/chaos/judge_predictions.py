"""Judges what became of the predictions that a program saved: none may be lost, each is stamped when it was made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.chaos import excuses
from bench.chaos.history import Attempt, Evidence, Prediction, Run
from bench.chaos.load import PREDICTIONS, WRAPS

STAMP_SLACK = 0.05
"""Seconds: the moment of the go, by the wall clock, is not taken at the very moment of it by the monotonic one."""
ON_ITS_WAY = 2.0
"""Seconds: what was saved so shortly before a kill may not have been copied."""
LATEST = 2.0
"""Seconds that a stamp may be late where nothing hindered the recorder: on two cores at a load of 25 it was 0.2."""
RECORDER_AWAY = 30.0
"""Seconds that the supervisor waits for a recorder that was killed, before it ends the program."""
ENDS_A_RUN = ("participant", "supervisor")


def judge_predictions(run: Run, evidence: Evidence) -> list[str]:
    """Of the attempt that counts."""
    counted = find_counted(run)
    if counted is None or counted.go_at is None:
        return (
            ["it has Finished, and the store has no go of it."] if run.run.get("cause") == "Finished" else []
        )
    return [*_judge_number(run, counted, evidence), *_judge_stamps(run, counted, evidence)]


def find_counted(run: Run) -> Attempt | None:
    pod = (run.verdict or {}).get("pod_uid")
    return next((attempt for attempt in run.attempts if pod and attempt.pod_uid == pod), None)


def was_cut(run: Run, evidence: Evidence) -> bool:
    """Whether the program of the last attempt, or its supervisor, was killed before the program had saved all.

    The moments are the program's own. What is killed after the last of them may have finished: a supervisor waits
    for the recorder to have sealed what was saved.
    """
    for attempt in run.attempts:
        kills = _find_ends(attempt, evidence)
        if attempt.number != run.last or not kills:
            continue
        if len(attempt.predictions) < PREDICTIONS:
            return True
        since_last = (int(min(kills) * 1000) - attempt.predictions[-1].made) % WRAPS
        if since_last > WRAPS // 2:
            return True
    return False


def _find_ends(attempt: Attempt, evidence: Evidence) -> list[float]:
    """Unix times of the kills that ended the program."""
    return [at for at, kind, pod in evidence.kills if pod == attempt.pod_uid and kind in ENDS_A_RUN]


def _judge_number(run: Run, counted: Attempt, evidence: Evidence) -> list[str]:
    there = len(counted.predictions)
    found = []
    if there != counted.records:
        found.append(f"{counted.records} predictions were acknowledged, and {there} are there.")
    saved = _count_saved(run, counted, evidence)
    missing = _list_missing(counted.predictions, saved)
    which = f": {', '.join(map(str, missing))} {'is' if len(missing) == 1 else 'are'} lost" if missing else ""
    if run.run.get("cause") == "Finished" and there != PREDICTIONS:
        found.append(f"it saved {PREDICTIONS} predictions, and {there} are there{which}.")
    elif there < saved:
        found.append(f"{saved} predictions were saved when it was killed, and {there} are there{which}.")
    elif missing:
        found.append(f"it saved later predictions, and of its {max(_numbers(counted.predictions))}{which}.")
    numbers = _numbers(counted.predictions)
    if len(numbers) != len(set(numbers)) or numbers != sorted(numbers):
        found.append(f"its predictions are recorded as {numbers}.")
    return found


def _numbers(predictions: Sequence[Prediction]) -> list[int]:
    return [one.number for one in predictions if one.number]


def _list_missing(predictions: Sequence[Prediction], saved: int) -> list[int]:
    """Those that were saved, for ``saved`` were in all, or because a later one was; by their numbers, where they have
    any."""
    numbers = _numbers(predictions)
    if len(numbers) != len(predictions):
        return []
    return sorted(set(range(1, max([saved, *numbers]) + 1)) - set(numbers))


def _count_saved(run: Run, counted: Attempt, evidence: Evidence) -> int:
    """How many predictions the program had saved for certain: all, or one a second until it was killed."""
    if run.run.get("cause") == "Finished":
        return PREDICTIONS
    kills, began = _find_ends(counted, evidence), _find_beginning(run, counted, evidence)
    if not kills or began is None:
        return 0
    until = _find_last_recording(counted, min(kills), evidence)
    return max(0, min(PREDICTIONS, int(until - began - ON_ITS_WAY)))


def _find_last_recording(counted: Attempt, ended: float, evidence: Evidence) -> float:
    """Until when the recorder of a program that was killed at ``ended`` took what it saved: where it was away then, it
    never came back, for the kubelet starts none beside a container that has ended."""
    away = [
        at
        for at, kind, pod in evidence.kills
        if kind == "recorder"
        and pod == counted.pod_uid
        and at < ended <= _find_return(at, evidence) + ON_ITS_WAY
    ]
    return min([ended, *away])


def _find_return(killed: float, evidence: Evidence) -> float:
    """Of a recorder, in Unix time; never where nobody saw it."""
    if evidence.restored is None:
        return killed + RECORDER_AWAY
    seen = (back for at, back, kind in evidence.restored if kind == "recorder" and at == killed)
    return next(seen, float("inf"))


def _find_beginning(run: Run, counted: Attempt, evidence: Evidence) -> float | None:
    """Unix time at which the program's object was made: by its own clock, which nobody steps. Where it saved nothing,
    that of the go; None where that is of a clock that was stepped."""
    if counted.predictions:
        first = counted.predictions[0]
        submitted = int(run.submitted_at * 1000)
        return run.submitted_at + (first.made - submitted) % WRAPS / 1000 - first.since
    return None if excuses.has_wrong_go(run, counted.number, evidence) else counted.go_at


def _judge_stamps(run: Run, counted: Attempt, evidence: Evidence) -> Iterator[str]:
    began = _find_beginning(run, counted, evidence)
    if began is None or counted.go_at is None:
        return
    wrong_go = excuses.has_wrong_go(run, counted.number, evidence)
    # A go that is not known is taken for as early as the most punctual stamp allows.
    least = min((one.stamp - one.since for one in counted.predictions), default=0.0)
    for one in counted.predictions:
        if one.stamp < one.since:
            yield f"a prediction is stamped {one.since - one.stamp:.3f} s before it was made."
            continue
        late = one.stamp - one.since - least
        if not wrong_go:
            stamped = int((counted.go_at + one.stamp) * 1000)
            # In the circle of the moments.
            late = ((stamped - one.made + WRAPS // 2) % WRAPS - WRAPS // 2) / 1000
        if late < -STAMP_SLACK:
            yield f"a prediction is stamped {-late:.3f} s before it was made."
        allowed = _allow_lateness(began + one.since, counted, evidence)
        if late > allowed:
            yield f"a prediction is stamped {late:.1f} s after it was made, and {allowed:.0f} s are allowed."


def _allow_lateness(made_at: float, counted: Attempt, evidence: Evidence) -> float:
    """For what was made at that Unix time."""
    hindered = [at for at, kind, pod in evidence.kills if kind == "recorder" and pod == counted.pod_uid]
    if any(at - LATEST <= made_at <= at + RECORDER_AWAY for at in hindered):
        return RECORDER_AWAY + LATEST
    # Where it writes is full: it copies as soon as there is room.
    full = [
        (until if until is not None else float("inf")) - made_at
        for at, until, kind in evidence.lasted
        if kind == "node-full" and at - LATEST <= made_at
    ]
    return LATEST + max([0.0, *full])
