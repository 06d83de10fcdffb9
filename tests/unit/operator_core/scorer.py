"""The scorer of the model: what its Jobs leave, or how they fail, as their fates have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alcove_api.documents import (
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
        points=tuple(CurvePoint(t=i / 10, score=i / 100) for i in range(1, 41)) if counts else (),
        refused=tuple(Refusal(seq=i, name="a.npy", reason=reason) for i, reason in enumerate(refused)),
        manifest_sha256=None,
        message=damage,
    )


def snapshot(cluster: Cluster, alias: str) -> None:
    """A prediction was recorded, and the scorer, where it follows the run, has put it on the curve."""
    following = [j for j in cluster.jobs.values() if j["metadata"]["labels"][names.ROLE] == names.SCORE]
    if not any("status" not in job for job in following):
        return
    known = {run.alias: run for run in cluster.curve.runs} if cluster.curve else {}
    past = known[alias].curve if alias in known else ()
    points = (*past, CurvePoint(t=len(past) + 1, score=0.5))
    known[alias] = LiveRun(alias=alias, snapshots=len(points), alc=0.5, curve=points)
    cluster.curve = LiveCurve(
        submission_uid=next(iter(cluster.requests.values())).submission_uid,
        updated_at=cluster.now,
        runs=tuple(known.values()),
    )
