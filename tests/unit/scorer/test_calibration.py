from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from alcove_api.feedback import CALIBRATION_BINS, compute_disclosed_bits
from alcove_api.score_documents import Feedback, ScoredRun, ScoreRequest, Scoring
from alcove_scorer.calibration import CalibrationTally
from alcove_scorer.curves import Point, resolve_rules
from alcove_scorer.report import ReportRun, report_html
from alcove_scorer.row_choice import RowChoice
from alcove_scorer.scoring import RunScorer, Snapshot

from .commands import alcove


@given(seed=st.integers(0, 999), rows=st.integers(2, 60), cut=st.integers(0, 60))
def test_bins_are_scikit_learns(seed: int, rows: int, cut: int) -> None:
    rng = np.random.default_rng(seed)
    solution: np.ndarray = np.less(rng.random((rows, 3)), 0.4)
    solution[0], solution[1] = True, False
    values = rng.random(solution.shape) ** 2
    tally = CalibrationTally(solution)
    for block in np.split(values, [min(cut, rows)]):
        tally.add(block)
    bins = tally.bins()
    observed, predicted = calibration_curve(solution.ravel(), values.ravel(), n_bins=CALIBRATION_BINS)
    assert [one.observed for one in bins] == pytest.approx(observed.tolist(), abs=1e-12)
    assert [one.predicted for one in bins] == pytest.approx(predicted.tolist(), abs=1e-12)
    assert sum(one.cells for one in bins) == solution.size


def test_a_label_of_one_class_is_left_out_and_values_are_cut_to_0_and_1() -> None:
    solution = np.array([[True, True], [False, True]])
    tally = CalibrationTally(solution)
    tally.add(np.array([[7.0, 0.5], [-1.0, 0.5]]))
    assert [(one.predicted, one.observed, one.cells) for one in tally.bins()] == [
        (0.0, 0.0, 1),
        (1.0, 1.0, 1),
    ]


def add(scorer: RunScorer, number: int, seconds: float, values: np.ndarray) -> None:
    text = "\n".join(" ".join(map(str, row)) for row in values.tolist()).encode()
    scorer.add(number, f"{number}.predict", seconds, Snapshot("text", len(text), (text,)))


def test_the_last_valid_prediction_counts_on_the_rows_that_are_shown() -> None:
    rng = np.random.default_rng(0)
    solution: np.ndarray = np.less(rng.random((100, 2)), 0.5)
    shown = np.arange(0, 100, 4)
    rows = RowChoice(shown, np.setdiff1d(np.arange(100), shown))
    scorer = RunScorer(resolve_rules(60, metric_name="brier"), solution, rows)
    first, last = rng.random((2, 100, 2))
    add(scorer, 1, 9.0, last)
    add(scorer, 0, 3.0, first)
    add(scorer, 2, 12.0, last[:50])
    wanted = CalibrationTally(solution[shown])
    wanted.add(last[shown])
    assert scorer.outcome().calibration == wanted.bins()
    other = RunScorer(resolve_rules(60), solution, rows)
    add(other, 0, 3.0, first)
    assert other.outcome().calibration == ()


def scored(solution: np.ndarray, values: np.ndarray) -> ScoredRun:
    scorer = RunScorer(resolve_rules(60, metric_name="brier"), solution)
    add(scorer, 0, 3.0, values)
    outcome = scorer.outcome()
    return ScoredRun(
        alias="cells", dataset="cells", attempt=1, cause="Finished", alc=outcome.alc, final_score=outcome.final_score,
        snapshots=1, points=(), refused=(), manifest_sha256=None, calibration=outcome.calibration,
    )  # fmt: skip


def test_the_report_shows_it_with_the_phases_decimals_and_not_behind_a_ladder() -> None:
    rng = np.random.default_rng(0)
    solution: np.ndarray = np.less(rng.random((300, 2)), 0.3)
    run = scored(solution, rng.random(solution.shape))
    request = ScoreRequest(
        submission_uid="u", namespace="red", submission="one", competition="hack", phase="practice",
        budget_seconds=60, scoring=Scoring(metric="brier"), feedback=Feedback(decimals=1), datasets=(),
    )  # fmt: skip
    rules = resolve_rules(60, metric_name="brier")
    page = report_html(request, rules, [ReportRun(run, None, [Point(0, 3.0, 0.1)])])
    assert "Calibration of the last prediction on cells" in page
    assert f"{run.calibration[0].predicted:.2f}: {run.calibration[0].observed:.1f};" in page
    hidden = run.replace(ladder=0.1).hide_behind_ladder()
    assert hidden.calibration == ()
    assert "Calibration of" not in report_html(request, rules, [ReportRun(hidden, None, ())])


def test_its_shares_are_counted_among_what_is_given_away() -> None:
    plain, brier = (compute_disclosed_bits(3, 16, 1, metric) for metric in ("nauc", "brier"))
    assert brier.run == pytest.approx((16 + 2 + 10) * brier.snapshot)
    assert plain.run == pytest.approx((16 + 2) * plain.snapshot)


def test_the_command_draws_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    solution: np.ndarray = np.less(rng.random((200, 2)), 0.5)
    np.savetxt(tmp_path / "d.solution", solution, fmt="%d")
    (tmp_path / "run").mkdir()
    np.save(tmp_path / "run" / "a.npy", rng.random(solution.shape))
    (tmp_path / "run" / "times.csv").write_text("file,seconds\na.npy,3\n")
    page = tmp_path / "report.html"
    done = alcove(
        "score", "--solution", tmp_path / "d.solution", "--snapshots", tmp_path / "run", "--budget", 60,
        "--metric", "brier", "--report", page,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "Calibration of the last prediction on d" in page.read_text()
