"""The Bayesian signed-rank test beside the published definition, by loops; Wilcoxon's and Holm's beside libraries."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from statsmodels.stats.multitest import multipletests

from alcove_scorer.differences import (
    PRIOR,
    compare_with_first,
    compute_p_values,
    compute_signed_rank_posterior,
    correct_by_holm,
    describe_difference,
)
from alcove_scorer.ranks import rank_participants

Floats = npt.NDArray[np.float64]
differences = hnp.arrays(np.float64, st.integers(2, 12), elements=st.floats(-0.2, 0.2))


def published(values: Floats, rope: float, draws: int, seed: int) -> list[float]:
    """Benavoli et al. (2017), equations of section 4.2, sum by sum. Above, within, below."""
    rng = np.random.default_rng(seed)
    pseudo = [0.0, *values]
    wins = [0, 0, 0]
    for _ in range(draws):
        gammas = [rng.gamma(PRIOR), *(rng.gamma(1.0) for _ in values)]
        weights = [g / sum(gammas) for g in gammas]
        theta = [0.0, 0.0, 0.0]
        for i, zi in enumerate(pseudo):
            for j, zj in enumerate(pseudo):
                case = 0 if zi + zj > 2 * rope else 2 if zi + zj < -2 * rope else 1
                theta[case] += weights[i] * weights[j]
        wins[theta.index(max(theta))] += 1
    return [count / draws for count in wins]


@pytest.mark.parametrize("rope", [0.0, 0.01, 0.05])
@pytest.mark.parametrize("seed", range(3))
def test_the_posterior_is_the_published_one(rope: float, seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.02, 0.05, 7)
    oracle = published(values, rope, 3000, seed)
    # Three standard errors of 3,000 draws.
    assert compute_signed_rank_posterior(values, rope) == pytest.approx(oracle, abs=0.03)


@settings(max_examples=50)
@given(differences, st.sampled_from([0.0, 0.01, 0.1]))
def test_probabilities_sum_to_one_and_turn_with_the_sign(values: Floats, rope: float) -> None:
    better, equal, worse = compute_signed_rank_posterior(values, rope, draws=2000)
    assert better + equal + worse == pytest.approx(1)
    turned = compute_signed_rank_posterior(-values, rope, draws=2000)
    assert list(turned) == pytest.approx([worse, equal, better])


def test_clear_cases_are_clear() -> None:
    assert compute_signed_rank_posterior(np.full(10, 0.1), 0.01)[0] > 0.99
    assert compute_signed_rank_posterior(np.full(10, 0.001), 0.01)[1] > 0.99
    assert compute_signed_rank_posterior(np.full(10, -0.1), 0.01)[2] > 0.99
    # Fewer datasets say less.
    sure = [compute_signed_rank_posterior(np.full(n, 0.1), 0.01)[0] for n in (1, 2, 3, 5)]
    assert sure == sorted(sure)
    assert sure[0] < 0.9


@settings(max_examples=20)  # Each call of statsmodels collects garbage: 0.2 s.
@given(hnp.arrays(np.float64, st.integers(1, 12), elements=st.floats(0, 1)))
def test_holms_correction_is_statsmodels(p_values: Floats) -> None:
    holm = multipletests(p_values, method="holm")[1]
    assert correct_by_holm(p_values, len(p_values)) == pytest.approx(holm)
    # Of some of the hypotheses, never less than of all, and no more than Bonferroni's.
    some = correct_by_holm(p_values[::2], len(p_values))
    assert (some >= holm[::2] - 1e-12).all()
    assert (some <= np.minimum(1, len(p_values) * p_values[::2]) + 1e-12).all()


@pytest.mark.parametrize("participants", [10, 31])
def test_a_first_that_luck_chose_is_told_from_some_other_in_one_of_twenty_cases_at_most(
    participants: int,
) -> None:
    rng, drawn, wrong = np.random.default_rng(2), 300, 0
    for _ in range(drawn):
        scores = rng.normal(0.8, 0.02, (participants, 20))
        first, *behind = rank_participants(scores).order
        _, corrected = compute_p_values(scores[first] - scores[behind])
        wrong += corrected.min() < 0.05
    # What is right in 95 % is wrong more often in one of a thousand simulations.
    assert wrong <= stats.binom.ppf(0.999, drawn, 0.05)


def test_each_case_has_a_word() -> None:
    assert describe_difference(0.7, 0.2, 0.1) == "probably better than"
    assert describe_difference(0.2, 0.7, 0.1) == "probably equal to"
    assert describe_difference(0.1, 0.2, 0.7) == "probably worse than"
    assert describe_difference(0.4, 0.3, 0.3) == "not clearly better than, equal to or worse than"


@settings(max_examples=50)
@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(2, 5), st.sampled_from([2, 3, 8, 14])),
        elements=st.sampled_from([0.0, 0.1, -0.1]) | st.floats(-1, 1),
    )
)
def test_each_p_value_is_scipys_of_that_pair_alone(scores: Floats) -> None:
    for found in compare_with_first(scores, range(len(scores))):
        pair = np.round(scores[0] - scores[found.participant], 12)
        assert found.p == pytest.approx(stats.wilcoxon(pair).pvalue if pair.any() else 1.0)


def test_the_first_is_compared_with_each_of_the_others() -> None:
    rng = np.random.default_rng(1)
    scores = np.array([0.5, 0.9, 0.89])[:, None] + rng.normal(0, 0.002, (3, 12))
    near, far = compare_with_first(scores, [1, 2, 0])
    assert (near.participant, far.participant) == (2, 0)
    assert far.better > 0.99
    assert far.p == pytest.approx(stats.wilcoxon(scores[1] - scores[0]).pvalue)
    assert far.holm_p == pytest.approx(min(1.0, 3 * far.p))
    assert near.equal + near.better > 0.99


def test_equal_participants_differ_by_nothing_and_a_missing_run_is_the_lowest() -> None:
    scores = np.array([[0.5] * 6, [0.5] * 6, [np.nan] * 6])
    same, gone = compare_with_first(scores, [0, 1, 2])
    assert same.equal == pytest.approx(1)
    assert (same.p, same.holm_p) == (1.0, 1.0)
    # On every dataset the lowest score is that of the others.
    assert gone.equal == pytest.approx(1)
    assert compare_with_first(scores[:1], [0]) == []
    assert compare_with_first(scores[:, :1], [0, 1, 2]) == []
