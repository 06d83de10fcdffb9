"""Performance profiles: on how many datasets is a participant within a factor τ of the fastest?

Dolan and Moré, Benchmarking optimization software with performance profiles (2002); the score is that of Dahl et al.,
Benchmarking neural network training algorithms (2023).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
TAU_MAX = 4.0
"""The largest factor that counts, as AlgoPerf has it."""


def time_ratios(seconds: Floats, reference: Floats | None = None) -> Floats:
    """Each time over the fastest on its dataset, at least 1; infinite where the target was not reached.

    Args:
        seconds: participants × datasets, positive, NaN where the target was not reached.
        reference: a time a dataset that counts as well when the fastest is looked for; NaN for none.
    """
    rows = seconds if reference is None else np.vstack((seconds, reference))
    ratios = seconds / np.fmin.reduce(rows, axis=0)
    return np.where(np.isnan(ratios), np.inf, ratios)


def profile_shares(ratios: Floats, tau_max: float = TAU_MAX) -> Floats:
    """What each dataset adds to a participant's score: (τmax − ratio) / (τmax − 1), and 0 for a ratio above τmax.

    Their mean over the datasets is 1/(τmax − 1) · ∫ ρ(τ) dτ from 1 to τmax, exactly: ρ is a sum of steps, one for each
    dataset, at its ratio.
    """
    shares: Floats = np.maximum(0.0, (tau_max - ratios) / (tau_max - 1.0))
    return shares
