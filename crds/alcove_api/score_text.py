"""Scores as people read them."""

from __future__ import annotations

_LARGE = 1e6


def format_score(score: float, decimals: int) -> str:
    """With these decimals; in powers of ten from a million on, with either sign.

    Metrics of regressions and log loss have no lower bound: one wild prediction must not widen a table for all.
    """
    return f"{score:.{decimals}f}" if abs(score) < _LARGE else f"{score:.{decimals}e}"
