"""The score job: the runs of one submission to learning curves, while they go on, and to scores at the end."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from threading import Thread
from typing import TypeVar

from alcove_api import keys
from alcove_api.documents import FileEntry
from alcove_api.exit_statuses import ScorerExit
from alcove_api.retry import retry
from alcove_api.run_documents import Verdict
from alcove_api.run_names import alias_of
from alcove_api.score_documents import (
    SCORER_VERSION,
    LiveCurve,
    LiveRun,
    ScorePages,
    ScoreRequest,
    ScoreResult,
)
from alcove_scorer import jobs
from alcove_scorer.attempt_reader import RunFollower
from alcove_scorer.curves import CurveRules, resolve_rules
from alcove_scorer.disclosure import limit_run
from alcove_scorer.errors import DamagedError
from alcove_scorer.parser_process import ParserProcess
from alcove_scorer.predictions import PredictionReader
from alcove_scorer.result_cache import find_cached_result
from alcove_scorer.store import Attempt, RunRecords
from alcove_store.client import get_bytes, put_bytes
from alcove_store.errors import StoreNotFoundError

T = TypeVar("T")
POLL_SECONDS, END_POLL_SECONDS = 1.0, 0.25
"""Between two looks into the store: of one that follows runs from their start, and of one that awaits their end."""
WRITE_SECONDS = 1.0
"""Between two writes of the live curve, at least: with a poll before, a snapshot is in it within two seconds."""
PATIENCE_SECONDS = 600.0
"""How long the store may be away before the job gives up."""


def run() -> int:
    request = jobs.read_request(ScoreRequest)
    runs = RunRecords.connect(request, jobs.store_config(), jobs.solutions_bucket())
    score_submission(request, runs)
    return ScorerExit.DONE


def request_rules(request: ScoreRequest) -> CurveRules:
    scoring = request.scoring
    return resolve_rules(
        request.budget_seconds, scoring.scheme, scoring.metric, scoring.t0_seconds, scoring.curve
    )


def score_submission(request: ScoreRequest, runs: RunRecords) -> ScoreResult:
    """Follows every dataset until its verdict is there, then writes result, pictures and report.

    Where the store holds the result already, for the same request and the same records, that is what is shown.

    Raises DamagedError where an input is missing or not what its digest names, and the store's error after
    ``PATIENCE_SECONDS`` without it.
    """
    settings = request_rules(request)
    result = retry_store(lambda: find_cached_result(request, settings, runs)) or follow_runs(
        request, settings, runs, drawn=True
    )
    retry_store(lambda: _publish(request, runs, settings, result))
    return result


def follow_runs(
    request: ScoreRequest, settings: CurveRules, runs: RunRecords, *, drawn: bool = False
) -> ScoreResult:
    """Scores what is there and what comes, until every dataset has its verdict.

    ``drawn``: the result's pictures are wanted next. Raises as :func:`score_submission` does.
    """
    with closing(ParserProcess()) as parser:
        return _follow_runs(request, settings, runs, parser.read, drawn=drawn)


def _follow_runs(
    request: ScoreRequest, settings: CurveRules, runs: RunRecords, read: PredictionReader, *, drawn: bool
) -> ScoreResult:
    solutions = retry_store(lambda: [runs.solution(dataset, settings.metric) for dataset in request.datasets])
    if drawn:
        # Matplotlib and Jinja take half a second to load: while snapshots are read, not at the end.
        Thread(target=import_module, args=("alcove_scorer.report",), daemon=True).start()
    followers = [
        RunFollower(runs, request, dataset, settings, solution, read)
        for dataset, solution in zip(request.datasets, solutions, strict=True)
    ]
    live = LiveWriter(runs, request)
    pause = POLL_SECONDS if request.feedback.mode == "live" else END_POLL_SECONDS
    while True:
        behind = False
        for follower in followers:
            behind |= not retry_store(follower.advance)
            live.offer(followers)
        if all(follower.result is not None for follower in followers):
            break
        if not behind:
            time.sleep(pause)
    live.offer(followers, last=True)
    return ScoreResult(
        submission_uid=request.submission_uid,
        scorer_version=SCORER_VERSION,
        scoring_digest=request.scoring_digest(),
        scoring=request.scoring,
        t0_seconds=settings.t0,
        budget_seconds=request.budget_seconds,
        runs=tuple(follower.result for follower in followers if follower.result is not None),
        test_fraction=request.feedback.test_fraction,
        scorer_image=os.environ.get("ALCOVE_SCORER_IMAGE", ""),
    )


@dataclass
class LiveWriter:
    """Writes ``curve.json`` where the phase's feedback is live: when it changed, at most once in WRITE_SECONDS."""

    runs: RunRecords
    request: ScoreRequest
    written: tuple[LiveRun, ...] | None = None
    at: float = 0.0

    def offer(self, followers: list[RunFollower], *, last: bool = False) -> None:
        """``last``: there is no later round to write what changed, so it is written at once."""
        if self.request.feedback.mode != "live":
            return
        if not last and self.written is not None and time.monotonic() - self.at < WRITE_SECONDS:
            return
        shown = tuple(follower.live() for follower in followers)
        if shown == self.written:
            return
        document = LiveCurve(
            submission_uid=self.request.submission_uid, updated_at=datetime.now(UTC), runs=shown
        ).canonical()
        key = keys.live_curve(self.request.submission_uid)
        retry_store(lambda: put_bytes(self.runs.store, self.runs.bucket, key, document))
        self.written, self.at = shown, time.monotonic()


