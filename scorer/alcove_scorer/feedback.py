"""What a phase lets people see of a curve: few points, few decimals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from alcove_scorer.curves import Point, Rules, alc, axis, standing


@dataclass(frozen=True)
class Shown:
    """Points and area that may be shown; the area is computed from these points alone, so that it betrays
    nothing of those held back.
    """

    points: tuple[Point, ...]
    alc: float | None


def shown(points: Iterable[Point], rules: Rules, decimals: int, most: int) -> Shown:
    """Chooses at most ``most`` points, rounded to ``decimals``.

    Whether a snapshot is shown depends on those before it alone, so what was shown once stays and no more
    than ``most`` are ever shown, however often someone looks. Half of them are for whoever comes first, the
    others are given out evenly along the time axis.
    """
    chosen: list[Point] = []
    for point in sorted(points, key=lambda p: (p.seconds, p.number)):
        if len(chosen) < most * (1 + axis(point.seconds, rules)) / 2:
            chosen.append(Point(point.number, point.seconds, round(point.score, decimals)))
    kept = standing(chosen)
    return Shown(kept, round(alc(kept, rules), decimals) if kept else None)
