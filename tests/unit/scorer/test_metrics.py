from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    log_loss,
    roc_auc_score,
    top_k_accuracy_score,
)

from alcove_api.schemes import REGRESSION_METRICS
from alcove_scorer.errors import InputError
from alcove_scorer.metric_registry import BUILT_IN, find_metric
from alcove_scorer.metrics import BalancedAccuracy, MacroF1, Metric, NormalizedAUC, make_tallies
from alcove_scorer.probability_metrics import BrierScore, LogLoss, Top5, TopK

from .strategies import solved

METRICS: tuple[Metric, ...] = (BalancedAccuracy(), NormalizedAUC())
"""With the reverse of best as their lowest score."""
EVERY: tuple[Metric, ...] = tuple(
    metric() for name, metric in BUILT_IN.items() if name not in ("top_5", *REGRESSION_METRICS)
)
"""That score any solution with a label of both classes, and two labels for top_1."""
every_metric = pytest.mark.parametrize("which", EVERY, ids=lambda m: m.name)


def two_class(solution: np.ndarray) -> list[int]:
    return [j for j in range(solution.shape[1]) if 0 < solution[:, j].sum() < len(solution)]


@given(solved())
def test_balanced_accuracy_is_scikit_learns_by_label(pair: tuple[np.ndarray, np.ndarray]) -> None:
    solution, prediction = pair
    oracle = np.mean(
        [balanced_accuracy_score(solution[:, j], prediction[:, j] >= 0.5) for j in two_class(solution)]
    )
    assert BalancedAccuracy().score(solution, prediction) == pytest.approx(oracle, abs=1e-12)


@given(solved())
def test_macro_f1_is_scikit_learns_by_label(pair: tuple[np.ndarray, np.ndarray]) -> None:
    solution, prediction = pair
    oracle = np.mean(
        [f1_score(solution[:, j], prediction[:, j] >= 0.5, zero_division=0) for j in two_class(solution)]
    )
    assert MacroF1().score(solution, prediction) == pytest.approx(oracle, abs=1e-9)


