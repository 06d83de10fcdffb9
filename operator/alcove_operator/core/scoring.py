"""When a Submission is scored, and what of its score is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from alcove_crds.documents import (
    STORE_DAMAGED,
    Feedback,
    ScoreDataset,
    ScoredRun,
    ScoreRequest,
    ScoreResult,
    Scoring,
)
from alcove_crds.submission import CurvePoint, RunStatus, SubmissionStatus
from alcove_operator.core import causes, names, runs
from alcove_operator.core import status as statuses
from alcove_operator.core.model import (
    Action,
    DeleteJob,
    ReadCurve,
    ReadScore,
    ScoreFault,
    StartScoring,
)
from alcove_operator.core.world import World

T = TypeVar("T")
MAX_POINTS = 32
SHOWN, HELD_BACK = "Shown", "HeldBack"
"""Reasons of the true condition Scored."""


@dataclass(frozen=True)
class Scored:
    status: SubmissionStatus
    actions: tuple[Action, ...] = ()
    requeue_at: datetime | None = None


def request(world: World) -> ScoreRequest | str:
    """What the scorer is asked; a sentence where a dataset of a run is gone."""
    submission, competition, phase = world.submission, world.rules.competition, world.rules.phase
    chosen = []
    for run in submission.status.runs:
        dataset = world.datasets.get(run.dataset)
        if dataset is None:
            return (
                f"The dataset {run.dataset} is gone. The organizer has to put it back before this is scored."
            )
        chosen.append(
            ScoreDataset(
                alias=dataset.alias,
                name=dataset.name,
                solution_sha256=dataset.solution_sha256,
                n_test=dataset.n_test,
                n_labels=dataset.n_labels,
            )
        )
    scoring, feedback = competition.spec.scoring, phase.feedback
    return ScoreRequest(
        submission_uid=submission.uid,
        namespace=submission.namespace,
        submission=submission.name,
        competition_namespace=competition.namespace,
        competition=competition.name,
        phase=phase.name,
        budget_seconds=float(phase.budget.seconds),
        scoring=Scoring(
            scheme=scoring.scheme,
            metric=scoring.metric,
            t0_seconds=scoring.t0_seconds,
            curve=scoring.curve,
        ),
        feedback=Feedback(
            mode=feedback.mode,
            decimals=feedback.decimals,
            test_fraction=feedback.test_fraction,
            max_snapshots=feedback.max_snapshots,
        ),
        datasets=tuple(chosen),
        code_sha256=submission.status.code_sha256 or None,
    )


def step(current: SubmissionStatus, world: World) -> Scored:
    """Starts the scorer, shows what it says, and ends the Submission with its result.

    A Submission that is done is scored again when the settings or the solutions have changed: its runs stay as
    they are, and so does what is shown, until the new result is there.
    """
    everything = all(run.phase in runs.OVER for run in current.runs)
    if everything and not any(run.pod_uid for run in current.runs):
        return _nothing_to_score(current, world)
    live = world.rules.phase.feedback.mode == "live" and not world.blind
    running = any(run.phase in ("Running", *runs.OVER) for run in current.runs)
    ended = current.phase in statuses.ENDED
    if not ended and not (everything and _verdicts(world)) and not (live and running):
        return Scored(current)
    asked = request(world)
    if isinstance(asked, str):
        return Scored(_not_scored(current, "DatasetMissing", asked, world))
    digest = asked.scoring_digest()
    name = names.score_job(world.submission.uid, digest)
    stale = _others(world, name)
    if ended and current.scoring_digest == digest and _is_shown(current, world):
        return Scored(current, (*stale, *_delete(world, name)))
    result = world.facts.score
    if isinstance(result, ScoreResult) and result.scoring_digest == digest and everything:
        return _finish(current, result, world, stale)
    if ended and current.scoring_digest == digest:
        return Scored(current, (*stale, ReadScore(world.submission.uid, digest)))
    return _follow(current, asked, digest, name, stale, world)


def _follow(
    current: SubmissionStatus,
    asked: ScoreRequest,
    digest: str,
    name: str,
    stale: tuple[Action, ...],
    world: World,
) -> Scored:
    job, uid = world.jobs.get(name), world.submission.uid
    if job is None:
        labels = names.score_labels(
            uid, world.submission.namespace, world.rules.competition.name, world.rules.phase.name
        )
        return Scored(current, (*stale, StartScoring(name, labels, asked)))
    if job.finished == "Failed":
        pod = world.pods.get(name)
        said = (pod.said if pod else "") or job.message
        message = f"The scorer failed; the organizer can have it run again by deleting the Job {name}. {said}"
        return Scored(_not_scored(current, "ScoringFailed", message, world), (*stale,))
    if job.finished == "Complete":
        fault = world.facts.score
        if isinstance(fault, ScoreFault):
            current = _not_scored(current, "ResultMissing", fault.message, world)
        return Scored(current, (*stale, ReadScore(uid, digest)), world.now + 2 * runs.RECHECK)
    if asked.feedback.mode != "live" or world.blind:
        return Scored(current, stale)
    return Scored(_with_curve(current, world), (*stale, ReadCurve(uid)), world.now + runs.RECHECK)


def _verdicts(world: World) -> bool:
    return all(run.dataset in world.facts.verdicts for run in world.submission.status.runs)


def _with_curve(current: SubmissionStatus, world: World) -> SubmissionStatus:
    """The live curve, of runs that are not scored yet. It is rounded already."""
    curve, limit = world.facts.curve, world.rules.phase.feedback.max_snapshots
    if curve is None:
        return current
    found = {run.alias: run for run in curve.runs}
    shown = []
    for run in current.runs:
        seen = found.get(run.dataset)
        if seen is not None and run.attempt and run.phase not in ("Done", "Failed"):
            run = run.model_copy(
                update={
                    "alc": seen.alc,
                    "snapshots": max(run.snapshots, seen.snapshots),
                    "curve": thinned([CurvePoint(t=p.t, score=p.score) for p in seen.curve], limit),
                }
            )
        shown.append(run)
    return current.model_copy(update={"runs": tuple(shown)})


def _finish(
    current: SubmissionStatus, result: ScoreResult, world: World, stale: tuple[Action, ...]
) -> Scored:
    """Waits only for the last lines of the runs' output, which are always answered."""
    waits = any(runs.wants_log(run, world) for run in current.runs)
    if waits and current.phase not in statuses.ENDED:
        return Scored(current, stale)
    found = {run.alias: run for run in result.runs}
    hidden = world.blind
    scored = tuple(_scored_run(run, found.get(run.dataset), hidden, world) for run in current.runs)
    decimals = world.rules.phase.feedback.decimals
    shown = ", ".join(
        f"{r.dataset} {'–' if r.alc is None else format(r.alc, f'.{decimals}f')}" for r in scored
    )
    update: dict[str, object] = {
        "runs": scored,
        "scoring_digest": result.scoring_digest,
        "scores": shown[:1024],
    }
    if hidden:
        update["scores"] = ""
    status = current.model_copy(update=update)
    if current.phase not in statuses.ENDED:
        phase = "Failed" if all(run.phase == "Failed" for run in scored) else "Done"
        status = status.model_copy(update={"phase": phase})
    reason, message = (SHOWN, "Scored.") if not hidden else (HELD_BACK, "Shown from the reveal on.")
    return Scored(_ended(_scored(status, reason, message, world), world), stale)


