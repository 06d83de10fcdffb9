"""What of a score is shown in the status of its run."""

from __future__ import annotations

from alcove_api.feedback import shown_places
from alcove_api.phase import PhaseFeedback
from alcove_api.score_documents import NO_PREDICTIONS, NORMAL_ENDS, STORE_DAMAGED, ScoredRun, ScoreResult
from alcove_api.submission import RunStatus, StatusCurvePoint
from alcove_operator.core import run_ends, run_results
from alcove_operator.core.reconcile_input import ReconcileInput


def show_score(
    run: RunStatus, scored: ScoredRun | None, result: ScoreResult, given: ReconcileInput
) -> RunStatus:
    """The run's status with what the scorer says of it; ``scored`` is None where that is nothing."""
    feedback, hidden, update = given.rules.phase.feedback, given.blind, dict[str, object]()
    alc = scored.alc if scored else None
    if run.phase == "Scoring":
        update["phase"] = "Failed" if run.charged_to == "Platform" or alc is None else "Done"
        run = _without_score(run, scored) if alc is None else run
        update["message"] = run_results.add_tail(run.message, run, given)
    if scored is not None and scored.cause == STORE_DAMAGED:
        if run.phase == "Scoring":
            update |= {"phase": "Failed", "cause": STORE_DAMAGED, "charged_to": "Platform"}
        update["message"] = run_ends.HIDDEN if hidden else describe_damage(scored)
    if not hidden and scored is not None:
        update |= scores_to_show(scored, result, feedback)
    return run.replace(**update)


def scores_to_show(scored: ScoredRun, result: ScoreResult, feedback: PhaseFeedback) -> dict[str, object]:
    """The fields of a run's status that say what it scores, as the phase's feedback says."""
    points = scored.points_to_show()
    times = [point.t for point in points]
    most = feedback.max_snapshots - scored.points_shown_before
    places = shown_places(times, most, result.t0_seconds, result.budget_seconds)
    return {
        "alc": None if scored.alc is None else round(scored.alc, feedback.decimals),
        "snapshots": scored.snapshots,
        "curve": tuple(
            StatusCurvePoint(t=round(points[i].t, 3), score=round(points[i].score, feedback.decimals))
            for i in places
        ),
    }


def _without_score(run: RunStatus, scored: ScoredRun | None) -> RunStatus:
    """Says that it has no valid prediction, and where it saved any, why they were refused."""
    refused = scored.refused if scored else ()
    first = refused[0].reason[:300].rstrip(".") if refused else ""
    if run.cause in (*NORMAL_ENDS, NO_PREDICTIONS):
        nothing = run_ends.no_predictions(len(refused), first)
        return run.replace(cause=nothing.name, charged_to=nothing.charged_to, message=nothing.message)
    told = run_ends.describe_refusals(len(refused), first)
    return run.replace(message=f"{run.message} {told}".strip()[:1024])


def describe_damage(scored: ScoredRun) -> str:
    """Where the store is damaged; keys and digests there are no secret of the organizer's."""
    said = f"What was recorded cannot be scored: {scored.message}"
    return f"{said[:900]}. The code is not at fault: the organizer can look into the store."
