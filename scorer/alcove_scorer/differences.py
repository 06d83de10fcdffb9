"""Is one participant better than another over the datasets, equal for practical purposes, or worse?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from alcove_scorer.ranks import rank_values

Floats = npt.NDArray[np.float64]
ROPE = 0.01
"""Differences of scores up to this are of no practical meaning."""
PRIOR = 0.5
"""Weight of the prior's one observation, a difference of zero; each dataset has weight 1."""
DRAWS = 20_000
MOST_PERMUTED = 13
"""Datasets up to which all choices of signs are counted; of more, where differences are tied, Wilcoxon's statistic is
taken to be normal, as SciPy does."""
MOST_COMPARED = 30
"""Participants that are compared with the first; with more the picture could not be read."""


@dataclass(frozen=True)
class Difference:
    """Between the first and another participant."""

    participant: int
    better: float
    """Probability that the first is better by more than the region of practical equivalence."""
    equal: float
    worse: float
    p: float
    """Of Wilcoxon's signed-rank test."""
    holm_p: float
    """The same, corrected for all pairs: which participant is the first is seen in the same scores."""


def compare_with_first(
    scores: Floats, order: Sequence[int], rope: float = ROPE, seed: int = 0
) -> list[Difference]:
    """The leading participants against the first, in ``order``; none where there is one dataset, or no other.

    Args:
        scores: participants × datasets, higher is better; a missing run counts as the lowest score of its dataset.
        order: participants, best first.
        rope: half the width of the region of practical equivalence.
        seed: of the draws from the posterior.
    """
    if len(order) < 2 or scores.shape[1] < 2:
        return []
    lowest = np.min(np.where(np.isnan(scores), np.inf, scores), axis=0)
    filled = np.where(np.isnan(scores), np.where(np.isfinite(lowest), lowest, 0.0), scores)
    # Differences of rounded scores: 0.9 − 0.8 is no more than 0.1.
    differences = np.round(filled[order[0]] - filled[list(order[1:])], 12)
    p_values, corrected = compute_p_values(differences)
    found = []
    for i, participant in enumerate(order[1 : 1 + MOST_COMPARED]):
        better, equal, worse = compute_signed_rank_posterior(differences[i], rope, seed)
        found.append(
            Difference(int(participant), better, equal, worse, float(p_values[i]), float(corrected[i]))
        )
    return found


def compute_signed_rank_posterior(
    differences: Floats, rope: float, seed: int = 0, draws: int = DRAWS
) -> tuple[float, float, float]:
    """Probabilities that the differences are above the region of practical equivalence, within it, or below.

    The Bayesian signed-rank test: Benavoli, Corani, Demšar and Zaffalon, Time for a change: a tutorial for comparing
    multiple classifiers through Bayesian analysis (2017), section 4.2. Weights of the differences and of a prior
    difference of zero are Dirichlet-distributed; of each draw, the case with the largest weight over all pairs of
    differences counts, a pair being judged by its mean.

    Args:
        differences: one a dataset.
        rope: half the width of the region.
        seed: of the draws.
        draws: how many.
    """
    values = np.append(0.0, differences)
    weights = _draw_weights(len(differences), seed, draws)
    means = (values[:, None] + values[None, :]) / 2
    above, below = (means > rope).astype(np.float64), (means < -rope).astype(np.float64)
    shares = [((weights @ case) * weights).sum(axis=1) for case in (above, below)]
    cases = np.stack([shares[0], 1.0 - shares[0] - shares[1], shares[1]])
    # What two cases share equally, as by symmetry, is half for each.
    largest = cases >= cases.max(axis=0) - 1e-12
    better, equal, worse = (largest / largest.sum(axis=0)).mean(axis=1).tolist()
    return better, equal, worse


@lru_cache(maxsize=1)
def _draw_weights(datasets: int, seed: int, draws: int) -> Floats:
    """Of the prior's difference and of each dataset's: draws × (1 + datasets), the same for all who are compared."""
    return np.random.default_rng(seed).dirichlet([PRIOR, *np.ones(datasets)], draws)


def describe_difference(better: float, equal: float, worse: float) -> str:
    """The case that is likelier than not, if there is one; the other's name follows."""
    for said, probability in (("better than", better), ("equal to", equal), ("worse than", worse)):
        if probability > 0.5:
            return f"probably {said}"
    return "not clearly better than, equal to or worse than"


def compute_p_values(differences: Floats) -> tuple[Floats, Floats]:
    """Wilcoxon's p-values (Individual comparisons by ranking methods, 1945) of each other participant against the
    first, bare and corrected by Holm for all pairs.

    A correction for the comparisons with the first alone would need a first that is named before its scores are seen.

    Args:
        differences: of the first to each other participant × datasets.
    """
    found = _wilcoxon(differences)
    participants = len(differences) + 1
    return found, correct_by_holm(found, participants * (participants - 1) // 2)


def correct_by_holm(p_values: Floats, hypotheses: int) -> Floats:
    """P-values for all hypotheses at once (Holm, A simple sequentially rejective multiple test procedure, 1979).

    Of more hypotheses than p-values, the others are taken to have larger ones. Where they do not, what is returned is
    never smaller than Holm's: the j-th smallest of some is at least the j-th smallest of all.
    """
    order = np.argsort(p_values, kind="stable")
    factors = hypotheses - np.arange(len(p_values))
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p_values[order] * factors))
    return corrected


def _wilcoxon(differences: Floats) -> Floats:
    """Two-sided, of each row; 1 where all differences are zero. The values are those of ``scipy.stats.wilcoxon``.

    SciPy chooses one way for all rows of a call, and takes a tenth of a second for a row of ten with zeros or ties.
    """
    sizes = np.sort(np.abs(differences), axis=1)
    plain = (sizes[:, 0] > 0) & (np.diff(sizes, axis=1) > 0).all(axis=1)
    tied = ~plain & differences.any(axis=1)
    found = np.ones(len(differences))
    if differences.shape[1] <= MOST_PERMUTED:
        found[plain | tied] = _permute_signs(differences[plain | tied])
        return found
    from scipy import stats  # half a second to load, which most boards need not wait for

    if plain.any():
        found[plain] = stats.wilcoxon(differences[plain], axis=1).pvalue
    if tied.any():
        found[tied] = stats.wilcoxon(differences[tied], axis=1, method="asymptotic").pvalue
    return found


def _permute_signs(differences: Floats) -> Floats:
    """Exact p-values of rows, which may have zeros and ties: of all choices of signs, the share as far out."""
    n = differences.shape[1]
    zeros = differences == 0
    ranks = rank_values(np.abs(differences)) - zeros.sum(axis=1, keepdims=True)
    ranks[zeros] = 0.0
    positive = (np.arange(1 << n) >> np.arange(n)[:, None] & 1).astype(np.float64)
    found = np.empty(len(differences))
    for i, row in enumerate(ranks):
        # Halves of whole numbers: equal sums are equal exactly.
        sums, observed = row @ positive, row[differences[i] > 0].sum()
        found[i] = min(1.0, 2 * min((sums <= observed).mean(), (sums >= observed).mean()))
    return found
