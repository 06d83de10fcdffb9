"""The pictures of docs/science.md and docs/any-time.md, from published tables, simulations and the scorer's arithmetic.

python -m bench.science
"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alcove_scorer.board_pictures import (
    LeadingLine,
    draw_critical_difference,
    draw_differences,
    draw_intervals,
    draw_profiles,
)
from alcove_scorer.calibration import CalibrationTally
from alcove_scorer.colours import SERIES
from alcove_scorer.curves import Point, resolve_rules
from alcove_scorer.differences import compare_with_first
from alcove_scorer.overfitting import ScorePair, compare_scores
from alcove_scorer.overfitting_page import draw_differences_by_number
from alcove_scorer.performance_profile import profile_shares, time_ratios
from alcove_scorer.pictures import HEIGHT, WIDTH, draw_reliability, draw_run
from alcove_scorer.rank_intervals import find_board_intervals
from alcove_scorer.ranks import rank_participants
from alcove_scorer.significance import critical_difference
from alcove_scorer.svg import open_canvas, write_svg
from bench.any_time import draw_guide
from bench.calibration import COMPETITIONS, WORLDS, over_datasets, percentile_bootstrap
from bench.choices import draw_choices
from bench.ladder_attack import EXAMPLES, LIVE, STEP, Team, boost
from bench.meanings import draw_meanings

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
DATA = ROOT / "tests" / "unit" / "scorer" / "data"
Floats = npt.NDArray[np.float64]


def draw_curve() -> bytes:
    """A learner that improves over a budget of 20 minutes."""
    points = [
        Point(i, t, 0.5 + 0.42 * math.log1p(t) / math.log1p(1200)) for i, t in enumerate((2, 8, 40, 160, 700))
    ]
    return draw_run("The area is the ALC", points, resolve_rules(1200), [])


def read_autodl() -> tuple[list[str], Floats]:
    header, *rows = csv.reader((DATA / "autodl_alc_20x15.csv").read_text().splitlines())
    assert header[0] == "participant"
    return [row[0] for row in rows], np.array([[float(cell) for cell in row[1:]] for row in rows])


def draw_ranks() -> dict[str, bytes]:
    names, scores = read_autodl()
    ranking = rank_participants(scores)
    order = ranking.order[:12]
    intervals = find_board_intervals(scores, "average", None, ranking.rank)[order]
    shown = [names[i] for i in order]
    cd = critical_difference(len(names), scores.shape[1])
    assert cd is not None
    return {
        "ranks.svg": draw_intervals(
            shown, ranking.rank[order].tolist(), [(float(low), float(high)) for low, high in intervals]
        ),
        "critical-difference.svg": draw_critical_difference(
            shown, ranking.mean_rank[order].tolist(), cd, len(names)
        ),
    }


def draw_simulated_differences(datasets: int = 15) -> bytes:
    """Teams that are worse than the first by a known amount on average, and differ in each dataset."""
    worse = (0.0, 0.0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05)
    rng = np.random.default_rng(1)
    scores = rng.normal(0.8 - np.array(worse)[:, None], 0.02, (len(worse), datasets))
    found = compare_with_first(scores, range(len(worse)))
    return draw_differences(
        [f"worse by {worse[d.participant]:g}" for d in found], [(d.better, d.equal, d.worse) for d in found]
    )


def draw_algoperf() -> bytes:
    _, *rows = csv.reader((DATA / "algoperf_self_tuning_v05.csv").read_text().splitlines())
    seconds = np.array([[math.nan if cell == "inf" else float(cell) for cell in row[2:]] for row in rows])
    ratios = time_ratios(seconds[:-1], seconds[-1])
    best = np.argsort(-profile_shares(ratios).mean(axis=1))[:5]
    return draw_profiles(
        ratios[best], 4.0, [LeadingLine(str(i), c) for i, c in enumerate(SERIES[: len(best)], 1)]
    )


def draw_attack() -> bytes:
    counts = [0, 10, 30, 60, 100, 150, 200]
    with open_canvas(WIDTH, HEIGHT) as (figure, axes):
        for colour, name, feedback in ((SERIES[1], "live", LIVE), (SERIES[0], "ladder, step 0.02", STEP)):
            shown = []
            for count in counts:
                rng = np.random.default_rng(5)
                team = Team(rng.random(EXAMPLES) < 0.5, feedback)
                shown.append(boost(team, count, rng)[0])
            axes.plot(counts, shown, color=colour, label=f"{name}: what the board shows", linewidth=1.8)
        axes.axhline(0.5, color=SERIES[2], linestyle="--", linewidth=1, label="what it is worth")
        axes.set_xlabel("submissions of random votes")
        axes.set_ylabel("balanced accuracy")
        axes.legend(frameon=False, loc="upper left")
        return write_svg(figure)


def draw_calibration() -> bytes:
    """Shares of the calibration's table, of its own competitions."""
    sizes = ((5, 5), (20, 5), (5, 10), (20, 10), (5, 20), (20, 20))
    ours = [over_datasets(WORLDS[0], *size, COMPETITIONS) for size in sizes]
    old = [percentile_bootstrap(WORLDS[0], *size, COMPETITIONS) for size in sizes]
    with open_canvas(WIDTH, HEIGHT) as (figure, axes):
        for colour, name, found in ((SERIES[0], "Alcove", ours), (SERIES[1], "percentile bootstrap", old)):
            covered = [100 * one.ranks / one.competitions for one in found]
            axes.plot(range(len(sizes)), covered, "o", color=colour, label=name)
        axes.axhline(95, color=SERIES[2], linestyle="--", linewidth=1, label="promised")
        axes.set_xticks(range(len(sizes)), [f"{p} × {n}" for p, n in sizes])
        axes.set_ylim(0, 105)
        axes.set_ylabel("ranks covered, %")
        axes.set_xlabel("participants × datasets, all equal")
        axes.legend(frameon=False, loc="center", bbox_to_anchor=(0.5, 0.78), ncols=3)
        return write_svg(figure)


