"""One run scored snapshot by snapshot: the one path that the job, the command line and rescoring share."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from alcove_scorer.curves import Point, Rules, alc, standing
from alcove_scorer.errors import InputError, PredictionError
from alcove_scorer.metrics import Solution
from alcove_scorer.predictions import Buffer, Kind, parse_prediction


@dataclass(frozen=True)
class Refused:
    """A snapshot that scores nothing, and why."""

    number: int
    name: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What a run is worth. ``final_score`` is None where there is no valid prediction: ``alc`` is then that
    of a curve that stays at its start value, and must not be ranked.
    """

    alc: float
    final_score: float | None
    points: tuple[Point, ...]
    refused: tuple[Refused, ...]


@dataclass
class RunScorer:
    """Takes the snapshots of one run in any order, keeps scores and no predictions.

    ``preview``: rows of the test set that what is shown during the run is scored on; None for all of them.
    """

    rules: Rules
    solution: Solution
    preview: npt.NDArray[np.int64] | None = None
    points: list[Point] = field(default_factory=list)
    preview_points: list[Point] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def add(self, number: int, name: str, seconds: float, data: Buffer, kind: Kind) -> None:
        """Scores one snapshot, ``seconds`` after the go, or notes why it scores nothing."""
        if seconds > self.rules.budget:
            self.refuse(number, name, f"late: {seconds:.3f} s, after the budget of {self.rules.budget:g} s")
            return
        try:
            prediction = parse_prediction(data, kind, *self.solution.shape)
        except PredictionError as error:
            self.refuse(number, name, str(error))
            return
        metric = self.rules.metric
        point = Point(number, seconds, metric.score(self.solution, prediction))
        self.points.append(point)
        if self.preview is None:
            self.preview_points.append(point)
            return
        try:
            score = metric.score(self.solution[self.preview], prediction[self.preview])
        except InputError:
            return  # a part so small that no label has both classes in it: nothing can be shown
        self.preview_points.append(Point(number, seconds, score))

    def refuse(self, number: int, name: str, reason: str) -> None:
        self.refused.append(Refused(number, name, reason))

    def outcome(self) -> Outcome:
        points = standing(self.points)
        refused = tuple(sorted(self.refused, key=lambda r: r.number))
        return Outcome(alc(points, self.rules), points[-1].score if points else None, points, refused)


def preview_rows(solution_sha256: str, n_test: int, fraction: float) -> npt.NDArray[np.int64] | None:
    """Rows of the test set that live feedback is computed on: always the same for one solution, in order.

    None for all of them.
    """
    count = max(1, round(fraction * n_test))
    if count >= n_test:
        return None
    # The raw stream of PCG64 is promised to stay the same over NumPy's versions.
    keys = np.random.PCG64(int(solution_sha256, 16)).random_raw(n_test)
    return np.sort(np.argsort(keys, kind="stable")[:count])
