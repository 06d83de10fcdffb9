"""Judges what is left when all has ended: scores, counts of the teams, and what should be gone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from bench.chaos.history import Evidence, Run, moment
from bench.chaos.judge_predictions import find_counted
from bench.chaos.load import BUDGET, PHASE

ALC_SLACK = 1e-6
SHOWN_SLACK = 0.0006
"""Of the ALC in the status, which has three decimals."""
PROCESSORS = 0.3
"""That a run has, and that its team is charged for."""
SECOND = 1.0
"""Moments in the status are whole seconds, cut off."""
SUM_SLACK = 1e-3
"""Seconds of compute, of each Submission: they are rounded to thousandths."""


def judge_score(run: Run) -> list[str]:
    if run.scored is None:
        return ["there is no score."] if run.run.get("phase") == "Done" else []
    found = [] if run.scores is None else list(_judge_shown(run, run.scores))
    verdict, attempt = run.verdict or {}, run.scored.get("attempt")
    if run.verdict is not None and attempt != verdict.get("attempt"):
        found.append(f"attempt {attempt} is scored, the verdict names {verdict.get('attempt')}.")
    if run.verdict_sha256 and run.scored.get("verdict_sha256") != run.verdict_sha256:
        found.append("the score is by another verdict than the one that is stored.")
    told, again = run.scored.get("alc"), run.recomputed
    same = told == again or (told is not None and again is not None and abs(told - again) <= ALC_SLACK)
    if not same:
        found.append(f"its ALC is {told}; computed again it is {again}.")
    counted = find_counted(run)
    if told is None and (run.run.get("phase") == "Done" or (counted is not None and counted.predictions)):
        found.append("it is to have an ALC, and has none.")
    shown = run.run.get("alc")
    if (shown is None) != (told is None) or (told is not None and abs(shown - told) > SHOWN_SLACK):
        found.append(f"its ALC is {told}, and {shown} is shown.")
    return found


def _judge_shown(run: Run, scores: Sequence[Any]) -> Iterator[str]:
    """The newest that is stored must be the one that the status names."""
    if not scores:
        return
    newest, named = max(scores, key=lambda score: score.stored_at), run.status.get("scoringDigest")
    if newest.digest != named:
        yield f"the score {newest.digest} is the newest, and {named} is shown."
    elif run.status.get("scoreSha256") != newest.sha256:
        yield f"the score {newest.digest} is not the one that was shown: the status names another digest of it."
    for score in scores:
        if score.run is None:
            yield f"the score {score.digest} has no run."


def judge_books(evidence: Evidence) -> list[str]:
    found = [f"{what} is left behind." for what in evidence.left]
    found += [f"The ticket of {uid} was never given back." for uid in evidence.settling]
    if evidence.usage is None:
        return found + [
            f"{team} has {handed_in} Submissions, and {counted} are counted."
            for team, (counted, handed_in) in evidence.totals.items()
            if counted != handed_in
        ]
    ended = sorted((run for run in evidence.runs if run.status.get("runs")), key=lambda run: run.team)
    for team, runs in groupby(ended, key=lambda run: run.team):
        mine = list(runs)
        found += _judge_counts(team, mine, evidence.usage.get(team, {}))
        found += _judge_compute(team, mine, evidence.usage.get(team, {}))
    return found


def _judge_counts(team: str, runs: Sequence[Run], usage: Mapping[str, Any]) -> Iterator[str]:
    counted = [run for run in runs if not is_owed(run)]
    if usage.get("total", 0) != len(counted):
        yield f"{team} has {len(counted)} Submissions, and {usage.get('total', 0)} are counted."
    yield from _judge_day(team, counted, usage)
    phases = {one.get("name"): one for one in usage.get("phases") or ()}
    if set(phases) != {PHASE}:
        yield f"{team} submitted to {PHASE}, and there are counts of {sorted(map(str, phases))}."
    for name, used in phases.items():
        there = counted if name == PHASE else []
        if used.get("total", 0) != len(there):
            yield f"{team} has {len(there)} Submissions to {name}, and {used.get('total', 0)} are counted."
        yield from _judge_day(f"{team} in {name}", there, used)


def _judge_day(whose: str, counted: Sequence[Run], usage: Mapping[str, Any]) -> Iterator[str]:
    day = usage.get("day", "")
    of_day = sum(str(run.status.get("admittedAt", "")).startswith(day) for run in counted)
    if usage.get("today", 0) != of_day:
        yield f"{whose} has {of_day} Submissions of {day}, and {usage.get('today', 0)} are counted."


def is_owed(run: Run) -> bool:
    """Whether it uses up no quota: the platform failed it, and nothing of it was scored or shown."""
    one = run.run
    failed = one.get("phase") == "Failed" and one.get("chargedTo") == "Platform"
    return failed and one.get("alc") is None and not one.get("pointsShown")


def _judge_compute(team: str, runs: Sequence[Run], usage: Mapping[str, Any]) -> Iterator[str]:
    for run in runs:
        charged, counted = charge_of(run), find_counted(run)
        used = counted.seconds if counted is not None and counted.go_at is not None else 0.0
        if not 0 <= charged <= PROCESSORS * (BUDGET + 2 * SECOND):
            yield f"{run.name}: {charged:.1f} s of compute are charged, and its budget is {BUDGET} s."
        # A program whose end nobody saw has none in the store.
        elif charged and used >= 0 and abs(charged - PROCESSORS * used) > PROCESSORS * SECOND:
            yield f"{run.name}: {charged:.1f} s of compute are charged, and it used {PROCESSORS * used:.1f} s."
    total, told = sum(map(charge_of, runs)), usage.get("computeSeconds", 0.0)
    if abs(total - told) > SUM_SLACK * max(1, len(runs)):
        yield f"{team} used {total:.3f} s of compute, and {told} s are counted."


def charge_of(run: Run) -> float:
    """Seconds of compute that its team is charged for it."""
    one = run.run
    if one.get("chargedTo") == "Platform" or not one.get("startedAt") or not one.get("endedAt"):
        return 0.0
    return PROCESSORS * (moment(one["endedAt"]) - moment(one["startedAt"]))
