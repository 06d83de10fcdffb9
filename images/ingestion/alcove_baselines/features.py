"""One vector for each example, of the same length for all examples of a dataset, whatever kind of data it is."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
TOKENS = 2000
"""Numbers of a text: how often tokens occur; further tokens of the vocabulary share those places."""
SIDE = 24
"""Rows and columns of an image at most, evenly spread; of a frame of a video two thirds."""
FRAMES = 4
"""Of a video."""
STEPS = 16
"""Time steps of a series that are taken as they are."""
FEW = 64
"""Numbers a step of a sequence up to which it is a series, whatever its name."""
WINDOW = 256
"""Samples of sound whose spectrum is taken."""
WIDE = 2000
"""Numbers of an example from which sparse data stays sparse."""


class Metadata(Protocol):
    """What is read of the metadata that ``Model`` is given."""

    @property
    def domain(self) -> str: ...
    @property
    def array_shape(self) -> tuple[int, int, int, int]: ...
    @property
    def vocabulary_size(self) -> int: ...
    @property
    def test_size(self) -> int: ...
    def size(self) -> int: ...
    def get_output_size(self) -> int: ...
    def is_sparse(self) -> bool: ...


def is_wide(metadata: Metadata) -> bool:
    """Whether examples are tables of so many numbers, most of them zero, that the zeros are better left out."""
    _, rows, cols, channels = metadata.array_shape
    return metadata.domain == "tabular" and metadata.is_sparse() and rows * cols * channels > WIDE


def vectorize(features: Floats, metadata: Metadata) -> Floats:
    """One example as a vector.

    Args:
        features: time × rows × columns × channels, of any size where the metadata says that it varies.
        metadata: of the dataset.
    """
    vector = np.zeros(0, np.float32)
    if metadata.vocabulary_size:
        vector = count_tokens(features, metadata.vocabulary_size)
    elif metadata.domain == "tabular":
        vector = features.ravel()
    elif metadata.domain == "image" or (metadata.domain == "video" and _has_pictures(metadata)):
        vector = resample(features, metadata)
    elif metadata.domain == "speech":
        vector = summarize_spectrum(features.mean(axis=(1, 2, 3)))
    else:
        vector = summarize_steps(features.reshape(len(features), math.prod(features.shape[1:])))
    return np.nan_to_num(vector).astype(np.float32, copy=False)


def _has_pictures(metadata: Metadata) -> bool:
    """Whether the steps of a sequence are frames. By AutoDL's rule a series of several numbers is a video, too."""
    _, rows, cols, channels = metadata.array_shape
    return rows < 0 or cols < 0 or rows * cols * channels > FEW


def count_tokens(features: Floats, vocabulary: int) -> Floats:
    """Logarithms of 1 + how often each token occurs, modulo ``TOKENS``."""
    tokens = features.ravel().astype(np.int64)
    size = min(vocabulary, TOKENS)
    return np.log1p(np.bincount(tokens[tokens >= 0] % size, minlength=size)).astype(np.float32)


def resample(features: Floats, metadata: Metadata) -> Floats:
    """Frames, rows and columns at even distances, where there are many or their number varies."""
    is_video = metadata.domain == "video"
    side = SIDE * 2 // 3 if is_video else SIDE
    for axis, most in ((0, FRAMES if is_video else 1), (1, side), (2, side)):
        size = features.shape[axis]
        if not size:
            shape = [least if known < 0 or known > least else known for known, least in zip(
                metadata.array_shape[:3], (FRAMES if is_video else 1, side, side), strict=True
            )]  # fmt: skip
            return np.zeros(int(np.prod(shape)) * features.shape[3], np.float32)
        if metadata.array_shape[axis] < 0 or size > most:
            features = features.take(np.linspace(0, size - 1, most).astype(int), axis)
    return features.ravel()


def summarize_spectrum(sound: Floats) -> Floats:
    """Sound: mean and deviation of the logarithm of the spectrum, in the first half and in the second."""
    sound = np.pad(sound, (0, max(2 * WINDOW - len(sound), 0)))
    windows = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[:: WINDOW // 4] * np.hanning(WINDOW)
    power = np.log(np.abs(np.fft.rfft(windows, axis=1)) + 1e-3)
    return np.concatenate([f(half, axis=0) for half in np.array_split(power, 2) for f in (np.mean, np.std)])


def summarize_steps(steps: Floats) -> Floats:
    """A series, time × numbers: some of its steps, and what does not depend on when it happens."""
    if not len(steps):
        steps = np.zeros((1, steps.shape[1]), np.float32)
    chosen = steps[np.linspace(0, len(steps) - 1, STEPS).astype(int)]
    changes = np.diff(steps, axis=0, prepend=steps[:1])
    spectrum = np.abs(np.fft.rfft(steps - steps.mean(axis=0), n=128, axis=0))[:48]
    parts = [chosen, np.sort(spectrum, axis=0)[-8:], spectrum]
    for kind in (steps, changes):
        parts += [np.stack([kind.mean(axis=0), kind.std(axis=0), np.abs(kind).max(axis=0)])]
    parts.append(np.quantile(steps, [0.1, 0.25, 0.5, 0.75, 0.9], axis=0))
    return np.concatenate([part.ravel() for part in parts])