def _publish(request: ScoreRequest, runs: RunRecords, settings: CurveRules, result: ScoreResult) -> None:
    from alcove_scorer.peer_curves import read_curves, select_peer_curves
    from alcove_scorer.report import ReportRun, report_html, run_picture

    feedback = request.feedback
    curves, sections = read_curves(runs.store, runs.bucket, request), []
    pages: dict[str, bytes] = {}
    for run in (run.hide_behind_ladder() for run in result.runs):
        alias = run.alias
        peer_curves = select_peer_curves(curves, request, alias_of(alias))
        points = limit_run(run, settings, feedback.decimals, feedback.max_snapshots)
        verdict = _verdict(runs, alias)
        output = _output(runs, verdict) if request.show_output else ""
        section = ReportRun(run, verdict, points, peer_curves, output=output)
        svg = run_picture(section, settings, feedback.decimals)
        pages[keys.score_svg(runs.uid, alias)] = svg
        sections.append(replace(section, picture=svg))
    pages[keys.report(runs.uid)] = report_html(request, settings, sections).encode()
    for key, page in pages.items():
        put_bytes(runs.store, runs.bucket, key, page)
    _put_digests(runs, result, pages)
    # The result comes last: what waits for it finds everything.
    put_result(runs, result)


def _put_digests(runs: RunRecords, result: ScoreResult, pages: dict[str, bytes]) -> None:
    """Of ``pages``, by key, and of the live curve, which is no more written by now."""
    shown = dict(pages)
    with suppress(StoreNotFoundError):
        key = keys.live_curve(runs.uid)
        shown[key] = get_bytes(runs.store, runs.bucket, key)
    files = tuple(
        FileEntry(
            path=key.rpartition("/")[2], bytes=len(shown[key]), sha256=hashlib.sha256(shown[key]).hexdigest()
        )
        for key in sorted(shown)
    )
    digests = ScorePages(
        submission_uid=runs.uid,
        scoring_digest=result.scoring_digest,
        files=files,
        result_sha256=result.digest(),
    )
    put_bytes(runs.store, runs.bucket, keys.score_pages(runs.uid), digests.canonical())


def put_result(runs: RunRecords, result: ScoreResult) -> None:
    key = keys.score_result(runs.uid, result.scoring_digest)
    put_bytes(runs.store, runs.bucket, key, result.canonical())


def _output(runs: RunRecords, verdict: Verdict | None) -> str:
    if verdict is None or verdict.attempt is None or verdict.pod_uid is None:
        return ""
    return runs.output_tail(runs.prefix(verdict.alias, Attempt(verdict.attempt, verdict.pod_uid)))


def _verdict(runs: RunRecords, alias: str) -> Verdict | None:
    try:
        return runs.verdict(alias)[0]
    except DamagedError:
        return None


def retry_store(action: Callable[[], T]) -> T:
    """Does ``action``, again while the store is away. Raises the store's error after ``PATIENCE_SECONDS`` of that."""
    return retry(action, PATIENCE_SECONDS, jobs.log_line)
