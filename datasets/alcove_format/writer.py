"""Writing a dataset: ``NAME.data/{train,test}`` and, beside it, ``NAME.solution``.

Nothing half-written is ever seen under a final name, and the same examples give the same bytes.
"""

from __future__ import annotations

import math
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from alcove_format.errors import FormatError, OutputExistsError
from alcove_format.format_pb2 import (
    Feature,
    FeatureList,
    FeatureLists,
    FloatList,
    Int64List,
    SequenceExample,
)
from alcove_format.metadata import METADATA_FILE, Format, Metadata
from alcove_format.records import write_record
from alcove_format.solution import LARGEST

_DENSE = b"0_dense_input"
SHARD_BYTES = 32 << 20
"""A sample file ends once it is this large, so that several can be fetched and read at a time."""


@dataclass(frozen=True)
class SparseStep:
    """One step of format SPARSE, given by the values that are not zero. All arrays have the same length."""

    cols: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64] | None = None
    """Zeros, where it is not given; ``channels`` too."""
    channels: npt.NDArray[np.int64] | None = None


Features = npt.ArrayLike | Sequence[bytes] | Sequence[SparseStep]


@dataclass(frozen=True)
class NewExample:
    """One example to be written.

    ``features`` is time × rows × columns × channels or, with format COMPRESSED, each step's encoded image.
    With format SPARSE it can also be a step's values each, so that no zero is ever held. A token sequence (sparse
    text) is given as it is read: token numbers, time × 1 × 1 × 1.
    """

    features: Features
    labels: Mapping[int, float] = field(default_factory=dict)
    """Score of each label that it has: usually 1.0. Of a regression, each number to predict."""


def write_dataset(
    out: Path, name: str, metadata: Metadata, train: Iterable[NewExample], test: Iterable[NewExample]
) -> Path:
    """Writes ``out/NAME.data`` and ``out/NAME.solution``; returns the former.

    Test labels go to the solution alone: 1 where the score is at least 0.5, or the numbers of a regression.
    ``n_examples`` is not read.
    Both iterables are consumed once, example by example.

    Raises:
        OutputExistsError: one of the two is there already.
        FormatError: an example does not match the metadata.
    """
    data, solution = final_paths(out, name)
    with scratch(out, name) as temporary:
        _write_part(temporary / "data" / "train", metadata, train, None)
        with (temporary / "solution").open("wb") as rows:
            _write_part(temporary / "data" / "test", metadata, test, rows)
        # The data last: where they are, the solution is too.
        (temporary / "solution").rename(solution)
        (temporary / "data").rename(data)
    return data


