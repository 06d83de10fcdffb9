"""How scores that were seen compare with those that count, by how often a team had submitted before.

A team that submits again and again keeps what looks best, and part of that is luck on the rows that it was shown. Then
the difference grows with the number of submissions (Roelofs et al., A meta-analysis of overfitting in machine learning,
2019, compare public and private leaderboards so).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
FEWEST = 5
"""Teams that a trend is computed of: of fewer, only a very large one could be told from chance."""
MAX_PAIRS = 2000
"""Pairs that are drawn at most; where there are more, every n-th is."""


@dataclass(frozen=True)
class ScorePair:
    """Two scores of one submission: means over datasets of the ALC."""

    team: str
    submission: str
    number: int
    """Which of the team's submissions to the phase it was, from 1."""
    seen: float
    counting: float

    @property
    def difference(self) -> float:
        """Above 0: it looked better than it is."""
        return self.seen - self.counting


@dataclass(frozen=True)
class Trend:
    """How the difference goes with the number of submissions."""

    slope: float
    """By which it grows a submission: least squares over all pairs."""
    low: float
    high: float
    """Its interval at 95 %. What one team submits may hang together."""
    intercept: float
    """Of the line: the difference at number 0."""


@dataclass(frozen=True)
class OverfittingReport:
    pairs: tuple[ScorePair, ...]
    """By number, then by team."""
    mean: float
    """Of the differences."""
    tau: float | None
    """Kendall's rank correlation τ-b (The treatment of ties in ranking problems, 1945) of the two scores: 1, both order
    the submissions alike. None of fewer than 2."""
    trend: Trend | None
    """None with fewer than ``FEWEST`` teams, or where all submissions, or all but one team's, have one number."""


def compare_scores(pairs: Sequence[ScorePair]) -> OverfittingReport:
    """At least one pair."""
    from scipy.stats import kendalltau

    ordered = tuple(sorted(pairs, key=lambda pair: (pair.number, pair.team, pair.submission)))
    found = math.nan
    if len(ordered) > 1:
        found = float(kendalltau([p.seen for p in ordered], [p.counting for p in ordered]).statistic)
    return OverfittingReport(
        ordered,
        math.fsum(pair.difference for pair in ordered) / len(ordered),
        None if math.isnan(found) else found,
        _find_trend(ordered),
    )


def thin_out(pairs: Sequence[ScorePair]) -> Sequence[ScorePair]:
    """At most ``MAX_PAIRS``, evenly chosen."""
    if len(pairs) <= MAX_PAIRS:
        return pairs
    return [pairs[i] for i in np.linspace(0, len(pairs) - 1, MAX_PAIRS).astype(int).tolist()]


def _find_trend(pairs: Sequence[ScorePair]) -> Trend | None:
    """Least squares, with the standard error CR2 and its degrees of freedom.

    Bell and McCaffrey, Bias reduction in standard errors for linear regression with multi-stage samples, 2002. The
    residuals of each team are divided by the root of what the fit leaves of their variance, and Student's distribution
    has as many degrees of freedom as an estimate has that comes from so few teams, of so different size. Percentiles
    over resampled teams miss the slope two to four times as often as they say, as Cameron, Gelbach and Miller find too
    (Bootstrap-based improvements for inference with clustered errors, 2008).
    """
    teams = {team: i for i, team in enumerate(dict.fromkeys(pair.team for pair in pairs))}
    numbers = np.array([pair.number for pair in pairs], np.float64)
    if len(teams) < FEWEST or len(set(numbers.tolist())) < 2:
        return None
    differences = np.array([pair.difference for pair in pairs])
    centred = numbers - numbers.mean()
    length = math.sqrt(float(centred @ centred))
    slope = float(centred @ differences) / length**2
    intercept = float(differences.mean() - slope * numbers.mean())
    # Columns at right angles and of length 1: constant and slope can be told apart in each team's part alone.
    design = np.column_stack((np.full(len(pairs), 1 / math.sqrt(len(pairs))), centred / length))
    team = np.array([teams[pair.team] for pair in pairs])
    shares, sums = np.zeros((len(teams), 2, 2)), np.zeros((len(teams), 2))
    np.add.at(shares, team, design[:, :, None] * design[:, None, :])
    np.add.at(sums, team, design * (differences - intercept - slope * numbers)[:, None])
    values, vectors = np.linalg.eigh(shares)
    if (values > 1 - 1e-9).any():
        return None  # One team alone tells the slope, and nothing how sure it is.
    # Of each team, (I − H)^(−½) of its own rows, times the part of the design that makes the slope.
    weights = np.einsum("tij,tj->ti", vectors, vectors[:, 1] / np.sqrt(1 - values)) / length
    error = math.sqrt(float((np.einsum("ti,ti->t", weights, sums) ** 2).sum()))
    from scipy import special  # with its statistics, half a second to load: for the report alone

    reach = error * float(special.stdtrit(_count_freedom(shares, weights), 0.975))
    return Trend(slope, slope - reach, slope + reach, intercept)


def _count_freedom(shares: Floats, weights: Floats) -> float:
    """(Σλ)²/Σλ² of the matrix over teams whose quadratic form the variance is, if all pairs vary alike."""
    own = np.einsum("tij,tj->ti", shares, weights)
    diagonal, taken = np.einsum("ti,ti->t", weights, own), (own**2).sum(axis=1)
    trace = float(diagonal.sum() - taken.sum())
    squares = float((diagonal**2).sum() - 2 * (diagonal * taken).sum() + ((own.T @ own) ** 2).sum())
    return trace**2 / squares


def describe_trend(report: OverfittingReport) -> str:
    """One sentence for people."""
    trend = report.trend
    if trend is None:
        return f"Of fewer than {FEWEST} teams, or too few numbers, no trend can be told."
    said = f"{trend.slope:+.4f} a submission (95 %: {trend.low:+.4f} to {trend.high:+.4f})"
    if trend.low > 0:
        return f"The difference grows with the number of submissions, {said}: scores that were seen were overfitted."
    if trend.high < 0:
        return f"The difference shrinks with the number of submissions, {said}."
    return f"The difference does not grow with the number of submissions beyond chance, {said}."
