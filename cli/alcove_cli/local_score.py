"""What came of runs on this machine, for programs, for people and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alcove_api.score_documents import CurvePoint, Feedback, Refusal, ScoredRun, ScoreRequest, Scoring
from alcove_api.score_text import format_score
from alcove_cli.local_run import LocalEnd
from alcove_scorer.curves import CurveRules
from alcove_scorer.report import ReportRun, report_html
from alcove_scorer.run_files import as_document
from alcove_toolkit.whole_files import write_whole

_LOG_BYTES = 4096
"""Of what a run printed, that a page shows."""


def describe_end(end: LocalEnd, rules: CurveRules) -> dict[str, object]:
    """What ``alcove score --json`` says of the run, with its end and the seconds of each step."""
    told: dict[str, object] = {
        "dataset": end.task.dataset.name,
        "code": str(end.task.code),
        "cause": end.cause,
        "message": end.message,
        "steps": {name: round(seconds, 3) for name, seconds in end.steps.items()},
    }
    if end.outcome is not None:
        return told | as_document(end.names, end.outcome, rules)
    taken = [record for record in end.manifest.records if record.refused is None]
    refused = [record for record in end.manifest.records if record.refused is not None]
    return told | {
        "alc": None,
        "points": [{"file": r.name, "seconds": r.t_ns / 1e9, "score": None} for r in taken],
        "refused": [{"file": r.name, "reason": r.refused} for r in refused],
        "budget": rules.budget,
    }


def scored_run(end: LocalEnd) -> ScoredRun:
    """As the scorer writes it down on the cluster."""
    outcome = end.outcome
    return ScoredRun(
        alias=end.task.dataset.name,
        dataset=end.task.dataset.name,
        attempt=None,
        cause=end.cause,
        alc=None if outcome is None else outcome.alc,
        final_score=None if outcome is None else outcome.final_score,
        snapshots=len(end.manifest.records),
        points=tuple(CurvePoint(t=p.seconds, score=p.score) for p in outcome.points) if outcome else (),
        refused=tuple(Refusal(seq=r.number, name=r.name, reason=r.reason) for r in outcome.refused)
        if outcome
        else (),
        calibration=outcome.calibration if outcome else (),
        manifest_sha256=None,
        message="" if end.is_good else end.message[:1].upper() + end.message[1:],
    )


def write_report(ends: Sequence[LocalEnd], rules: CurveRules, path: Path) -> None:
    """One page of all runs of one folder of code, such as ``report.html``. Raises OSError."""
    request = ScoreRequest(
        submission_uid="",
        namespace="",
        submission=ends[0].task.code.name,
        competition="",
        phase="",
        budget_seconds=rules.budget,
        scoring=Scoring(),
        feedback=Feedback(decimals=6),
        datasets=(),
    )
    runs = [
        ReportRun(scored_run(end), None, end.outcome.points if end.outcome else (), output=_output(end))
        for end in ends
    ]
    write_whole(path, report_html(request, rules, runs))


def _output(end: LocalEnd) -> str:
    log = end.attempt / "log.txt"
    return log.read_bytes()[-_LOG_BYTES:].decode(errors="replace") if log.is_file() else ""


def tabulate_ends(ends: Sequence[LocalEnd]) -> list[str]:
    """A line a run, in columns of fixed width: dataset, cause, predictions, final score, ALC."""
    width = max(len("DATASET"), *(len(end.task.dataset.name) for end in ends))
    lines = [f"{'DATASET':<{width}}  {'ENDED':<15}  {'PREDICTIONS':>11}  {'FINAL':>8}  {'ALC':>8}"]
    for end in ends:
        final, alc = (end.outcome.final_score, end.outcome.alc) if end.outcome is not None else (None, None)
        count = len(end.outcome.points) if end.outcome is not None else len(end.manifest.records)
        lines.append(
            f"{end.task.dataset.name:<{width}}  {end.cause:<15}  {count:>11}  {_number(final):>8}  {_number(alc):>8}"
        )
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None else format_score(value, 4)
