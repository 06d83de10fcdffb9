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

FEWEST = 5
"""Teams that a trend is computed of; of fewer, resampling them says nothing."""
MOST = 2000
"""Pairs that are drawn: of more, every so-manieth by number."""
RESAMPLES = 2000


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
    """Its interval at 95 %: percentiles over resampled teams, since what one team submits hangs together (the pairs
    cluster bootstrap; Cameron, Gelbach and Miller, Bootstrap-based improvements for inference, 2008).
    """
    intercept: float
    """Of the line: the difference at number 0."""


@dataclass(frozen=True)
class OverfittingReport:
    pairs: tuple[ScorePair, ...]
    """By number, then by team."""
    mean: float
    """Of the differences."""
    tau: float | None
    """Kendall's rank correlation τ-b of the two scores: 1, both order the submissions alike. None of fewer than 2."""
    trend: Trend | None
    """None with fewer than ``FEWEST`` teams, or where all submissions have one number."""


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
    """At most ``MOST``, evenly chosen."""
    if len(pairs) <= MOST:
        return pairs
    return [pairs[i] for i in np.linspace(0, len(pairs) - 1, MOST).astype(int).tolist()]


def _find_trend(pairs: Sequence[ScorePair]) -> Trend | None:
    teams = {team: i for i, team in enumerate(dict.fromkeys(pair.team for pair in pairs))}
    if len(teams) < FEWEST or len({pair.number for pair in pairs}) < 2:
        return None
    sums = np.zeros((len(teams), 5))
    for pair in pairs:
        x, y = pair.number, pair.difference
        sums[teams[pair.team]] += (1.0, x, y, x * x, x * y)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(teams), np.full(len(teams), 1 / len(teams)), RESAMPLES)
    # A resample in which all have one number has no slope.
    slopes = _slopes(drawn @ sums)
    low, high = np.nanpercentile(slopes, [2.5, 97.5])
    (slope,) = _slopes(sums.sum(axis=0, keepdims=True))
    count, x, y, *_ = sums.sum(axis=0)
    return Trend(float(slope), float(low), float(high), float((y - slope * x) / count))


def _slopes(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of least squares, from rows of n, Σx, Σy, Σx² and Σxy; NaN where all x are the same."""
    n, x, y, xx, xy = sums.T
    spread = n * xx - x * x
    return np.where(spread > 0, (n * xy - x * y) / np.where(spread > 0, spread, 1.0), np.nan)


def describe_trend(report: OverfittingReport) -> str:
    """One sentence for people."""
    trend = report.trend
    if trend is None:
        return f"Of fewer than {FEWEST} teams, or of one number alone, no trend can be told."
    said = f"{trend.slope:+.4f} a submission (95 %: {trend.low:+.4f} to {trend.high:+.4f})"
    if trend.low > 0:
        return f"The difference grows with the number of submissions, {said}: scores that were seen were overfitted."
    if trend.high < 0:
        return f"The difference shrinks with the number of submissions, {said}."
    return f"The difference does not grow with the number of submissions beyond chance, {said}."
