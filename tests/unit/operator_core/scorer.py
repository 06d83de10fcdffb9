"""The scorer of the model: what its Jobs leave, or how they fail, as their fates have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alcove_api.feedback import shown_places
from alcove_api.score_documents import (
    SCORER_VERSION,
    STORE_DAMAGED,
    CurvePoint,
    LiveCurve,
    LiveRun,
    Refusal,
    ScoredRun,
    ScoreResult,
)
from alcove_operator.core import names
from tests.unit.operator_core.pods import stamp

if TYPE_CHECKING:
    from tests.unit.operator_core.cluster import Cluster

BUDGET = 30
SNAPSHOTS = 40
"""That a run saves."""
ENDS = {"fault": "BackoffLimitExceeded", "damaged": "PodFailurePolicy"}


def score(cluster: Cluster, name: str, job: dict[str, Any]) -> bool:
    """The Job goes to its end, if it can; whether it did."""
    request = cluster.requests[name]
    if any(d.alias not in cluster.verdicts for d in request.datasets) or not cluster.store_up:
        return False
    fate = cluster.scored[min(int(job["metadata"]["labels"][names.ATTEMPT]), len(cluster.scored)) - 1]
    if fate in ENDS:
        _end(cluster, job, "Failed", ENDS[fate])
        return True
    digest = request.scoring_digest()
    cluster.scores[digest] = ScoreResult(
        submission_uid=request.submission_uid,
        scorer_version=SCORER_VERSION,
        scoring_digest=digest,
        scoring=request.scoring,
        t0_seconds=1,
        budget_seconds=request.budget_seconds,
        runs=tuple(_scored(cluster, d.alias) for d in request.datasets),
    )
    _end(cluster, job, "Complete", "")
    return True


def _end(cluster: Cluster, job: dict[str, Any], kind: str, reason: str) -> None:
    said = cluster.scorer_says if reason else ""
    ended = {"type": kind, "status": "True", "reason": reason, "message": said}
    ended["lastTransitionTime"] = stamp(cluster.now)
    job["status"] = {"conditions": [ended]}


def _scored(cluster: Cluster, alias: str) -> ScoredRun:
    verdict = cluster.verdicts[alias]
    fates = cluster.fates[alias]
    saved = verdict.pod_uid and fates[min(verdict.attempt or 1, len(fates)) - 1] != "nothing"
    damage = cluster.damage.get(alias, "")
    refused = cluster.refused.get(alias, ())
    counts = saved and not damage and not refused
    return ScoredRun(
        alias=alias,
        dataset=f"ds-{alias}",
        attempt=verdict.attempt,
        cause=STORE_DAMAGED if damage else verdict.cause,
        alc=0.12345678 * (verdict.attempt or 0) if counts else None,
        final_score=0.5 if counts else None,
        snapshots=3 if counts else 0,
        points=_points(verdict.attempt or 0)[: SNAPSHOTS if counts else 0],
        refused=tuple(Refusal(seq=i, name="a.npy", reason=reason) for i, reason in enumerate(refused)),
        manifest_sha256=None,
        solution_sha256="e" * 64,
        message=damage,
        points_shown_before=verdict.points_shown_before,
    )


def _points(attempt: int) -> tuple[CurvePoint, ...]:
    """Of each attempt others."""
    return tuple(CurvePoint(t=i / 10, score=(i + 100 * attempt) / 1000) for i in range(1, SNAPSHOTS + 1))


def snapshot(cluster: Cluster, alias: str) -> None:
    """The newest attempt saved a prediction, and the scorer, where it follows the run, has put it on the curve."""
    attempt = max((pod.attempt for pod in cluster.pods if pod.alias == alias), default=0)
    saved = cluster.saved[alias, attempt] = min(SNAPSHOTS, cluster.saved.get((alias, attempt), 0) + 1)
    following = [j for j in cluster.jobs.values() if j["metadata"]["labels"][names.ROLE] == names.SCORE]
    if not any("status" not in job for job in following):
        return
    known = {run.alias: run for run in cluster.curve.runs} if cluster.curve else {}
    points, most = _points(attempt)[:saved], cluster.spec.phases[0].feedback.max_snapshots
    shown = tuple(points[i] for i in shown_places([p.t for p in points], most, 1, BUDGET))
    known[alias] = LiveRun(
        alias=alias, attempt=attempt, snapshots=saved, alc=0.5, curve=shown, points_shown=len(shown)
    )
    cluster.curve = LiveCurve(
        submission_uid=next(iter(cluster.requests.values())).submission_uid,
        updated_at=cluster.now,
        runs=tuple(known.values()),
    )
