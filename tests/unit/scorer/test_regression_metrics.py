from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import d2_absolute_error_score, r2_score

from alcove_api.schemes import REGRESSION_METRICS
from alcove_api.score_documents import Feedback, Scoring
from alcove_format.errors import SolutionError
from alcove_scorer.curves import resolve_rules
from alcove_scorer.errors import InputError
from alcove_scorer.metric_registry import BUILT_IN, find_metric
from alcove_scorer.metrics import Metric, make_tallies, predicts_numbers
from alcove_scorer.regression_metrics import NormalizedMAE, R2Score
from alcove_scorer.row_choice import RowChoice, choose_rows
from alcove_scorer.run_files import score_files
from alcove_scorer.scoring import RunScorer, Snapshot

from .commands import document, refusal

Floats = npt.NDArray[np.float64]
METRICS: tuple[Metric, ...] = (R2Score(), NormalizedMAE())
ORACLES: dict[str, Callable[[Any, Any], float]] = {"r2": r2_score, "mae": d2_absolute_error_score}
both = pytest.mark.parametrize("which", METRICS, ids=lambda m: m.name)


@st.composite
def numbers(draw: st.DrawFn) -> tuple[Floats, npt.NDArray[np.float32]]:
    """A solution whose targets all vary, of any unit, and a prediction of its shape."""
    shape = (draw(st.integers(2, 40)), draw(st.integers(1, 6)))
    unit = draw(st.sampled_from([1e-3, 1.0, 1e6]))
    solution = unit * draw(hnp.arrays(np.float64, shape, elements=st.floats(-3, 3)))
    solution[0], solution[1] = -3.5 * unit, 3.5 * unit
    cells = st.sampled_from([0.0, -0.0, 1.0]) | st.floats(-5, 5, width=32)
    return solution, (unit * draw(hnp.arrays(np.float64, shape, elements=cells))).astype(np.float32)


@both
@given(pair=numbers())
def test_it_is_scikit_learns(which: Metric, pair: tuple[Floats, npt.NDArray[np.float32]]) -> None:
    solution, prediction = pair
    wanted = ORACLES[which.name](solution, prediction.astype(np.float64))
    assert which.score(solution, prediction) == pytest.approx(wanted, abs=1e-9)


@both
@given(pair=numbers(), cuts=st.lists(st.integers(0, 40), max_size=5))
def test_blocks_of_rows_score_as_the_whole(
    which: Metric, pair: tuple[Floats, npt.NDArray[np.float32]], cuts: list[int]
) -> None:
    solution, prediction = pair
    by_block = make_tallies(which, solution)()
    for block in np.split(prediction, sorted(min(cut, len(prediction)) for cut in cuts)):
        by_block.add(block)
    assert by_block.score() == which.score(solution, prediction)


@both
def test_long_solutions_are_added_in_the_same_blocks_wherever_pieces_end(which: Metric) -> None:
    rng = np.random.default_rng(0)
    solution = rng.normal(size=(300_000, 3))
    prediction = solution + rng.normal(size=solution.shape)
    by_block = make_tallies(which, solution)()
    for block in np.array_split(prediction, 7):
        by_block.add(block)
    assert by_block.score() == which.score(solution, prediction)
    assert by_block.score() == pytest.approx(ORACLES[which.name](solution, prediction), abs=1e-9)


@both
@given(pair=numbers())
def test_the_truth_is_best_and_the_best_constant_is_at_chance(
    which: Metric, pair: tuple[Floats, npt.NDArray[np.float32]]
) -> None:
    solution, _ = pair
    assert which.score(solution, solution) == which.best
    constants = {"r2": solution.mean(axis=0), "mae": np.median(solution, axis=0)}
    nothing = np.broadcast_to(constants[which.name], solution.shape)
    assert which.score(solution, nothing) == pytest.approx(which.chance, abs=1e-9)
    other = np.broadcast_to(solution[0], solution.shape)
    assert which.score(solution, other) <= which.chance + 1e-9


@both
def test_a_target_that_does_not_vary_is_left_out_and_nothing_else_is_refused(which: Metric) -> None:
    solution = np.array([[1.0, 7.0], [2.0, 7.0], [4.0, 7.0]])
    prediction = np.array([[1.0, 0.0], [2.0, 9.0], [3.0, 1.0]])
    assert which.score(solution, prediction) == which.score(solution[:, :1], prediction[:, :1])
    with pytest.raises(InputError, match="no number of the solution varies among its 3 examples"):
        which.score(solution[:, 1:], prediction[:, 1:])


def test_metrics_of_numbers_are_those_that_the_api_names() -> None:
    assert {name for name, metric in BUILT_IN.items() if predicts_numbers(metric())} == {*REGRESSION_METRICS}


