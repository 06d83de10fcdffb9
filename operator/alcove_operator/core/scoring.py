"""When a Submission is scored, and what of its score is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from alcove_api.run_names import alias_of
from alcove_api.score_documents import (
    Feedback,
    ScoreDataset,
    ScoreRequest,
    ScoreResult,
    Scoring,
)
from alcove_api.submission import StatusCurvePoint, SubmissionStatus, explain_pruned
from alcove_operator.core import names, run_ends, run_results, scoring_retries, usage
from alcove_operator.core import status as statuses
from alcove_operator.core.actions import Action, DeleteJob, PublishReport, ReadCurve, ReadScore, StartScoring
from alcove_operator.core.conditions import ConditionValue, find_condition
from alcove_operator.core.model import DatasetView, JobView, ScoreFault, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules, ReconcileInput
from alcove_operator.core.score_digests import record_digests
from alcove_operator.core.shown_scores import show_score

CURVE_PAUSE = timedelta(seconds=2)
"""Between two looks at a live curve, and so between two writes of the status because of it."""
RESULT_PAUSE = timedelta(seconds=0.25)
"""Between two looks for a result that a team waits for; later a tenth of the time for which it has waited."""
HEAD_START = timedelta(seconds=15)
"""Before the last run's budget can end, so long the scorer is started: its pod is there, and has read what there is to
read, when the run ends. More would keep a pod waiting beside each run."""
SHOWN, HELD_BACK = "Shown", "HeldBack"
"""Reasons of the true condition Scored. What is held back until the reveal can be that there is no score: then it is
false."""
NO_SCORE = "NoScore"
"""Reason of the false one where the scorer found nothing to score, and nothing is held back."""


@dataclass(frozen=True)
class ScoringStep:
    status: SubmissionStatus
    actions: tuple[Action, ...] = ()
    requeue_at: datetime | None = None


def build_request(
    submission: SubmissionView, rules: PhaseRules, datasets: Mapping[str, DatasetView]
) -> ScoreRequest | str:
    """What the scorer is asked; a sentence where a dataset of a run is gone. ``datasets``: by alias."""
    competition, phase = rules.competition, rules.phase
    chosen = []
    for run in submission.status.runs:
        alias = alias_of(run.dataset)
        dataset = datasets.get(alias)
        if dataset is None:
            return f"The dataset {alias} is gone. The organizer has to put it back; then the run is scored."
        chosen.append(
            ScoreDataset(
                alias=run.dataset,
                name=dataset.name,
                solution_sha256=dataset.solution_sha256,
                n_test=dataset.n_test,
                n_labels=dataset.n_labels,
            )
        )
    scoring, feedback = rules.scoring, phase.feedback
    return ScoreRequest(
        submission_uid=submission.uid,
        namespace=submission.team,
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
            ranked_rows=scoring.ranked_rows,
            seed=scoring.seed,
        ),
        feedback=Feedback(
            mode=feedback.mode,
            decimals=feedback.decimals,
            test_fraction=feedback.test_fraction,
            max_snapshots=feedback.max_snapshots,
            step=feedback.step,
        ),
        datasets=tuple(chosen),
        code_sha256=submission.status.code_sha256 or None,
        title=competition.spec.title,
        team_name=next(
            (t.display_name for t in competition.spec.teams if t.namespace == submission.team), ""
        ),
        show_output=rules.logs != "none",
    )


def advance_scoring(current: SubmissionStatus, given: ReconcileInput) -> ScoringStep:
    """Starts the scorer, shows what it says, and ends the Submission with its result.

    A Submission that is done is scored again when the settings or the solutions have changed: its runs stay as
    they are, and so does what is shown, until the new result is there.
    """
    everything = all(run.phase in run_ends.OVER for run in current.runs)
    if everything and not any(run.pod_uid for run in current.runs):
        return _nothing_to_score(current, given)
    ended = current.phase in statuses.ENDED
    if not ended and not (everything and _verdicts(given)):
        start_at = _find_start(current, given)
        if start_at is None or given.now < start_at:
            return ScoringStep(current, requeue_at=start_at)
    asked = build_request(given.submission, given.rules, given.datasets)
    if isinstance(asked, str):
        return ScoringStep(_not_scored(current, "DatasetMissing", asked, given))
    digest = asked.scoring_digest()
    if ended and current.scoring_digest == digest and _is_shown(current, given):
        return ScoringStep(current, _delete_stale_scorers(given, None))
    if ended and current.scoring_digest != digest and (pruned := explain_pruned(current, "snapshots")):
        message = f"Its predictions were {pruned}, so it cannot be scored by other settings."
        return ScoringStep(_not_scored(current, "Pruned", message, given), _delete_stale_scorers(given, None))
    job = scoring_retries.newest_job(given.jobs.values(), given.submission.uid, digest)
    stale = _delete_stale_scorers(given, job)
    result = given.facts.score
    if isinstance(result, ScoreResult) and result.scoring_digest == digest and everything:
        return _finish(current, result, job, given, stale)
    if ended and current.scoring_digest == digest and not isinstance(result, ScoreFault):
        return ScoringStep(current, (*stale, ReadScore(given.submission.uid, digest)))
    # Where what was held back is no longer in the store, it is scored again.
    if job is None:
        return _start(current, asked, 1, stale, given)
    if job.finished == "Failed":
        return _failed(current, asked, job, stale, given)
    return _follow(current, asked, job, stale, given)


def _find_start(current: SubmissionStatus, given: ReconcileInput) -> datetime | None:
    """When a scorer starts that follows the runs; None while that cannot be said.

    Where curves are shown as they come, with the first run; else so that it is there when the last budget ends.
    """
    if given.rules.phase.feedback.mode == "live" and not given.blind:
        running = any(run.phase in ("Running", *run_ends.OVER) for run in current.runs)
        return given.now if running else None
    last = given.now
    for run in current.runs:
        if run.phase in run_ends.OVER:
            continue
        if run.phase != "Running" or run.started_at is None:
            return None
        # Its container began then; the budget begins later.
        last = max(last, run.started_at + timedelta(seconds=given.rules.phase.budget.seconds) - HEAD_START)
    return last


def _start(
    current: SubmissionStatus,
    asked: ScoreRequest,
    attempt: int,
    stale: tuple[Action, ...],
    given: ReconcileInput,
) -> ScoringStep:
    again = current.phase in statuses.ENDED
    problem = explain_unready(asked, given.datasets)
    if problem:
        # Of those that have ended there may be thousands: they wait for the resync.
        look = None if again else given.now + run_ends.RECHECK
        return ScoringStep(_not_scored(current, "DatasetNotReady", problem, given), stale, look)
    uid, rules = given.submission.uid, given.rules
    labels = {
        **names.score_labels(uid, given.submission.team, rules.competition.name, rules.phase.name),
        names.ATTEMPT: str(attempt),
        **({names.AGAIN: "true"} if again else {}),
    }
    start = StartScoring(names.score_job(uid, asked.scoring_digest(), attempt), labels, asked)
    return ScoringStep(current, (*stale, start), given.now + 2 * run_ends.RECHECK if again else None)


def explain_unready(asked: ScoreRequest, datasets: Mapping[str, DatasetView]) -> str:
    """Why scoring has to wait: what a check has not confirmed would be scored by numbers that may be wrong."""
    for dataset in asked.datasets:
        view = datasets[alias_of(dataset.alias)]
        if view.ready is None or (view.ready and not view.n_test):
            return f"The dataset {view.alias} is being checked. The run is scored after that."
        if not view.ready:
            return (
                f"The dataset {view.alias} is damaged. The run is scored once the organizer has repaired it."
            )
    return ""


def _failed(
    current: SubmissionStatus,
    asked: ScoreRequest,
    job: JobView,
    stale: tuple[Action, ...],
    given: ReconcileInput,
) -> ScoringStep:
    due = scoring_retries.next_try_at(job)
    if due is not None and given.now >= due:
        return _start(current, asked, scoring_retries.try_number(job) + 1, stale, given)
    message = (
        run_ends.HIDDEN if given.blind else scoring_retries.describe_failure(job, given.pods.get(job.name))
    )
    reason = "ScoringTriedAgain" if due is not None else "ScoringFailed"
    return ScoringStep(_not_scored(current, reason, message, given), stale, due)


def _follow(
    current: SubmissionStatus,
    asked: ScoreRequest,
    job: JobView,
    stale: tuple[Action, ...],
    given: ReconcileInput,
) -> ScoringStep:
    uid = given.submission.uid
    if job.finished == "Complete":
        fault = given.facts.score
        if isinstance(fault, ScoreFault):
            current = _not_scored(current, "ResultMissing", fault.message, given)
        return ScoringStep(
            current, (*stale, ReadScore(uid, asked.scoring_digest())), given.now + 2 * run_ends.RECHECK
        )
    looks, due = stale, None
    if _is_awaited(current, given):
        # The Job says that it is complete two or three seconds after its result is there.
        since = max((given.now - run.ended_at for run in current.runs if run.ended_at), default=timedelta())
        looks, due = (
            (*stale, ReadScore(uid, asked.scoring_digest(), awaited=True)),
            given.now + _pause_looks(since),
        )
    if asked.feedback.mode != "live" or given.blind:
        return ScoringStep(current, looks, due)
    looked, shown = given.facts.curve_at, _with_curve(current, given)
    again = given.now + CURVE_PAUSE
    if not shows_new_curve(current, shown):
        if looked is None or given.now >= looked + CURVE_PAUSE:
            looks = (*looks, ReadCurve(uid))
        else:
            again = looked + CURVE_PAUSE
    return ScoringStep(shown, looks, min(again, due or again))


def _pause_looks(since: timedelta) -> timedelta:
    """Between two looks for a result, ``since`` the last run's end."""
    return max(RESULT_PAUSE, since / 10)


