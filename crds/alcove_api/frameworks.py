"""What ``model.py`` may be written for (``code.framework``), as everything that asks for it names it."""

from __future__ import annotations

from typing import Literal, get_args

Framework = Literal["tensorflow", "numpy", "torch", "tensorflow1"]
FRAMEWORKS: tuple[Framework, ...] = get_args(Framework)

VARIANTS: dict[Framework, str] = {
    "tensorflow": "ingestion",
    "numpy": "ingestion",
    "torch": "ingestion-torch",
    "tensorflow1": "ingestion-tf1",
}
"""The image that has it, by the names of ``images/ingestion/variants.json``."""
