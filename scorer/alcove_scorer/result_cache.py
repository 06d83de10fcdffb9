"""A result that is in the store already, and whether it is what scoring again would give."""

from __future__ import annotations

from pydantic import ValidationError

from alcove_api import keys
from alcove_api.score_documents import SCORER_VERSION, STORE_DAMAGED, ScoredRun, ScoreRequest, ScoreResult
from alcove_format.solution import MAX_SOLUTION_BYTES
from alcove_scorer.curves import CurveRules
from alcove_scorer.errors import DamagedError
from alcove_scorer.store import Attempt, RunRecords
from alcove_store.client import get_bytes
from alcove_store.errors import StoreNotFoundError


def find_cached_result(request: ScoreRequest, rules: CurveRules, runs: RunRecords) -> ScoreResult | None:
    """The result that answers ``request``, of the attempts and records that are there now; None where there is none.

    One that found the store damaged is never kept: what was missing may have been put back. Raises the store's errors.
    """
    key = keys.score_result(request.submission_uid, request.scoring_digest())
    try:
        result = ScoreResult.model_validate_json(
            get_bytes(runs.store, runs.bucket, key, limit=MAX_SOLUTION_BYTES)
        )
    except (StoreNotFoundError, ValidationError):
        return None
    same = (
        result.submission_uid == request.submission_uid
        and result.scorer_version == SCORER_VERSION
        and result.scoring_digest == request.scoring_digest()
        and result.scoring == request.scoring
        and result.t0_seconds == rules.t0
        and result.budget_seconds == request.budget_seconds
        and result.test_fraction == request.feedback.test_fraction
        and [(run.alias, run.dataset) for run in result.runs] == [(d.alias, d.name) for d in request.datasets]
    )
    return result if same and all(_is_current(run, runs) for run in result.runs) else None


def _is_current(run: ScoredRun, runs: RunRecords) -> bool:
    """Whether the verdict names the same attempt, and its records are those that were scored."""
    if run.cause == STORE_DAMAGED:
        return False
    try:
        verdict, digest = runs.verdict(run.alias)
        if run.verdict_sha256 not in (None, digest):
            return False
        if verdict.attempt is None or verdict.pod_uid is None:
            return run.attempt is None and run.manifest_sha256 is None
        found = runs.manifest(runs.prefix(run.alias, Attempt(verdict.attempt, verdict.pod_uid)))
    except DamagedError:
        return False
    return run.attempt == verdict.attempt and found is not None and found[1] == run.manifest_sha256
