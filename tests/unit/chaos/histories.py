"""Histories of shaken runs, made by hand, in which all is as it must be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.chaos.history import Attempt, Evidence, Prediction, Run, Score, Told
from bench.chaos.load import PHASE, PREDICTIONS, WRAPS

GO = 1_780_000_000.0
DAY = "2026-05-28"
"""Of the go, in UTC."""
DIGEST = "60b2bbe5fa9c185a"
RECORDER_LOST = "The recorder, which keeps the clock and the predictions, failed."
STORE_AWAY = "The object store did not answer for longer than the recorder could wait."


def attempt(
    number: int = 1,
    pod: str = "pod-1",
    go_at: float = GO,
    count: int = PREDICTIONS,
    made_from: float | None = None,
) -> Attempt:
    """``made_from``: when the program's clock began, where that is not the recorder's ``go_at``."""
    moments = [i + 0.01 for i in range(1, count + 1)]
    began = go_at if made_from is None else made_from
    predictions = tuple(
        Prediction(t, int((began + t - 0.004) * 1000) % WRAPS, t - 0.3, i) for i, t in enumerate(moments, 1)
    )
    return Attempt(number, pod, go_at, count + 0.5, count, predictions)


def told(number: int, at: float, pod: str = "", cause: str = "", payer: str = "", message: str = "") -> Told:
    return Told(at, number, pod, cause, payer, message)


def run(*attempts: Attempt, cause: str = "Finished", payer: str = "", why: str = RECORDER_LOST) -> Run:
    """``why``: the operator's words for the ends of all attempts but the last."""
    last = attempts[-1]
    go = int(last.go_at or GO)
    ended = {
        "dataset": "digits", "attempt": last.number, "podUid": last.pod_uid, "cause": cause, "chargedTo": payer,
        "phase": "Done", "alc": 0.51, "startedAt": _moment(go), "endedAt": _moment(go + int(last.seconds)),
    }  # fmt: skip
    verdict = {"attempt": last.number, "pod_uid": last.pod_uid, "cause": cause, "charged_to": payer}
    scored = {"attempt": last.number, "alc": 0.51, "verdict_sha256": "v"}
    status = {
        "phase": "Done", "runs": [ended], "scoringDigest": DIGEST, "scoreSha256": "s",
        "admittedAt": _moment(int(GO) - 9),
    }  # fmt: skip
    said = []
    for one, following in zip(attempts, [*attempts[1:], None], strict=True):
        at = _true_go(one)
        said.append(told(one.number, at - 8, one.pod_uid))
        if following is not None:
            message = f"Attempt {following.number} of 4: {why}"
            said.append(told(following.number, (following.go_at or GO) - 9, message=message))
    said.append(told(last.number, at + last.seconds + 1, last.pod_uid, cause, payer))
    return Run(
        "red/one", "uid-1", min(map(_true_go, attempts)) - 9, (last.go_at or 0) + 30, status, attempts, verdict,
        scored, 0.51, [Score(DIGEST, GO + 20, "s", scored)], said, "v",
    )  # fmt: skip


def _true_go(one: Attempt) -> float:
    """Where the recorder's clock is an hour off, the API server's is not."""
    return one.go_at if one.go_at is not None and abs(one.go_at - GO) < 1800 else GO


def _moment(unix: int) -> str:
    minutes, seconds = divmod(unix - int(GO) + 20 * 3600 + 26 * 60 + 40, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{DAY}T{hours:02}:{minutes:02}:{seconds:02}Z"


def evidence(one: Run, *kills: tuple[float, str, str]) -> Evidence:
    charged = (
        0.3 * int(one.attempts[-1].seconds)
        if one.attempts and one.run.get("chargedTo") != "Platform"
        else 0.0
    )
    owed = one.run.get("phase") == "Failed"
    count = {"total": 1 - owed, "day": DAY, "today": 1 - owed}
    used = {**count, "computeSeconds": charged, "phases": [{**count, "name": PHASE}]}
    return Evidence(
        [one], kills, {"r-1": 1}, together=[frozenset({"r-1-digits-1-abcde"})], usage={"red": used},
        restored=[(at, at + 3, kind) for at, kind, _ in kills],
    )  # fmt: skip


def as_of_earlier_times(found: Evidence) -> Evidence:
    """As it was written down before the judge asked for more."""
    runs = [
        replace(
            one,
            told=None,
            scores=None,
            verdict_sha256="",
            attempts=[_without_numbers(a) for a in one.attempts],
        )
        for one in found.runs
    ]
    return replace(found, runs=runs, usage=None, restored=None, made={}, totals={"red": (1, 1)})


def _without_numbers(one: Attempt) -> Attempt:
    return replace(one, predictions=tuple(replace(said, number=0) for said in one.predictions))


def with_run(one: Run, **update: Any) -> Run:
    (ended,) = one.status["runs"]
    return replace(one, status={**one.status, "runs": [{**ended, **update}]})


UNDISTURBED = run(attempt())
REPEATED = run(attempt(1, "pod-1", GO - 40, 3), attempt(2, "pod-2"))
AGAIN_FOR_STORE = run(attempt(1, "pod-1", GO - 40, 3), attempt(2, "pod-2"), why=STORE_AWAY)
CUT = run(attempt(count=5), cause="Signalled", payer="Participant")
