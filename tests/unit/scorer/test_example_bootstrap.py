"""Resampled test examples beside scikit-learn on each resample, and the curve's own area."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from alcove_scorer.curves import CurveRules, Point, area_under_curve, resolve_rules
from alcove_scorer.example_bootstrap import ExampleBootstrap, draw_examples, weigh_points
from alcove_scorer.metrics import find_scored_columns
from alcove_scorer.resampled_scores import find_resampled_scorer

Labels = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
RULES = [
    resolve_rules(60, scheme, None, None, curve)
    for scheme in ("hackathon", "autodl")
    for curve in ("step", "trapezoid")
]


def pieces(prediction: npt.NDArray[np.float32]) -> tuple[int, Iterator[bytes]]:
    file = io.BytesIO()
    np.save(file, prediction)
    data = file.getvalue()
    return len(data), iter([data[i : i + 1000] for i in range(0, len(data), 1000)])


def score_by_sklearn(rules: CurveRules, solution: Labels, prediction: npt.NDArray[np.float32]) -> float:
    values = []
    for truth, column in zip(solution.T, prediction.T, strict=True):
        if truth.any() and not truth.all():
            values.append(
                balanced_accuracy_score(truth, column >= 0.5)
                if rules.scheme == "hackathon"
                else 2 * roc_auc_score(truth, column) - 1
            )
    return float(np.mean(values)) if values else float("nan")


@pytest.mark.parametrize("rules", RULES)
def test_each_resample_has_the_area_that_its_examples_have(rules: CurveRules) -> None:
    rng = np.random.default_rng(1)
    solution = rng.random((90, 4)) < 0.3
    drawn = draw_examples(90, 12, 3)
    assert (drawn.sum(axis=0) == 90).all()
    bootstrap = ExampleBootstrap(rules, solution, drawn)
    predictions = {t: rng.random((90, 4), np.float32) for t in (3.0, 0.5, 20.0)}
    for number, (seconds, prediction) in enumerate(predictions.items()):
        bootstrap.add(number, seconds, "npy", *pieces(prediction))
    bootstrap.add(3, 61.0, "npy", *pieces(predictions[3.0]))  # late
    bootstrap.add(4, 9.0, "npy", 5, iter([b"hello"]))  # refused
    for i, counts in enumerate(drawn.T):
        rows = np.repeat(np.arange(90), counts)
        points = [
            Point(0, t, score_by_sklearn(rules, solution[rows], p[rows]))
            for t, p in sorted(predictions.items())
        ]
        assert bootstrap.areas()[i] == pytest.approx(area_under_curve(points, rules), abs=1e-6)


def test_a_prediction_that_comes_in_several_pieces_is_scored_as_a_whole() -> None:
    rng = np.random.default_rng(1)
    solution = rng.random((3000, 4)) < 0.3
    prediction = rng.random(solution.shape, np.float32)
    drawn = draw_examples(len(solution), 5, 3)
    bootstrap = ExampleBootstrap(RULES[0], solution, drawn)
    bootstrap.add(0, 3.0, "npy", *pieces(prediction))
    for counts, score in zip(drawn.T, bootstrap.scores[0], strict=True):
        rows = np.repeat(np.arange(len(solution)), counts)
        assert score == pytest.approx(RULES[0].metric.score(solution[rows], prediction[rows]), abs=1e-9)


@pytest.mark.parametrize(
    "name", ["balanced_accuracy", "nauc", "macro_f1", "log_loss", "brier", "top_1", "top_5", "r2", "mae"]
)
def test_scores_of_resamples_are_those_of_the_metric_on_the_rows_that_were_drawn(name: str) -> None:
    """Small, so that resamples lack labels; some rows have none, and some several."""
    rng = np.random.default_rng(2)
    rules = resolve_rules(60, metric_name=name)
    solution = rng.random((40, 7)) < np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.97])
    prediction = np.round(rng.uniform(-0.2, 1.2, solution.shape), 1).astype(np.float32)
    if name in ("r2", "mae"):
        solution = np.column_stack((rng.normal(1000, 1, (40, 3)), np.arange(40) == 7))
        prediction = (solution + rng.normal(0, 1, solution.shape)).astype(np.float32)
    drawn = draw_examples(len(solution), 60, 3)
    bootstrap = ExampleBootstrap(rules, solution, drawn)
    bootstrap.add(0, 3.0, "npy", *pieces(prediction))
    assert find_resampled_scorer(rules.metric, solution, drawn) is not None
    lacking = 0
    for counts, score in zip(drawn.T, bootstrap.scores[0], strict=True):
        rows = np.repeat(np.arange(len(solution)), counts)
        lacking += len(find_scored_columns(solution[rows]).nonzero()[0]) < solution.shape[1]
        assert score == pytest.approx(rules.metric.score(solution[rows], prediction[rows]), abs=1e-9)
    assert lacking > 5


@pytest.mark.parametrize(
    "name", ["balanced_accuracy", "nauc", "macro_f1", "log_loss", "brier", "top_1", "r2", "mae"]
)
def test_a_resample_in_which_nothing_can_be_scored_has_no_score(name: str) -> None:
    rules = resolve_rules(60, metric_name=name)
    solution = np.eye(3, dtype=np.bool_)[[0, 1, 2, 1]]
    if name in ("r2", "mae"):
        solution = solution.astype(np.float64)
    drawn = np.array([[4, 1], [0, 1], [0, 1], [0, 1]], np.uint8)
    bootstrap = ExampleBootstrap(rules, solution, drawn)
    bootstrap.add(0, 3.0, "npy", *pieces(np.full((4, 3), 0.4, np.float32)))
    assert np.isnan(bootstrap.scores[0]).tolist() == [True, False]


@pytest.mark.parametrize("name", ["balanced_accuracy", "nauc", "log_loss"])
def test_less_than_two_snapshots_are_in_memory_at_a_time(name: str) -> None:
    """Of 30,000 × 100 numbers, 12 MB. What NumPy holds is counted, not what the process has."""
    rng = np.random.default_rng(0)
    solution = rng.random((30_000, 100)) < 0.3
    drawn = draw_examples(len(solution), 3, 0)
    bootstrap = ExampleBootstrap(resolve_rules(60, metric_name=name), solution, drawn)
    file = io.BytesIO()
    np.save(file, rng.random(solution.shape, np.float32))
    data = file.getvalue()
    tracemalloc.start()
    try:
        for number in range(2):
            parts = (data[start : start + 65_536] for start in range(0, len(data), 65_536))
            bootstrap.add(number, 3.0, "npy", len(data), parts)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(bootstrap.scores) == 2
    assert held < 0.01 * len(data)
    assert peak < 1.8 * len(data)


@settings(max_examples=50)
@given(
    st.sampled_from(RULES),
    st.lists(
        st.tuples(st.integers(1, 60_000), st.floats(-1, 1)), min_size=1, max_size=8, unique_by=lambda p: p[0]
    ),
)
def test_the_weights_give_the_area_under_the_curve(rules: CurveRules, pairs: list[tuple[int, float]]) -> None:
    points = [Point(i, ms / 1000, score) for i, (ms, score) in enumerate(sorted(pairs))]
    start, weights = weigh_points([p.seconds for p in points], rules)
    assert start + weights.sum() == pytest.approx(1)
    area = start * rules.metric.chance + float(weights @ [p.score for p in points])
    assert area == pytest.approx(area_under_curve(points, rules))


def test_a_run_without_a_valid_prediction_has_no_area() -> None:
    bootstrap = ExampleBootstrap(RULES[0], np.eye(4, dtype=np.bool_), draw_examples(4, 5, 0))
    assert np.isnan(bootstrap.areas()).all()


def test_the_same_seed_draws_the_same_examples() -> None:
    assert np.array_equal(draw_examples(50, 9, 4), draw_examples(50, 9, 4))
    assert not np.array_equal(draw_examples(50, 9, 4), draw_examples(50, 9, 5))
