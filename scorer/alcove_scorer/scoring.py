"""One run scored snapshot by snapshot: the one path that the job, the command line and rescoring share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from alcove_api.feedback import CALIBRATED_METRICS
from alcove_api.score_documents import CalibrationBin
from alcove_scorer.calibration import CalibrationTally
from alcove_scorer.curves import CurveRules, Point, area_under_curve, latest_per_time
from alcove_scorer.errors import InputError, PredictionError
from alcove_scorer.metrics import Prediction, Solution, Tally, make_tallies
from alcove_scorer.predictions import Kind, PredictionReader, read_prediction
from alcove_scorer.row_choice import ALL_ROWS, RowChoice, Rows

LARGEST_SCORE = 1e100
"""With either sign. Squares and sums of such scores are finite, so no team can leave a board without its figures."""


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
    lowest: float = math.inf
    highest: float = -math.inf
    """Of all values of valid predictions, which may be percent, or scores that are no probabilities."""
    preview_points: tuple[Point, ...] | None = None
    """On the rows that people see scores of; None where those are the rows that rank."""
    calibration: tuple[CalibrationBin, ...] = ()
    """Of the last valid prediction, on the rows that people see scores of; empty unless the metric is of
    probabilities."""


@dataclass
class RunScorer:
    """Takes the snapshots of one run in any order, keeps scores and no predictions.

    ``rows``: what of the test set is scored for what.
    """

    rules: CurveRules
    solution: Solution
    rows: RowChoice = ALL_ROWS
    read: PredictionReader = read_prediction
    """Reads the bytes of a prediction, which are hostile."""
    points: list[Point] = field(default_factory=list)
    """On the rows that rank."""
    preview_points: list[Point] = field(default_factory=list)
    """On the rows that people see scores of."""
    group_points: list[list[Point]] = field(default_factory=list)
    refused: list[RefusedSnapshot] = field(default_factory=list)
    lowest: float = math.inf
    highest: float = -math.inf
    calibration: tuple[CalibrationBin, ...] = ()
    _calibrated_at: tuple[float, int] = (-1.0, -1)
    _ranked: _Part = field(init=False)
    _other_parts: tuple[_Part, ...] = field(init=False)
    """What is shown, where that is not what ranks, and the groups."""

    def __post_init__(self) -> None:
        shown = () if self.rows.shown is None and self.rows.ranked is None else (self.rows.shown,)
        self._ranked = self._part(self.rows.ranked)
        self._other_parts = tuple(self._part(rows) for rows in (*shown, *self.rows.groups))
        self.group_points = [[] for _ in self.rows.groups]

    def _part(self, rows: Rows | None) -> _Part:
        return _Part(
            rows, make_tallies(self.rules.metric, self.solution if rows is None else self.solution[rows])
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
            score, other_scores, calibration = self._scores(pieces, snapshot)
        except PredictionError as error:
            for _ in pieces:
                pass
            self.refuse(number, name, str(error))
            return
        self.points.append(Point(number, seconds, score))
        if calibration is not None and (seconds, number) > self._calibrated_at:
            self._calibrated_at, self.calibration = (seconds, number), calibration.bins()
        groups = len(self.group_points)
        shown = other_scores[0] if len(other_scores) > groups else score
        for points, value in zip(
            (self.preview_points, *self.group_points),
            (shown, *other_scores[len(other_scores) - groups :]),
            strict=True,
        ):
            if value is not None:
                points.append(Point(number, seconds, value))

    def _scores(
        self, pieces: Iterator[bytes], snapshot: Snapshot
    ) -> tuple[float, list[float | None], CalibrationTally | None]:
        """Of the rows that rank, and of the other parts; None of one so small that no label has both classes in it."""
        ranked, tallies = self._ranked.make(), [part.make() for part in self._other_parts]
        seen, calibration = self._start_calibration()
        start, lowest, highest = 0, self.lowest, self.highest
        for block in self.read(pieces, snapshot.size, snapshot.kind, *self.solution.shape):
            lowest, highest = min(lowest, float(block.min())), max(highest, float(block.max()))
            for part, tally in zip((self._ranked, *self._other_parts), (ranked, *tallies), strict=True):
                tally.add(part.take(block, start))
            if calibration is not None:
                calibration.add(seen.take(block, start))
            start += len(block)
        score, shown = ranked.score(), [_score_or_none(tally) for tally in tallies]
        if not all(part is None or abs(part) <= LARGEST_SCORE for part in (score, *shown)):
            raise PredictionError(
                f"{self.rules.metric.name} has no finite value for it, or one beyond ±{LARGEST_SCORE:g}"
            )
        self.lowest, self.highest = lowest, highest
        return score, shown, calibration

    def _start_calibration(self) -> tuple[_Part, CalibrationTally | None]:
        """The rows that people see scores of, and what counts them where the metric is of probabilities."""
        seen = self._other_parts[0] if len(self._other_parts) > len(self.group_points) else self._ranked
        if self.rules.metric.name not in CALIBRATED_METRICS:
            return seen, None
        return seen, CalibrationTally(self.solution if seen.rows is None else self.solution[seen.rows])

    def refuse(self, number: int, name: str, reason: str) -> None:
        self.refused.append(RefusedSnapshot(number, name, reason))

    def outcome(self) -> RunOutcome:
        points = latest_per_time(self.points)
        shown = (
            latest_per_time(self.preview_points) if len(self._other_parts) > len(self.group_points) else None
        )
        refused = tuple(sorted(self.refused, key=lambda r: r.number))
        if not points:
            return RunOutcome(None, None, (), refused, preview_points=shown)
        area = area_under_curve(points, self.rules)
        return RunOutcome(
            area, points[-1].score, points, refused, self.lowest, self.highest, shown, self.calibration
        )

    def ladder_scores(self) -> tuple[float, tuple[float, ...]]:
        """ALC on the rows that are shown, and on each group of them: of chance where there is no point."""
        whole, *groups = (
            area_under_curve(latest_per_time(points), self.rules)
            for points in (self.preview_points, *self.group_points)
        )
        return whole, tuple(groups)


@dataclass(frozen=True)
class _Part:
    """Rows of the test set that are scored together; None for all of them."""

    rows: Rows | None
    make: Callable[[], Tally]

    def take(self, block: Prediction, start: int) -> Prediction:
        """Its rows of a block that begins with row ``start`` of the prediction."""
        if self.rows is None:
            return block
        first, last = np.searchsorted(self.rows, (start, start + len(block)))
        return block[self.rows[first:last] - start]


def _score_or_none(tally: Tally) -> float | None:
    try:
        return tally.score()
    except InputError:
        return None
