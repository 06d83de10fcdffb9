"""The Ladder: a leaderboard that shows a score only where it exceeds the best so far by more than a step.

Blum and Hardt, The Ladder: a reliable leaderboard for machine learning competitions (2015). They have losses, where
lower is better; here scores, where higher is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LadderStep:
    """How much better than the best so far a score must be, and what it is rounded to."""

    step: float | None
    """None for the parameter-free Ladder."""
    grain: float
    """Scores are rounded to its multiples: of the Ladder with a step, the step itself."""


@dataclass(frozen=True)
class LadderState:
    """``shown``: the best score so far, rounded. ``group_scores``: of the run that has it, by group of the rows."""

    shown: float
    group_scores: tuple[float, ...] = ()


def raise_best(
    best: LadderState | None, score: float, group_scores: Sequence[float], rule: LadderStep, rows: int
) -> LadderState | None:
    """The new best; None where ``score`` does not exceed the old one by more than the step.

    Algorithm 1 of Blum and Hardt where there is a step, otherwise their Algorithm 3, whose step is the standard error
    of the difference to the best run, std(l − l_best)/√n over the test set's examples. ALC and NAUC are no means of
    losses of examples, so the standard error comes from groups of rows that are scored apart (random groups: Wolter,
    Introduction to variance estimation, 2007, chapter 2). With groups of one row each the two are the same.

    Args:
        best: None before the first run.
        score: on the rows that are shown.
        group_scores: on each group of them; only of the parameter-free Ladder. Where there are none, the step is the
            largest that losses from 0 to 1 can have, 1/√rows.
        rule: step and rounding.
        rows: how many there are in all groups.
    """
    if best is not None and not score > best.shown + _step(best, group_scores, rule, rows):
        return None
    return LadderState(_round_to(score, rule.grain), tuple(group_scores))


def _step(best: LadderState, group_scores: Sequence[float], rule: LadderStep, rows: int) -> float:
    if rule.step is not None:
        return rule.step
    if len(group_scores) < 2 or len(group_scores) != len(best.group_scores):
        return 1 / math.sqrt(rows)
    differences = np.subtract(group_scores, best.group_scores)
    return float(differences.std(ddof=1)) / math.sqrt(len(differences))


def _round_to(score: float, grain: float) -> float:
    # Twelve digits: multiples of 0.01 are to be written as people write them.
    return round(round(score / grain) * grain, 12)
