"""Metrics by name. Those of others are found by the entry point group ``alcove.metrics``."""

from __future__ import annotations

from importlib import metadata

from alcove_scorer.errors import InputError
from alcove_scorer.metrics import BalancedAccuracy, MacroF1, Metric, NormalizedAUC, blame_metric
from alcove_scorer.probability_metrics import BrierScore, LogLoss, Top5, TopK
from alcove_scorer.regression_metrics import NormalizedMAE, R2Score

BUILT_IN: dict[str, type[Metric]] = {
    m.name: m
    for m in (
        BalancedAccuracy,
        NormalizedAUC,
        MacroF1,
        LogLoss,
        BrierScore,
        TopK,
        Top5,
        R2Score,
        NormalizedMAE,
    )
}


def find_metric(name: str) -> Metric:
    """The metric of that name, built in or installed. Raises InputError for an unknown name."""
    if name in BUILT_IN:
        return BUILT_IN[name]()
    installed = metadata.entry_points(group="alcove.metrics")
    for entry in installed:
        if entry.name == name:
            with blame_metric(name):
                found: Metric = entry.load()()
                if not found.name or not found.chance < found.best:
                    raise ValueError("it needs a name, and a chance below its best")
            return found
    known = ", ".join(sorted({*BUILT_IN, *(e.name for e in installed)}))
    raise InputError(f"metric {name!r}: no such metric is installed; expected one of: {known}")
