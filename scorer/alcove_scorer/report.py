"""A submission's ``report.html``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from alcove_api.run_documents import Verdict
from alcove_api.run_names import alias_of, repeat_of
from alcove_api.score_documents import (
    NO_PREDICTIONS,
    NORMAL_ENDS,
    CurvePoint,
    Feedback,
    Refusal,
    ScoredRun,
    ScoreRequest,
    Scoring,
)
from alcove_api.words import count_of
from alcove_scorer.curves import CurveRules, Point
from alcove_scorer.pages import format_duration, format_number, format_whole_seconds, render_page
from alcove_scorer.pictures import (
    PHASES,
    TeamCurve,
    draw_phases,
    draw_reliability,
    draw_run,
    format_time,
    metric_name,
)
from alcove_scorer.repeats import combine_repeats_by_alias
from alcove_scorer.scoring import RunOutcome
from alcove_scorer.svg import inline_svg

MAX_REFUSED = 100
"""Refusals of a run that are listed; a participant can cause a thousand."""


@dataclass(frozen=True)
class ReportRun:
    """``points`` are those that the phase's feedback lets people see, ``peer_curves`` those of other teams."""

    result: ScoredRun
    verdict: Verdict | None
    points: Sequence[Point]
    peer_curves: Sequence[Sequence[Point]] = ()
    picture: bytes | None = None
    """What :func:`run_picture` drew, where it was drawn before."""
    output: str = ""
    """The end of what the run printed, where that may be shown."""


def run_picture(run: ReportRun, rules: CurveRules, decimals: int) -> bytes:
    """The run's learning curve as a file of its own."""
    alc = run.result.alc
    area = f"ALC {format_number(alc, decimals)}" if alc is not None else "no score"
    peer_curves = [TeamCurve("", tuple(points)) for points in run.peer_curves]
    empty = (
        "no valid prediction"
        if alc is None
        else "this phase shows no curves"
        if run.result.ladder is not None
        else "an earlier attempt has shown as many points as may be shown"
    )
    return draw_run(f"{run.result.alias} · {area}", run.points, rules, peer_curves, empty)


def report_html(request: ScoreRequest, rules: CurveRules, runs: Sequence[ReportRun]) -> str:
    """Says no more than the phase's feedback lets people see."""
    spent = [(run, list_phases(run.verdict)) for run in runs if run.verdict]
    return render_page(
        "report.html",
        submission=request.submission,
        team=request.team_name or request.namespace,
        competition=request.title or request.competition,
        phase=request.phase,
        budget=format_time(request.budget_seconds),
        rules=rules,
        metric=metric_name(rules),
        most=request.feedback.max_snapshots,
        part=request.feedback.test_fraction,
        rest=request.scoring.ranked_rows == "rest",
        runs=[_section(i, run, rules, request.feedback.decimals) for i, run in enumerate(runs)],
        means=_means(request, runs),
        time=_time([(run, times) for run, times in spent if times]),
    )


def _means(request: ScoreRequest, runs: Sequence[ReportRun]) -> list[dict[str, object]]:
    """Of each dataset whose repeats have all ended, what the board says of them: mean and standard deviation of ALC."""
    repeats = max((repeat_of(dataset.alias) for dataset in request.datasets), default=1)
    if repeats == 1:
        return []
    aliases = list(dict.fromkeys(alias_of(dataset.alias) for dataset in request.datasets))
    found = combine_repeats_by_alias((run.result for run in runs), aliases, repeats)
    decimals = request.feedback.decimals
    return [
        {
            "alias": alias,
            "repeats": repeats,
            "alc": format_number(mean.run.alc, decimals),
            "spread": format_number(mean.spread, decimals),
            "negative": (mean.run.alc or 0) < 0,
            "final": format_number(mean.run.final_score, decimals),
        }
        for alias, mean in found.items()
    ]


def outcome_html(name: str, dataset: str, outcome: RunOutcome, settings: CurveRules) -> str:
    """The page of one run that was scored from files: all its points, to six decimals."""
    valid = outcome.final_score is not None
    run = ScoredRun(
        alias=dataset,
        dataset=dataset,
        attempt=None,
        cause="" if valid else NO_PREDICTIONS,
        alc=outcome.alc,
        final_score=outcome.final_score,
        snapshots=len(outcome.points) + len(outcome.refused),
        points=tuple(CurvePoint(t=p.seconds, score=p.score) for p in outcome.points),
        refused=tuple(Refusal(seq=r.number, name=r.name, reason=r.reason) for r in outcome.refused),
        calibration=outcome.calibration,
        manifest_sha256=None,
    )
    request = ScoreRequest(
        submission_uid="",
        namespace="",
        submission=name,
        competition="",
        phase="",
        budget_seconds=settings.budget,
        scoring=Scoring(),
        feedback=Feedback(decimals=6),
        datasets=(),
    )
    return report_html(request, settings, [ReportRun(run, None, outcome.points)])


