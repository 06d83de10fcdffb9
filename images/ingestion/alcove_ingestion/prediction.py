"""Prediction files: float32, test examples × labels, never seen half-written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from alcove_ingestion.errors import InvalidPredictionError


def check_prediction(returned: object, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """What ``test`` returned, as float32 of that shape (test examples × labels).

    Raises:
        InvalidPredictionError: it is not an array of numbers, has another shape, or has values that are not finite.
    """
    expected = f"an array of shape {shape}: a row for each test example, a column for each label"
    try:
        array = np.asarray(returned, dtype=np.float32)
    except (TypeError, ValueError):
        raise InvalidPredictionError(
            f"test() returned {type(returned).__name__} which is not an array of numbers. Nothing was saved. "
            f"Return {expected}, or None to end."
        ) from None
    if array.shape != shape:
        raise InvalidPredictionError(
            f"test() returned an array of shape {array.shape}. Nothing was saved of it. Return {expected}."
        )
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise InvalidPredictionError(
            f"test() returned a number that is not finite (NaN or infinity), first in row {row}. "
            "Nothing was saved of it. Return finite numbers between 0 and 1."
        )
    return array


def save(array: npt.NDArray[np.float32], out: Path, number: int) -> Path:
    """Writes ``prediction_<number>.npy`` under a hidden name and renames it."""
    temporary, final = out / f".{number}.npy.tmp", out / f"prediction_{number:06d}.npy"
    try:
        with temporary.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        return temporary.rename(final)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InvalidPredictionError(
            f"Prediction {number} could not be saved in {out}: {error.strerror}. "
            "Remove what your code has written there and in /tmp."
        ) from None