def _is_awaited(current: SubmissionStatus, given: ReconcileInput) -> bool:
    """Whether the scorer has all that it needs, and a team waits for what it makes of that."""
    over = all(run.phase in run_ends.OVER for run in current.runs)
    return over and _verdicts(given) and current.phase not in statuses.ENDED and not given.blind


def shows_new_curve(old: SubmissionStatus, new: SubmissionStatus) -> bool:
    """Whether the curves of ``new`` are others: after writing that, the next look has to wait."""
    return [(r.alc, r.curve) for r in old.runs] != [(r.alc, r.curve) for r in new.runs]


def _verdicts(given: ReconcileInput) -> bool:
    return all(run.dataset in given.facts.verdicts for run in given.submission.status.runs)


def _with_curve(current: SubmissionStatus, given: ReconcileInput) -> SubmissionStatus:
    """The live curve, of runs that are not scored yet. It is rounded already.

    Where an earlier attempt has shown points, this one's are shown at the end alone, when it is known how many are
    left for it.
    """
    curve, limit = given.facts.curve, given.rules.phase.feedback.max_snapshots
    if curve is None:
        return current
    found = {run.alias: run for run in curve.runs}
    shown = []
    for run in current.runs:
        seen = found.get(run.dataset)
        if seen is not None and seen.attempt == run.attempt and run.phase not in ("Done", "Failed"):
            run = run.replace(snapshots=max(run.snapshots, seen.snapshots))
            if not run_results.count_points_shown_before(run):
                run = run.replace(
                    alc=seen.alc,
                    curve=tuple(StatusCurvePoint(t=p.t, score=p.score) for p in seen.curve[:limit]),
                    points_shown=max(run.points_shown, seen.points_shown),
                )
        shown.append(run)
    return current.replace(runs=tuple(shown))


