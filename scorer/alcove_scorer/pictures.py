"""Learning curves and the critical-difference diagram as SVG. The same input gives the same bytes."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alcove_scorer.curves import Point, Rules, axis

BLUE, GREY, INK = "#1f6feb", "#b8bec6", "#24292f"
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df")
STYLE = {
    "svg.hashsalt": "alcove",
    "svg.fonttype": "none",
    "font.family": ["sans-serif"],
    "font.size": 10,
    # Names come from participants: a dollar sign in one must not be read as a formula.
    "text.parse_math": False,
    "axes.edgecolor": "#57606a",
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": "#57606a",
    "ytick.color": "#57606a",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
TICKS = (1, 2, 5, 10, 20, 60, 120, 300, 600, 1200, 3600, 7200, 18000, 36000, 86400)
"""Seconds that a tick may stand at, beside the go and the budget."""


@dataclass(frozen=True)
class Line:
    """One participant's curve among others'."""

    name: str
    points: tuple[Point, ...]


def run_svg(title: str, points: Sequence[Point], rules: Rules, others: Sequence[Line] = ()) -> bytes:
    """One run's learning curve on the scheme's time axis, its area shaded, others' curves in grey behind it."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        axes = figure.add_subplot()
        for other in others:
            _draw(axes, other.points, rules, color=GREY, linewidth=1)
        lows = [p.score for line in (*(other.points for other in others), points) for p in line]
        _frame(axes, rules, min([0.0, *lows]))
        xs, ys = _path(points, rules)
        if points:
            step: Literal["post"] | None = "post" if rules.curve == "step" else None
            axes.fill_between(xs, ys, axes.get_ylim()[0], step=step, color=BLUE, alpha=0.15, linewidth=0)
        _draw(axes, points, rules, color=BLUE, linewidth=1.8)
        axes.plot(
            [axis(p.seconds, rules) for p in points],
            [p.score for p in points],
            "o",
            color=BLUE,
            markersize=4,
        )
        axes.set_title(title, loc="left", fontsize=11)
        return _svg(figure)


def teams_svg(lines: Sequence[Line], rules: Rules) -> bytes:
    """The curves of all participants on one dataset, in the leaderboard's order, so that a participant's colour is
    the same in all pictures: the leading five in colour, the others in grey. Without a point there is no line.
    """
    coloured = [pair for pair in zip(lines, COLOURS, strict=False) if pair[0].points]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        axes = figure.add_subplot()
        for line in lines[len(COLOURS) :]:
            if line.points:
                _draw(axes, line.points, rules, color=GREY, linewidth=1)
        for line, colour in reversed(coloured):
            _draw(axes, line.points, rules, color=colour, linewidth=1.8, label=_short(line.name))
        _frame(axes, rules, min([0.0, *(p.score for line in lines for p in line.points)]))
        _legend(axes)
        return _svg(figure)


