"""The page that ``alcove overfitting --report`` writes."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.ticker import MaxNLocator

from alcove_scorer.colours import MUTED, SERIES
from alcove_scorer.overfitting import OverfittingReport, ScorePair, Trend, describe_trend, thin_out
from alcove_scorer.pages import format_number, render_page
from alcove_scorer.pictures import HEIGHT, WIDTH
from alcove_scorer.svg import inline_svg, open_canvas, write_svg

LISTED = 100
"""Submissions in the table: those that looked best against what they are."""
DECIMALS = 4


def overfitting_html(title: str, seen: str, counting: str, report: OverfittingReport) -> str:
    """``seen``, ``counting``: what the two scores are, for people."""
    listed = sorted(report.pairs, key=lambda pair: -pair.difference)[:LISTED]
    trend = describe_trend(report)
    return render_page(
        "overfitting.html",
        title=title,
        seen=seen,
        counting=counting,
        count=len(report.pairs),
        trend=trend,
        mean=format_number(report.mean, DECIMALS),
        tau=format_number(report.tau, 2),
        picture=inline_svg(draw_differences_by_number(report.pairs, report.trend), "o", "Differences", trend),
        rows=[
            (
                pair.team,
                pair.submission,
                pair.number,
                *(format_number(score, DECIMALS) for score in (pair.seen, pair.counting, pair.difference)),
            )
            for pair in listed
        ],
    )


def draw_differences_by_number(pairs: Sequence[ScorePair], trend: Trend | None) -> bytes:
    """Difference of the two scores over the number of the submission, a dot each, with the trend as a line."""
    shown = thin_out(pairs)
    with open_canvas(WIDTH, HEIGHT) as (figure, axes):
        axes.axhline(0, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.scatter(
            [p.number for p in shown],
            [p.difference for p in shown],
            18,
            color=SERIES[0],
            alpha=0.55,
            linewidth=0,
        )
        if trend is not None:
            ends = [min(p.number for p in shown), max(p.number for p in shown)]
            axes.plot(
                ends, [trend.intercept + trend.slope * end for end in ends], color=SERIES[1], linewidth=1.8
            )
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        axes.set_xlabel("number of the submission")
        axes.set_ylabel("seen − what counts")
        return write_svg(figure)
