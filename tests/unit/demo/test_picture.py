"""The picture of a board in README: there, of the size that its command gives, and small."""

from __future__ import annotations

import numpy as np
from PIL import Image

from alcove_scorer.colours import SERIES
from alcove_scorer.team_colours import assign_colours
from tests.demo.picture import MOST_BYTES, PICTURE, SIZE
from tests.unit.docs.pages import REPOSITORY


def test_readme_shows_the_picture_as_its_command_makes_it() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    assert f"]({PICTURE.relative_to(REPOSITORY)})" in readme
    assert "`make picture`" in readme
    assert PICTURE.stat().st_size < MOST_BYTES
    with Image.open(PICTURE) as image:
        assert image.size == SIZE
        pixels = np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)
    shown = {f"#{bytes(pixel).hex()}" for pixel in pixels}
    assert len(shown) > 20  # Not a blank page.
    teams = assign_colours(["sklearn", "tensorflow", "chance"], {})
    assert {SERIES[number] for number in teams.values()} <= shown
