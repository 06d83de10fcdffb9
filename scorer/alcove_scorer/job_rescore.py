"""The rescore job: what a submission that has ended scores by other settings, put beside what it scores.

It shows nobody anything: the score job that the operator starts once the settings are the competition's finds this
result, checks that it still stands, and shows it.
"""

from __future__ import annotations

from alcove_api.exit_statuses import ScorerExit
from alcove_api.score_documents import ScoreRequest
from alcove_scorer import jobs
from alcove_scorer.job_score import follow_runs, put_result, request_rules, retry_store
from alcove_scorer.result_cache import find_cached_result
from alcove_scorer.store import RunRecords


def run() -> int:
    request = jobs.read_request(ScoreRequest)
    rescore(request, RunRecords.connect(request, jobs.store_config(), jobs.solutions_bucket()))
    return ScorerExit.DONE


def rescore(request: ScoreRequest, runs: RunRecords) -> None:
    """Raises as :func:`alcove_scorer.job_score.score_submission` does."""
    # No live curve: its readers would take it for one by the settings of now.
    if request.feedback.mode == "live":
        request = request.replace(feedback=request.feedback.replace(mode="final"))
    settings = request_rules(request)
    if retry_store(lambda: find_cached_result(request, settings, runs)) is None:
        result = follow_runs(request, settings, runs)
        retry_store(lambda: put_result(runs, result))
