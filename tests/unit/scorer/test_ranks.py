from __future__ import annotations

import csv
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Literal, get_args

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scikit_posthocs import posthoc_nemenyi_friedman
from scipy import stats

from alcove_api.schemes import BoardRanking
from alcove_scorer.errors import InputError
from alcove_scorer.ranks import (
    Method,
    combine_repeats,
    dataset_ranks,
    rank_participants,
    rank_values,
)
from alcove_scorer.significance import critical_difference, friedman_test, kendall_w

DATA = Path(__file__).parent / "data"
cells = st.sampled_from([0.1, 0.5, 0.5, -0.2, 0.0]) | st.floats(-1, 0.99)
shapes = st.tuples(st.integers(2, 8), st.integers(2, 6))
tables = shapes.flatmap(lambda shape: hnp.arrays(np.float64, shape, elements=cells))
gappy = shapes.flatmap(lambda shape: hnp.arrays(np.float64, shape, elements=cells | st.just(np.nan)))
# Of performance profiles, which rank times, there are tests of their own.
SCORE_METHODS = [method for method in get_args(BoardRanking) if method != "performance-profile"]
every_method = pytest.mark.parametrize("method", SCORE_METHODS)
"""Those of boards; of the others, see test_orders.py and test_performance_profile.py."""


def reference() -> tuple[list[str], np.ndarray]:
    with (DATA / "autodl_alc_20x15.csv").open() as file:
        rows = list(csv.reader(file))[1:]
    return [row[0] for row in rows], np.array([[float(v) for v in row[1:]] for row in rows])


def test_the_published_leaderboards_top_five_is_reproduced() -> None:
    names, scores = reference()
    got = rank_participants(scores[:, :5])
    with (DATA / "autodl_feedback_leaderboard_published.csv").open() as file:
        published = list(csv.DictReader(file))[:5]
    for place, row in enumerate(published, start=1):
        i = names.index(row["user"])
        assert got.rank[i] == place
        assert got.ranks[i].tolist() == [float(row[f"r{d}"]) for d in range(1, 6)]
        assert round(float(got.value[i]), 1) == float(row["avg_rank"])


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.7, 0.9]), min_size=3, max_size=8), st.randoms())
@example([0.6, 0.2, 0.9, 0.5, 0.8, 0.4], Random(2))
def test_the_same_errors_on_other_datasets_are_a_tie(scores: list[float], random: Random) -> None:
    turned = random.sample(scores, len(scores))
    got = rank_participants(np.array([scores, turned]), "relative", np.zeros(len(scores)))
    assert got.tied.all()
    assert got.rank.tolist() == [1, 1]


@given(tables)
def test_dataset_ranks_are_scipys(scores: np.ndarray) -> None:
    oracle = np.column_stack([stats.rankdata(-column) for column in scores.T])
    assert np.array_equal(dataset_ranks(scores), oracle)


@pytest.mark.parametrize("ties", ["average", "min", "max"])
@given(tables | gappy.map(np.nan_to_num))
def test_ranks_of_values_are_scipys(ties: Literal["average", "min", "max"], values: np.ndarray) -> None:
    assert np.array_equal(rank_values(values, ties), stats.rankdata(values, ties, axis=-1))
    assert np.array_equal(rank_values(values[0], ties), stats.rankdata(values[0], ties))


@given(gappy)
def test_a_missing_run_never_outranks_a_score(scores: np.ndarray) -> None:
    ranks = dataset_ranks(scores)
    for column, places in zip(scores.T, ranks.T, strict=True):
        gone = np.isnan(column)
        if gone.any() and not gone.all():
            assert places[gone].min() > places[~gone].max()
        assert len(set(places[gone])) <= 1
        assert places.sum() == len(places) * (len(places) + 1) / 2


@every_method
@given(scores=gappy)
def test_whoever_has_no_run_comes_after_all_who_have_one(method: Method, scores: np.ndarray) -> None:
    got = rank_participants(scores, method, np.zeros(scores.shape[1]))
    none = np.isnan(scores).all(axis=1)
    if none.any() and not none.all():
        assert got.rank[none].min() > got.rank[~none].max()
    assert sorted(got.order) == list(range(len(scores)))
    assert np.array_equal(got.rank, [1 + (got.rank < rank).sum() for rank in got.rank])


