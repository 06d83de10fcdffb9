"""``alcove status``: where a team's submissions are, or one with its runs, as tables. Pure, from the objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from alcove_api.origin import creation_time
from alcove_api.score_text import format_score
from alcove_api.submission import RunStatus, SubmissionStatus
from alcove_cli.explain import read_status
from alcove_cli.watch import ENDED
from alcove_kube.client import Object

_NUMBERS = {"RUNS", "SCORE", "RANK", "AGE", "PREDICTIONS", "ALC", "TOOK", "ATTEMPT"}
"""Columns whose text ends where the column ends."""


def tabulate_submissions(
    submissions: Sequence[Object], now: datetime, limit: int, width: int
) -> Iterator[str]:
    """A line for each of the newest ``limit`` submissions, the newest first.

    Args:
        submissions: as the API server has them.
        now: with a time zone.
        width: columns of the terminal; the cause is cut where it does not fit.
    """
    newest = sorted(submissions, key=_created_at, reverse=True)
    rows = [_submission_row(submission, now) for submission in newest[:limit]]
    yield from tabulate(("NAME", "PHASE", "STATE", "RUNS", "SCORE", "RANK", "AGE", "CAUSE"), rows, width)
    if len(newest) > limit:
        yield f"{len(newest) - limit} older ones are not shown: --limit {len(newest)}"


def _created_at(submission: Object) -> datetime:
    return creation_time(submission)


def _submission_row(submission: Object, now: datetime) -> tuple[str, ...]:
    status = read_status(submission)
    return (
        submission["metadata"]["name"],
        submission["spec"]["phase"],
        status.phase or "Waiting",
        status.progress,
        status.score,
        status.place,
        format_duration((now - _created_at(submission)).total_seconds()),
        status.cause,
    )


def describe_status(submission: Object, now: datetime, width: int) -> Iterator[str]:
    """One submission: its line, a line for each run, and which command says more."""
    status, meta = read_status(submission), submission["metadata"]
    yield from tabulate_submissions([submission], now, 1, width)
    if status.message:
        yield f"\n{status.message}"
    if status.runs:
        yield ""
        rows = [_run_row(run, now) for run in status.runs]
        header = ("DATASET", "STATE", "ATTEMPT", "PREDICTIONS", "ALC", "TOOK", "CAUSE")
        yield from tabulate(header, rows, width)
    yield f"\n{_name_next_step(status, meta['name'], meta['namespace'])}"


def _run_row(run: RunStatus, now: datetime) -> tuple[str, ...]:
    took = ""
    if run.started_at is not None:
        took = format_duration(((run.ended_at or now) - run.started_at).total_seconds())
    alc = "" if run.alc is None else format_score(run.alc, 4)
    return (run.dataset, run.phase, str(run.attempt or ""), str(run.snapshots or ""), alc, took, run.cause)


def _name_next_step(status: SubmissionStatus, name: str, team: str) -> str:
    if status.phase in ENDED:
        return f"Why, and what to do: alcove explain {name} --team {team}"
    return f"To follow it: alcove watch {name} --team {team}"


def format_duration(seconds: float) -> str:
    """``42s``, ``7m``, ``3h`` or ``5d``: whole units, rounded down."""
    for unit, size, most in (("s", 1, 120), ("m", 60, 120), ("h", 3600, 48)):
        if seconds < size * most:
            return f"{max(0, int(seconds // size))}{unit}"
    return f"{int(seconds // 86400)}d"


def tabulate(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Lines of at most ``width`` columns where the last column, which is cut, is all that is too long."""
    sizes = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    sizes[-1] = max(len(header[-1]), min(sizes[-1], width - sum(sizes[:-1]) - 2 * (len(sizes) - 1)))
    for row in (header, *rows):
        cells = []
        for name, cell, size in zip(header, row, sizes, strict=True):
            short = cell if len(cell) <= size else f"{cell[: size - 1]}…"
            cells.append(short.rjust(size) if name in _NUMBERS else short.ljust(size))
        yield "  ".join(cells).rstrip()
