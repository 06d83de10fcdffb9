"""The digests by which a status fixes scores and pages: `alcove verify` compares them with what the store has."""

from __future__ import annotations

from alcove_api.score_documents import ScoreResult
from alcove_api.submission import EARLIER_SCORES, EarlierScore, SubmissionStatus
from alcove_operator.core.model import JobView
from alcove_operator.core.reconcile_input import ReconcileInput


def record_digests(
    status: SubmissionStatus, result: ScoreResult, job: JobView | None, given: ReconcileInput
) -> SubmissionStatus:
    """Takes the digests of what a Job has just made. They fix it from then on, so what lies there at a reveal, or when
    earlier settings come back, must be the same.

    ``job``: that has made the result; None where it lay in the store, held back.
    """
    earlier = {e.scoring_digest: e for e in status.earlier_scores}
    score, pages = "", ""
    if status.scoring_digest == result.scoring_digest:
        score, pages = ("", "") if job else (status.score_sha256, status.pages_sha256)
    elif status.score_sha256:
        earlier[status.scoring_digest] = EarlierScore(
            scoring_digest=status.scoring_digest, score_sha256=status.score_sha256
        )
    back = earlier.pop(result.scoring_digest, None)
    # Without a solution's digest in them, their digests could be tried for what they are of.
    shown = not given.blind or any(run.solution_sha256 for run in result.runs)
    return status.replace(
        scoring_digest=result.scoring_digest,
        score_sha256=score or (back.score_sha256 if back else result.digest() if shown else ""),
        pages_sha256=pages or (given.facts.pages_sha256 if shown else ""),
        earlier_scores=tuple(earlier.values())[-EARLIER_SCORES:],
    )
