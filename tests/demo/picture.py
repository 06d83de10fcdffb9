"""Takes the picture of a board that README shows: of the page that ``make try`` writes from real runs.

make picture
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from alcove_toolkit.whole_files import write_whole
from tests.demo.hackathon import REPOSITORY

PAGE = REPOSITORY / "out" / "try" / "leaderboard.html"
PICTURE = REPOSITORY / "docs" / "pictures" / "board.png"
SIZE = (1120, 2270)
"""Width and height of the window, pixels: the top of the page, down to the first learning curves."""
MOST_BYTES = 150_000


def main() -> int:
    write_whole(PICTURE, photograph_page(PAGE))
    print(f"Wrote {PICTURE.relative_to(REPOSITORY)}, of {PAGE.relative_to(REPOSITORY)}.")
    return 0


def photograph_page(page: Path) -> bytes:
    """A PNG of the top of a page, in 256 colours so that it stays small; with fewer, teams would share one.

    Raises:
        CalledProcessError: Chromium cannot show it.
        ValueError: the picture would be too large.
    """
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        subprocess.run(
            [
                "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                f"--user-data-dir={folder}/profile", f"--window-size={SIZE[0]},{SIZE[1]}", f"--screenshot={shot}",
                page.resolve().as_uri(),
            ],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        buffer = io.BytesIO()
        with Image.open(shot) as image:
            image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    if buffer.tell() > MOST_BYTES:
        raise ValueError(f"the picture has {buffer.tell():,} bytes, more than {MOST_BYTES:,}")
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
