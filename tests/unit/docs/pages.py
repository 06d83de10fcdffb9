"""The pages for readers, and what is fenced in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]


@dataclass(frozen=True)
class Page:
    name: str
    """Path in the repository."""
    path: Path
    text: str


def pages() -> list[Page]:
    paths = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *(REPOSITORY / "docs").glob("*.md")]
    paths += [REPOSITORY / "examples" / "submissions" / "README.md", REPOSITORY / "tests/cluster/README.md"]
    return [Page(str(path.relative_to(REPOSITORY)), path, path.read_text()) for path in sorted(paths)]


def blocks(page: Page, language: str) -> list[str]:
    """Contents of the page's fenced blocks of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.text, re.M | re.S)