def draw_extreme_values() -> bytes:
    """A prediction that is right in its order, and too sure."""
    rng = np.random.default_rng(0)
    chances = rng.beta(1.5, 1.5, (4000, 1))
    odds = (chances / (1 - chances)) ** 2.5
    tally = CalibrationTally(rng.random(chances.shape) < chances)
    tally.add(odds / (1 + odds))
    return draw_reliability(tally.bins())


def draw_climbers() -> bytes:
    """Teams that change some guesses of 200 labels, and go on from what was best on the rows that they saw."""
    return draw_differences_by_number((report := compare_scores(simulate_climbers())).pairs, report.trend)


def simulate_climbers(teams: int = 12, submissions: int = 40, rows: int = 200) -> list[ScorePair]:
    rng, found = np.random.default_rng(3), []
    for team in range(teams):
        truth, best = rng.random((2, 2, rows)) < 0.5
        for number in range(1, submissions + 1):
            guess = np.where(rng.random((2, rows)) < 0.1, rng.random((2, rows)) < 0.5, best)
            seen, counting = (guess == truth).mean(axis=1)
            found.append(ScorePair(f"t{team}", f"s{number}", number, float(seen), float(counting)))
            if seen > (best[0] == truth[0]).mean():
                best = guess
    return found


def main() -> int:
    PICTURES.mkdir(exist_ok=True)
    _, scores = read_autodl()
    pictures = {
        "alc.svg": draw_curve(),
        **draw_ranks(),
        "differences.svg": draw_simulated_differences(),
        "profiles.svg": draw_algoperf(),
        "attack.svg": draw_attack(),
        "calibration.svg": draw_calibration(),
        "overfitting.svg": draw_climbers(),
        "calibration-of-values.svg": draw_extreme_values(),
        **draw_choices(scores),
        **draw_meanings(scores),
        **draw_guide(),
    }
    for name, svg in pictures.items():
        (PICTURES / name).write_bytes(svg)
        print(f"docs/pictures/{name}: {len(svg)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
