"""Other teams' curves for a submission's report: without names, and no more of them than the phase shows."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING

from minio import Minio
from pydantic import ValidationError

from alcove_api import keys
from alcove_api.board_documents import BoardCurve, BoardCurves
from alcove_api.score_documents import CurvePoint, ScoreRequest
from alcove_scorer import jobs
from alcove_scorer.curves import CurveRules, Point
from alcove_scorer.disclosure import limit_run, number_points
from alcove_store.client import get_bytes
from alcove_store.errors import StoreDeniedError, StoreNotFoundError

if TYPE_CHECKING:  # the board loads SciPy, which a score job has no use for
    from alcove_scorer.board import Board, BoardRow

MAX_TEAMS = 50
"""Leading teams whose curves other reports show."""
LIMIT = 16 << 20
"""Bytes of the document that are read at most."""


def board_points(row: BoardRow, alias: str, board: Board, rules: CurveRules) -> tuple[Point, ...]:
    """Of a team's run, as the phase's feedback says; none where it has no score."""
    run, request = row.runs.get(alias), board.request
    return () if run is None else limit_run(run, rules, request.decimals, request.max_snapshots)


def collect_board_curves(board: Board, now: datetime) -> BoardCurves:
    """``curves.json``: the leading teams' curves, each with a digest in place of the team."""
    request, found = board.request, []
    where = (request.competition_namespace, request.competition, request.phase)
    for row in board.rows[:MAX_TEAMS] if board.rules else ():
        assert board.rules is not None
        for alias in request.datasets:
            points = board_points(row, alias, board, board.rules)
            if points:
                found.append(
                    BoardCurve(
                        team=_digest(row.submission.team, *where),
                        scoring_digest=row.submission.scoring_digest,
                        alias=alias,
                        points=tuple(CurvePoint(t=p.seconds, score=p.score) for p in points),
                    )
                )
    return BoardCurves(generation=request.generation, updated_at=now, curves=tuple(found))


def select_peer_curves(
    curves: BoardCurves | None, request: ScoreRequest, alias: str
) -> list[tuple[Point, ...]]:
    """Of other teams on this dataset, scored as this submission is. None of the team's own earlier submissions."""
    own = _digest(request.namespace, request.competition_namespace, request.competition, request.phase)
    scoring = request.scoring_digest()
    return [
        number_points(curve.points)
        for curve in (curves.curves if curves else ())
        if (curve.alias, curve.scoring_digest) == (alias, scoring) and curve.team != own
    ]


def read_curves(store: Minio, bucket: str, request: ScoreRequest) -> BoardCurves | None:
    """None where the phase has no board (yet): before the reveal of a blind phase there is none."""
    where = (request.competition_namespace, request.competition, request.phase)
    key = keys.board(*where, "curves.json")
    try:
        return BoardCurves.model_validate_json(get_bytes(store, bucket, key, limit=LIMIT))
    except StoreNotFoundError:
        return None
    except (StoreDeniedError, ValidationError) as error:
        jobs.log_line(f"The report shows no curves of others: {key} cannot be read: {error}")
        return None


def _digest(team: str, namespace: str, competition: str, phase: str) -> str:
    return hashlib.sha256("/".join((namespace, competition, phase, team)).encode()).hexdigest()[:16]
