from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from alcove_scorer.overfitting import FEWEST, MAX_PAIRS, ScorePair, compare_scores, describe_trend, thin_out
from alcove_scorer.overfitting_page import LISTED, overfitting_html

ROWS, TEAMS, SUBMISSIONS = 200, 12, 40


def pair(number: int, seen: float, counting: float, team: str = "t") -> ScorePair:
    return ScorePair(team, f"s{number}", number, seen, counting)


EIGHTHS = st.integers(0, 8).map(lambda n: n / 8)


@given(st.lists(st.tuples(st.integers(1, 9), EIGHTHS, EIGHTHS), min_size=5, max_size=20))
def test_the_slope_is_numpys_and_tau_counts_pairs(rows: list[tuple[int, float, float]]) -> None:
    report = compare_scores([pair(*row, team=f"t{i}") for i, row in enumerate(rows)])
    numbers = [p.number for p in report.pairs]
    # Where all but one team have one number, nothing says how sure the slope is.
    if len(set(numbers)) > 2 or min(Counter(numbers).values()) > 1 < len(set(numbers)):
        slope, intercept = np.polyfit(numbers, [p.difference for p in report.pairs], 1)
        assert report.trend is not None
        assert (report.trend.slope, report.trend.intercept) == pytest.approx((slope, intercept), abs=1e-9)
    else:
        assert report.trend is None
    both = list(combinations(report.pairs, 2))
    signs = [np.sign((a.seen - b.seen) * (a.counting - b.counting)) for a, b in both]
    ties = [sum(getattr(a, f) == getattr(b, f) for a, b in both) for f in ("seen", "counting")]
    apart = np.sqrt((len(signs) - ties[0]) * (len(signs) - ties[1]))
    assert report.tau == (pytest.approx(sum(signs) / apart, abs=1e-9) if apart else None)


def draw_without_trend(rng: np.random.Generator, submissions: Sequence[int]) -> list[ScorePair]:
    """Teams with luck of their own, and no trend; of a team with one submission, any number."""
    found = []
    for team, count in enumerate(submissions):
        luck, first = rng.normal(0, 0.02), int(rng.integers(0, 20)) if count == 1 else 0
        for number in range(1, count + 1):
            found.append(pair(first + number, 0.7 + luck + rng.normal(0, 0.01), 0.7, f"t{team}"))
    return found


@pytest.mark.parametrize("submissions", [[1] * 7, [3] * 5, [1, 2, 2, 9, 4, 1]])
def test_the_interval_is_the_one_of_bell_and_mccaffrey(submissions: list[int]) -> None:
    """Written as they do, with a matrix of all pairs and the root of another for each team."""
    pairs = draw_without_trend(np.random.default_rng(5), submissions)
    trend = compare_scores(pairs).trend
    x = np.column_stack((np.ones(len(pairs)), [p.number for p in pairs]))
    y = np.array([p.difference for p in pairs])
    inverse = np.linalg.inv(x.T @ x)
    residual_maker = np.eye(len(pairs)) - x @ inverse @ x.T
    variance, columns = 0.0, []
    for team in {p.team for p in pairs}:
        mine = np.array([p.team == team for p in pairs])
        values, vectors = np.linalg.eigh(residual_maker[np.ix_(mine, mine)])
        adjusted = vectors / np.sqrt(values) @ vectors.T @ x[mine] @ inverse[:, 1]
        variance += float(adjusted @ (residual_maker @ y)[mine]) ** 2
        columns.append(residual_maker[:, mine] @ adjusted)
    values = np.linalg.eigvalsh(np.transpose(columns).T @ np.transpose(columns))
    freedom = values.sum() ** 2 / (values**2).sum()
    reach = stats.t.ppf(0.975, freedom) * np.sqrt(variance)
    assert trend is not None
    assert (trend.high - trend.slope, trend.slope - trend.low) == pytest.approx((reach, reach))


@pytest.mark.parametrize("teams", [FEWEST, 12])
@pytest.mark.parametrize("kind", ["one submission each", "four each", "few and many"])
def test_no_trend_is_told_more_seldom_than_in_one_of_twenty_cases(teams: int, kind: str) -> None:
    rng, drawn, missed = np.random.default_rng(9), 400, 0
    for _ in range(drawn):
        counts = {
            "one submission each": np.ones(teams, int),
            "four each": np.full(teams, 4),
            "few and many": np.minimum(30, rng.geometric(0.1, teams)),
        }[kind]
        trend = compare_scores(draw_without_trend(rng, counts.tolist())).trend
        missed += trend is not None and not trend.low <= 0 <= trend.high
    # What is right in 95 % misses more, or less, in one of a thousand simulations.
    assert missed <= stats.binom.ppf(0.999, drawn, 0.05)
    if kind == "four each":
        assert missed >= stats.binom.ppf(0.001, drawn, 0.05)


def simulate(rng: np.random.Generator, *, climbs: bool) -> list[ScorePair]:
    """Teams that guess labels. A climber changes some guesses, and goes on from what was best on the rows it saw."""
    found = []
    for team in range(TEAMS):
        truth = rng.random((2, ROWS)) < 0.5
        best = rng.random((2, ROWS)) < 0.5
        for number in range(1, SUBMISSIONS + 1):
            guess = np.where(rng.random((2, ROWS)) < 0.1, rng.random((2, ROWS)) < 0.5, best)
            seen, counting = (guess == truth).mean(axis=1)
            found.append(ScorePair(f"t{team}", f"s{number}", number, float(seen), float(counting)))
            if climbs and seen > (best[0] == truth[0]).mean():
                best = guess
            elif not climbs:
                best = rng.random((2, ROWS)) < 0.5
    return found


def test_climbing_on_what_is_shown_is_seen_and_guessing_is_not() -> None:
    rng = np.random.default_rng(3)
    climbing = compare_scores(simulate(rng, climbs=True))
    assert climbing.trend is not None
    assert climbing.trend.low > 0
    assert "scores that were seen were overfitted" in describe_trend(climbing)
    trends = [compare_scores(simulate(rng, climbs=False)).trend for _ in range(20)]
    beyond = sum(trend is not None and not trend.low <= 0 <= trend.high for trend in trends)
    assert beyond <= 4, "about one of twenty is expected"


def test_of_few_no_trend_is_told() -> None:
    report = compare_scores([pair(1, 0.5, 0.4), pair(2, 0.6, 0.4)])
    assert report.trend is None
    assert "no trend can be told" in describe_trend(report)
    assert compare_scores([pair(1, 0.5, 0.4)]).tau is None


def test_the_page_lists_a_bounded_number_and_escapes_names() -> None:
    rng = np.random.default_rng(0)
    many = [pair(i, float(rng.random()), float(rng.random()), f"<b>{i}</b>") for i in range(1, 2 * MAX_PAIRS)]
    assert len(thin_out(many)) == MAX_PAIRS
    page = overfitting_html("hack/cup", "the phase practice", "the phase final", compare_scores(many))
    assert f"{len(many) - LISTED} more are not listed" in page
    assert "&lt;b&gt;" in page
    assert "<b>1" not in page
    assert len(re.findall("<tr>", page)) == LISTED + 1
    assert len(page) < 1_000_000
