"""What a competition may choose by name: schemes, metrics, curves, rankings and modes of feedback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BALANCED_ACCURACY = "balanced_accuracy"
NAUC = "nauc"
SchemeName = Literal["hackathon", "autodl"]
CurveShape = Literal["trapezoid", "step"]
BoardRanking = Literal["average", "copeland", "mean-minus-std", "relative", "performance-profile"]
"""How a board orders its teams; see :func:`alcove_scorer.ranks.rank_participants`."""
FeedbackMode = Literal["live", "final", "ladder", "none"]
RankedRows = Literal["rest", "all"]
"""Rows of the test set that ranks are made of: without those that feedback shows points of, or all."""


@dataclass(frozen=True)
class Scheme:
    """Defaults of one scheme: how snapshots become a curve."""

    name: SchemeName
    metric: str
    t0: float
    """Scale of the time axis, in seconds."""
    curve: CurveShape


HACKATHON = Scheme("hackathon", BALANCED_ACCURACY, 1.0, "trapezoid")
AUTODL = Scheme("autodl", NAUC, 60.0, "step")
"""Liu et al., Winning solutions and post-challenge analyses of the AutoDL challenge 2019 (2021)."""
SCHEMES: dict[str, Scheme] = {scheme.name: scheme for scheme in (HACKATHON, AUTODL)}
