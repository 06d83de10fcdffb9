"""docs/science.md has a picture for each number, and its pictures are those that the command draws."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pytest

from bench.choices import draw_choices
from bench.meanings import draw_meanings
from bench.science import read_autodl
from tests.unit.docs.pages import REPOSITORY

PAGE = (REPOSITORY / "docs" / "science.md").read_text()
PICTURES = REPOSITORY / "docs" / "pictures"
SHOWN = re.findall(r"!\[[^]]+\]\(pictures/([\w-]+\.svg)\)", PAGE)
Floats = npt.NDArray[np.float64]


def test_each_section_has_a_picture_and_each_picture_is_there() -> None:
    sections = re.split(r"^## ", PAGE, flags=re.M)[1:]
    assert [part.splitlines()[0] for part in sections if "](pictures/" not in part] == []
    assert len(SHOWN) == len(set(SHOWN))
    assert [name for name in SHOWN if not (PICTURES / name).is_file()] == []


def test_no_picture_lies_about_that_no_page_shows() -> None:
    pages = "".join(path.read_text() for path in (REPOSITORY / "docs").glob("*.md"))
    assert [path.name for path in PICTURES.glob("*.svg") if f"pictures/{path.name}" not in pages] == []


@pytest.mark.parametrize("draw", [draw_choices, draw_meanings])
def test_pictures_are_drawn_by_the_command(draw: Callable[[Floats], dict[str, bytes]]) -> None:
    """The texts in them: paths may differ in a last digit from machine to machine."""
    drawn = draw(read_autodl()[1])
    assert set(drawn) <= set(SHOWN)
    for name, svg in drawn.items():
        committed = ElementTree.fromstring((PICTURES / name).read_bytes())
        assert list(committed.itertext()) == list(ElementTree.fromstring(svg).itertext())
