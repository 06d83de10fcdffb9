"""A submission's ``report.html``: one file, no network, everything that anyone wrote escaped."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import jinja2

from alcove_crds.documents import ScoredRun, ScoreRequest, Verdict
from alcove_scorer.curves import Point, Rules

MAX_REFUSED = 100
"""Refusals of a run that are listed; a participant can cause a thousand."""


@dataclass(frozen=True)
class ReportRun:
    result: ScoredRun
    verdict: Verdict | None
    points: Sequence[Point]
    svg: bytes


def report_html(request: ScoreRequest, rules: Rules, runs: Sequence[ReportRun]) -> str:
    """Says no more than the phase's feedback lets people see: a run's ``points`` are those that may be shown."""
    return environment().get_template("report.html").render(
        submission=request.submission,
        team=request.namespace,
        competition=request.competition,
        phase=request.phase,
        budget=request.budget_seconds,
        rules=rules,
        most=request.feedback.max_snapshots,
        runs=[_section(run, request.feedback.decimals) for run in runs],
    )  # fmt: skip


def _section(run: ReportRun, decimals: int) -> dict[str, object]:
    result, points = run.result, run.points
    return {
        "alias": result.alias,
        "alc": number(result.alc, decimals),
        "final": number(result.final_score, decimals),
        "snapshots": result.snapshots,
        "cause": result.cause,
        "attempt": result.attempt,
        "picture": data_uri(run.svg),
        "phases": phases(run.verdict) if run.verdict else [],
        "points": [(f"{p.seconds:.3f}", number(p.score, decimals)) for p in points],
        "held_back": len(result.points) - len(points),
        "refused": result.refused[:MAX_REFUSED],
        "more_refused": len(result.refused) - len(result.refused[:MAX_REFUSED]),
    }


def phases(verdict: Verdict) -> list[tuple[str, float]]:
    """Seconds in the queue, of pull, of stage and of the run itself, as far as their ends are known."""
    times: list[tuple[str, datetime | None]] = [
        ("", verdict.queued_at),
        ("Queue", verdict.created_at),
        ("Pull", verdict.pulled_at),
        ("Stage", verdict.started_at),
        ("Run", verdict.ended_at),
    ]
    known = [(name, at) for name, at in times if at is not None]
    return [(name, (at - before).total_seconds()) for (_, before), (name, at) in pairwise(known)]


def number(value: float | None, decimals: int) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"


def data_uri(svg: bytes) -> str:
    """A picture inside the page. As an image, nothing in it can run, whatever a name smuggled in."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def duration(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.2f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 120 else f"{seconds:.1f} s"


def environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("alcove_scorer"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )  # fmt: skip
    made.filters["duration"] = duration
    return made
