"""The bootstrap over datasets, runs and examples at once: what it takes off, and what it adds up to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from alcove_scorer.errors import InputError
from alcove_scorer.nested_bootstrap import (
    Table,
    draw_noise,
    estimate_run_by_example,
    remove_noise,
    remove_run_by_example,
    resample_nested,
)
from alcove_scorer.rank_intervals import spread_over_datasets

Floats = npt.NDArray[np.float64]


def negate(drawn: Floats, _: object) -> Floats:
    """Of a method that orders by mean scores."""
    return -drawn


def pair_variances(deviations: Floats) -> Floats:
    """Of the differences between all pairs of participants."""
    first, second = np.triu_indices(len(deviations), 1)
    found: Floats = ((deviations[first] - deviations[second]) ** 2).sum(axis=1)
    return found


def literal_deviations(table: Table, scores: Floats, rng: np.random.Generator) -> Floats:
    """Datasets are drawn from the scores as they are, and runs within them: the noise of runs counts twice."""
    drawn = np.empty((len(scores), 600))
    for k in range(drawn.shape[1]):
        columns = rng.integers(0, scores.shape[1], scores.shape[1:])
        drawn[:, k] = (scores[:, columns] + draw_noise(table, scores, columns, rng)).mean(axis=1)
    found: Floats = (drawn - drawn.mean(axis=1, keepdims=True)) / np.sqrt(
        drawn.shape[1] * (1 - 1 / scores.shape[1])
    )
    return found


def test_noise_is_counted_once_while_a_literal_nested_bootstrap_counts_it_twice() -> None:
    """Runs differ much for half of the participants, and datasets differ much for all."""
    rng = np.random.default_rng(3)
    ours, literal = [], []
    for seed in range(12):
        expected = 3 * rng.normal(size=20) + rng.normal(size=(8, 20))
        repeats = expected[:, :, None] + rng.normal(0, np.tile([0.3, 1.7], 4)[:, None, None], (8, 20, 3))
        table, scores = Table(repeats, 0.0), repeats.mean(axis=2)
        textbook = pair_variances(spread_over_datasets(scores).deviations)
        nested = resample_nested(table, negate, 600, seed)
        ours.append(pair_variances(nested.deviations) / textbook)
        literal.append(pair_variances(literal_deviations(table, scores, rng)) / textbook)
    assert np.mean(ours) == pytest.approx(1.0, abs=0.06)
    # Of a difference's variance runs make about a third.
    assert np.mean(literal) > 1.2


@given(
    scores=hnp.arrays(np.float64, (4, 6), elements=st.floats(0, 1)),
    noise=st.floats(0, 0.5),
    seed=st.integers(0, 99),
)
def test_noise_is_taken_from_differences_and_not_from_means(scores: Floats, noise: float, seed: int) -> None:
    quiet = remove_noise(scores, np.random.default_rng(seed).normal(0, noise, (50, 4, 6)))
    means = scores.mean(axis=1, keepdims=True)
    assert quiet.mean(axis=1, keepdims=True) == pytest.approx(means, abs=1e-9)
    if noise == 0:
        assert quiet == pytest.approx(scores, abs=1e-9)
    assert (np.linalg.norm(quiet - means) <= np.linalg.norm(scores - means) + 1e-9).all()


def test_a_participant_with_a_missing_run_keeps_its_scores() -> None:
    scores = np.array([[0.1, 0.5, 0.9], [0.2, np.nan, 0.4], [0.3, 0.2, 0.1]])
    quiet = remove_noise(scores, np.random.default_rng(0).normal(0, 0.1, (200, 3, 3)))
    assert np.array_equal(quiet[1], scores[1], equal_nan=True)
    assert not np.array_equal(quiet[0], scores[0])


def test_examples_are_drawn_for_all_participants_alike() -> None:
    examples = np.arange(2 * 3 * 50, dtype=np.float64).reshape(2, 3, 50)
    table = Table(np.zeros((2, 3, 1)), 0.0, examples)
    rng = np.random.default_rng(0)
    noise = draw_noise(table, np.zeros((2, 3)), np.array([2, 2, 0]), rng)
    assert noise[0] == pytest.approx(noise[1])
    # The same dataset twice has two draws.
    assert noise[0, 0] != noise[0, 1]


def test_without_repeats_and_predictions_there_is_nothing_to_nest() -> None:
    with pytest.raises(InputError, match="column repeat, or --predictions"):
        resample_nested(Table(np.zeros((2, 3, 1)), 0.0), negate, 10, 0)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_what_runs_and_examples_make_together_is_told_from_what_examples_make_alone(penalty: float) -> None:
    """Of simulated areas, whose variances are known: of examples 1, and of run by example 2 in each of four runs.

    Mean less standard deviation weighs a run that is better than the mean by d with 1/4 − d/(4·std).
    """
    rng = np.random.default_rng(0)
    runs = np.array([-9.0, 3.0, -5.0, 11.0])
    areas = runs + rng.normal(size=(20_000, 1)) + rng.normal(0, np.sqrt(2), (20_000, 4))
    weights = 0.25 - penalty * (runs - runs.mean()) / (4 * runs.std())
    together = float((weights**2).sum()) * 2
    assert estimate_run_by_example(areas, penalty) == pytest.approx(together, rel=0.05)
    combined = (areas.mean(axis=1) - penalty * areas.std(axis=1))[None, None]
    table = Table(np.zeros((1, 1, 4)), penalty, combined, np.array([[together]]))
    alone = remove_run_by_example(table).examples
    assert alone is not None
    assert alone.var() == pytest.approx(1.0, rel=0.06)
    assert alone.mean() == pytest.approx(combined.mean())
