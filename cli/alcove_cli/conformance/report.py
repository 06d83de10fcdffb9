"""What is told at the end: a line for each promise, and below it what broke it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from alcove_cli.conformance.promises import PROMISES, Promise
from alcove_cli.conformance.suite import CaseResult

State = Literal["held", "not held", "not testable here"]


@dataclass(frozen=True)
class PromiseResult:
    promise: Promise
    state: State
    cases: tuple[CaseResult, ...]
    why: str = ""
    """Why it, or some of it, cannot be tested here."""


def judge_promises(results: Sequence[CaseResult]) -> list[PromiseResult]:
    """Every promise, in the order of the catalogue."""
    found = []
    for promise in PROMISES:
        of_it = [result for result in results if result.case.promise == promise.id]
        cases = tuple(result for result in of_it if not result.untested)
        broken = any(result.complaint is not None for result in cases)
        state: State = "not held" if broken else "held" if cases else "not testable here"
        reasons = dict.fromkeys(
            [result.untested for result in of_it if result.untested] or [promise.untested]
        )
        found.append(PromiseResult(promise, state, cases, "; ".join(reason for reason in reasons if reason)))
    return found


def describe_promises(judged: Sequence[PromiseResult]) -> list[str]:
    """Lines for people."""
    lines = []
    for one in judged:
        count = f"{len(one.cases)} {'attack' if len(one.cases) == 1 else 'attacks'}"
        note = one.why if one.state == "not testable here" else count + (f"; {one.why}" if one.why else "")
        lines.append(f"{one.state.upper():<8}  {one.promise.text} ({note}).")
        lines += [f"          Measured: {result.figure}." for result in one.cases if result.figure]
        broken = [result for result in one.cases if result.complaint is not None]
        if broken:
            lines.append(f"          {one.promise.broken}")
        lines += [f"          {r.case.id}, {r.case.attack}: {r.complaint}" for r in broken]
    return lines


def as_document(judged: Sequence[PromiseResult]) -> dict[str, Any]:
    """For programs."""
    return {
        "held": all(one.state != "not held" for one in judged),
        "promises": [
            {
                "id": one.promise.id,
                "text": one.promise.text,
                "state": one.state,
                "why": one.why,
                "means": one.promise.broken if one.state == "not held" else "",
                "cases": [
                    {
                        "id": result.case.id,
                        "class": result.case.kind,
                        "attack": result.case.attack,
                        "expected": result.case.outcome,
                        "pays": result.case.pays,
                        "held": result.complaint is None,
                        "seen": result.complaint or "",
                        "figure": result.figure,
                        "seconds": round(result.seconds, 1),
                    }
                    for result in one.cases
                ],
            }
            for one in judged
        ],
    }
