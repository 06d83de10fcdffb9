"""Which scores of a run people see: one rule for the live curve, the status, reports and boards; and how many bits
about the hidden labels they give away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from alcove_api.schemes import BALANCED_ACCURACY, NAUC

WHOLE_SCORES = 2
"""Numbers of a run that are of the rows that rank: its ALC, and the score of its last snapshot."""
CALIBRATION_BINS = 10
"""Of equal width, from 0 to 1."""
CALIBRATED_METRICS = ("brier", "log_loss")
"""Of probabilities: with them, a run also shows the share of present labels in each bin of values."""
_SPANS = {BALANCED_ACCURACY: 1, NAUC: 2}
"""Best score less the worst."""


def shown_places(seconds: Sequence[float], most: int, t0: float, budget: float) -> list[int]:
    """Places in ``seconds``, since the go and in order, of the snapshots whose scores are shown: at most ``most``.

    Whether one is shown depends on those before it alone, so what was shown once stays and no more than ``most`` are
    ever shown, however often and wherever someone looks. Half of them are for whoever comes first, the others are
    given out evenly along the time axis, whose scale is ``t0`` seconds.
    """
    whole = math.log1p(budget / t0)
    chosen: list[int] = []
    for place, at in enumerate(seconds):
        if len(chosen) < most * (1 + math.log1p(at / t0) / whole) / 2:
            chosen.append(place)
    return chosen


def is_span_known(metric: str) -> bool:
    """Whether :func:`compute_disclosed_bits` knows how far the metric's scores reach."""
    return metric in _SPANS


@dataclass(frozen=True)
class DisclosedBits:
    """What shown scores can tell about the labels of one dataset, at most, in bits. One hidden 0/1 label is one bit."""

    snapshot: float
    """One point of a curve."""
    run: float
    """All numbers of one run, live and at the end."""
    team: float
    """All runs of a team on the dataset, up to its limit of submissions."""


def compute_disclosed_bits(
    decimals: int,
    max_snapshots: int,
    submissions: int,
    metric: str = BALANCED_ACCURACY,
    hidden: int | None = None,
    fraction: float = 1.0,
) -> DisclosedBits:
    """The logarithm of how many answers there are: no way of asking learns more from them.

    A score is one of span · 10^decimals + 1 values, or missing. The live curve and the final one have the same points,
    and the live ALC follows from them, so a run shows ``max_snapshots`` points and ``WHOLE_SCORES`` numbers more; with
    a metric of probabilities, also a share for each bin of its calibration, rounded as a score is. If a run has to be
    repeated, the points of all its attempts are ``max_snapshots`` together, and one attempt alone is scored.
    Ranks are not counted: they depend on other teams too.

    Points tell of the labels of the rows that are shown alone, so no more than those (and of the others only what a
    stratified choice has in common with them), and all numbers together of no more than all labels: the two whole
    numbers may be of all rows.

    Args:
        decimals: of a shown score.
        max_snapshots: points of a run that are shown at most.
        submissions: that the team may make.
        metric: its scores' span is known for those of Alcove; for another metric, the span is taken to be 2.
        hidden: labels of the dataset, n_test × n_labels; None where that is not known.
        fraction: of the rows that are shown.
    """
    values = _SPANS.get(metric, 2) * 10**decimals + 1
    snapshot = math.log2(values + 1)
    bins = CALIBRATION_BINS if metric in CALIBRATED_METRICS else 0
    points, whole = (max_snapshots + bins) * snapshot, WHOLE_SCORES * snapshot

    def bound(runs: int) -> float:
        if hidden is None:
            return runs * (points + whole)
        return min(min(runs * points, count_shown_labels(hidden, fraction)) + runs * whole, hidden)

    return DisclosedBits(snapshot, bound(1), bound(submissions))


def count_shown_labels(hidden: int, fraction: float) -> int:
    """Of a dataset's labels, those of the rows that are shown."""
    return math.ceil(fraction * hidden - 1e-9)


def compute_ladder_bits(
    step: float | None, decimals: int, submissions: int, metric: str = BALANCED_ACCURACY
) -> float:
    """What the Ladder's values can tell a team about the labels of one dataset, at most, in bits.

    What a team sees is its best so far after each submission: a sequence that never falls, of multiples of the step
    (of the last decimal, without a step) or no score. Of ``submissions`` values out of ``levels`` there are
    C(submissions + levels − 1, submissions) such sequences; Blum and Hardt (2015) bound the same number.

    Args:
        step: of the Ladder, None for the parameter-free one.
        decimals: of a shown score.
        submissions: that the team may make.
        metric: as in :func:`compute_disclosed_bits`.
    """
    levels = math.floor(_SPANS.get(metric, 2) / (step or 10**-decimals) + 1e-9) + 2
    return math.log2(math.comb(submissions + levels - 1, submissions))
