"""What a score file says of itself: its name, its settings, and that these make that name."""

from __future__ import annotations

from alcove_api.score_documents import Feedback, ScoreRequest, ScoreResult
from alcove_audit.findings import Check
from alcove_audit.reading import EvidenceReader
from alcove_scorer.curves import CurveRules, resolve_rules
from alcove_scorer.errors import InputError

CHANGED_SCORE = "The score file was changed, or made of something else. Score the Submission again."


def check_settings(
    reader: EvidenceReader, key: str, asked: ScoreRequest, result: ScoreResult, digest: str
) -> None:
    """That a result says of itself what its name says."""
    claimed = asked.replace(
        scoring=result.scoring,
        budget_seconds=result.budget_seconds,
        feedback=find_feedback(asked, result),
    )
    rules = find_rules(result)
    wanted: dict[str, object] = {
        "scoring_digest": digest,
        "submission_uid": asked.submission_uid,
        "t0_seconds": rules.t0 if rules else result.t0_seconds,
        "runs": [(d.alias, d.name) for d in asked.datasets],
    }
    found: dict[str, object] = {
        **{name: getattr(result, name) for name in wanted},
        "runs": [(run.alias, run.dataset) for run in result.runs],
    }
    for name, value in wanted.items():
        reader.report.compare(Check.RESULT, key, name, value, found[name], CHANGED_SCORE)
    reader.report.compare(
        Check.RESULT, key, "digest of its settings", digest, claimed.scoring_digest(), CHANGED_SCORE
    )


def find_feedback(asked: ScoreRequest, result: ScoreResult) -> Feedback:
    """Of the result, as far as scores depend on it. The Ladder's step and decimals are those of ``asked``."""
    laddered = any(run.ladder is not None for run in result.runs)
    feedback = asked.feedback.replace(test_fraction=result.test_fraction)
    if laddered:
        return feedback.replace(mode="ladder")
    # A Submission without any score has no value either.
    scored = any(run.alc is not None for run in result.runs)
    return feedback.replace(mode="final") if feedback.mode == "ladder" and scored else feedback


def find_rules(result: ScoreResult) -> CurveRules | None:
    """As :func:`alcove_scorer.job_score.request_rules` has them; None for a metric that is not known here."""
    asked = result.scoring
    try:
        return resolve_rules(result.budget_seconds, asked.scheme, asked.metric, asked.t0_seconds, asked.curve)
    except InputError:
        return None
