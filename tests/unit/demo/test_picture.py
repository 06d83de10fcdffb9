"""The picture of a board in README: there, of the size that its command gives, and small."""

from __future__ import annotations

from PIL import Image

from tests.demo.picture import MOST_BYTES, PICTURE, SIZE
from tests.unit.docs.pages import REPOSITORY


def test_readme_shows_the_picture_as_its_command_makes_it() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    assert f"]({PICTURE.relative_to(REPOSITORY)})" in readme
    assert "`make picture`" in readme
    assert PICTURE.stat().st_size < MOST_BYTES
    with Image.open(PICTURE) as image:
        assert image.size == SIZE
        assert len(image.convert("RGB").getcolors(1 << 20) or ()) > 20  # Not a blank page.
