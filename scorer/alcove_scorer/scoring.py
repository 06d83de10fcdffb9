"""One run scored snapshot by snapshot: the one path that the job, the command line and rescoring share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from alcove_scorer.curves import CurveRules, Point, area_under_curve, latest_per_time
from alcove_scorer.errors import InputError, PredictionError
from alcove_scorer.metrics import Solution, Tally, make_tallies
from alcove_scorer.predictions import Kind, read_prediction


@dataclass(frozen=True)
class Snapshot:
    """A prediction file as it comes: ``pieces`` have ``size`` bytes together."""

    kind: Kind
    size: int
    pieces: Iterable[bytes]


@dataclass(frozen=True)
class RefusedSnapshot:
    """A snapshot that scores nothing, and why."""

    number: int
    name: str
    reason: str


@dataclass(frozen=True)
class RunOutcome:
    """What a run is worth. Without a valid prediction there is no score: ``alc`` and ``final_score`` are None."""

    alc: float | None
    final_score: float | None
    points: tuple[Point, ...]
    refused: tuple[RefusedSnapshot, ...]
    lowest: float = 0.0
    highest: float = 1.0
    """Of all values of valid predictions, where they leave 0 … 1: percent, or scores that are no probabilities."""
    preview_points: tuple[Point, ...] | None = None
    """On the part of the test set that people see scores of; None where that is the whole."""


@dataclass
class RunScorer:
    """Takes the snapshots of one run in any order, keeps scores and no predictions.

    ``preview``: rows of the test set, in order, that the points which people see are scored on; None for all of them.
    """

    rules: CurveRules
    solution: Solution
    preview: npt.NDArray[np.int64] | None = None
    points: list[Point] = field(default_factory=list)
    preview_points: list[Point] = field(default_factory=list)
    refused: list[RefusedSnapshot] = field(default_factory=list)
    lowest: float = 0.0
    highest: float = 1.0
    _whole: Callable[[], Tally] = field(init=False)
    _part: Callable[[], Tally] | None = field(init=False)

    def __post_init__(self) -> None:
        self._whole = make_tallies(self.rules.metric, self.solution)
        self._part = (
            None if self.preview is None else make_tallies(self.rules.metric, self.solution[self.preview])
        )

    def add(self, number: int, name: str, seconds: float, snapshot: Snapshot) -> None:
        """Scores one snapshot, ``seconds`` after the go, or notes why it scores nothing.

        Reads it to its end, refused or not, so that whoever hands it over can check what was read; not where it is
        late.
        """
        if seconds > self.rules.budget:
            self.refuse(number, name, f"late: {seconds:.12g} s, after the budget of {self.rules.budget:g} s")
            return
        pieces = iter(snapshot.pieces)
        try:
            score, shown = self._scores(pieces, snapshot)
        except PredictionError as error:
            for _ in pieces:
                pass
            self.refuse(number, name, str(error))
            return
        self.points.append(Point(number, seconds, score))
        if shown is not None:
            self.preview_points.append(Point(number, seconds, shown))

    def _scores(self, pieces: Iterator[bytes], snapshot: Snapshot) -> tuple[float, float | None]:
        """Of the whole test set and of its part; None where that is so small that no label has both classes in it."""
        rows, whole = self.preview, self._whole()
        part = self._part() if self._part is not None else None
        start, lowest, highest = 0, self.lowest, self.highest
        for block in read_prediction(pieces, snapshot.size, snapshot.kind, *self.solution.shape):
            whole.add(block)
            lowest, highest = block.min(initial=lowest), block.max(initial=highest)
            if rows is not None and part is not None:
                first, last = np.searchsorted(rows, (start, start + len(block)))
                part.add(block[rows[first:last] - start])
            start += len(block)
        score = whole.score()
        if not math.isfinite(score):
            raise PredictionError(f"{self.rules.metric.name} has no finite value for it")
        self.lowest, self.highest = float(lowest), float(highest)
        if part is None:
            return score, score
        try:
            return score, part.score()
        except InputError:
            return score, None

    def refuse(self, number: int, name: str, reason: str) -> None:
        self.refused.append(RefusedSnapshot(number, name, reason))

    def outcome(self) -> RunOutcome:
        points = latest_per_time(self.points)
        shown = None if self.preview is None else latest_per_time(self.preview_points)
        refused = tuple(sorted(self.refused, key=lambda r: r.number))
        if not points:
            return RunOutcome(None, None, (), refused, preview_points=shown)
        area = area_under_curve(points, self.rules)
        return RunOutcome(area, points[-1].score, points, refused, self.lowest, self.highest, shown)


def preview_rows(solution_sha256: str, solution: Solution, fraction: float) -> npt.NDArray[np.int64] | None:
    """Rows of the test set that shown points are computed on: always the same for one solution, in order.

    Stratified: rows with the same labels are together in the order that every 1/fraction-th row is taken of, so each
    combination of labels keeps its share, to one row. None for all rows.

    Args:
        solution_sha256: digest of the solution; orders the rows of one combination.
        solution: n_test × n_labels.
        fraction: of the rows; what is taken is the next smaller whole number of rows, and at least one.
    """
    n_test = len(solution)
    count = max(1, math.floor(fraction * n_test + 1e-9))
    if count >= n_test:
        return None
    # The raw stream of PCG64 is promised to stay the same over NumPy's versions.
    keys = np.random.PCG64(int(solution_sha256, 16)).random_raw(n_test)
    _, stratum = np.unique(solution, axis=0, return_inverse=True)
    order = np.lexsort((keys, stratum.reshape(-1)))
    places = (2 * np.arange(count) + 1) * n_test // (2 * count)
    return np.sort(order[places])
