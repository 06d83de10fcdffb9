"""Pictures of runs as SVG: learning curves on the scheme's time axis, and where the time went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from alcove_api.schemes import NAUC
from alcove_api.score_documents import CalibrationBin
from alcove_scorer.colours import BAD, GRID, INK, MUTED, PALE, PAPER, SERIES
from alcove_scorer.curves import CurveRules, Point, axis_position
from alcove_scorer.svg import open_canvas, write_svg
from alcove_scorer.written_text import clean_text, shorten_name

WIDTH, HEIGHT = 6.2, 3.3
"""Inches of a picture that stands beside another on a page, or fills a telephone's."""
TICKS = (
    (1, 10, 60, 600, 3600, 36000),
    (5, 30, 300, 1800, 7200, 86400),
    (2, 20, 120, 1200, 18000, 172800),
)
"""Seconds that a tick may stand at, beside the go and the budget: the first ones first."""


@dataclass(frozen=True)
class TeamCurve:
    """One participant's curve among others'."""

    name: str
    points: tuple[Point, ...]
    colour: str | None = None
    """None: it is one of those in grey."""
    place: str = ""
    """Among the others, "1=" where it is shared; stands at the end of a line in colour."""


def draw_run(
    title: str,
    points: Sequence[Point],
    rules: CurveRules,
    peer_curves: Sequence[TeamCurve] = (),
    empty: str = "no valid prediction",
) -> bytes:
    """One run's learning curve, the area between it and zero shaded, others' curves in grey behind it.

    ``empty``: why there is none, where there are no points.
    """
    with open_canvas(WIDTH, HEIGHT) as (figure, axes):
        for other in peer_curves:
            _draw(axes, other.points, rules, color=PALE, linewidth=0.9)
        _frame(axes, rules, [other.points for other in peer_curves], own=points)
        axes.set_title(clean_text(title, 80))
        if not points:
            said = {"transform": axes.transAxes, "ha": "center", "va": "center", "color": INK, "zorder": 5}
            room = {"facecolor": PAPER, "edgecolor": GRID, "boxstyle": "round,pad=0.5"}
            axes.text(0.5, 0.28, empty, bbox=room, **said)
            return write_svg(figure)
        xs, ys = map(np.array, _corners(points, rules))
        axes.fill_between(
            xs, ys, 0, where=ys >= 0, color=SERIES[0], alpha=0.16, linewidth=0, interpolate=True
        )
        axes.fill_between(xs, ys, 0, where=ys <= 0, color=BAD, alpha=0.16, linewidth=0, interpolate=True)
        _draw(axes, points, rules, color=SERIES[0], linewidth=2)
        dots = 4.5 if len(points) <= 40 else 2.5
        at = [axis_position(p.seconds, rules) for p in points]
        axes.plot(
            at, [p.score for p in points], "o", color=SERIES[0], markersize=dots, clip_on=False, zorder=4
        )
        return write_svg(figure)


def draw_teams(title: str, lines: Sequence[TeamCurve], rules: CurveRules) -> bytes:
    """The curves of all participants on one dataset, best first: those with a colour in it, with their place at the
    end, the others in grey. Without a point there is no line.
    """
    with open_canvas(WIDTH, HEIGHT) as (figure, axes):
        for line in lines:
            if line.points and line.colour is None:
                _draw(axes, line.points, rules, color=PALE, linewidth=0.9)
        leading = [(line, line.colour) for line in lines if line.points and line.colour]
        for line, colour in reversed(leading):
            _draw(axes, line.points, rules, color=colour, linewidth=1.8)
        _frame(axes, rules, [line.points for line in lines])
        ends = [(line.points[-1].score, line.place, colour) for line, colour in leading]
        label_ends(axes, 1.0, ends)
        axes.set_title(clean_text(title, 80))
        return write_svg(figure)


def label_ends(axes: Any, x: float, ends: Sequence[tuple[float, str, str]]) -> None:
    """Writes (value, label, colour) at the right ends of lines, apart from each other."""
    low, high = sorted(axes.get_ylim())
    ordered = sorted(ends)
    if not ordered:
        return
    steps = (high - low) * 0.06 * np.arange(len(ordered))
    # As near to their lines as their order and a distance from each other allow, and inside the axes.
    places = pool_adjacent([value for value, *_ in ordered] - steps) + steps
    places = np.minimum(np.maximum(places, low + steps), high - steps[::-1])
    for place, (_, said, colour) in zip(places, ordered, strict=True):
        axes.annotate(
            said, (x, place), (5, 0), textcoords="offset points", va="center", color=colour, weight="bold",
            annotation_clip=False,
        )  # fmt: skip


