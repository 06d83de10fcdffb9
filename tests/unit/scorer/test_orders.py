"""Other ways to one order, beside their definitions."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from alcove_scorer import kemeny
from alcove_scorer.kemeny import find_kemeny_order
from alcove_scorer.ranks import dataset_ranks, dataset_values, rank_participants

Floats = npt.NDArray[np.float64]
scores = st.tuples(st.integers(2, 5), st.integers(1, 5)).flatmap(
    lambda shape: hnp.arrays(np.float64, shape, elements=st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.8]))
)


def disagree(ranks: Floats, order: tuple[int, ...]) -> float:
    """Pairs, dataset by dataset, that are the other way round; ties half."""
    total = 0.0
    for column in ranks.T:
        for place, first in enumerate(order):
            for second in order[place + 1 :]:
                total += (
                    1.0 if column[first] > column[second] else 0.5 if column[first] == column[second] else 0.0
                )
    return total


@given(scores)
def test_no_order_disagrees_less_than_kemenys(table: Floats) -> None:
    ranks = dataset_ranks(table)
    found = find_kemeny_order(ranks)
    everyone = {order: disagree(ranks, order) for order in permutations(range(len(table)))}
    assert everyone[tuple(found.order.tolist())] == pytest.approx(min(everyone.values()))
    assert found.disagreements == found.bound == pytest.approx(min(everyone.values()))
    # Of those that are equally good, the first in the order of participants.
    assert tuple(found.order.tolist()) == min(o for o, d in everyone.items() if d <= found.bound + 1e-9)


def test_kemenys_distance_is_kendalls() -> None:
    ranks = dataset_ranks(np.random.default_rng(1).random((7, 5)))
    found = find_kemeny_order(ranks)
    place = np.empty(7)
    place[found.order] = np.arange(7)
    # Kendall's tau of n things is 1 − 2 · discordant / pairs.
    discordant = sum((1 - stats.kendalltau(place, column).statistic) / 2 * 21 for column in ranks.T)
    assert found.disagreements == pytest.approx(discordant)


@settings(max_examples=30, deadline=None)
@given(scores, st.integers(0, 9))
def test_the_search_for_many_is_between_its_bound_and_the_order_by_mean_rank(
    table: Floats, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    many = rng.random((20, 6)) + table.mean() + np.linspace(0, 1, 20)[:, None]
    ranks = dataset_ranks(many)
    found = find_kemeny_order(ranks)
    assert sorted(found.order.tolist()) == list(range(20))
    assert found.disagreements == pytest.approx(disagree(ranks, tuple(found.order.tolist())))
    by_mean = np.argsort(ranks.mean(axis=1), kind="stable")
    assert found.bound - 1e-9 <= found.disagreements <= disagree(ranks, tuple(by_mean.tolist())) + 1e-9


def test_the_search_finds_the_best_order_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    tables = [dataset_ranks(rng.random((8, 7)) + np.linspace(0, 0.8, 8)[:, None]) for _ in range(20)]
    best = [find_kemeny_order(ranks).disagreements for ranks in tables]
    monkeypatch.setattr(kemeny, "MOST_EXACT", 0)
    searched = [find_kemeny_order(ranks).disagreements for ranks in tables]
    assert sum(a == pytest.approx(b) for a, b in zip(best, searched, strict=True)) >= 18


def test_a_condorcet_winner_is_kemenys_first() -> None:
    # The first wins two datasets of three against each other one, though its mean rank is the second's.
    table = np.array([[0.9, 0.9, 0.1], [0.8, 0.8, 0.8], [0.1, 0.2, 0.9]])
    assert rank_participants(table, "kemeny").rank.tolist() == [1, 2, 3]


@given(scores)
def test_success_rates_are_shares_of_others_beaten(table: Floats) -> None:
    p, n = table.shape
    oracle = [sum((table[i] > table[j]).sum() for j in range(p) if j != i) / (n * (p - 1)) for i in range(p)]
    assert rank_participants(table, "success-rate").value == pytest.approx(oracle)


@given(scores)
def test_relative_differences_are_means_over_others_and_datasets(table: Floats) -> None:
    p, n = table.shape
    oracle = []
    for i in range(p):
        total = 0.0
        for j in range(p):
            for d in range(n):
                both = table[i, d] + table[j, d]
                total += (table[i, d] - table[j, d]) / both if i != j and both else 0.0
        oracle.append(total / (n * (p - 1)))
    assert rank_participants(table, "relative-difference").value == pytest.approx(oracle)


def test_bordas_order_is_that_of_mean_ranks() -> None:
    table = np.random.default_rng(3).random((6, 9))
    # Borda: a point for each other one that is beaten, on each dataset.
    points = [(table[i] > table).sum() for i in range(6)]
    assert stats.rankdata([-p for p in points]).tolist() == rank_participants(table).rank.tolist()


@pytest.mark.parametrize("method", ["success-rate", "relative-difference"])
def test_a_missing_run_loses_to_all(method: str) -> None:
    table = np.array([[0.5, np.nan], [0.2, 0.1], [0.4, 0.3]])
    values = dataset_values(table, "success-rate" if method == "success-rate" else "relative-difference")
    assert values is not None
    assert values[0, 1] == values[:, 1].max()
