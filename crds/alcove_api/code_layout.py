"""Where ``model.py`` lies in submitted code, as everything that looks for it says it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

MODEL_FILE = "model.py"
KIT_FOLDER = "AutoDL_sample_code_submission"
"""Where the starting kit of the AutoDL challenge has it: its whole folder was a submission, too."""


def find_code(folder: Path) -> Path:
    """The folder that holds ``model.py``: this one, or the starting kit's in it. This one if neither does."""
    inner = folder / KIT_FOLDER
    return inner if not (folder / MODEL_FILE).is_file() and (inner / MODEL_FILE).is_file() else folder


def explain_missing_model(names: Iterable[str]) -> str:
    """What to do about code without ``model.py`` at its top: a sentence, which names a folder in it that has one.

    Args:
        names: paths of the files, relative to the top, with ``/`` between folders.
    """
    inner = sorted(name.removesuffix(f"/{MODEL_FILE}") for name in names if name.endswith(f"/{MODEL_FILE}"))
    nearest = min(inner, key=lambda folder: folder.count("/"), default="")
    if nearest:
        return f"There is one in its folder {nearest}: submit that folder itself."
    return "Put model.py, with a class Model, at the top, not in a folder."
