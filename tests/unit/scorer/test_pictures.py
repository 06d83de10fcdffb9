"""Pictures: hostile names are text, ticks can be read, and the same input gives the same bytes."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from alcove_scorer.board_pictures import (
    choose_rank_ticks,
    draw_critical_difference,
    draw_intervals,
    find_groups,
)
from alcove_scorer.colours import COLOURS
from alcove_scorer.curves import Point, axis_position, resolve_rules
from alcove_scorer.pictures import (
    TeamCurve,
    choose_time_ticks,
    draw_phases,
    draw_run,
    draw_teams,
    format_time,
    pool_adjacent,
)
from alcove_scorer.svg import inline_svg

RULES = resolve_rules(30)
HOSTILE = '"><script src=//x>$\\frac{</script>&'


def test_pictures_hold_no_tag_of_others_and_are_the_same_each_time() -> None:
    svg = draw_run(HOSTILE, (Point(0, 2.0, 0.6),), RULES)
    assert b"<script" not in svg
    assert svg == draw_run(HOSTILE, (Point(0, 2.0, 0.6),), RULES)


def test_a_curve_far_below_chance_leaves_the_picture_to_the_others_and_its_own_run_shows_it() -> None:
    rules = resolve_rules(30, metric_name="r2")
    good, wild = (Point(0, 2.0, 0.6),), (Point(0, 1.0, -8.0), Point(1, 5.0, -7.0))
    board = draw_teams("", (TeamCurve("a", good), TeamCurve("b", wild)), rules).decode()
    peers = draw_run("", good, rules, (TeamCurve("b", wild),)).decode()
    for svg in (board, peers):
        assert "some are lower" in svg
        assert "\N{MINUS SIGN}6<" not in svg
    for svg in (draw_run("", wild, rules).decode(), draw_teams("", (TeamCurve("b", wild),), rules).decode()):
        assert "some are lower" not in svg
        assert "\N{MINUS SIGN}6<" in svg


@pytest.mark.parametrize(
    ("ranks", "cd", "expected"),
    [
        ([1, 2, 3, 4], 0.5, []),
        ([1, 2, 3, 4], 1, [(0, 1), (1, 2), (2, 3)]),
        ([1, 2, 3, 4], 3, [(0, 3)]),
        ([1, 1, 3, 3.5], 1, [(0, 1), (2, 3)]),
        ([1, 2, 2.5, 5], 1.5, [(0, 2)]),
    ],
)
def test_groups_that_cannot_be_told_apart(
    ranks: list[float], cd: float, expected: list[tuple[int, int]]
) -> None:
    assert find_groups(ranks, cd) == expected


def test_the_diagram_names_everyone() -> None:
    svg = draw_critical_difference(["one", "two", "three"], [1.2, 1.8, 3.0], 1.5, 3).decode()
    assert all(said in svg for said in (">one 1.20<", ">two 1.80<", ">3.00 three<", "difference 1.50<"))


def test_an_inline_picture_has_the_pages_colours_a_description_and_identifiers_of_its_own() -> None:
    svg = draw_run(
        HOSTILE, (Point(0, 2.0, 0.6), Point(1, 9.0, 0.8)), RULES, [TeamCurve("", (Point(0, 1.0, 0.55),))]
    )
    first, second = (inline_svg(svg, name, HOSTILE, "x" * 5000) for name in ("a", "b"))
    assert not re.findall("#[0-9a-f]{6}", first)
    assert "var(--s1)" in first
    assert "DejaVu" not in first
    root = ElementTree.fromstring(first)
    assert root[0].text == HOSTILE
    assert len(root[1].text or "") == 500
    assert all(f'id="a-{name}"' in first for name in ("t", "d"))
    ids = [set(re.findall(r'id="([^"]+)"', picture)) for picture in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    used = set(re.findall(r'href="#([^"]+)"', first)) | set(re.findall(r"url\(#([^)]+)\)", first))
    assert used
    assert used <= ids[0]


@pytest.mark.parametrize(
    "name", ["a\x00b", "\ud800", "\x1b[31m", "\u202eevil", "$\\frac{", "名前", "x" * 5000]
)
def test_any_name_can_be_drawn(name: str) -> None:
    lines = [TeamCurve(name, (Point(0, 2.0, 0.6),))]
    for svg in (
        draw_teams(name, lines, RULES),
        draw_critical_difference([name, name], [1.0, 2.0], 1.5, 2),
        draw_intervals([name, name], [1, 2], [(1, 2), (1, 2)]),
        draw_phases([(name, [("Run", 3.0)])]),
    ):
        assert len(inline_svg(svg, "p", name, name)) < 40_000


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0"), (0.5, "0.5 s"), (30, "30 s"), (60, "1 min"), (90, "90 s"), (1200, "20 min"), (3600, "1 h"),
     (5400, "90 min"), (12600, "3.5 h"), (86400, "1 d")],
)  # fmt: skip
def test_times_as_people_say_them(seconds: float, said: str) -> None:
    assert format_time(seconds) == said


@given(budget=st.floats(0.5, 1e6), t0=st.floats(0.01, 1000))
def test_ticks_of_the_time_axis_do_not_touch(budget: float, t0: float) -> None:
    settings = resolve_rules(budget, t0=t0)
    ticks = choose_time_ticks(settings)
    assert ticks[0] == 0
    assert ticks[-1] == budget
    for one, other in pairwise(ticks):
        characters = 65 * (axis_position(other, settings) - axis_position(one, settings))
        assert len(ticks) == 2 or characters > (len(format_time(one)) + len(format_time(other))) / 2


@given(first=st.integers(1, 3000), more=st.integers(1, 3000), most=st.integers(3, 12))
def test_ticks_of_ranks_are_round_and_few(first: int, more: int, most: int) -> None:
    ticks = choose_rank_ticks(first, first + more, most)
    assert 1 <= len(ticks) <= most + 2
    assert ticks == sorted(set(ticks))
    assert first <= ticks[0]
    assert ticks[-1] <= first + more


@pytest.mark.parametrize("dark", [False, True])
def test_colours_can_be_read_and_told_from_the_page(dark: bool) -> None:
    named = {name: night if dark else day for day, (name, night) in COLOURS.items()}
    paper = luminance(named["paper"])
    contrast = {
        name: (max(paper, found) + 0.05) / (min(paper, found) + 0.05)
        for name, found in ((name, luminance(colour)) for name, colour in named.items())
    }
    assert min(contrast[name] for name in ("ink", "muted", "bad", *(f"s{i}" for i in range(1, 11)))) >= 4.5
    assert contrast["pale"] >= 1.8


def luminance(colour: str) -> float:
    """Relative luminance of sRGB, as WCAG 2 defines it."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_axis_of_ranks_has_room_for_every_dot() -> None:
    svg = ElementTree.fromstring(draw_intervals(["a", "b", "c"], [1, 2, 3], [(1, 1), (1, 2), (1, 2)]))
    name = "{http://www.w3.org/2000/svg}"
    (seen,) = {(float(r.get("x", "nan")), float(r.get("width", "nan"))) for r in svg.iter(f"{name}rect")}
    dots = [
        use for group in svg.iter(f"{name}g") if group.get("clip-path") for use in group.iter(f"{name}use")
    ]
    assert len(dots) == 3
    assert all(seen[0] < float(dot.get("x", "nan")) < sum(seen) for dot in dots)


@given(st.lists(st.floats(-1, 1) | st.sampled_from([0.0, 0.5]), min_size=1, max_size=30))
def test_labels_are_pooled_as_scipy_does(values: list[float]) -> None:
    assert pool_adjacent(np.array(values)) == pytest.approx(isotonic_regression(values).x, abs=1e-12)
