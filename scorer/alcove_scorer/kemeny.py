"""The order that disagrees least with the datasets' own orders.

Kemeny, Mathematics without numbers, 1959; Young and Levenglick, A consistent extension of Condorcet's election
principle, 1978.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MOST_EXACT = 12
"""Participants for whom the best order is found; of more, a good one."""


@dataclass(frozen=True)
class KemenyOrder:
    """``order``: participants, best first. No order has fewer than ``bound`` disagreements."""

    order: Ints
    disagreements: float
    """Pairs that a dataset orders otherwise, summed over the datasets; a tie there counts half."""
    bound: float
    """The order's own disagreements where it is exact; else each pair as most datasets have it, in no order at all."""


def find_kemeny_order(ranks: Floats) -> KemenyOrder:
    """``ranks``: participants × datasets, 1 is best.

    Up to ``MOST_EXACT`` participants by dynamic programming over sets of participants; of equally good orders, the one
    that has the earlier participants first. For more, from the order by mean ranks, which has at most five times the
    fewest disagreements (Coppersmith, Fleischer and Rudra, Ordering by weighted number of wins gives a good ranking for
    weighted tournaments, 2006), single participants are moved as long as that helps.
    """
    against = count_disagreements(ranks)
    if len(ranks) <= MOST_EXACT:
        order = _search_all(against)
        found = _total(against, order)
        return KemenyOrder(order, found, found)
    order = _move_single(against, np.argsort(ranks.mean(axis=1), kind="stable"))
    upper = np.triu_indices(len(ranks), 1)
    return KemenyOrder(order, _total(against, order), float(np.minimum(against, against.T)[upper].sum()))


def count_disagreements(ranks: Floats) -> Floats:
    """Participants × participants: on how many datasets the second is better than the first, a tie counting half."""
    p = len(ranks)
    against = np.empty((p, p))
    for i, row in enumerate(ranks):
        against[i] = ((1 - np.sign(ranks - row)) / 2).sum(axis=1)
    np.fill_diagonal(against, 0.0)
    return against


def _total(against: Floats, order: Ints) -> float:
    return float(np.triu(against[np.ix_(order, order)], 1).sum())


def _search_all(against: Floats) -> Ints:
    """Best orders of ever larger sets of participants that come last (Held and Karp, A dynamic programming approach to
    sequencing problems, 1962)."""
    p = len(against)
    fewest = np.zeros(1 << p)
    chosen = np.zeros(1 << p, np.int64)
    members = [[i for i in range(p) if last >> i & 1] for last in range(1 << p)]
    for last in range(1, 1 << p):
        # Whoever is first of these disagrees with all datasets that have another of them before it.
        costs = [fewest[last & ~(1 << i)] + against[i, members[last]].sum() for i in members[last]]
        best = int(np.argmin(np.round(costs, 9)))
        fewest[last], chosen[last] = costs[best], members[last][best]
    order, left = [], (1 << p) - 1
    while left:
        order.append(int(chosen[left]))
        left &= ~(1 << order[-1])
    return np.array(order)


def _move_single(against: Floats, start: Ints) -> Ints:
    order = start.copy()
    improved = True
    while improved:
        improved = False
        for participant in start:
            position = int(np.flatnonzero(order == participant)[0])
            remaining = np.delete(order, position)
            before = np.concatenate(([0.0], np.cumsum(against[remaining, participant])))
            after = np.concatenate((np.cumsum(against[participant, remaining][::-1])[::-1], [0.0]))
            costs = before + after
            best = int(np.argmin(costs))
            if costs[best] < costs[position] - 1e-9:
                order = np.insert(remaining, best, participant)
                improved = True
    return order