def _section(i: int, run: ReportRun, rules: CurveRules, decimals: int) -> dict[str, object]:
    result, points = run.result, run.points
    alc, final = format_number(result.alc, decimals), format_number(result.final_score, decimals)
    laddered = result.ladder is not None
    said = f"{count_of(len(points), 'point')}, ALC {alc}"
    if not points:
        said = "Not shown." if laddered else "No valid prediction." if result.alc is None else said
    title = f"Learning curve of {result.alias}"
    return {
        "alias": result.alias,
        "alc": alc,
        "ladder": laddered,
        "negative": (result.alc or 0) < 0,
        "final": final,
        "snapshots": result.snapshots,
        "state": badge_class(run),
        "cause": result.cause,
        "message": result.message or (run.verdict.message if run.verdict else ""),
        "attempt": result.attempt,
        "output": run.output,
        "picture": inline_svg(run.picture or run_picture(run, rules, decimals), f"r{i}", title, said),
        "calibration": _calibration(i, run, decimals),
        "peers": len(run.peer_curves),
        "points": [(f"{p.seconds:.2f}", format_number(p.score, decimals)) for p in points],
        "held_back": len(result.points) - len(points),
        "shown_before": result.points_shown_before,
        "refusals": len(result.refused),
        "refused": result.refused[:MAX_REFUSED],
    }


def _calibration(i: int, run: ReportRun, decimals: int) -> Markup | None:
    """The reliability diagram; None where the metric is not of probabilities, or nothing may be shown."""
    bins = [one.replace(observed=round(one.observed, decimals)) for one in run.result.calibration]
    if not bins or not run.points:
        return None
    said = "; ".join(f"{one.predicted:.2f}: {format_number(one.observed, decimals)}" for one in bins)
    title = f"Calibration of the last prediction on {run.result.alias}"
    return inline_svg(draw_reliability(bins), f"c{i}", title, f"Value and share of present labels: {said}.")


def badge_class(run: ReportRun) -> str:
    """``good``; ``empty`` where a run that ended well predicted nothing; ``bad`` where it was cut short, or lost."""
    if run.result.cause == NO_PREDICTIONS:
        return "empty"
    failed = run.verdict is not None and run.verdict.charged_to and run.verdict.cause not in NORMAL_ENDS
    return "bad" if run.result.alc is None or failed else "good"


def _time(spent: Sequence[tuple[ReportRun, list[tuple[str, float]]]]) -> dict[str, object] | None:
    if not spent:
        return None
    bars = [(run.result.alias, times) for run, times in spent]
    described = "Queue, node, stage, image, start and run of each dataset, one bar each; the numbers are in the table."
    return {
        "picture": inline_svg(draw_phases(bars), "t", "Where the time went", described),
        "rows": [
            (name, [_format_phase(dict(times).get(phase), phase) for phase in PHASES]) for name, times in bars
        ],
        "again": any((run.result.attempt or 0) > 1 for run, _ in spent),
    }


def _format_phase(seconds: float | None, phase: str) -> str:
    if seconds is None:
        return "–"
    # The go and the end are the recorder's; the other times come in whole seconds.
    return format_duration(seconds) if phase == "Run" else format_whole_seconds(seconds)


def list_phases(verdict: Verdict) -> list[tuple[str, float]]:
    """Seconds of each of ``PHASES``, in order, as far as their ends are known."""
    ends: list[tuple[str, datetime | None]] = [
        ("Queue", verdict.created_at),
        ("Node", verdict.pulled_at),
        ("Stage", verdict.staged_at),
        ("Image", verdict.launched_at),
        ("Start", verdict.started_at),
        ("Run", verdict.ended_at),
    ]
    found: list[tuple[str, float]] = []
    before = verdict.queued_at
    for name, at in ends:
        if at is None:
            continue
        if before is not None:
            # Some of these times are in whole seconds, rounded down: the next can seem to be earlier.
            found.append((name, max(0.0, (at - before).total_seconds())))
        before = max(at, before) if before is not None else at
    return found