@given(solved())
def test_log_loss_and_brier_are_scikit_learns_relative_to_the_labels_shares(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    solution, prediction = pair
    given = np.clip(prediction.astype(np.float64), 1e-6, 1 - 1e-6)
    for metric, loss in ((LogLoss(), log_loss), (BrierScore(), brier_score_loss)):
        ours, shares = [], []
        for j in two_class(solution):
            truth = solution[:, j].astype(int)
            ours.append(loss(truth, given[:, j]))
            shares.append(loss(truth, np.full(len(truth), truth.mean())))
        assert metric.score(solution, given) == pytest.approx(1 - np.mean(ours) / np.mean(shares), abs=1e-9)


@pytest.mark.parametrize("which", [TopK(), Top5()], ids=lambda m: m.name)
@given(seed=st.integers(0, 999), labels=st.integers(6, 12))
def test_top_k_is_scikit_learns_less_chance(which: TopK, seed: int, labels: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.concatenate((np.arange(labels), rng.integers(0, labels, 30)))
    prediction = rng.permuted(np.tile(np.arange(labels) / labels, (len(truth), 1)), axis=1)
    solution = np.eye(labels, dtype=np.bool_)[truth]
    plain = top_k_accuracy_score(truth, prediction, k=which.k, labels=np.arange(labels))
    chance = which.k / labels
    assert which.score(solution, prediction) == pytest.approx((plain - chance) / (1 - chance), abs=1e-9)


def test_of_equal_values_each_is_as_likely_to_be_among_the_first() -> None:
    rng = np.random.default_rng(0)
    solution: np.ndarray = np.less(rng.random((20, 7)), 0.3)
    solution[:2, 0] = True, False
    prediction = rng.integers(0, 3, solution.shape) / 2
    labelled = np.flatnonzero(solution.any(axis=1))
    draws = []
    for _ in range(20_000):  # the definition, literally: ties are broken at random
        order = np.lexsort((rng.random(prediction.shape), -prediction), axis=1)[:, :5]
        drawn: np.ndarray = np.take_along_axis(solution, order, axis=1)
        draws.append(drawn.max(axis=1)[labelled].mean())
    assert Top5().score(solution, np.zeros(solution.shape)) == pytest.approx(0.0, abs=1e-12)
    several = solution[labelled].sum(axis=1).tolist()
    chance = np.mean([1 - math.comb(7 - m, 5) / math.comb(7, 5) for m in several])
    expected = (np.mean(draws) - chance) / (1 - chance)
    assert Top5().score(solution, prediction) == pytest.approx(expected, abs=0.02)


@given(solved(fewest_labels=2))
def test_what_knows_the_shares_alone_is_at_chance_and_the_truth_is_best(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    solution, _ = pair
    shares = np.broadcast_to(solution.mean(axis=0), solution.shape)
    for metric in (LogLoss(), BrierScore()):
        assert metric.score(solution, shares) == pytest.approx(metric.chance, abs=1e-9)
    for which in EVERY:
        assert which.score(solution, solution.astype(np.float32)) == which.best


def test_what_knows_nothing_and_scores_more_than_chance_scores_what_the_docs_say() -> None:
    solution = np.zeros((1000, 3), np.bool_)
    solution[:500, 0] = solution[:70, 1] = solution[:930, 2] = True
    assert MacroF1().score(solution, np.zeros(solution.shape)) == MacroF1().chance == 0
    shares = np.array([0.5, 0.07, 0.93])
    called = MacroF1().score(solution, np.ones(solution.shape))
    assert called == pytest.approx(np.mean(2 * shares / (1 + shares)), abs=1e-12)
    assert MacroF1().score(solution[:, :1], np.ones((1000, 1))) == pytest.approx(2 / 3, abs=1e-12)
    majority = np.eye(3, dtype=np.bool_)[np.repeat([0, 1, 2], [930, 40, 30])]
    assert TopK().score(majority, np.tile([1.0, 0.0, 0.0], (1000, 1))) == pytest.approx(0.895, abs=1e-12)
    for metric in (BalancedAccuracy(), NormalizedAUC()):
        for constant in (0.0, 1.0):
            assert metric.score(solution, np.full(solution.shape, constant)) == pytest.approx(metric.chance)


def test_a_confident_error_costs_as_much_as_a_probability_of_a_millionth() -> None:
    solution = np.array([[True], [False], [False], [True]])
    wrong = np.array([[0.0], [0.5], [0.5], [0.5]])
    expected = 1 - (-math.log(1e-6) + 3 * math.log(2)) / 4 / math.log(2)
    assert LogLoss().score(solution, wrong) == pytest.approx(expected, abs=1e-12)


def test_top_k_needs_an_example_that_a_prediction_can_miss() -> None:
    solution = np.array([[True, True], [False, False]])
    with pytest.raises(
        InputError, match="metric top_1: expected an example with a true label and at least 1 false"
    ):
        TopK().score(solution, solution.astype(np.float32))


def test_top_k_needs_more_labels_than_k() -> None:
    solution = np.eye(5, dtype=np.bool_)
    with pytest.raises(InputError, match="metric top_5: expected more than 5 labels; got 5"):
        Top5().score(solution, solution.astype(np.float32))


@given(solved())
def test_nauc_is_scikit_learns_by_label(pair: tuple[np.ndarray, np.ndarray]) -> None:
    solution, prediction = pair
    oracle = np.mean([2 * roc_auc_score(solution[:, j], prediction[:, j]) - 1 for j in two_class(solution)])
    assert NormalizedAUC().score(solution, prediction) == pytest.approx(oracle, abs=1e-12)


@every_metric
@given(pair=solved(fewest_labels=2), seed=st.integers(0, 99))
def test_order_of_examples_and_labels_changes_nothing(
    which: Metric, pair: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    solution, prediction = pair
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(len(solution)), rng.permutation(solution.shape[1])
    shuffled = which.score(solution[rows][:, columns], prediction[rows][:, columns])
    assert shuffled == pytest.approx(which.score(solution, prediction), abs=1e-12)


@every_metric
@given(pair=solved(fewest_labels=2), cuts=st.lists(st.integers(0, 40), max_size=5))
def test_blocks_of_rows_score_as_the_whole(
    which: Metric, pair: tuple[np.ndarray, np.ndarray], cuts: list[int]
) -> None:
    solution, prediction = pair
    by_block = make_tallies(which, solution)()
    for block in np.split(prediction, sorted(min(cut, len(prediction)) for cut in cuts)):
        by_block.add(block)
    assert by_block.score() == which.score(solution, prediction)


@pytest.mark.parametrize("which", METRICS, ids=lambda m: m.name)
@given(pair=solved())
def test_scores_lie_between_the_reverse_of_best_and_best(
    which: Metric, pair: tuple[np.ndarray, np.ndarray]
) -> None:
    solution, prediction = pair
    assert 2 * which.chance - which.best <= which.score(solution, prediction) <= which.best
    assert which.score(solution, solution.astype(np.float32)) == which.best
    assert which.score(solution, np.zeros(solution.shape)) == which.chance


@pytest.mark.parametrize("which", METRICS, ids=lambda m: m.name)
def test_a_label_with_one_negative_in_100000_counts(which: Metric) -> None:
    solution = np.ones((100_000, 2), np.bool_)
    solution[::2, 0] = False
    solution[70_000, 1] = False
    prediction = solution.astype(np.float32)
    prediction[:, 1] = 1 - prediction[:, 1]
    assert which.score(solution, prediction) == pytest.approx(
        (which.best + 2 * which.chance - which.best) / 2
    )


@pytest.mark.parametrize("n", [254, 255, 256, 510, 100_003])
def test_counts_do_not_overflow_at_block_borders(n: int) -> None:
    solution = np.zeros((n, 3), np.bool_)
    solution[: n // 3] = True
    prediction = np.ones((n, 3), np.float32)
    prediction[n // 2 :] = 0
    oracle = balanced_accuracy_score(solution[:, 0], prediction[:, 0] >= 0.5)
    assert BalancedAccuracy().score(solution, prediction) == pytest.approx(oracle, abs=1e-12)


@every_metric
def test_a_solution_of_one_class_is_refused(which: Metric) -> None:
    with pytest.raises(InputError, match="both classes"):
        which.score(np.ones((3, 2), np.bool_), np.ones((3, 2), np.float32))


def test_an_unknown_metric_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(
        InputError, match=r"'f2'.*balanced_accuracy, brier, log_loss, macro_f1, mae, nauc, r2, top_1, top_5"
    ):
        find_metric("f2")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes ``Hamming`` of this source a metric that is installed."""

    def write(source: str) -> None:
        info = tmp_path / "hamming-1.0.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text("[alcove.metrics]\nhamming = hamming_metric:Hamming\n")
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hamming\nVersion: 1.0\n")
        (tmp_path / "hamming_metric.py").write_text(source)
        monkeypatch.delitem(sys.modules, "hamming_metric", raising=False)
        monkeypatch.syspath_prepend(tmp_path)

    return write


HAMMING = """class Hamming:
    name, chance, best = 'hamming', 0.5, 1.0
    def score(self, solution, prediction):
        return float((solution == (prediction >= 0.5)).mean())
"""
TRUTH, PREDICTED = np.array([[True], [False]]), np.array([[1.0], [1.0]])


def scored_by_blocks(name: str) -> float:
    whole = make_tallies(find_metric(name), TRUTH)()
    for row in PREDICTED:
        whole.add(row[None])
    return whole.score()


def test_an_installed_metric_is_found_by_its_entry_point(install: Callable[[str], None]) -> None:
    install(HAMMING)
    assert find_metric("hamming").score(TRUTH, PREDICTED) == scored_by_blocks("hamming") == 0.5


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        (HAMMING.replace("float(", "flaot("), "NameError: name 'flaot'"),
        (HAMMING.replace("return float(", "print("), "TypeError: float.. argument must be"),
        (
            HAMMING.replace("name, chance, best = 'hamming', 0.5, 1.0", "name = 'hamming'"),
            "AttributeError: .*'chance'",
        ),
        (HAMMING.replace("0.5, 1.0", "1.0, 0.5"), "ValueError: it needs a name, and a chance below its best"),
        (HAMMING + "    def tallies(self, solution):\n        raise OSError('a\\nb')", "OSError: a b"),
    ],
)
def test_a_metric_that_fails_is_named(install: Callable[[str], None], source: str, words: str) -> None:
    install(source)
    with pytest.raises(InputError, match=f"metric 'hamming' failed .{words}"):
        scored_by_blocks("hamming")
