"""A competition's pages, made as the jobs make them: predictions of learners that get better, scored by the scorer."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import numpy.typing as npt

from alcove_api.board_documents import AggregateRequest, BoardHistory, BoardSubmission
from alcove_api.run_documents import Verdict
from alcove_api.score_documents import (
    SCORER_VERSION,
    CurvePoint,
    Feedback,
    Refusal,
    ScoreDataset,
    ScoredRun,
    ScoreRequest,
    ScoreResult,
    Scoring,
)
from alcove_scorer.board import Board, make_board
from alcove_scorer.board_page import board_html
from alcove_scorer.curves import CurveRules, Point, resolve_rules
from alcove_scorer.disclosure import limit_curve
from alcove_scorer.history import append_board
from alcove_scorer.peer_curves import collect_board_curves, select_peer_curves
from alcove_scorer.report import ReportRun, report_html
from alcove_scorer.scoring import RunScorer, Snapshot

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BUDGET = 1200.0
LONG = "department-of-applied-machine-learning-and-statistics"
DIFFERENT = 200
"""Teams that are really scored; in larger competitions several are alike."""
NAMES = ("table", "speech", "images", "clips", "series", "reviews", "sensors", "maps", "genes", "sky")


@cache
def truth(dataset: int) -> npt.NDArray[np.bool_]:
    return np.random.default_rng(dataset).random((60, 4)) < 0.4


def learner(
    skill: float, dataset: int, seed: int, moments: Iterable[float], settings: CurveRules
) -> RunScorer:
    """Its predictions at these seconds, scored: at ``skill`` 1 it ends almost without error, below 0 it is misled."""
    solution = truth(dataset)
    scorer, draw = RunScorer(settings, solution), np.random.default_rng(seed)
    for number, seconds in enumerate(moments):
        learned = skill * np.log1p(seconds) / np.log1p(settings.budget)
        guess = 0.5 + (solution - 0.5) * learned + draw.normal(0, 0.28, solution.shape)
        file = io.BytesIO()
        np.save(file, guess.astype(np.float32))
        snapshot = Snapshot("npy", len(file.getvalue()), [file.getvalue()])
        scorer.add(number, f"prediction_{number:06}.npy", float(seconds), snapshot)
    return scorer


def scored(
    alias: str, scorer: RunScorer, cause: str = "Finished", refused: Sequence[Refusal] = ()
) -> ScoredRun:
    outcome = scorer.outcome()
    valid = outcome.final_score is not None
    return ScoredRun(
        alias=alias,
        dataset=f"hidden-{alias}",
        attempt=1,
        cause=cause if valid or cause != "Finished" else "NoPredictions",
        alc=outcome.alc,
        final_score=outcome.final_score,
        snapshots=len(scorer.points),
        points=tuple(CurvePoint(t=p.seconds, score=p.score) for p in outcome.points),
        refused=tuple(refused),
        manifest_sha256=None,
    )


@cache
def team_runs(team: int, datasets: int, settings: CurveRules) -> tuple[ScoredRun, ...]:
    """Teams of falling skill; now and then one crashes, predicts nothing, or is misled."""
    draw = np.random.default_rng(1000 + team)
    runs = []
    for dataset in range(datasets):
        moments = np.sort(np.exp(draw.uniform(np.log(1.5), np.log(BUDGET), draw.integers(3, 25))))
        fate = draw.random()
        alias = NAMES[dataset]
        if fate < 0.04:
            runs.append(scored(alias, learner(0, dataset, team, (), settings), "OutOfMemory"))
        elif fate < 0.07:
            runs.append(scored(alias, learner(0, dataset, team, (), settings)))
        else:
            skill = -0.3 if fate > 0.96 else 0.95 * np.exp(-team / 25) + draw.normal(0, 0.08)
            runs.append(scored(alias, learner(float(skill), dataset, team, moments, settings)))
    return tuple(runs)


def entry(team: int, long: bool) -> BoardSubmission:
    return BoardSubmission(
        team=f"hackathon-{LONG if long else 'team'}-{team:02}",
        submission=f"try-{team % 7}",
        submission_uid=f"u{team}",
        created_at=NOON + timedelta(minutes=team),
        scoring_digest="d",
    )


def competition(teams: int, datasets: int, scheme: str = "hackathon", generation: int = 1) -> Board:
    """``scheme`` may also be ``long``: the default one, among teams of long names."""
    scoring = Scoring(scheme="autodl" if scheme == "autodl" else "hackathon")
    settings = resolve_rules(BUDGET, scoring.scheme)
    results = {
        f"u{team}": ScoreResult(
            submission_uid=f"u{team}",
            scorer_version=SCORER_VERSION,
            scoring_digest="d",
            scoring=scoring,
            t0_seconds=settings.t0,
            budget_seconds=BUDGET,
            runs=team_runs(team % DIFFERENT, datasets, settings),
        )
        for team in range(teams)
    }
    request = AggregateRequest(
        competition_namespace="hackathon",
        competition="spring-hackathon",
        phase="practice",
        leaderboard="practice",
        datasets=NAMES[:datasets],
        budget_seconds=BUDGET,
        entries=tuple(entry(team, scheme == "long") for team in range(teams)),
        generation=generation,
    )
    return make_board(request, results)


def leaderboard(teams: int, datasets: int, scheme: str = "hackathon") -> str:
    """Of the last board, after those that fewer teams had made before it."""
    history = BoardHistory()
    last = competition(teams, datasets, scheme, generation=99)
    for i in range(1, 8):
        names = {e.team for e in last.request.entries[: teams * i // 8]}
        rows = tuple(row for row in last.rows if row.submission.team in names)
        if i == 2:
            rows = rows[::-1]
        request = last.request.model_copy(update={"generation": i})
        at = NOON + timedelta(hours=9 * i)
        history = append_board(history, Board(request, rows, (), last.rules, None, None, None), at)
    now = NOON + timedelta(days=4)
    return board_html(last, now, append_board(history, last, now))


def request_of(
    team: str, datasets: int, settings: CurveRules, feedback: Feedback | None = None
) -> ScoreRequest:
    return ScoreRequest(
        submission_uid="u",
        namespace=team,
        submission="deep-ensemble-3",
        competition_namespace="hackathon",
        competition="spring-hackathon",
        phase="practice",
        budget_seconds=settings.budget,
        scoring=Scoring(scheme="autodl" if settings.scheme == "autodl" else "hackathon"),
        feedback=feedback or Feedback(),
        datasets=tuple(
            ScoreDataset(alias=alias, name=alias, solution_sha256="0" * 64, n_test=60, n_labels=4)
            for alias in NAMES[:datasets]
        ),
    )


def verdict(alias: str, number: int, cause: str = "Finished", message: str = "", payer: str = "") -> Verdict:
    queued = NOON + timedelta(seconds=0.4)
    created = NOON + timedelta(seconds=41 + 13 * number)
    return Verdict(
        submission_uid="u",
        alias=alias,
        attempt=1,
        pod_uid="p",
        phase="Done",
        cause=cause,
        charged_to="Participant" if payer else "",
        queued_at=queued,
        created_at=created,
        pulled_at=created + timedelta(seconds=9),
        staged_at=created + timedelta(seconds=31),
        launched_at=created + timedelta(seconds=72),
        started_at=created + timedelta(seconds=78.4),
        ended_at=created + timedelta(seconds=78.4 + 900 / (number + 1)),
        message=message,
    )


def report(
    runs: Sequence[ScoredRun],
    verdicts: Sequence[Verdict | None],
    settings: CurveRules,
    *,
    feedback: Feedback | None = None,
    peers: Board | None = None,
) -> str:
    request = request_of("hackathon-team-00", len(runs), settings, feedback)
    curves = None
    if peers is not None:
        curves = collect_board_curves(peers, NOON)
        digest = {"scoring_digest": request.scoring_digest()}
        curves = curves.model_copy(
            update={"curves": tuple(c.model_copy(update=digest) for c in curves.curves)}
        )
    limits = request.feedback
    sections = []
    for run, said in zip(runs, verdicts, strict=True):
        points = [Point(i, p.t, p.score) for i, p in enumerate(run.points)]
        visible = limit_curve(points, settings, limits.decimals, limits.max_snapshots).points
        sections.append(ReportRun(run, said, visible, select_peer_curves(curves, request, run.alias)))
    return report_html(request, settings, sections)
