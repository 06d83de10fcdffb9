"""The Ladder beside the algorithms as they are published, and against those who would learn a board by heart."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcove_api.feedback import compute_ladder_bits
from alcove_api.score_documents import Feedback
from alcove_scorer.ladder import LadderState, LadderStep, raise_best
from bench.ladder_attack import FREE, LIVE, STEP, Team, attack

Losses = npt.NDArray[np.float64]


@st.composite
def draw_losses(draw: st.DrawFn) -> Losses:
    """Rounds × examples, better from round to round by and large. Random, so that no two thresholds are equal."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    rounds, examples = draw(st.integers(1, 12)), draw(st.integers(2, 12))
    level = np.linspace(1, draw(st.floats(0, 1)), rounds)[:, None]
    return level * rng.random((rounds, examples))


losses = draw_losses()


def published_with_step(rounds: Losses, eta: float) -> list[float]:
    """Algorithm 1 of Blum and Hardt (2015), losses as they are there. R₀ is above all losses."""
    shown, out = math.inf, []
    for loss in rounds:
        if loss.mean() < shown - eta:
            shown = round(loss.mean() / eta) * eta
        out.append(shown)
    return out


def published_without_step(rounds: Losses) -> list[float]:
    """Algorithm 3 of Blum and Hardt (2015); the first round has nothing to be compared with."""
    n = rounds.shape[1]
    shown, best, out = math.inf, rounds[0], []
    for loss in rounds:
        s = math.sqrt(sum((d - (loss - best).mean()) ** 2 for d in loss - best) / (n - 1))
        if loss.mean() < shown - s / math.sqrt(n):
            shown, best = round(loss.mean() * n) / n, loss
        out.append(shown)
    return out


def climb(scores: Losses, rule: LadderStep) -> list[float]:
    """``scores``: rounds × examples. Each example is a group of its own."""
    best: LadderState | None = None
    out = []
    for row in scores:
        best = (
            raise_best(best, float(row.mean()), row.tolist() if rule.step is None else [], rule, len(row))
            or best
        )
        assert best is not None
        out.append(best.shown)
    return out


@given(losses, st.sampled_from([0.01, 0.05, 0.3]))
def test_the_ladder_with_a_step_is_the_published_one(rounds: Losses, eta: float) -> None:
    # Scores are negated losses, so that rounding is the same on either side.
    assert climb(-rounds, LadderStep(eta, eta)) == pytest.approx(
        [-shown for shown in published_with_step(rounds, eta)]
    )


@given(losses)
def test_the_ladder_without_a_step_is_the_published_one(rounds: Losses) -> None:
    got = climb(-rounds, LadderStep(None, 1 / rounds.shape[1]))
    assert got == pytest.approx([-shown for shown in published_without_step(rounds)])


@given(losses, st.sampled_from([None, 0.05]))
def test_what_is_shown_never_falls_and_a_run_raises_nothing_twice(rounds: Losses, step: float | None) -> None:
    rule = LadderStep(step, step or 0.001)
    shown = climb(rounds, rule)
    assert all(later >= earlier for earlier, later in itertools.pairwise(shown))
    twice = climb(np.repeat(rounds, 2, axis=0), rule)
    assert twice == [value for value in shown for _ in range(2)]


@settings(max_examples=30)
@given(st.integers(1, 4), st.integers(0, 3))
def test_no_more_is_learnt_than_is_computed(submissions: int, seed: int) -> None:
    """All sequences of scores with a step of a half: the answers that a team can get, counted."""
    values = np.linspace(0, 1, 9)
    rule = LadderStep(0.5, 0.5)
    answers = set()
    rng = np.random.default_rng(seed)
    tried = rng.choice(values, (2000, submissions))
    for scores in tried:
        best: LadderState | None = None
        seen = []
        for score in scores:
            best = raise_best(best, float(score), (), rule, 10) or best
            assert best is not None
            seen.append(best.shown)
        answers.add(tuple(seen))
    assert math.log2(len(answers)) <= compute_ladder_bits(0.5, 3, submissions)


def test_the_ladder_gives_away_a_hundredth_of_what_points_do() -> None:
    assert round(compute_ladder_bits(0.01, 3, 100)) == 197
    assert round(compute_ladder_bits(None, 3, 100)) == 479


def test_random_votes_win_a_board_that_shows_every_score() -> None:
    for shown, worth in attack(LIVE):
        assert shown > 0.58
        assert abs(worth - 0.5) < 0.03


@pytest.mark.parametrize("feedback", [STEP, FREE])
def test_random_votes_gain_no_more_than_a_step_over_chance_behind_a_ladder(feedback: Feedback) -> None:
    examples = 1200
    # The best of 200 guesses is within three standard errors of chance; one step more is what the Ladder may add.
    noise, step = 3 * 0.5 / math.sqrt(examples), feedback.step or 1 / math.sqrt(examples)
    for shown, worth in attack(feedback):
        assert shown <= 0.5 + noise + step
        assert abs(worth - 0.5) < 0.03


@pytest.mark.parametrize("make", [lambda: FREE, lambda: STEP])
def test_a_team_that_does_learn_is_shown_it(make: Callable[[], Feedback]) -> None:
    rng = np.random.default_rng(1)
    labels = rng.random(4000) < 0.5
    team = Team(labels, make())
    for accuracy in (0.6, 0.7, 0.8, 0.9):
        votes = np.where(rng.random(4000) < accuracy, labels, ~labels)
        shown, worth = team.submit(votes)
        assert shown == pytest.approx(worth, abs=0.03)
