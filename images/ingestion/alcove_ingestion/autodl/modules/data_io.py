"""The module ``data_io`` of the AutoDL starting kit, as far as code of participants uses it: files and folders."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np


def mkdir(d: str) -> None:
    """Makes a folder, and those above it, unless it is there."""
    os.makedirs(d, exist_ok=True)


def rmdir(d: str) -> None:
    """Removes a folder with all that is in it, if it is there."""
    shutil.rmtree(d, ignore_errors=True)


def vprint(mode: bool, t: str) -> None:
    """Prints ``t`` where ``mode`` is true."""
    if mode:
        print(t)


def write(filename: str, predictions: Any) -> None:
    """Writes an array as text: a line of numbers, with spaces between, for each row."""
    np.savetxt(filename, np.atleast_2d(np.asarray(predictions, dtype=np.float64)), fmt="%g")


def inventory_data(input_dir: str) -> list[str]:
    """Names of the datasets in a folder, in order: its entries that end with ``.data``."""
    return sorted(path.name for path in Path(input_dir).iterdir() if path.name.endswith(".data"))
