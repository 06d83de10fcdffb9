"""Series are there for what exists, and go with it."""

from __future__ import annotations

from typing import Any

from alcove_operator.metrics import Metrics


def series(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            if sample.name == name:
                found[tuple(sample.labels.values())] = sample.value
    return found


def test_a_team_that_has_left_the_board_has_no_rank() -> None:
    metrics = Metrics()
    metrics.show_ranks("cup", "practice", {"red": 1, "blue": 2})
    metrics.show_ranks("cup", "final", {"blue": 1})
    metrics.show_ranks("cup", "practice", {"red": 1})
    assert series(metrics, "alcove_rank") == {("cup", "practice", "red"): 1, ("cup", "final", "blue"): 1}


def test_what_is_gone_has_no_series() -> None:
    metrics = Metrics()
    for name in ("cup", "bowl"):
        metrics.show_ranks(name, "practice", {"red": 1})
        metrics.show_ranks(name, "final", {"red": 1})
        metrics.show_load(name, running=2, queued=3)
        metrics.runs.labels(name, "practice", "ExitCode", "Participant").inc()
    metrics.forget({"cup": ["practice"]})
    assert series(metrics, "alcove_rank") == {("cup", "practice", "red"): 1}
    assert series(metrics, "alcove_runs_running") == {("cup",): 2}
    left: set[Any] = {labels[0] for labels in series(metrics, "alcove_runs_total")}
    assert left == {"cup"}