def _finish(
    current: SubmissionStatus,
    result: ScoreResult,
    job: JobView | None,
    given: ReconcileInput,
    stale: tuple[Action, ...],
) -> ScoringStep:
    """Waits only for the last lines of the runs' output, which are always answered.

    ``job``: that has made the result; None where it lay in the store, held back.
    """
    waits = any(run_results.wants_log(run, given) for run in current.runs)
    if waits and current.phase not in statuses.ENDED:
        return ScoringStep(current, stale)
    hidden = given.blind
    # The reveal gives the team of a rerun its report: see :mod:`alcove_operator.finals`.
    for_team = not hidden and not given.submission.of_organizer
    if for_team and given.facts.published != result.scoring_digest:
        # Before the status says that it is scored, which nothing asks for again.
        submission = given.submission
        logs = () if given.blind else run_results.list_team_logs(submission, given.rules.logs)
        publish = PublishReport(submission.namespace, submission.uid, result.scoring_digest, logs)
        return ScoringStep(current, (*stale, publish))
    found = {run.alias: run.hide_behind_ladder() for run in result.runs}
    scored = tuple(show_score(run, found.get(run.dataset), result, given) for run in current.runs)
    status = record_digests(current.replace(runs=scored), result, job, given)
    if current.phase not in statuses.ENDED:
        phase = "Failed" if all(run.phase == "Failed" for run in scored) else "Done"
        status = status.replace(phase=phase)
    without = all(run.alc is None for run in result.runs)
    status = statuses.set_condition(status, statuses.SCORED, _describe_result(without, hidden), given.now)
    return ScoringStep(_ended(status, given), stale)


