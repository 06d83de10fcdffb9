"""The numbers of docs/any-time.md are those that the scorer computes, and its pictures those that are drawn."""

from __future__ import annotations

import dataclasses
import re
from xml.etree import ElementTree

import pytest

from alcove_scorer.curves import area_under_curve
from bench import any_time
from tests.unit.docs.pages import REPOSITORY

PAGE = (REPOSITORY / "docs" / "any-time.md").read_text()


def column(title: str, number: int) -> list[float]:
    """Of the table with numbered rows below a heading."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d \| .*) \|$", section, re.M)
    return [float(row.split(" | ")[number]) for row in rows]


@pytest.mark.parametrize(
    ("title", "learners"), [("Early", any_time.STARTS), ("Late", any_time.PLANS)], ids=["early", "late"]
)
def test_areas_are_the_scorers(title: str, learners: tuple[any_time.Learner, ...]) -> None:
    assert column(title, 2) == [pytest.approx(one.alc, abs=6e-4) for one in learners]


def test_a_weak_prediction_costs_under_straight_lines_alone() -> None:
    step = dataclasses.replace(any_time.RULES, curve="step")
    weak = any_time.WEAK
    assert column("When a weak prediction costs", 2) == [pytest.approx(one.alc, abs=6e-4) for one in weak]
    areas = [pytest.approx(area_under_curve(one.curve(), step), abs=6e-4) for one in weak]
    assert column("When a weak prediction costs", 3) == areas


def test_gains_are_the_scorers() -> None:
    *better, before = any_time.ENDS
    gains = re.findall(r"^\| 0\.02 more from (\d+) s on \| ([\d.]+) \|$", PAGE, re.M)
    assert [f"0.02 more from {at} s on" for at, _ in gains] == [one.name for one in better]
    worth = [one.alc - before.alc for one in better]
    assert [float(gain) for _, gain in gains] == pytest.approx(worth, abs=6e-4)


def test_shares_of_the_axis_are_the_scorers() -> None:
    rows = re.findall(r"^\| (\d+) s \| (\d+) % \|$", PAGE, re.M)
    assert len(rows) == 6
    for seconds, share in rows:
        assert float(share) == pytest.approx(100 * any_time.find_share(float(seconds)), abs=0.5)


@pytest.mark.parametrize("name", any_time.PICTURES)
def test_its_pictures_are_drawn_by_the_command(name: str) -> None:
    """The texts in them: paths may differ in a last digit from machine to machine."""
    committed = (REPOSITORY / "docs" / "pictures" / name).read_bytes()
    assert list(ElementTree.fromstring(committed).itertext()) == list(
        ElementTree.fromstring(any_time.draw_guide()[name]).itertext()
    )