def pool_adjacent(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The never falling values that are nearest to these by least squares (pool adjacent violators: Barlow et al.,
    Statistical inference under order restrictions, 1972). SciPy's takes half a second to load."""
    means: list[float] = []
    sizes: list[int] = []
    for value in values:
        mean, size = float(value), 1
        while means and means[-1] > mean:
            before, many = means.pop(), sizes.pop()
            mean, size = (before * many + mean * size) / (many + size), many + size
        means.append(mean)
        sizes.append(size)
    return np.repeat(means, sizes)


def draw_reliability(bins: Sequence[CalibrationBin]) -> bytes:
    """Share of present labels over the mean value, a dot a bin as large as the share of values in it.

    On the diagonal, values are probabilities.
    """
    with open_canvas(WIDTH, HEIGHT) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        xs, ys = [one.predicted for one in bins], [one.observed for one in bins]
        axes.plot(xs, ys, color=SERIES[0], linewidth=1.2)
        whole = sum(one.cells for one in bins)
        axes.scatter(
            xs, ys, [16 + 300 * one.cells / whole for one in bins], color=SERIES[0], alpha=0.55, linewidth=0,
            clip_on=False, zorder=4,
        )  # fmt: skip
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("value predicted")
        axes.set_ylabel("share of present labels")
        axes.set_title("Calibration of the last prediction")
        return write_svg(figure)


def draw_phases(runs: Sequence[tuple[str, Sequence[tuple[str, float]]]]) -> bytes:
    """Where the time went: a bar a run of (name, its phases with their seconds), in colours by the phases' names."""
    with open_canvas(2 * WIDTH, 0.62 + 0.34 * len(runs)) as (figure, axes):
        for level, (_, spent) in enumerate(runs):
            start = 0.0
            for phase, seconds in spent:
                axes.barh(level, seconds, 0.62, start, color=PHASES[phase], edgecolor=PAPER, linewidth=0.5)
                start += seconds
        axes.set_yticks(range(len(runs)), [shorten_name(name) for name, _ in runs], color=INK)
        axes.set_ylim(len(runs) - 0.45, -0.55)
        axes.grid(visible=False, axis="y")
        longest = max((sum(seconds for _, seconds in spent) for _, spent in runs), default=0.0) or 1.0
        ticks = _even_ticks(longest)
        axes.set_xlim(0, max(longest, ticks[-1]))
        axes.set_xticks(ticks, [format_time(tick) for tick in ticks])
        axes.spines["left"].set_visible(False)
        return write_svg(figure)


PHASES = {
    "Queue": PALE, "Node": SERIES[4], "Stage": SERIES[3], "Image": SERIES[2], "Start": SERIES[1], "Run": SERIES[0],
}  # fmt: skip
"""Where the time of a run goes, in order."""


def _even_ticks(longest: float) -> list[float]:
    steps = [n * unit for unit, ns in ((0.1, (1, 2, 5)), (1, (1, 2, 5, 10, 20, 30)), (60, (1, 2, 5, 10, 20, 30)),
             (3600, (1, 2, 4, 8, 12, 24, 48, 96, 192))) for n in ns]  # fmt: skip
    step = next((step for step in steps if longest / step <= 8), longest / 8)
    return [i * step for i in range(int(longest / step + 1e-9) + 1)]


def _path(points: Sequence[Point], rules: CurveRules) -> tuple[list[float], list[float]]:
    start = rules.metric.chance
    xs = [0.0, *(axis_position(p.seconds, rules) for p in points), 1.0]
    ys = [start, *(p.score for p in points), points[-1].score if points else start]
    return xs, ys


def _corners(points: Sequence[Point], rules: CurveRules) -> tuple[list[float], list[float]]:
    """The drawn line's own corners, those of steps too."""
    xs, ys = _path(points, rules)
    if rules.curve == "step":
        return [x for x in xs for _ in range(2)][1:], [y for y in ys for _ in range(2)][:-1]
    return xs, ys


def _draw(axes: Any, points: Sequence[Point], rules: CurveRules, **style: Any) -> None:
    axes.plot(*_corners(points, rules), **style)


def _frame(axes: Any, rules: CurveRules, lines: Sequence[Sequence[Point]], own: Sequence[Point] = ()) -> None:
    """Axes that show all of ``own``. Scores may have no lower bound, so of ``lines`` one that is far worse than chance
    may leave the picture, for the others to be told apart in it."""
    chance, best = rules.metric.chance, rules.metric.best
    scores = [point.score for line in lines for point in line]
    lowest = 2 * chance - best
    shown = [score for score in scores if score >= lowest] + [point.score for point in own]
    low = min([0.0, chance, *(shown or scores)])
    room = 0.03 * (best - low)
    axes.set_ylim(low - room * (low < 0), best + room)
    if min(scores, default=low) < low:
        axes.annotate(
            "some are lower", (0.5, 0), (0, 3), xycoords="axes fraction", textcoords="offset points", ha="center",
            fontsize=9, color=MUTED,
        )  # fmt: skip
    draw_time_axis(axes, rules)
    axes.axhline(chance, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    if low < 0:
        axes.axhline(0, color=MUTED, linewidth=0.8)
    if chance > low or low < 0:
        axes.annotate(
            "chance", (1, chance), (-3, -3), textcoords="offset points", ha="right", va="top", fontsize=9,
            color=MUTED,
        )  # fmt: skip
    axes.set_ylabel(metric_name(rules))


def metric_name(rules: CurveRules) -> str:
    name = rules.metric.name
    return name.upper() if name == NAUC else name.replace("_", " ")


def draw_time_axis(axes: Any, rules: CurveRules) -> None:
    placed = choose_time_ticks(rules)
    axes.set_xlim(0, 1)
    axes.set_xticks([axis_position(t, rules) for t in placed], [format_time(t) for t in placed])
    axes.set_xlabel("time since the go (logarithmic)")


def choose_time_ticks(rules: CurveRules) -> list[float]:
    """Seconds in human numbers: the go, the budget, and what has room between them."""
    placed = [0.0, rules.budget]
    for tier in TICKS:
        for tick in tier:
            if tick < rules.budget and all(_apart(tick, other, rules) for other in placed):
                placed.append(float(tick))
    return sorted(placed)


def _apart(one: float, other: float, rules: CurveRules) -> bool:
    """Whether their labels do not touch on an axis some 65 characters long."""
    room = (len(format_time(one)) + len(format_time(other))) / 2 + 1.5
    return abs(axis_position(one, rules) - axis_position(other, rules)) >= room / 65


def format_time(seconds: float) -> str:
    """A time as people say it: 0, 0.5 s, 90 s, 20 min, 3.5 h, 2 d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and (seconds % size == 0 or seconds >= 2 * size):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s" if seconds else "0"