def _describe_result(without: bool, hidden: bool) -> ConditionValue:
    """The condition Scored, of one ``without`` any score too: before the reveal its runs' causes say as much."""
    if hidden and without:
        return "False", HELD_BACK, "No run has a valid prediction. What each did is shown from the reveal on."
    if hidden:
        return "True", HELD_BACK, "The scores are shown from the reveal on."
    if without:
        return "False", NO_SCORE, "No run has a valid prediction: see the cause of each."
    return "True", SHOWN, "Scored."


def _nothing_to_score(current: SubmissionStatus, given: ReconcileInput) -> ScoringStep:
    stale = _delete_stale_scorers(given, None)
    if current.phase in statuses.ENDED or not _verdicts(given):
        return ScoringStep(current, stale)
    status = current.replace(phase="Failed")
    message = "No run started."
    status = statuses.set_condition(status, statuses.SCORED, ("False", "NothingToScore", message), given.now)
    return ScoringStep(_ended(status, given), stale)


def _ended(status: SubmissionStatus, given: ReconcileInput) -> SubmissionStatus:
    worst = {run.charged_to for run in status.runs if run.phase == "Failed"}
    if status.phase == "Done":
        scored = sum(run.phase == "Done" for run in status.runs)
        reason, message = "Done", f"All runs have ended; {scored} of {len(status.runs)} have a score."
    elif worst == {"Platform"}:
        owed = usage.is_place_owed(status.runs, given.blind, given.facts.score)
        quota = "No quota is used up." if owed else "The quota is used up, since a score was shown."
        reason, message = "PlatformFault", f"The platform failed. {quota} Submit again."
    else:
        reason, message = "NoRunSucceeded", "No run has a score: see the cause of each, and submit again."
    if find_condition(status.conditions, statuses.COMPLETE) is not None:
        return status
    return statuses.set_condition(status, statuses.COMPLETE, ("True", reason, message), given.now)


def _not_scored(
    status: SubmissionStatus, reason: str, message: str, given: ReconcileInput
) -> SubmissionStatus:
    """Why not yet. What was scored once stays true; that scoring it again fails is said beside it."""
    scored = find_condition(status.conditions, statuses.SCORED)
    if scored is None or (scored.status != "True" and scored.reason != HELD_BACK):
        return statuses.set_condition(status, statuses.SCORED, ("False", reason, message), given.now)
    if given.blind or reason == "DatasetNotReady":
        return status
    before = "The earlier score is shown." if scored.reason == SHOWN else "It cannot be shown yet."
    value = (scored.status, scored.reason, f"{before} {message}")
    return statuses.set_condition(status, statuses.SCORED, value, given.now)


def _is_shown(status: SubmissionStatus, given: ReconcileInput) -> bool:
    """Whether there is nothing more to show now. What was held back is fetched at the reveal."""
    return not is_held_back(status) or given.blind


def is_held_back(status: SubmissionStatus) -> bool:
    condition = find_condition(status.conditions, statuses.SCORED)
    return condition is not None and condition.reason == HELD_BACK


def is_score_held_back(status: SubmissionStatus) -> bool:
    """Whether what is held back is a score."""
    condition = find_condition(status.conditions, statuses.SCORED)
    return condition is not None and (condition.status, condition.reason) == ("True", HELD_BACK)


def _delete_stale_scorers(given: ReconcileInput, current: JobView | None) -> tuple[Action, ...]:
    """Scorers of other settings, and earlier Jobs of these: their results are no longer needed."""
    return tuple(
        DeleteJob(job.name, "no longer needed")
        for job in given.jobs.values()
        if job.role == names.SCORE and job != current and not job.deleting
    )
