"""What ``model.py`` may be written for (``code.framework``), as everything that asks for it names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

Framework = Literal["tensorflow", "numpy", "torch", "tensorflow1"]
FRAMEWORKS: tuple[Framework, ...] = get_args(Framework)

IMAGES: dict[Framework, tuple[str, ...]] = {
    "tensorflow": ("ingestion",),
    "numpy": ("ingestion-numpy", "ingestion"),
    "torch": ("ingestion-torch",),
    "tensorflow1": ("ingestion-tf1",),
}
"""The images that have it, the smallest first, by the names of ``images/ingestion/variants.json``."""


def find_image(framework: Framework, named: Callable[[str], str | None]) -> str | None:
    """The first image of this framework that ``named`` has a reference of, by its name in Python's spelling."""
    references = (named(image.replace("-", "_")) for image in IMAGES[framework])
    return next(filter(None, references), None)