@every_method
@given(scores=gappy, which=st.integers(0, 47))
def test_to_lose_a_run_never_helps_and_a_worse_score_is_better_than_none(
    method: Method, scores: np.ndarray, which: int
) -> None:
    row, column = which % len(scores), which % scores.shape[1]
    worse, lost = scores.copy(), scores.copy()
    worse[row, column], lost[row, column] = -1.0, np.nan
    baseline = np.zeros(scores.shape[1])
    places = [rank_participants(table, method, baseline).rank[row] for table in (scores, worse, lost)]
    if np.isnan(scores[row, column]):
        assert places[1] <= places[0] == places[2]
    else:
        assert places[0] <= places[1] <= places[2]


@every_method
@given(scores=gappy, seed=st.integers(0, 99))
def test_the_order_of_datasets_and_of_participants_changes_nothing(
    method: Method, scores: np.ndarray, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(len(scores)), rng.permutation(scores.shape[1])
    baseline = np.zeros(scores.shape[1])
    before, after = (
        rank_participants(scores, method, baseline),
        rank_participants(scores[rows][:, columns], method, baseline),
    )
    assert after.value == pytest.approx(before.value[rows], nan_ok=True)
    assert np.array_equal(after.ranks, before.ranks[rows][:, columns])
    assert after.rank.tolist() == before.rank[rows].tolist()


def test_a_crash_a_zero_and_a_negative_score_are_three_things() -> None:
    assert dataset_ranks(np.array([[np.nan], [0.0], [-0.3]])).ravel().tolist() == [3, 1, 2]


def test_equal_mean_ranks_share_a_rank_and_the_earlier_submission_is_listed_first() -> None:
    got = rank_participants(np.array([[0.0, 0.0], [0.1, 0.9], [0.9, 0.1]]))
    assert got.rank.tolist() == [3, 1, 1]
    assert got.tied.tolist() == [False, True, True]
    assert got.order == [1, 2, 0]


def test_repeats() -> None:
    scores = np.array([[[0.4, 0.6]], [[0.5, np.nan]]])
    got = combine_repeats(scores, 2.0)
    assert got[0, 0] == pytest.approx(0.5 - 2 * 0.1)
    assert np.isnan(got[1, 0])


def test_copeland_is_won_by_who_beats_everyone_on_most_datasets() -> None:
    # The first wins two datasets of three against each other one, though its mean rank is the second's.
    scores = np.array([[0.9, 0.9, 0.1], [0.8, 0.8, 0.8], [0.1, 0.2, 0.9]])
    got = rank_participants(scores, "copeland")
    assert got.value.tolist() == [2.0, 1.0, 0.0]
    assert got.rank.tolist() == [1, 2, 3]


@given(tables)
def test_copeland_counts_pairwise_majorities(scores: np.ndarray) -> None:
    n = len(scores)
    oracle = [
        sum((np.sign(np.sign(scores[i] - scores[j]).sum()) + 1) / 2 for j in range(n) if j != i)
        for i in range(n)
    ]
    assert rank_participants(scores, "copeland").value.tolist() == oracle


def test_relative_is_the_mean_error_in_units_of_the_baselines() -> None:
    scores = np.array([[0.5, 0.8], [0.75, 0.8], [0.9, np.nan]])
    got = rank_participants(scores, "relative", scores[0])
    assert got.value[:2] == pytest.approx([1.0, 0.75])
    assert np.isnan(got.value[2])
    assert got.rank.tolist() == [2, 1, 3]


def test_relative_needs_a_baseline() -> None:
    with pytest.raises(InputError, match="baseline"):
        rank_participants(np.ones((2, 2)), "relative")


@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.001])
@pytest.mark.parametrize("participants", [2, 3, 10, 300])
def test_the_critical_difference_is_of_scipys_studentized_range(participants: int, alpha: float) -> None:
    quantile = stats.studentized_range.ppf(1 - alpha, participants, np.inf)
    expected = quantile / np.sqrt(2) * np.sqrt(participants * (participants + 1) / (6 * 5))
    assert critical_difference(participants, 5, alpha) == pytest.approx(expected, rel=1e-10)


