"""Pictures of a leaderboard as SVG: how sure the ranks are, and how they came about."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from alcove_scorer.colours import INK, MUTED, PALE, SERIES
from alcove_scorer.curves import CurveRules, axis_position
from alcove_scorer.pictures import HEIGHT, WIDTH, draw_time_axis, format_time, label_ends
from alcove_scorer.svg import open_canvas, write_svg
from alcove_scorer.written_text import shorten_name

DIAGRAM = 8.0
"""Inches across of the critical-difference diagram: names stand on both sides of it."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LeadingLine:
    """How the line of one of the leading participants is told from the others'."""

    place: str
    """As the table has it: "1=" where it is shared."""
    colour: str


def draw_intervals(
    names: Sequence[str], ranks: Sequence[int], intervals: Sequence[tuple[float, float]]
) -> bytes:
    """Rank of each team with its interval, best first, one below the other."""
    with open_canvas(WIDTH, 0.75 + 0.24 * len(names)) as (figure, axes):
        levels = range(len(names))
        for level, (low, high) in zip(levels, intervals, strict=True):
            axes.plot(
                [low, high], [level, level], color=SERIES[0], linewidth=4, alpha=0.3, solid_capstyle="round"
            )
        axes.plot(ranks, levels, "o", color=SERIES[0], markersize=5)
        axes.set_yticks(levels, [shorten_name(name) for name in names], color=INK)
        axes.set_ylim(len(names) - 0.4, -0.6)
        last = max([*ranks, *(high for _, high in intervals)])
        axes.set_xlim(0.6, last + 0.4)
        axes.set_xticks(choose_rank_ticks(1, last, 8))
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("rank")
        return write_svg(figure)


def draw_differences(names: Sequence[str], cases: Sequence[tuple[float, float, float]]) -> bytes:
    """How probably the first is better than each of the others, equal, or worse: a bar each, nearest on top."""
    with open_canvas(WIDTH, 1.05 + 0.26 * len(names)) as (figure, axes):
        levels, colours = range(len(names)), (SERIES[0], PALE, SERIES[1])
        left = np.zeros(len(names))
        for shares, colour, said in zip(
            zip(*cases, strict=True), colours, ("better", "equal", "worse"), strict=True
        ):
            axes.barh(levels, shares, left=left, color=colour, height=0.7, label=said, linewidth=0)
            left += np.array(shares)
        axes.set_yticks(levels, [shorten_name(name) for name in names], color=INK)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("probability that the first is")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, handlelength=1)
        return write_svg(figure)


def draw_budget_ranks(
    ranks: Floats, moments: Sequence[float], rules: CurveRules, leading: Sequence[LeadingLine]
) -> bytes:
    """Mean ranks (teams × moments, best team first) by how much of the budget has gone. ``leading``: the first."""
    with open_canvas(WIDTH, HEIGHT) as (figure, axes):
        _ranks(axes, np.array([axis_position(moment, rules) for moment in moments]), ranks, leading)
        draw_time_axis(axes, rules)
        label_ends(axes, 1.0, _list_ends(ranks, leading))
        axes.set_ylabel("mean rank")
        return write_svg(figure)


def draw_scale_ranks(
    ranks: Floats, scales: Sequence[float], t0: float, leading: Sequence[LeadingLine]
) -> bytes:
    """Mean ranks (teams × scales, best team first) by t0 in seconds. ``t0``: the phase's. ``leading``: the first."""
    with open_canvas(WIDTH, HEIGHT) as (figure, axes):
        axes.set_xscale("log")
        _ranks(axes, np.array(scales), ranks, leading)
        axes.axvline(t0, color=MUTED, linewidth=1, linestyle="--")
        axes.set_xlim(scales[0], scales[-1])
        # Matplotlib's own labels of a logarithmic axis are formulas, which names rule out.
        axes.xaxis.set_major_locator(LogLocator(numticks=6))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: format_time(seconds)))
        label_ends(axes, scales[-1], _list_ends(ranks, leading))
        axes.set_ylabel("mean rank")
        axes.set_xlabel("t0 (logarithmic)")
        return write_svg(figure)


def draw_history(ranks: Floats, at: Sequence[datetime], leading: Sequence[LeadingLine]) -> bytes:
    """Ranks (teams × boards, best team first, NaN where it was not among the leading ones) as they were. ``leading``:
    the first.
    """
    with open_canvas(WIDTH, HEIGHT) as (figure, axes):
        xs = date2num(at)
        _ranks(axes, xs, ranks, leading, drawstyle="steps-post")
        locator = AutoDateLocator(minticks=2, maxticks=6)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.margins(x=0)
        label_ends(axes, xs[-1], [end for end in _list_ends(ranks, leading) if not math.isnan(end[0])])
        axes.set_ylabel("rank")
        axes.set_xlabel("time of the board (UTC)")
        return write_svg(figure)


def draw_profiles(ratios: Floats, tau_max: float, leading: Sequence[LeadingLine]) -> bytes:
    """Performance profiles of the leading participants (participants × datasets, best first): the share of ratios up
    to τ.
    """
    with open_canvas(WIDTH, HEIGHT) as (figure, axes):
        ends = []
        for row, line in reversed(list(zip(ratios, leading, strict=True))):
            steps = np.sort(row[row <= tau_max])
            shares = np.arange(len(steps) + 1) / len(row)
            axes.step([1.0, *steps, tau_max], [0.0, *shares], where="pre", color=line.colour, linewidth=1.8)
            ends.append((float(shares[-1]), line.place, line.colour))
        axes.set_xlim(1.0, tau_max)
        axes.set_ylim(0.0, 1.03)
        label_ends(axes, tau_max, ends)
        axes.set_ylabel("share of datasets")
        axes.set_xlabel("τ: time over the fastest")
        return write_svg(figure)


