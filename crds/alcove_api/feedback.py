"""Which scores of a run people see: one rule for the live curve, the status, reports and boards."""

from __future__ import annotations

import math
from collections.abc import Sequence


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