@given(tables.filter(lambda table: len(table) >= 3))
def test_friedman_is_scipys_and_w_follows(scores: np.ndarray) -> None:
    ranks = dataset_ranks(scores)
    got = friedman_test(ranks)
    if got is None:
        assert np.ptp(ranks) == 0
        return
    oracle = stats.friedmanchisquare(*scores)
    assert got.chi2 == pytest.approx(oracle.statistic, abs=1e-9)
    assert got.p == pytest.approx(oracle.pvalue, abs=1e-9)
    k, n = scores.shape
    assert kendall_w(ranks) == pytest.approx(oracle.statistic / (n * (k - 1)))


def analysis_of_variance(ranks: np.ndarray) -> float:
    """F of a two-way layout with datasets as blocks, by sums of squares: another way to Iman and Davenport's."""
    k, n = ranks.shape
    treatments = n * ((ranks.mean(axis=1) - (k + 1) / 2) ** 2).sum() / (k - 1)
    residuals = ((ranks - ranks.mean(axis=1, keepdims=True)) ** 2).sum() / ((k - 1) * (n - 1))
    return float(treatments / residuals)


@given(tables)
@example(reference()[1])
def test_iman_davenport_is_an_analysis_of_variance_of_the_ranks_with_ties_or_without(
    scores: np.ndarray,
) -> None:
    ranks = dataset_ranks(scores)
    k, n = ranks.shape
    got = friedman_test(ranks)
    if got is None or np.isinf(got.f):
        assert np.allclose(ranks, ranks[:, :1])
        return
    oracle = analysis_of_variance(ranks)
    assert got.f == pytest.approx(oracle, rel=1e-6)
    assert got.f_p == pytest.approx(stats.f.sf(oracle, k - 1, (k - 1) * (n - 1)), rel=1e-6)


@given(tables)
def test_datasets_agree_completely_where_every_two_of_them_do(scores: np.ndarray) -> None:
    w = kendall_w(dataset_ranks(scores))
    taus = [
        stats.kendalltau(one, other).statistic for one, other in combinations(scores.T, 2)
    ]  # NaN where one of them ties everybody
    agree = all(tau > 1 - 1e-9 for tau in taus)
    assert agree == (w is not None and w > 1 - 1e-9) or np.isnan(taus).any()


@given(tables.filter(lambda table: len(table) >= 3), st.sampled_from([0.01, 0.05, 0.1]))
@example(reference()[1], 0.05)
def test_participants_differ_by_more_than_the_critical_difference_where_nemenyis_test_says_so(
    scores: np.ndarray, alpha: float
) -> None:
    ranks = dataset_ranks(scores)
    # A row a block; a studentized range with infinite degrees of freedom.
    p = posthoc_nemenyi_friedman(ranks.T).to_numpy()
    cd = critical_difference(len(scores), scores.shape[1], alpha)
    assert cd is not None
    mean = ranks.mean(axis=1)
    apart = np.abs(mean[:, None] - mean[None, :])
    clear = np.abs(p - alpha) > 1e-6
    assert np.array_equal((p < alpha)[clear], (apart > cd)[clear])


def test_two_rankings_agree_as_spearman_says() -> None:
    # W of two rankings is (1 + Spearman's rho) / 2.
    _, scores = reference()
    rho = stats.spearmanr(scores[:, 0], scores[:, 1]).statistic
    assert kendall_w(dataset_ranks(scores[:, :2])) == pytest.approx((1 + rho) / 2)


def test_complete_agreement() -> None:
    ranks = dataset_ranks(np.array([[0.9] * 4, [0.8] * 4, [0.7] * 4]))
    got = friedman_test(ranks)
    assert got is not None
    assert (got.f, got.f_p) == (np.inf, 0.0)
    assert kendall_w(ranks) == pytest.approx(1)


@pytest.mark.parametrize("shape", [(1, 4), (4, 1)])
def test_nothing_is_said_of_one_participant_or_one_dataset(shape: tuple[int, int]) -> None:
    assert friedman_test(np.ones(shape)) is None


@pytest.mark.parametrize(
    ("k", "alpha", "q"),
    # Table 5(a) of Demšar (2006): critical values of the two-tailed Nemenyi test.
    [(2, 0.05, 1.960), (5, 0.05, 2.728), (10, 0.05, 3.164), (2, 0.10, 1.645), (6, 0.10, 2.589)],
)
def test_the_critical_difference_is_the_published_one(k: int, alpha: float, q: float) -> None:
    got = critical_difference(k, 14, alpha)
    assert got is not None
    assert got == pytest.approx(q * np.sqrt(k * (k + 1) / (6 * 14)), rel=5e-4)
