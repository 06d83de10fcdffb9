"""A solution as a metric takes it: labels, or the numbers of a regression."""

from __future__ import annotations

import numpy as np

from alcove_format.solution import parse_solution, parse_targets
from alcove_scorer.metrics import Metric, Solution, predicts_numbers


def parse_for_metric(data: bytes, name: str, metric: Metric) -> Solution:
    """Reads the bytes of a solution. Raises SolutionError where they are none, or of the other kind.

    Args:
        name: what the file is called in an error.
    """
    if predicts_numbers(metric):
        return parse_targets(data, name)
    return parse_solution(data, name).view(np.bool_)