def _scored_run(run: RunStatus, scored: ScoredRun | None, hidden: bool, world: World) -> RunStatus:
    feedback, update = world.rules.phase.feedback, dict[str, object]()
    alc = scored.alc if scored else None
    if run.phase == "Scoring":
        update["phase"] = "Failed" if run.charged_to == "Platform" or alc is None else "Done"
        update["message"] = _with_tail(run, world)
        if alc is None and run.cause in causes.NORMAL:
            nothing = runs.NO_PREDICTIONS
            update |= {"cause": nothing.name, "charged_to": nothing.charged_to, "message": nothing.message}
    if scored is not None and scored.cause == STORE_DAMAGED:
        if run.phase == "Scoring":
            update |= {"phase": "Failed", "cause": STORE_DAMAGED, "charged_to": "Platform"}
        update["message"] = statuses.HIDDEN if hidden else damage(scored)
    if not hidden and scored is not None:
        points = [CurvePoint(t=round(p.t, 3), score=round(p.score, feedback.decimals)) for p in scored.points]
        update["alc"] = None if alc is None else round(alc, feedback.decimals)
        update["snapshots"] = scored.snapshots
        update.setdefault("message", run.message if run.message != statuses.HIDDEN else "")
        update["curve"] = thinned(points, min(MAX_POINTS, feedback.max_snapshots))
    return run.model_copy(update=update)


