"""One record, by protobuf: the arrays of an example, or what is wrong with it.

An example is an array of float32, time × rows × columns × channels, and a label vector of float32 with the
score (1.0 unless the dataset says otherwise) of each label that the example has. Test examples carry none.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError
from PIL import Image, UnidentifiedImageError

from alcove_format.errors import FormatError
from alcove_format.format_pb2 import Feature, SequenceExample
from alcove_format.metadata import Format, Metadata

Floats = npt.NDArray[np.float32]
Arrays = Floats | list[Floats]
"""One array a record: one array of them where all have the same shape, or a list."""
_IMAGES = ("PNG", "JPEG", "GIF", "BMP")
"""What TensorFlow decodes, too."""
_GREY = np.array([9797, 19234, 3737], np.uint32)
"""Red, green and blue in grey, of 2¹⁵: 0.299 and 0.587, cut off, and the rest."""
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Example:
    id: int
    features: Floats
    """time × rows × columns × channels."""
    label: Floats
    """One number a label."""
    has_label: bool
    """Whether the record names any label; false in a test part."""
    where: str
    """File, record and byte offset, for messages."""


@dataclass(frozen=True)
class SparseFeatures:
    """Features of format SPARSE by their values that are not zero, where an array of all would be too large."""

    shape: tuple[int, int, int, int]
    """time × rows × columns × channels."""
    places: npt.NDArray[np.int64]
    """Of each value in the array of all, counted along the last axis first; ascending."""
    values: Floats

    def __len__(self) -> int:
        return self.shape[0]


@dataclass(frozen=True)
class SparseExample:
    """As :class:`Example`."""

    id: int
    features: SparseFeatures
    label: Floats
    has_label: bool


def decode_example(data: bytes, metadata: Metadata, where: str) -> Example:
    """Decodes one record. ``where`` is for messages.

    Raises:
        FormatError: it does not parse, or does not match the metadata.
    """
    message, steps = _parse(data, where)
    if metadata.format is Format.DENSE:
        features = _dense(steps.get("0_dense_input"), metadata, where)
    elif metadata.format is Format.COMPRESSED:
        features = _compressed(steps.get("0_compressed"), metadata, where)
    else:
        features = _sparse(steps, metadata, where)
    number, label, has_label = _context(message, metadata, where)
    return Example(number, fit_length(features, metadata.sequence_size), label, has_label, where)


def decode_sparse_example(data: bytes, metadata: Metadata, where: str) -> SparseExample:
    """Decodes one record of format SPARSE without making its zeros.

    Raises:
        FormatError: it does not parse, or does not match the metadata.
    """
    message, lists = _parse(data, where)
    floats, axes = _sparse_steps(lists, metadata, where)
    shape = (len(floats), metadata.rows, metadata.cols, metadata.channels)
    time = np.repeat(np.arange(len(floats)), [len(numbers) for numbers in floats])
    places = np.zeros(len(time), np.int64)
    for axis, size in zip((time, *map(_joined, axes)), shape, strict=True):
        places = places * size + axis
    values = np.concatenate([*floats, np.zeros(0, np.float32)]).astype(np.float32)
    order = np.argsort(places, kind="stable")
    places, values = places[order], values[order]
    # Of values in one place the last stands, as in the array of all.
    stored = (np.append(places[1:] != places[:-1], True) if len(places) else np.zeros(0, bool)) & (
        values != 0
    )
    number, label, has_label = _context(message, metadata, where)
    return SparseExample(number, SparseFeatures(shape, places[stored], values[stored]), label, has_label)


def _joined(steps: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    return np.concatenate([*steps, np.zeros(0, np.int64)])


def _parse(data: bytes, where: str) -> tuple[SequenceExample, dict[str, Sequence[Feature]]]:
    """The message, and the steps of each of its feature lists."""
    try:
        message = SequenceExample.FromString(data)
        lists = message.feature_lists.feature_list
        return message, {key: lists[key].feature for key in lists}
    except (DecodeError, UnicodeDecodeError):  # The latter of a key.
        raise FormatError(where, "the record is not a SequenceExample") from None


def _context(message: SequenceExample, metadata: Metadata, where: str) -> tuple[int, Floats, bool]:
    """The id (−1 where there is none), the label, and whether the record names one."""
    context = message.context.feature
    label, has_label = _label(context, metadata, where)
    ids = context["id"].int64_list.value if "id" in context else ()
    return (ids[0] if ids else -1), label, has_label


def fit_length(features: Floats, sequence_size: int) -> Floats:
    """Pads with zeros, or cuts, to the sequence size of the metadata, where that is fixed."""
    steps = len(features)
    if sequence_size < 0 or steps == sequence_size:
        return features
    if steps > sequence_size:
        return features[:sequence_size]
    return np.pad(features, [(0, sequence_size - steps), (0, 0), (0, 0), (0, 0)])


def _missing(key: str, metadata: Metadata, where: str) -> FormatError:
    return FormatError(where, f"the record has no {key!r}, but the metadata's format is {metadata.format}")


def _dense(steps: Sequence[Feature] | None, metadata: Metadata, where: str) -> Floats:
    if steps is None:
        raise _missing("0_dense_input", metadata, where)
    _, rows, cols, channels = metadata.shape
    size = rows * cols * channels
    frames = []
    for t, step in enumerate(steps):
        # Arrays are made fast, but not as fast as small lists.
        values = step.float_list.value if size < 32 else np.array(step.float_list.value, np.float32)
        if len(values) != size:
            raise FormatError(
                where, f"step {t} has {len(values)} numbers, not rows × columns × channels = {size}"
            )
        frames.append(values)
    if not frames:
        return np.zeros((0, rows, cols, channels), np.float32)
    return np.array(frames, np.float32).reshape(-1, rows, cols, channels)


def _compressed(steps: Sequence[Feature] | None, metadata: Metadata, where: str) -> Floats:
    if steps is None:
        raise _missing("0_compressed", metadata, where)
    _, rows, cols, channels = metadata.shape
    frames: list[npt.NDArray[np.uint8]] = []
    for step in steps:
        frames.extend(
            _image(data, channels, f"{where}, step {len(frames)}") for data in step.bytes_list.value
        )
    if not frames:
        return np.zeros((0, max(rows, 0), max(cols, 0), channels), np.float32)
    for t, frame in enumerate(frames):
        for axis, expected in enumerate((rows, cols)):
            if frame.shape[axis] != (expected if expected > 0 else frames[0].shape[axis]):
                raise FormatError(
                    where,
                    f"the image of step {t} has {frame.shape[0]} × {frame.shape[1]} pixels, not as expected",
                )
    # The same product as in TensorFlow's convert_image_dtype, so that both readers agree to the bit.
    return np.stack(frames).astype(np.float32) * np.float32(1 / 255)


def _image(data: bytes, channels: int, where: str) -> npt.NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(data), formats=_IMAGES) as image:
            mode = _MODES.get(channels)
            if mode is None:
                raise FormatError(where, f"images have 1 to 4 channels, not {channels}")
            if channels == 1:
                image.draft(
                    "L", image.size
                )  # A colour JPEG holds its own grey picture; other formats don't mind.
            pixels = _pixels(image, mode)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise FormatError(where, f"the image cannot be decoded: {error}") from None
    return pixels.reshape(pixels.shape[0], pixels.shape[1], channels)


def _pixels(image: Image.Image, mode: str) -> npt.NDArray[np.uint8]:
    """As TensorFlow, that is libpng, has them, where Pillow would have others."""
    if image.mode.startswith("I"):  # Of 16 bits, the upper ones; Pillow would cut at 255.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if mode == "L" and image.format == "PNG" and image.mode in ("RGB", "RGBA", "P"):
        colours = np.asarray(image.convert("RGB")).astype(np.uint32)
        grey: npt.NDArray[np.uint8] = (colours @ _GREY >> 15).astype(np.uint8)
        return grey
    return np.asarray(image if image.mode == mode else image.convert(mode))


def _sparse(steps: Mapping[str, Sequence[Feature]], metadata: Metadata, where: str) -> Floats:
    if metadata.is_token_sequence:
        if "0_sparse_value" not in steps:
            raise _missing("0_sparse_value", metadata, where)
        return _tokens(steps.get("0_sparse_channel_index"), metadata, where)
    floats, axes = _sparse_steps(steps, metadata, where)
    out = np.zeros((len(floats), metadata.rows, metadata.cols, metadata.channels), np.float32)
    for t, numbers in enumerate(floats):
        out[t, axes[0][t], axes[1][t], axes[2][t]] = numbers
    return out


def _sparse_steps(
    steps: Mapping[str, Sequence[Feature]], metadata: Metadata, where: str
) -> tuple[list[Floats], list[list[npt.NDArray[np.int64]]]]:
    """Values of each step, and their indices: row, column, channel × steps."""
    values = steps.get("0_sparse_value")
    if values is None:
        raise _missing("0_sparse_value", metadata, where)
    floats = [np.array(s.float_list.value, np.float32) for s in values]
    axes = [
        _indices(steps.get(f"0_sparse_{axis}_index"), floats, size, f"{where}, 0_sparse_{axis}_index")
        for axis, size in (("row", metadata.rows), ("col", metadata.cols), ("channel", metadata.channels))
    ]
    return floats, axes


def _tokens(steps: Sequence[Feature] | None, metadata: Metadata, where: str) -> Floats:
    if steps is None:
        raise _missing("0_sparse_channel_index", metadata, where)
    tokens = np.array([token for step in steps for token in step.int64_list.value], np.float32)
    if len(tokens) and (tokens.min() < 0 or tokens.max() >= metadata.channels):
        raise FormatError(where, f"a token is outside 0 … {metadata.channels - 1}")
    return tokens.reshape(-1, 1, 1, 1)


def _indices(
    steps: Sequence[Feature] | None, floats: list[Floats], size: int, where: str
) -> list[npt.NDArray[np.int64]]:
    if not steps:  # Older files have no channel index; there the only channel is meant.
        return [np.zeros(len(numbers), np.int64) for numbers in floats]
    out = [np.array(s.int64_list.value, np.int64) for s in steps]
    if [len(i) for i in out] != [len(numbers) for numbers in floats]:
        raise FormatError(where, "has another number of entries than 0_sparse_value")
    for t, indices in enumerate(out):
        if len(indices) and (indices.min() < 0 or indices.max() >= size):
            raise FormatError(where, f"step {t} has an index outside 0 … {size - 1}")
    return out


def _label(context: Mapping[str, Feature], metadata: Metadata, where: str) -> tuple[Floats, bool]:
    indices = np.array(context["label_index"].int64_list.value if "label_index" in context else (), np.int64)
    scores = np.array(context["label_score"].float_list.value if "label_score" in context else (), np.float32)
    if not len(scores):
        scores = np.ones(len(indices), np.float32)
    if len(scores) != len(indices):
        raise FormatError(where, f"{len(indices)} label_index, but {len(scores)} label_score")
    if len(indices) and (indices.min() < 0 or indices.max() >= metadata.n_labels):
        raise FormatError(where, f"a label_index is outside 0 … {metadata.n_labels - 1}")
    label = np.zeros(metadata.n_labels, np.float32)
    label[indices] = scores
    return label, len(indices) > 0
