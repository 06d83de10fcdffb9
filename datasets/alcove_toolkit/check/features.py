"""A few numbers for an example of any kind and size, so that a model of all examples fits in little memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from alcove_format.example import SparseFeatures
from alcove_format.metadata import Format, Metadata
from alcove_toolkit.check.findings import printable

Floats = npt.NDArray[np.float32]
WIDTH = 1024
"""Numbers of one example at most."""
WIDE = 1 << 22
"""Numbers of a step from which an example of format SPARSE is not made an array of."""
SIDE, VIDEO_SIDE, VIDEO_STEPS, CHANNELS = 16, 8, 4, 4
SEGMENTS, BANDS, SERIES_CHANNELS = 16, 32, 16
_STATISTICS = ("mean", "standard deviation", "minimum", "maximum")


@dataclass(frozen=True)
class FeatureMap:
    """Turns features (time × rows × columns × channels) into one vector, always of the same length."""

    vector: Callable[[Any], Floats]
    """Takes an array; of what :func:`is_wide` says, :class:`SparseFeatures`."""
    name: Callable[[int], str]
    """What number i of the vector is, for a sentence."""


def feature_map(metadata: Metadata) -> FeatureMap:
    """Of a text the bag of its tokens; of images and clips coarse pixels; of a series its means, spread and
    spectrum; of a table the columns themselves. What is wider than ``WIDTH`` is folded: column i is added to
    column i modulo ``WIDTH``.
    """
    if is_wide(metadata):
        return FeatureMap(_fold_sparse, partial(_column, metadata.features, "column", WIDTH))
    if metadata.holds_tokens:
        width = min(metadata.vocabulary_size or WIDTH, WIDTH)
        return FeatureMap(
            partial(_bag, width=width), partial(_column, metadata.channel_names, "token", width)
        )
    flat = metadata.rows == 1 or metadata.cols == 1
    if metadata.sequence_size == 1 and flat:
        width = min(metadata.rows * metadata.cols * metadata.frame_channels, WIDTH)
        return FeatureMap(partial(_row, width=width), partial(_column, metadata.features, "column", width))
    if flat:
        channels = min(metadata.rows * metadata.cols * metadata.frame_channels, SERIES_CHANNELS)
        channels = channels if channels > 0 else 1  # Of images whose height varies.
        return FeatureMap(partial(_series, channels=channels), partial(_series_name, channels))
    channels = min(metadata.frame_channels, CHANNELS)
    if metadata.sequence_size == 1:
        rows, cols = _side(metadata.rows, SIDE), _side(metadata.cols, SIDE)
        return FeatureMap(
            partial(_frames, sizes=(1, rows, cols)), partial(_pixel_name, (rows, cols), channels)
        )
    rows, cols = _side(metadata.rows, VIDEO_SIDE), _side(metadata.cols, VIDEO_SIDE)
    return FeatureMap(
        partial(_frames, sizes=(VIDEO_STEPS, rows, cols)), partial(_pixel_name, (rows, cols), channels)
    )


def is_wide(metadata: Metadata) -> bool:
    """Whether examples are mostly zeros, and too wide to make arrays of them."""
    sparse = metadata.format is Format.SPARSE and not metadata.is_token_sequence
    return sparse and metadata.numbers >= WIDE


def _fold_sparse(features: SparseFeatures) -> Floats:
    sums = np.bincount(features.places % WIDTH, weights=features.values, minlength=WIDTH)
    return sums.astype(np.float32)


def pool_axis(array: Floats, axis: int, size: int) -> Floats:
    """Means over ``size`` pieces of an axis of at least one element; elements repeat where there are fewer."""
    length = array.shape[axis]
    starts = np.arange(size) * length // size
    # reduceat gives the element itself where a piece is empty.
    sums = np.add.reduceat(array, starts, axis=axis)
    widths = np.maximum(np.diff(starts, append=length), 1)
    shape = [1] * array.ndim
    shape[axis] = size
    out: Floats = (sums / widths.reshape(shape)).astype(np.float32)
    return out


def _side(size: int, most: int) -> int:
    return size if 0 < size < most else most


def _fold(vector: Floats, width: int) -> Floats:
    if len(vector) <= width:
        return vector
    padded = np.zeros(-(-len(vector) // width) * width, np.float32)
    padded[: len(vector)] = vector
    out: Floats = padded.reshape(-1, width).sum(axis=0, dtype=np.float32)
    return out


def _row(features: Floats, width: int) -> Floats:
    return _fold(features.ravel(), width) if features.size else np.zeros(width, np.float32)


def _bag(features: Floats, width: int) -> Floats:
    tokens = np.nan_to_num(features.ravel(), posinf=0, neginf=0).astype(np.int64)
    counts = np.bincount(tokens % width, minlength=width)
    logs = np.log1p(counts)
    out: Floats = (logs / max(float(np.linalg.norm(logs)), 1e-9)).astype(np.float32)
    return out


def _frames(features: Floats, sizes: tuple[int, int, int]) -> Floats:
    steps, rows, cols = sizes
    channels = min(features.shape[3], CHANNELS)
    if not features.size:
        return np.zeros(steps * rows * cols * channels, np.float32)
    small = pool_axis(pool_axis(pool_axis(features, 0, steps), 1, rows), 2, cols)
    return small[..., :channels].ravel()


def _series(features: Floats, channels: int) -> Floats:
    steps = len(features)
    if not features.size:
        return np.zeros(channels * (len(_STATISTICS) + SEGMENTS + BANDS), np.float32)
    values = pool_axis(features.reshape(steps, -1), 1, channels)
    centred = values - values.mean(axis=0)
    power = np.log(np.abs(np.fft.rfft(centred, axis=0))[1:] ** 2 / steps + 1e-6).astype(np.float32)
    spectrum = pool_axis(power, 0, BANDS) if len(power) else np.zeros((BANDS, channels), np.float32)
    statistics = np.stack([values.mean(axis=0), centred.std(axis=0), values.min(axis=0), values.max(axis=0)])
    out: Floats = (
        np.concatenate([statistics, pool_axis(values, 0, SEGMENTS), spectrum]).ravel().astype(np.float32)
    )
    return out


def _column(named: Mapping[str, int], word: str, width: int, index: int) -> str:
    found = [printable(name) for name, i in named.items() if i % width == index]
    if not found:
        return f"{word} {index}"
    return f"{word} '{found[0]}'" if len(found) == 1 else f"one of {len(found)} {word}s ('{found[0]}', …)"


def _pixel_name(sizes: tuple[int, int], channels: int, index: int) -> str:
    pixel, channel = divmod(index, channels)
    step, place = divmod(pixel, sizes[0] * sizes[1])
    row, col = divmod(place, sizes[1])
    where = f"row {row + 1} of {sizes[0]} and column {col + 1} of {sizes[1]}"
    return f"the region in {where} (channel {channel}, part {step + 1})"


def _series_name(channels: int, index: int) -> str:
    number, channel = divmod(index, channels)
    segment = number - len(_STATISTICS)
    if number < len(_STATISTICS):
        what = _STATISTICS[number]
    elif segment < SEGMENTS:
        what = f"mean over part {segment + 1} of {SEGMENTS}"
    else:
        what = f"power in band {segment - SEGMENTS + 1} of {BANDS}"
    return f"the {what} of channel {channel}"
