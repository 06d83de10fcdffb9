"""Datasets of every form for Hypothesis."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from alcove_format.metadata import VARIES, Format, Metadata
from alcove_format.writer import NewExample

# TensorFlow's threads take subnormal numbers for zero.
FLOATS = st.floats(width=32, allow_nan=False, allow_subnormal=False)


@dataclass(frozen=True)
class Content:
    metadata: Metadata
    written: list[NewExample]
    expected: list[npt.NDArray[np.float32]]
    """What reading must give, example by example."""


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()


@st.composite
def contents(draw: st.DrawFn, formats: tuple[Format, ...] = tuple(Format)) -> Content:
    """Up to five examples of one random form; half of the forms have examples of different lengths."""
    form = draw(st.sampled_from(formats))
    rows, cols = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    channels = draw(st.sampled_from((1, 3)))
    varies = draw(st.booleans())
    steps = draw(st.integers(1, 3))
    metadata = Metadata(
        n_examples=0,
        n_labels=draw(st.integers(1, 4)),
        rows=rows,
        cols=cols,
        channels=channels,
        sequence_size=VARIES if varies else steps,
        format=form,
        is_sequence=varies,
    )
    lengths = st.integers(1, 3) if varies else st.just(steps)
    written, expected = [], []
    for length in draw(st.lists(lengths, min_size=1, max_size=5)):
        labels = draw(st.dictionaries(st.integers(0, metadata.n_labels - 1), st.sampled_from((1.0, 0.25))))
        if form is Format.COMPRESSED:
            pixels = draw(hnp.arrays(np.uint8, (length, rows, cols, channels)))
            written.append(NewExample([png(frame) for frame in pixels], labels))
            expected.append(pixels.astype(np.float32) * np.float32(1 / 255))
        elif metadata.is_token_sequence:
            tokens = draw(
                hnp.arrays(np.float32, (length, 1, 1, 1), elements=st.sampled_from(range(channels)))
            )
            written.append(NewExample(tokens, labels))
            expected.append(tokens)
        else:
            array = draw(hnp.arrays(np.float32, (length, rows, cols, channels), elements=FLOATS))
            written.append(NewExample(array, labels))
            expected.append(array)
    return Content(metadata, written, expected)
