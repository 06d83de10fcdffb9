"""Each function with a formula says where the formula is from, or that it is defined here."""

from __future__ import annotations

import inspect
import re
from types import ModuleType

import pytest

from alcove_scorer import (
    calibration,
    curves,
    differences,
    example_bootstrap,
    kemeny,
    ladder,
    metrics,
    nested_bootstrap,
    performance_profile,
    probability_metrics,
    rank_intervals,
    rank_uncertainty,
    ranks,
    regression_metrics,
    significance,
    time_to_target,
)

FORMULAS: dict[ModuleType, tuple[str, ...]] = {
    calibration: ("CalibrationTally",),
    curves: ("axis_position", "area_under_curve"),
    differences: ("compute_signed_rank_posterior", "compute_p_values", "correct_by_holm"),
    example_bootstrap: ("draw_examples",),
    kemeny: ("find_kemeny_order",),
    ladder: ("raise_best",),
    metrics: ("BalancedAccuracy", "NormalizedAUC", "MacroF1"),
    nested_bootstrap: ("resample_nested", "remove_noise", "remove_run_by_example", "estimate_run_by_example"),
    performance_profile: ("time_ratios", "profile_shares"),
    probability_metrics: ("LogLoss", "BrierScore", "TopK", "Top5"),
    rank_intervals: (
        "spread_over_datasets", "spread_over_resamples", "find_value_intervals", "find_rank_intervals",
        "find_copeland_intervals", "find_critical_value", "widen_for_ranks",
    ),
    rank_uncertainty: ("shrink_scores", "count_freedom_of_runs"),
    ranks: ("rank_participants", "combine_repeats", "relative_errors"),
    regression_metrics: ("R2Score", "NormalizedMAE"),
    significance: ("friedman_test", "kendall_w", "critical_difference"),
    time_to_target: ("find_target_on_curve",),
}  # fmt: skip
SOURCE = re.compile(r"\b1[789]\d\d\b|\b20\d\d\b|[Dd]efined here|:func:`alcove_format")


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in FORMULAS.items() for name in names]
)
def test_a_formula_has_its_source(module: ModuleType, name: str) -> None:
    said = inspect.getdoc(getattr(module, name)) or ""
    # A module on one formula names its source once.
    assert SOURCE.search(said) or SOURCE.search(module.__doc__ or "")
