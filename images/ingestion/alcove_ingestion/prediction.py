"""Prediction files: float32, test examples × labels, never seen half-written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from alcove_ingestion.errors import InvalidPredictionError


def check_prediction(returned: object, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """What ``test`` returned, as float32 of that shape (test examples × labels).

    Raises:
        InvalidPredictionError: it is not an array of numbers, or has another shape.
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
    return array


def find_not_finite(array: npt.NDArray[np.float32]) -> str:
    """What the scorer will refuse the prediction for: a sentence, empty where all numbers are finite."""
    rows = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if not len(rows):
        return ""
    return (
        f"{len(rows):,} of its {len(array):,} rows have a number that is not finite (NaN or infinity), the first is "
        f"row {rows[0]}: it is refused and scores nothing"
    )


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
