"""Where the Ladder's state is: a chain of objects of the scorer's alone, one for each time that a best was raised."""

from __future__ import annotations

from collections.abc import Sequence

from alcove_api import keys
from alcove_api.score_documents import LadderBest, ScoreRequest
from alcove_scorer.ladder import LadderState, LadderStep, raise_best
from alcove_scorer.store import RunRecords
from alcove_store.client import put_if_absent
from alcove_store.errors import StoreConflictError


def ladder_step(request: ScoreRequest, rows: int) -> LadderStep:
    """Blum and Hardt round to the step, and without one to 1/rows; no finer than the phase's decimals here."""
    feedback = request.feedback
    return LadderStep(feedback.step, feedback.step or max(1 / rows, 10**-feedback.decimals))


def raise_stored_best(
    runs: RunRecords,
    request: ScoreRequest,
    alias: str,
    score: float,
    group_scores: Sequence[float],
    rows: int,
) -> float:
    """What the team may be shown once this run is scored: its best so far, raised by this run or not.

    A run that has raised the best is shown that value again and raises nothing a second time, so a job that is started
    again does no harm. Of two submissions of a team that are scored at once, the store lets one write the next best,
    and the other compares itself with that.

    Raises the store's errors, and DamagedError where a document of the chain is not one.
    """
    where = (request.competition_namespace, request.competition, request.phase, request.scoring_digest())
    prefix = keys.ladder(*where, request.namespace, alias)
    rule = ladder_step(request, rows)
    while True:
        chain = runs.ladder_chain(prefix)
        for raised_before in chain:
            if raised_before.submission_uid == request.submission_uid:
                return raised_before.shown
        best = chain[-1] if chain else None
        state = None if best is None else LadderState(best.shown, best.group_scores)
        raised = raise_best(state, score, group_scores, rule, rows)
        if raised is None:
            assert best is not None
            return best.shown
        document = LadderBest(
            number=len(chain),
            submission_uid=request.submission_uid,
            shown=raised.shown,
            group_scores=raised.group_scores,
        )
        try:
            put_if_absent(
                runs.store, runs.bucket, keys.ladder_best(prefix, document.number), document.canonical()
            )
        except StoreConflictError:
            continue
        return raised.shown
