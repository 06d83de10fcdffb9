"""Practice datasets of images: scikit-learn's handwritten digits, still and moving."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import numpy.typing as npt

from alcove_format.metadata import Format, Metadata
from alcove_format.writer import NewExample
from alcove_toolkit.practice_draw import Generator, Parts, draw_balanced, number_names

Pixels = npt.NDArray[np.uint8]
Pool = npt.NDArray[np.int64]
"""Which pictures a part may use."""
_TEST_SHARE = 1000 / 1797
"""More than half are in test, so that there are 1,000."""


@cache
def _load_digits() -> tuple[Pixels, list[int]]:
    """1,797 handwritten digits of 8 × 8 pixels, from UCI's "Optical Recognition of Handwritten Digits"."""
    from sklearn.datasets import load_digits  # Slow to import, and needed here alone.

    images, labels = load_digits(return_X_y=True)
    return np.round(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8), labels.tolist()


def _encode_png(pixels: Pixels) -> bytes:
    """A grey PNG of rows × columns, at most 64 KiB of them.

    Not compressed, and so not Pillow's: each build of zlib compresses to other bytes.
    """
    rows, cols = pixels.shape
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)
    stored = b"\x78\x01\x01" + struct.pack("<HH", len(raw), len(raw) ^ 0xFFFF) + raw
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", cols, rows, 8, 0, 0, 0, 0)),
        (b"IDAT", stored + struct.pack(">I", zlib.adler32(raw))),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _alter_picture(image: Pixels, rng: Generator) -> Pixels:
    """A copy turned by up to 15°, scaled by up to a tenth, shifted by up to a pixel, with noise."""
    angle = rng.uniform(-15, 15) * (np.pi / 180)
    # Rounded: the last bits of sin() differ between processors; all else is exact arithmetic.
    scale = rng.uniform(0.9, 1.1)
    sine, cosine = (round(float(f(angle)), 6) / scale for f in (np.sin, np.cos))
    side = len(image)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    middle = (side + 1) / 2
    top = cosine * y - sine * x + middle + rng.uniform(-1, 1)
    left = sine * y + cosine * x + middle + rng.uniform(-1, 1)
    framed = np.pad(image, 1).astype(np.float64)
    row, col = (np.clip(np.floor(at), 0, side).astype(np.int64) for at in (top, left))
    below, right = np.clip(top - row, 0, 1), np.clip(left - col, 0, 1)
    moved = (1 - below) * ((1 - right) * framed[row, col] + right * framed[row, col + 1]) + below * (
        (1 - right) * framed[row + 1, col] + right * framed[row + 1, col + 1]
    )
    out: Pixels = np.clip(np.round(moved + rng.normal(0, 6, moved.shape)), 0, 255).astype(np.uint8)
    return out


def _draw_pictures(pool: Pool, count: int, rng: Generator) -> Iterator[tuple[Pixels, int]]:
    """Picture and digit: each of ``pool`` once before altered copies come."""
    images, labels = _load_digits()
    for i, altered in draw_balanced([0] * len(pool), count, rng):
        image = images[pool[i]]
        yield _alter_picture(image, rng) if altered else image, labels[pool[i]]


def _make_parts(
    make: Callable[[Pool, int, Generator], Iterator[NewExample]], rng: Generator, examples: int
) -> tuple[Iterator[NewExample], Iterator[NewExample]]:
    """Train and test: no picture, and no copy of one, is in both."""
    order = rng.permutation(len(_load_digits()[0]))
    cut = round(len(order) * (1 - _TEST_SHARE))
    test_count = round(examples * _TEST_SHARE)
    one, other = rng.spawn(2)
    return make(order[:cut], examples - test_count, one), make(order[cut:], test_count, other)


def make_digits(rng: Generator, examples: int) -> Parts:
    """Real: scikit-learn's bundled digits; beyond 1,797, altered copies of them."""
    metadata = Metadata(
        n_examples=0,
        n_labels=10,
        rows=8,
        cols=8,
        format=Format.COMPRESSED,
        has_locality_rows=True,
        has_locality_cols=True,
        labels=number_names([str(digit) for digit in range(10)]),
    )
    return metadata, *_make_parts(_stills, rng, examples)


def _stills(pool: Pool, count: int, rng: Generator) -> Iterator[NewExample]:
    for image, label in _draw_pictures(pool, count, rng):
        yield NewExample([_encode_png(image)], {label: 1.0})


_DIRECTIONS = {"right": (0, 1), "left": (0, -1), "down": (1, 0), "up": (-1, 0)}
_FRAMES, _SIDE = 6, 16


def _make_clip(image: Pixels, move: tuple[int, int], rng: Generator) -> list[bytes]:
    room = _SIDE - image.shape[0] + 1
    start = [
        int(rng.integers(0, room - (_FRAMES - 1))) + (_FRAMES - 1 if step < 0 else 0)
        if step
        else int(rng.integers(0, room))
        for step in move
    ]
    frames = []
    for t in range(_FRAMES):
        frame = np.zeros((_SIDE, _SIDE), np.uint8)
        top, left = start[0] + t * move[0], start[1] + t * move[1]
        frame[top : top + image.shape[0], left : left + image.shape[1]] = image
        frames.append(_encode_png(frame))
    return frames


def make_moving_digits(rng: Generator, examples: int) -> Parts:
    """Real digits, moved: six frames of 16 × 16; two labels each, the digit and the direction.

    Beyond 1,797, what is moved is an altered copy. No digit's picture is in both parts.
    """
    metadata = Metadata(
        n_examples=0,
        n_labels=14,
        rows=_SIDE,
        cols=_SIDE,
        sequence_size=_FRAMES,
        format=Format.COMPRESSED,
        is_sequence=True,
        has_locality_rows=True,
        has_locality_cols=True,
        labels=number_names([str(digit) for digit in range(10)] + list(_DIRECTIONS)),
    )
    return metadata, *_make_parts(_clips, rng, examples)


def _clips(pool: Pool, count: int, rng: Generator) -> Iterator[NewExample]:
    moves = tuple(_DIRECTIONS.values())
    for image, label in _draw_pictures(pool, count, rng):
        direction = int(rng.integers(0, len(moves)))
        yield NewExample(_make_clip(image, moves[direction], rng), {label: 1.0, 10 + direction: 1.0})
