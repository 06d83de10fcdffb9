"""The curves of docs/any-time.md, and what each is worth by the scorer's own arithmetic.

``python -m bench.science`` draws them.
"""

from __future__ import annotations

from dataclasses import dataclass

from alcove_scorer.colours import SERIES
from alcove_scorer.curves import Point, area_under_curve, axis_position, resolve_rules
from alcove_scorer.pictures import TeamCurve, draw_teams

BUDGET = 1200
RULES = resolve_rules(BUDGET)


@dataclass(frozen=True)
class Learner:
    """A learning curve to compare with others."""

    name: str
    points: tuple[tuple[float, float], ...]
    """Seconds since the go and score of each prediction."""

    def curve(self) -> tuple[Point, ...]:
        return tuple(Point(i, seconds, score) for i, (seconds, score) in enumerate(self.points))

    @property
    def alc(self) -> float:
        return area_under_curve(self.curve(), RULES)


def _from(first: float) -> Learner:
    """The same five scores, the first after so many seconds and each later one after four times as long."""
    scores = (0.70, 0.78, 0.84, 0.88, 0.90)
    return Learner(
        f"first prediction after {first:g} s",
        tuple((first * 4**i, s) for i, s in enumerate(scores) if first * 4**i <= BUDGET),
    )


STARTS = (_from(1), _from(4), _from(16))
PLANS = (
    Learner("a quick model, then a large one", ((3, 0.80), (120, 0.92))),
    Learner("a quick model alone", ((3, 0.80),)),
    Learner("a large model alone", ((120, 0.92),)),
)
WEAK = (
    Learner("the weak prediction withheld", ((20, 0.85),)),
    Learner("the weak prediction saved", ((4, 0.52), (20, 0.85))),
)
ENDS = (
    Learner("0.02 more from 10 s on", ((2, 0.75), (10, 0.87))),
    Learner("0.02 more from 600 s on", ((2, 0.75), (10, 0.85), (600, 0.87))),
    Learner("as it was", ((2, 0.75), (10, 0.85))),
)
PICTURES = {
    "early.svg": ("The same learner, started earlier and later", STARTS),
    "late.svg": ("A quick model, a large one, and both", PLANS),
    "withheld.svg": ("A weak first prediction, saved and withheld", WEAK),
}


def draw_guide() -> dict[str, bytes]:
    """By file name. The number at the end of a line is its place in the order of :data:`PICTURES`."""
    return {
        name: draw_teams(
            title,
            [TeamCurve(one.name, one.curve(), SERIES[i], str(i + 1)) for i, one in enumerate(learners)],
            RULES,
        )
        for name, (title, learners) in PICTURES.items()
    }


def find_share(seconds: float) -> float:
    """Of the axis that is over after so many seconds, between 0 and 1."""
    return axis_position(seconds, RULES)
