"""What a competition may choose by name: schemes, metrics, curves, rankings and modes of feedback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BALANCED_ACCURACY = "balanced_accuracy"
NAUC = "nauc"
R2 = "r2"
MAE = "mae"
LABEL_METRICS = (BALANCED_ACCURACY, NAUC, "macro_f1", "log_loss", "brier", "top_1", "top_5")
REGRESSION_METRICS = (R2, MAE)
"""Metrics of Alcove, by what they score. Those of others are not known here."""
Task = Literal["multiclass", "multilabel", "regression"]
"""What is predicted of an example: exactly one label, any number of labels, or numbers."""
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


def find_metric_mismatch(metric: str, task: Task | None) -> str:
    """A sentence where a metric of Alcove cannot score that task; empty where it can, or one of them is not known."""
    if task is None or metric not in (*LABEL_METRICS, *REGRESSION_METRICS):
        return ""
    if task == "regression" and metric in LABEL_METRICS:
        return f"metric {metric} is of labels, and the task is regression: take {' or '.join(REGRESSION_METRICS)}."
    if task != "regression" and metric in REGRESSION_METRICS:
        return f"metric {metric} is of numbers, and the task is {task}: take one of labels, as {BALANCED_ACCURACY}."
    return ""
