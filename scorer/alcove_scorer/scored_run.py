"""What records and a verdict come to: the part of scoring that knows neither store nor job.

The score job and the audit of a phase both go through here, so that they cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from alcove_api.run_documents import Record, Verdict
from alcove_api.score_documents import (
    NO_PREDICTIONS,
    NORMAL_ENDS,
    CurvePoint,
    Refusal,
    ScoreDataset,
    ScoredRun,
)
from alcove_scorer.curves import NANO, Point, counted_seconds
from alcove_scorer.parser_process import ParserEndedError
from alcove_scorer.predictions import Kind, size_limit
from alcove_scorer.scoring import RunOutcome, RunScorer, Snapshot


def score_record(scorer: RunScorer, record: Record, open_snapshot: Callable[[], Iterator[bytes]]) -> None:
    """Scores the prediction that was recorded, or notes why it scores nothing.

    ``open_snapshot``: its bytes; called, and then read to the end, unless the record alone says that nothing is scored.
    Called once more where the process that parses ended: what ends it twice scores nothing.
    """
    number, name = record.seq, record.name
    budget = scorer.rules.budget
    seconds = counted_seconds(record.t_ns, record.seen_ns, budget)
    most = size_limit(*scorer.solution.shape)
    if record.refused is not None or record.sha256 is None:
        scorer.refuse(number, name, record.refused or "it was recorded without data")
    elif seconds is None:
        late = f"late: first seen {record.seen_ns / NANO:.3f} s after the go, the budget is {budget:g} s"
        scorer.refuse(number, name, late)
    elif record.bytes > most:
        scorer.refuse(number, name, f"{record.bytes} bytes: a prediction of its shape has at most {most}")
    else:
        kind: Kind = "npy" if record.kind == "npy" else "text"
        try:
            scorer.add(number, name, seconds, Snapshot(kind, record.bytes, open_snapshot()))
        except ParserEndedError:
            # Something else may have ended it, such as the kernel for want of memory; what does so twice is this.
            pieces = iter(open_snapshot())
            try:
                scorer.add(number, name, seconds, Snapshot(kind, record.bytes, pieces))
            except ParserEndedError as error:
                for _ in pieces:
                    pass  # Whoever hands it over checks what was read.
                scorer.refuse(number, name, error.cause)


def summarize_run(
    dataset: ScoreDataset,
    verdict: Verdict,
    verdict_sha256: str,
    records: Sequence[Record],
    outcome: RunOutcome | None,
    manifest_sha256: str | None,
) -> ScoredRun:
    """``outcome``: of all ``records``; None where no attempt is scored."""
    valid = outcome is not None and outcome.alc is not None
    # A run that failed says more by its own cause than by having predicted nothing.
    cause = NO_PREDICTIONS if verdict.cause in NORMAL_ENDS and not valid else verdict.cause
    shown = outcome.preview_points if outcome else None
    return ScoredRun(
        alias=dataset.alias,
        dataset=dataset.name,
        attempt=verdict.attempt,
        cause=cause,
        alc=outcome.alc if outcome else None,
        final_score=outcome.final_score if outcome else None,
        snapshots=sum(record.sha256 is not None for record in records),
        points=to_curve(outcome.points) if outcome else (),
        refused=tuple(Refusal(seq=r.number, name=r.name, reason=r.reason) for r in outcome.refused)
        if outcome
        else (),
        manifest_sha256=manifest_sha256,
        shown=to_curve(shown) if shown is not None else None,
        calibration=outcome.calibration if outcome else (),
        verdict_sha256=verdict_sha256,
        solution_sha256=dataset.solution_sha256,
        points_shown_before=verdict.points_shown_before,
    )


def to_curve(points: Iterable[Point]) -> tuple[CurvePoint, ...]:
    return tuple(CurvePoint(t=point.seconds, score=point.score) for point in points)