def ranks_svg(names: Sequence[str], moments: Sequence[float], ranks: Any, rules: Rules) -> bytes:
    """Mean rank of each participant (participants × moments, best first) by how much of the budget has gone."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        axes = figure.add_subplot()
        xs = [axis(moment, rules) for moment in moments]
        for row in ranks[len(COLOURS) :]:
            axes.plot(xs, row, color=GREY, linewidth=1)
        for name, row, colour in reversed(list(zip(names, ranks, COLOURS, strict=False))):
            axes.plot(xs, row, color=colour, linewidth=1.8, label=_short(name))
        _time_axis(axes, rules)
        axes.set_ylim(len(names) + 0.4, 0.6)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel("mean rank if it ended here")
        _legend(axes)
        return _svg(figure)


def critical_difference_svg(names: Sequence[str], mean_ranks: Sequence[float], cd: float) -> bytes:
    """Demšar's diagram: participants along the axis of mean ranks; a bar joins those that differ by less than ``cd``.

    Both sequences are best first.
    """
    with mpl.rc_context(STYLE):
        k = len(names)
        half = math.ceil(k / 2)
        bars = groups(mean_ranks, cd)
        top = 0.9 + 0.28 * len(bars)
        height = top + 0.42 * half
        figure = Figure(figsize=(7.2, 0.5 + 0.62 * height), layout="constrained")
        axes = figure.add_subplot()
        axes.axis("off")
        margin = max(1.0, 0.45 * k)
        axes.set_xlim(1 - margin, k + margin)
        axes.set_ylim(-height, 1.6)
        axes.plot([1, k], [0, 0], color=INK, linewidth=1)
        for tick in range(1, k + 1, max(1, k // 10)):
            axes.plot([tick, tick], [0, 0.15], color=INK, linewidth=1)
            axes.text(tick, 0.25, str(tick), ha="center", va="bottom", fontsize=9)
        axes.plot([1, 1 + cd], [1.1, 1.1], color=INK, linewidth=2)
        axes.text(1 + cd / 2, 1.18, f"critical difference {cd:.2f}", ha="center", va="bottom", fontsize=9)
        for i, (name, mean) in enumerate(zip(names, mean_ranks, strict=True)):
            left = i < half
            level = -top - 0.42 * (i if left else k - 1 - i)
            end = 1 - 0.1 if left else k + 0.1
            axes.plot([mean, mean, end], [0, level, level], color="#57606a", linewidth=0.9)
            label = f"{_short(name)}  {mean:.2f}" if left else f"{mean:.2f}  {_short(name)}"
            axes.text(end, level, f" {label} ", ha="right" if left else "left", va="center", fontsize=9)
        for i, (first, last) in enumerate(bars):
            level = -0.35 - 0.28 * i
            ends = [mean_ranks[first] - 0.04, mean_ranks[last] + 0.04]
            axes.plot(ends, [level, level], color=BLUE, linewidth=3.5, solid_capstyle="butt")
        return _svg(figure)


def groups(mean_ranks: Sequence[float], cd: float) -> list[tuple[int, int]]:
    """Longest spans (first, last) of at least two participants, best first, that differ by at most ``cd``."""
    found: list[tuple[int, int]] = []
    for first in range(len(mean_ranks)):
        last = max(i for i in range(first, len(mean_ranks)) if mean_ranks[i] - mean_ranks[first] <= cd)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def _path(points: Sequence[Point], rules: Rules) -> tuple[list[float], list[float]]:
    start = rules.metric.chance
    xs = [0.0, *(axis(p.seconds, rules) for p in points), 1.0]
    ys = [start, *(p.score for p in points), points[-1].score if points else start]
    return xs, ys


def _draw(axes: Any, points: Sequence[Point], rules: Rules, **style: Any) -> None:
    xs, ys = _path(points, rules)
    axes.plot(xs, ys, drawstyle="steps-post" if rules.curve == "step" else "default", **style)


def _frame(axes: Any, rules: Rules, low: float) -> None:
    axes.set_ylim(low, rules.metric.best)
    _time_axis(axes, rules)
    axes.axhline(rules.metric.chance, color="#8c959f", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_ylabel(rules.metric.name.replace("_", " "))


def _time_axis(axes: Any, rules: Rules) -> None:
    placed = [0.0]
    for tick in TICKS:
        # Ticks keep apart on the logarithmic axis, or their labels run into each other.
        if axis(tick, rules) - axis(placed[-1], rules) > 0.07 and axis(tick, rules) < 0.93:
            placed.append(float(tick))
    placed.append(rules.budget)
    axes.set_xlim(0, 1)
    axes.set_xticks([axis(t, rules) for t in placed], [_duration(t) for t in placed])
    axes.set_xlabel("time since the go, logarithmic")


def _duration(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.3g} h"
    return f"{seconds / 60:.3g} min" if seconds >= 120 else f"{seconds:.3g} s"


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"


def _legend(axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _svg(figure: Figure) -> bytes:
    FigureCanvasSVG(figure)
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
