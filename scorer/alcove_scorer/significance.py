"""Do differences of ranks over datasets mean anything? Ranks are participants × datasets.

The tests are those of Demšar, Statistical comparisons of classifiers over multiple data sets, 2006.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Friedman:
    """Friedman's chi-squared with its p, and the Iman–Davenport F with its p. F is infinite, p zero, where
    all datasets rank alike.
    """

    chi2: float
    p: float
    f: float
    f_p: float

    def as_document(self) -> dict[str, float | None]:
        """For JSON, which has no infinity: there F is null."""
        return {
            "chi2": self.chi2,
            "p": self.p,
            "f": self.f if math.isfinite(self.f) else None,
            "f_p": self.f_p,
        }


def friedman_test(ranks: Floats) -> Friedman | None:
    """The Friedman test, corrected for ties, and a less conservative F.

    (Friedman, The use of ranks to avoid the assumption of normality implicit in the analysis of variance, 1937; with
    ties as in Conover, Practical nonparametric statistics, 1999; F: Iman and Davenport, Approximations of the critical
    region of the Friedman statistic, 1980.) None where it says nothing: under two participants or
    datasets, or every rank tied.
    """
    k, n = ranks.shape
    if k < 2 or n < 2:
        return None
    # Conover's form, which holds with ties: the spread of the rank sums over that of the ranks themselves.
    centre = (k + 1) / 2
    spread = float(((ranks - centre) ** 2).sum())
    if spread == 0:
        return None
    between = float(((ranks.sum(axis=1) - n * centre) ** 2).sum())
    chi2 = (k - 1) * between / spread
    remainder = n * (k - 1) - chi2
    df1, df2 = k - 1, (k - 1) * (n - 1)
    from scipy import special  # two tenths of a second to load, which not every board needs

    p = float(special.chdtrc(df1, chi2))
    if remainder <= 1e-12 * n * k:
        return Friedman(chi2, p, math.inf, 0.0)
    f = (n - 1) * chi2 / remainder
    return Friedman(chi2, p, f, float(special.fdtrc(df1, df2, f)))


def kendall_w(ranks: Floats) -> float | None:
    """Kendall's coefficient of concordance of the datasets, corrected for ties: 1 is agreement, 0 none.

    Friedman's chi-squared over its largest possible value (Kendall and Babington Smith, The problem of m rankings,
    1939). None where that test says nothing.
    """
    test = friedman_test(ranks)
    k, n = ranks.shape
    return None if test is None else test.chi2 / (n * (k - 1))


def critical_difference(participants: int, datasets: int, alpha: float = 0.05) -> float | None:
    """Nemenyi's critical difference of mean ranks: q_α(k, ∞)/√2 · √(k(k + 1)/(6N)).

    Nemenyi, Distribution-free multiple comparisons, 1963, in the form of Demšar (2006); q_α is the studentized range.
    None for fewer than two participants.
    """
    if participants < 2:
        return None
    return (
        _studentized_range(alpha, participants)
        / math.sqrt(2)
        * math.sqrt(participants * (participants + 1) / (6 * datasets))
    )


def _studentized_range(alpha: float, k: int) -> float:
    """The upper ``alpha`` quantile of the range of ``k`` normal values of variance 1.

    Its distribution is k ∫ φ(z) (Φ(z) − Φ(z − q))^(k − 1) dz (Demšar's q_α with infinite degrees of freedom). SciPy has
    it in a module that takes half a second to load, for which every board would wait.
    """
    from scipy import special

    nodes = np.linspace(-9.0, 9.0, 721)
    weights = k * np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi) * (nodes[1] - nodes[0])
    below = special.ndtr(nodes)
    low, high = 0.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        inside = float(((below - special.ndtr(nodes - middle)) ** (k - 1)) @ weights)
        low, high = (middle, high) if inside < 1 - alpha else (low, middle)
    return high
