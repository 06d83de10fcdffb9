from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcove_scorer.curves import CurveRules, resolve_rules
from alcove_scorer.row_choice import RowChoice, order_shown_rows
from alcove_scorer.scoring import RunOutcome, RunScorer, Snapshot

from .strategies import solved

SCHEMES = pytest.mark.parametrize(
    "scheme", [resolve_rules(60, "hackathon"), resolve_rules(60, "autodl")], ids=lambda r: r.scheme
)
SOLUTION = np.random.default_rng(1).random((50, 4)) < 0.4


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def snapshot(array: np.ndarray | bytes) -> Snapshot:
    data = array if isinstance(array, bytes) else npy(array)
    return Snapshot("npy", len(data), (data[i : i + 100] for i in range(0, len(data), 100)))


def scored(scheme: CurveRules, *snapshots: tuple[float, np.ndarray | bytes]) -> RunOutcome:
    scorer = RunScorer(scheme, SOLUTION)
    for number, (seconds, array) in enumerate(snapshots):
        scorer.add(number, f"{number}.npy", seconds, snapshot(array))
    return scorer.outcome()


@SCHEMES
@given(
    seed=st.integers(0, 99),
    seconds=st.lists(st.floats(0, 60), min_size=1, max_size=5),
    which=st.integers(0, 4),
)
def test_a_better_snapshot_in_the_place_of_another_never_lowers_the_area(
    scheme: CurveRules, seed: int, seconds: list[float], which: int
) -> None:
    rng = np.random.default_rng(seed)
    arrays = [rng.random(SOLUTION.shape) for _ in seconds]
    before = scored(scheme, *zip(seconds, arrays, strict=True))
    # Nearer to the truth in every cell: no label can score less.
    i = which % len(arrays)
    arrays[i] = np.where(SOLUTION, np.maximum(arrays[i], 0.9), np.minimum(arrays[i], 0.1))
    after = scored(scheme, *zip(seconds, arrays, strict=True))
    assert before.alc is not None
    assert after.alc is not None
    assert after.alc >= before.alc - 1e-12


@SCHEMES
@given(order=st.permutations(range(5)))
def test_the_order_of_coming_changes_nothing(scheme: CurveRules, order: list[int]) -> None:
    rng = np.random.default_rng(2)
    arrays = [rng.random(SOLUTION.shape) for _ in range(5)]
    seconds = [3.0, 1.0, 3.0, 50.0, 70.0]
    outcomes = []
    for numbers in (range(5), order):
        scorer = RunScorer(scheme, SOLUTION)
        for number in numbers:
            scorer.add(number, f"{number}.npy", seconds[number], snapshot(arrays[number]))
        outcomes.append(scorer.outcome())
    assert outcomes[0] == outcomes[1]
    assert [p.number for p in outcomes[0].points] == [1, 2, 3]


@SCHEMES
def test_a_late_prediction_changes_nothing_good_or_bad(scheme: CurveRules) -> None:
    good, bad = SOLUTION.astype(float), 1.0 - SOLUTION
    before = scored(scheme, (5, good))
    for late in (good, bad):
        after = scored(scheme, (5, good), (60.001, late))
        assert (after.alc, after.final_score, after.points) == (before.alc, before.final_score, before.points)
        assert [r.reason for r in after.refused] == ["late: 60.001 s, after the budget of 60 s"]


@SCHEMES
def test_one_bad_file_voids_no_other(scheme: CurveRules) -> None:
    rng = np.random.default_rng(3)
    arrays = [rng.random(SOLUTION.shape) for _ in range(3)]
    nan = arrays[1].copy()
    nan[7, 2] = np.nan
    want = scored(scheme, (1, arrays[0]), (9, arrays[2]))
    for bad in (
        nan,
        arrays[1][:, :3],
        arrays[1].T,
        arrays[1][0],
        npy(arrays[1])[:-8],
        b"",
        b"\x93NUMPY\x01\x00",
    ):
        got = scored(scheme, (1, arrays[0]), (5, bad), (9, arrays[2]))
        assert (got.alc, got.final_score) == (want.alc, want.final_score)
        assert [p.score for p in got.points] == [p.score for p in want.points]
        assert [r.number for r in got.refused] == [1]


@given(solved(), st.floats(0.05, 1))
def test_the_part_that_is_shown_is_scored_as_if_it_were_the_whole_test_set(
    pair: tuple[np.ndarray, np.ndarray], fraction: float
) -> None:
    solution, prediction = pair
    order = order_shown_rows("ab" * 32, 0, solution, fraction)
    rows = None if order is None else np.sort(order)
    scorer = RunScorer(resolve_rules(60), solution, RowChoice(rows, None))
    scorer.add(0, "0.npy", 1.0, snapshot(prediction))
    part = slice(None) if rows is None else rows
    present = solution[part].sum(axis=0)
    if not ((present > 0) & (present < len(solution[part]))).any():
        assert scorer.preview_points == []
        return
    alone = RunScorer(resolve_rules(60), solution[part])
    alone.add(0, "0.npy", 1.0, snapshot(prediction[part]))
    assert scorer.preview_points == alone.points
    assert scorer.points[0].score == scorer.rules.metric.score(solution, prediction)


def test_a_refused_snapshot_is_read_to_its_end_a_late_one_not_at_all() -> None:
    read: list[int] = []

    def pieces() -> Iterator[bytes]:
        for i in range(4):
            read.append(i)
            yield bytes(5000)

    scorer = RunScorer(resolve_rules(60), SOLUTION)
    scorer.add(0, "late.npy", 61, Snapshot("npy", 20_000, pieces()))
    assert read == []
    scorer.add(1, "bad.npy", 1, Snapshot("npy", 20_000, pieces()))
    assert read == [0, 1, 2, 3]
    assert len(scorer.refused) == 2