@both
@pytest.mark.filterwarnings("error")
def test_a_prediction_that_overflows_is_refused_with_the_metrics_name(which: Metric) -> None:
    solution = np.array([[1.0], [2.0], [3.0]])
    scorer = RunScorer(resolve_rules(10, metric_name=which.name), solution)
    huge = b"1e308\n-1e308\n1e308\n"
    scorer.add(0, "p.predict", 1.0, Snapshot("text", len(huge), (huge,)))
    for wild in (b"1e120\n1\n1\n", b"1\n1\n-1e120\n"):
        scorer.add(1, "q.predict", 2.0, Snapshot("text", len(wild), (wild,)))
    said = f"{which.name} has no finite value for it, or one beyond ±1e+100"
    assert [refused.reason for refused in scorer.refused] == [said] * 3
    assert scorer.points == []


@both
def test_what_is_wild_on_the_rows_that_are_shown_alone_is_refused_too(which: Metric) -> None:
    solution = np.array([[1.0], [2.0], [3.0], [4.0]])
    choice = RowChoice(np.array([0, 1]), np.array([2, 3]))
    scorer = RunScorer(resolve_rules(10, metric_name=which.name), solution, choice)
    for number, text in enumerate((b"1e120\n2\n3\n4\n", b"1\n2\n3\n-1e120\n", b"1\n2\n3\n4\n")):
        scorer.add(number, "p.predict", 1.0 + number, Snapshot("text", len(text), (text,)))
    assert len(scorer.refused) == 2


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_the_rows_that_feedback_shows_have_numbers_of_all_sizes_and_depend_on_the_seed(
    fraction: float,
) -> None:
    solution = np.random.default_rng(0).lognormal(size=(1000, 1))
    feedback = Feedback(test_fraction=fraction)
    chosen = [
        choose_rows("5" * 64, solution, feedback, Scoring(ranked_rows="rest", seed=seed))
        for seed in (1, 1, 2)
    ]
    one, same, other = (choice.shown for choice in chosen)
    assert one is not None
    assert same is not None
    assert other is not None
    assert one.tolist() == same.tolist() != other.tolist()
    place = np.argsort(np.argsort(solution[:, 0]))[one]
    assert np.bincount(place * 10 // 1000, minlength=10).tolist() == [len(one) // 10] * 10
    assert chosen[0].ranked is not None
    assert sorted([*one, *chosen[0].ranked]) == list(range(1000))


def make_run(folder: Path, solution: Floats, predictions: dict[float, Floats]) -> tuple[Path, Path]:
    np.savetxt(folder / "prices.solution", solution, fmt="%.9g")
    run = folder / "run"
    run.mkdir()
    rows = ["file,seconds"]
    for number, (seconds, prediction) in enumerate(predictions.items()):
        np.save(run / f"{number}.npy", prediction)
        rows.append(f"{number}.npy,{seconds}")
    (run / "times.csv").write_text("\n".join(rows))
    return folder / "prices.solution", run


def test_the_command_scores_a_regression_and_says_which_metric_to_take(tmp_path: Path) -> None:
    truth = np.random.default_rng(0).normal(100, 20, size=(50, 2))
    near = truth + 5
    path, run = make_run(tmp_path, truth, {1.0: np.full(truth.shape, 100.0), 5.0: near})
    options = ("score", "--solution", path, "--snapshots", run, "--budget", 10)
    scores = [point["score"] for point in document(*options, "--metric", "r2")["points"]]
    assert scores[1] == pytest.approx(r2_score(truth, near), abs=1e-6)
    assert "is neither 0 nor 1; numbers to predict take a metric of regression" in refusal(*options)


def test_a_solution_that_is_no_table_of_numbers_is_refused(tmp_path: Path) -> None:
    path, run = make_run(tmp_path, np.arange(4.0).reshape(-1, 1), {1.0: np.zeros((4, 1))})
    rules = resolve_rules(10, metric_name="mae")
    assert score_files(path, run, rules)[1].alc is not None
    for text, words in (
        ("1.5\nnan\n", "row 2, column 1: 'nan' is not a number"),
        ("1.5\n1e39\n", "row 2, column 1: 1e[+]39 is not a finite number of float32"),
        ("1 2\n3\n", "row 2: has 1 numbers, but row 1 has 2"),
        ("1\n\n3\n", "row 2: is empty"),
    ):
        path.write_text(text)
        with pytest.raises(SolutionError, match=words) as error:
            score_files(path, run, rules)
        assert "one number for each that is to be predicted" in str(error.value)
    path.write_text("2\n2\n2\n2\n")
    with pytest.raises(InputError, match="no number of the solution varies"):
        score_files(path, run, rules)


def test_a_metric_of_labels_and_one_of_numbers_are_told_apart() -> None:
    assert not predicts_numbers(find_metric("brier"))
    assert predicts_numbers(find_metric("r2"))