@contextmanager
def scratch(out: Path, name: str) -> Iterator[Path]:
    """A hidden folder in ``out``, removed at the end with all that is in it."""
    folder = out / f".{name}.{secrets.token_hex(4)}"
    try:  # From here on, so that a signal finds no moment in which the folder is there and nobody removes it.
        folder.mkdir(parents=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def final_paths(out: Path, name: str) -> tuple[Path, Path]:
    """``NAME.data`` and ``NAME.solution``. Raises OutputExistsError where one is there already."""
    paths = out / f"{name}.data", out / f"{name}.solution"
    for path in paths:
        if path.exists():
            raise OutputExistsError(str(path))
    return paths


def _write_part(
    path: Path, metadata: Metadata, examples: Iterable[NewExample], rows: BinaryIO | None
) -> None:
    """Writes one part; with ``rows``, labels are written there and kept out of the records."""
    path.mkdir(parents=True)
    shards = _Shards(path)
    count = 0
    for count, example in enumerate(examples, start=1):
        where = f"example {count - 1} of {path.name}"
        _check_labels(example.labels, metadata, where)
        shards.write(_encode(count - 1, example, metadata, where, with_labels=rows is None))
        if rows is not None:
            rows.write(_solution_row(example.labels, metadata))
    shards.close()
    stated = replace(metadata, n_examples=count, stated_domain=metadata.domain)
    (path / METADATA_FILE).write_text(stated.to_text(), "utf-8")


class _Shards:
    """``sample-00000``, ``sample-00001``, …: a new one once the last is large enough."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._bytes = 0
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> None:
        if self._file is None or self._bytes >= SHARD_BYTES:
            self.close()
            self._file = (self._folder / f"sample-{self._count:05d}").open("wb")
            self._count += 1
            self._bytes = 0
        self._bytes += write_record(self._file, data)

    def close(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None


def _check_labels(labels: Mapping[int, float], metadata: Metadata, where: str) -> None:
    for index in labels:
        if not 0 <= index < metadata.n_labels:
            raise FormatError(
                where, f"label {index} is outside 0 … {metadata.n_labels - 1}", remedy="Correct it."
            )
    if metadata.is_regression:
        numbers = [labels.get(i, math.nan) for i in range(metadata.n_labels)]
        if not all(abs(number) <= LARGEST for number in numbers):
            raise FormatError(
                where,
                f"{numbers} are not finite numbers to predict",
                remedy="Give each example every number.",
            )


def _solution_row(labels: Mapping[int, float], metadata: Metadata) -> bytes:
    if metadata.is_regression:
        # As train has it: float32, in the fewest digits that are this number.
        return " ".join(str(np.float32(labels[i])) for i in range(metadata.n_labels)).encode() + b"\n"
    present = (labels.get(i, 0.0) >= 0.5 for i in range(metadata.n_labels))
    return b" ".join(b"1" if p else b"0" for p in present) + b"\n"


def _encode(number: int, example: NewExample, metadata: Metadata, where: str, *, with_labels: bool) -> bytes:
    message = SequenceExample()
    context = message.context.feature
    context["id"].int64_list.value.append(number)
    # Both are there, if empty, in test too: some readers want the keys.
    indices, scores = context["label_index"].int64_list, context["label_score"].float_list
    indices.SetInParent()
    scores.SetInParent()
    if with_labels:
        for index in sorted(example.labels):
            indices.value.append(index)
            scores.value.append(example.labels[index])
    if metadata.format is Format.COMPRESSED:
        _encode_compressed(message.feature_lists, example, metadata, where)
    elif metadata.format is Format.DENSE:
        # What is merged may as well be appended: protobuf's encoding of one message after another.
        dense = _dense_lists(_shaped(example.features, metadata, where))
        return message.SerializeToString(deterministic=True) + dense
    elif metadata.is_token_sequence:
        _encode_tokens(message.feature_lists, _shaped(example.features, metadata, where), metadata, where)
    else:
        steps = _sparse_steps(example.features, metadata, where)
        _encode_sparse(message.feature_lists, steps)
    return message.SerializeToString(deterministic=True)


def _shaped(features: object, metadata: Metadata, where: str) -> npt.NDArray[np.float32]:
    array = np.asarray(features, np.float32)
    expected = metadata.shape
    if array.ndim != 4 or any(e not in (-1, n) for e, n in zip(expected, array.shape, strict=True)):
        raise FormatError(
            where,
            f"has shape {array.shape}, not (time, rows, columns, channels) = {expected}",
            remedy="Give every example the shape that the metadata says, −1 standing for any.",
        )
    return array


def _dense_lists(array: npt.NDArray[np.float32]) -> bytes:
    """``feature_lists`` of a SequenceExample as protobuf encodes them, and fast where each step is one number (sound).

    feature_list["0_dense_input"].feature[step].float_list.value[…]: fields 1, 1 and 2, 1, 2, 1.
    """
    steps = len(array)
    floats = np.ascontiguousarray(array, "<f4").reshape(steps, math.prod(array.shape[1:])).view(np.uint8)
    size = floats.shape[1]
    start = _start(1, size)
    start = _start(2, len(start) + size) + start
    start = _start(1, len(start) + size) + start
    table = np.empty((steps, len(start) + size), np.uint8)
    table[:, : len(start)] = np.frombuffer(start, np.uint8)
    table[:, len(start) :] = floats
    lead = _start(1, len(_DENSE)) + _DENSE + _start(2, table.size)
    lead = _start(1, len(lead) + table.size) + lead
    return b"".join((_start(2, len(lead) + table.size), lead, table.data))


def _start(field: int, size: int) -> bytes:
    """What stands before ``size`` bytes of a field that has a length: its number with wire type 2, and a varint."""
    out = bytearray([field << 3 | 2])
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out)


def _encode_compressed(lists: FeatureLists, example: NewExample, metadata: Metadata, where: str) -> None:
    given = example.features if isinstance(example.features, Sequence) else ()
    frames = [frame for frame in given if isinstance(frame, bytes)]
    if not frames or len(frames) != len(given):
        raise FormatError(
            where, "format COMPRESSED takes the encoded bytes of each step", remedy="Encode the images."
        )
    _check_steps(len(frames), metadata, where)
    steps = lists.feature_list["0_compressed"]
    steps.SetInParent()
    for frame in frames:
        steps.feature.add().bytes_list.value.append(frame)


def _check_steps(count: int, metadata: Metadata, where: str) -> None:
    if metadata.sequence_size not in (-1, count):
        raise FormatError(
            where, f"has {count} steps, not {metadata.sequence_size}", remedy="Set sequence_size to −1."
        )


def _encode_tokens(
    lists: FeatureLists, array: npt.NDArray[np.float32], metadata: Metadata, where: str
) -> None:
    """One-hot channels, a token a step. There are as many messages as words, so each kind of step is encoded once."""
    tokens = array.ravel().astype(np.int64).tolist()
    if tokens and not (min(tokens) >= 0 and max(tokens) < metadata.channels):
        raise FormatError(where, f"has a token outside 0 … {metadata.channels - 1}", remedy="Correct it.")
    axes = {
        "row_index": _int64_step(0) * len(tokens),
        "col_index": _int64_step(0) * len(tokens),
        "channel_index": b"".join(map(_int64_step, tokens)),
        "value": _ONE * len(tokens),
    }
    for axis, steps in axes.items():
        lists.feature_list[f"0_sparse_{axis}"].MergeFromString(steps)


@lru_cache(1 << 20)
def _int64_step(value: int) -> bytes:
    """A FeatureList of one step with one number. Encoded lists that follow each other are one list."""
    return FeatureList(feature=[Feature(int64_list=Int64List(value=[value]))]).SerializeToString()


_ONE = FeatureList(feature=[Feature(float_list=FloatList(value=[1.0]))]).SerializeToString()


def _sparse_steps(features: object, metadata: Metadata, where: str) -> list[SparseStep]:
    if isinstance(features, Sequence) and features and isinstance(features[0], SparseStep):
        _check_sparse(features, metadata, where)
        return list(features)
    array = _shaped(features, metadata, where)
    steps = []
    for frame in array:
        rows, cols, channels = np.nonzero(frame)
        steps.append(SparseStep(cols, frame[rows, cols, channels], rows, channels))
    return steps


def _check_sparse(steps: Sequence[SparseStep], metadata: Metadata, where: str) -> None:
    _check_steps(len(steps), metadata, where)
    for step in steps:
        sizes = ((step.rows, metadata.rows), (step.cols, metadata.cols), (step.channels, metadata.channels))
        for indices, size in sizes:
            if indices is None:
                continue
            if len(indices) != len(step.values):
                raise FormatError(
                    where, "has another number of indices than of values", remedy="Give one each."
                )
            if len(indices) and (indices.min() < 0 or indices.max() >= size):
                raise FormatError(where, f"has an index outside 0 … {size - 1}", remedy="Correct it.")


def _encode_sparse(lists: FeatureLists, steps: Sequence[SparseStep]) -> None:
    keys = ("row_index", "col_index", "channel_index", "value")
    row, col, channel, value = (lists.feature_list[f"0_sparse_{key}"] for key in keys)
    for axis in (row, col, channel, value):
        axis.SetInParent()
    for step in steps:
        for axis, indices in ((row, step.rows), (col, step.cols), (channel, step.channels)):
            int64s = axis.feature.add().int64_list
            int64s.SetInParent()
            int64s.value.extend([0] * len(step.values) if indices is None else indices.tolist())
        floats = value.feature.add().float_list
        floats.SetInParent()
        floats.value.extend(step.values.tolist())