def _list_ends(ranks: Floats, leading: Sequence[LeadingLine]) -> list[tuple[float, str, str]]:
    """Last value, place and colour of each of the leading."""
    return [(row[-1], line.place, line.colour) for row, line in zip(ranks, leading, strict=False)]


def _ranks(axes: Any, xs: Floats, ranks: Floats, leading: Sequence[LeadingLine], **style: Any) -> None:
    for row in ranks[len(leading) :]:
        axes.plot(xs, row, color=PALE, linewidth=0.9, **style)
    for row, line in reversed(list(zip(ranks, leading, strict=False))):
        axes.plot(xs, row, color=line.colour, linewidth=1.8, **style)
        axes.plot(xs[-1:], row[-1:], "o", color=line.colour, markersize=4, clip_on=False)
    lowest = float(np.nanmax(ranks))
    axes.set_ylim(lowest + 0.4, 0.6)
    axes.set_yticks(choose_rank_ticks(1, lowest, 8))


def choose_rank_ticks(first: float, last: float, most: int) -> list[float]:
    """Ranks that are told: the first of all where it is there, and round ones. About ``most`` of them."""
    steps = (step * 10**power for power in range(6) for step in (1, 2, 5))
    step = next(step for step in steps if (last - first) / step <= most)
    round_ones = [float(tick) for tick in range(0, math.floor(last) + 1, step) if tick >= max(first, 1)]
    if first <= 1:
        return [1.0, *(tick for tick in round_ones if tick - 1 >= 0.5 * step)]
    return round_ones


def draw_critical_difference(
    names: Sequence[str], mean_ranks: Sequence[float], cd: float, participants: int
) -> bytes:
    """Demšar's diagram (2006): participants along the axis of mean ranks; a bar joins those that differ by less than
    ``cd``. Both sequences are best first; ``participants`` may be more than are drawn.
    """
    k, bars = len(names), find_groups(mean_ranks, cd)
    half = math.ceil(k / 2)
    first, last = _ends(mean_ranks, participants)
    span = last - first
    deep = 0.75 + 0.3 * len(bars)
    labels = [(shorten_name(name), f"{mean:.2f}") for name, mean in zip(names, mean_ranks, strict=True)]
    # Room for the longest, in inches; a letter's width is near enough.
    side = 0.2 + 0.08 * max(len(name) + 1 + len(mean) for name, mean in labels)
    margin = side / (DIAGRAM - 2 * side) * span
    with open_canvas(DIAGRAM, 0.95 + 0.24 * (deep + half)) as (figure, axes):
        axes.axis("off")
        axes.grid(visible=False)
        axes.set_xlim(first - margin, last + margin)
        axes.set_ylim(-deep - half + 0.4, 2.9)
        _scale(axes, first, last)
        shown = min(cd, span)
        axes.plot([first, first + shown], [1.9, 1.9], color=INK, linewidth=2, solid_capstyle="butt")
        for x in (first, first + shown)[: 2 if shown == cd else 1]:
            axes.plot([x, x], [1.7, 2.1], color=INK, linewidth=1.2)
        more = "" if shown == cd else ", longer than this axis"
        axes.text(first, 2.2, f"critical difference {cd:.2f}{more}", va="bottom")
        for i, ((name, told), mean) in enumerate(zip(labels, mean_ranks, strict=True)):
            left = i < half
            level = -deep - (i if left else k - 1 - i)
            end = first - 0.03 * span if left else last + 0.03 * span
            axes.plot([mean, mean, end], [0, level, level], color=MUTED, linewidth=0.8)
            said = f"{name} {told}" if left else f"{told} {name}"
            placed = {"textcoords": "offset points", "ha": "right" if left else "left", "va": "center"}
            axes.annotate(said, (end, level), (-4 if left else 4, 0), **placed)
        for i, (start, stop) in enumerate(bars):
            ends = [mean_ranks[start] - 0.008 * span, mean_ranks[stop] + 0.008 * span]
            axes.plot(ends, [-0.4 - 0.3 * i] * 2, color=SERIES[0], linewidth=4, solid_capstyle="round")
        return write_svg(figure)


def _ends(mean_ranks: Sequence[float], participants: int) -> tuple[float, float]:
    """Of the axis: whole ranks around those that are drawn."""
    if participants == len(mean_ranks):
        return 1.0, float(participants)
    return float(math.floor(mean_ranks[0])), float(
        max(math.ceil(mean_ranks[-1]), math.floor(mean_ranks[0]) + 1)
    )


def _scale(axes: Any, first: float, last: float) -> None:
    axes.plot([first, last], [0, 0], color=INK, linewidth=1)
    for tick in choose_rank_ticks(first, last, 10):
        axes.plot([tick, tick], [0, 0.25], color=INK, linewidth=1)
        axes.text(tick, 0.4, f"{tick:g}", ha="center", va="bottom", color=MUTED)


def find_groups(mean_ranks: Sequence[float], cd: float) -> list[tuple[int, int]]:
    """Longest spans (first, last) of at least two participants, best first, that differ by at most ``cd``."""
    found: list[tuple[int, int]] = []
    for first in range(len(mean_ranks)):
        last = max(i for i in range(first, len(mean_ranks)) if mean_ranks[i] - mean_ranks[first] <= cd)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found