def damage(scored: ScoredRun) -> str:
    """Where the store is damaged; keys and digests there are no secret of the organizer's."""
    said = f"What was recorded cannot be scored: {scored.message}"
    return f"{said[:900]}. It is no fault of the code: the organizer can look into the store."


def _with_tail(run: RunStatus, world: World) -> str:
    tail = world.facts.log_tails.get(names.run_job(world.submission.uid, run.dataset, run.attempt), "")
    if not tail.strip() or run.charged_to != "Participant" or world.rules.competition.spec.logs != "tail":
        return run.message
    room = 1000 - len(run.message)
    return f"{run.message} Last output:\n{tail.strip()[-room:]}" if room > 80 else run.message


def _nothing_to_score(current: SubmissionStatus, world: World) -> Scored:
    others = _others(world, "")
    if current.phase in statuses.ENDED or not _verdicts(world):
        return Scored(current, others)
    status = current.model_copy(update={"phase": "Failed"})
    message = "No run got as far as the go."
    status = statuses.with_condition(status, statuses.SCORED, "False", "NothingToScore", message, world.now)
    return Scored(_ended(status, world), others)


def _ended(status: SubmissionStatus, world: World) -> SubmissionStatus:
    worst = {run.charged_to for run in status.runs if run.phase == "Failed"}
    if status.phase == "Done":
        reason, message = "Done", "All runs have ended and are scored."
    elif worst == {"Platform"}:
        reason, message = "PlatformFault", "The platform failed; no quota is used up. Submit again."
    else:
        reason, message = "NoRunSucceeded", "No run could be scored: see the cause of each, and submit again."
    if statuses.condition(status, statuses.COMPLETE) is not None:
        return status
    return statuses.with_condition(status, statuses.COMPLETE, "True", reason, message, world.now)


def _scored(status: SubmissionStatus, reason: str, message: str, world: World) -> SubmissionStatus:
    return statuses.with_condition(status, statuses.SCORED, "True", reason, message, world.now)


def _not_scored(status: SubmissionStatus, reason: str, message: str, world: World) -> SubmissionStatus:
    """Why not yet. Once it is scored, the condition says whether that is shown, and nothing else."""
    kept = statuses.condition(status, statuses.SCORED)
    if kept is not None and kept.status == "True":
        return status
    return statuses.with_condition(status, statuses.SCORED, "False", reason, message, world.now)


def _is_shown(status: SubmissionStatus, world: World) -> bool:
    """Whether there is nothing more to show now. What was held back is fetched at the reveal."""
    condition = statuses.condition(status, statuses.SCORED)
    held = condition is not None and condition.reason == HELD_BACK
    return not held or world.blind


def _others(world: World, name: str) -> tuple[Action, ...]:
    """Scorers of other settings: what they would say is no longer asked for."""
    return tuple(
        DeleteJob(job.name, "other settings")
        for job in world.jobs.values()
        if job.role == names.SCORE and job.name != name and not job.deleting
    )


def _delete(world: World, name: str) -> tuple[Action, ...]:
    job = world.jobs.get(name)
    return (DeleteJob(name, "scored"),) if job is not None and not job.deleting else ()


def thinned(points: Sequence[T], limit: int) -> tuple[T, ...]:
    """At most ``limit`` of the points, evenly chosen, always with the last."""
    if len(points) <= limit:
        return tuple(points)
    if limit == 1:
        return (points[-1],)
    last = len(points) - 1
    return tuple(points[round(i * last / (limit - 1))] for i in range(limit))
