"""From sample files to examples and batches: decoding ahead, shuffling, padding. NumPy alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alcove_format.batch_decoder import BatchDecoder
from alcove_format.example import Arrays, Example, Floats, decode_example, fit_length
from alcove_format.metadata import Format, Metadata
from alcove_format.records import Block, blocks_of

Batch = tuple[Floats, Floats]
Sizes = npt.NDArray[np.int64]
Group = tuple[Arrays, Floats]
BatchWithSizes = tuple[Floats, Floats, Sizes]
Pair = tuple[Floats, Floats]

_Pieces = Callable[[Block, int, int], Iterator["Chunk"]]

_DECODED = 16 << 20
"""Bytes of decoded numbers, about, that are held at a time."""
_PIECE = 1 << 20
"""The same where examples are handed on at once: what fits the processor's cache is filled several times as fast."""
_IMAGES_AT_A_TIME = 8
_READ = 2 << 20
"""Bytes that are decoded at a time: fewer cost more calls, more fit no processor's cache."""


@dataclass(frozen=True)
class Chunk:
    """Some examples that follow each other in a file."""

    features: Arrays
    """time × rows × columns × channels each."""
    labels: Floats
    """examples × labels."""
    ids: npt.NDArray[np.int64]
    labelled: npt.NDArray[np.bool_]
    block: Block

    def examples(self) -> Iterator[Example]:
        for i, features in enumerate(self.features):
            yield Example(
                int(self.ids[i]), features, self.labels[i], bool(self.labelled[i]), self.block.where(i)
            )


def decode_files(
    files: Iterable[Path], metadata: Metadata, workers: int = 0, batch: int = 0
) -> Iterator[Chunk]:
    """Decodes files, in order; with ``workers``, so many threads decode images ahead.

    Where a ``batch`` of examples is large, each but those that lie in two blocks is a chunk of its own.

    Raises FormatError where it comes to what is damaged.
    """
    blocks = _read_blocks(files)
    if metadata.format is not Format.COMPRESSED:
        return _cut_pieces(blocks, _piece_decoder(metadata), max(batch, examples_per_piece(metadata, _PIECE)))
    few = chain.from_iterable(block.split(_IMAGES_AT_A_TIME) for block in blocks)
    decode_block = block_decoder(metadata)
    return _decode_ahead(decode_block, few, workers) if workers else map(decode_block, few)


def examples_per_piece(metadata: Metadata, size: int = _DECODED) -> int:
    """How many examples are decoded at a time, so that their arrays fill about so many bytes."""
    if metadata.format is Format.COMPRESSED:
        return _IMAGES_AT_A_TIME
    numbers = 1 if metadata.is_token_sequence else metadata.rows * metadata.cols * metadata.channels
    return max(1, size // (4 * numbers * max(1, metadata.sequence_size)))


def _cut_pieces(blocks: Iterator[Block], pieces: _Pieces, most: int) -> Iterator[Chunk]:
    lacking = most
    for block in blocks:
        yield from pieces(block, most, lacking)
        lacking = most - (len(block) - lacking) % most


def _read_blocks(files: Iterable[Path]) -> Iterator[Block]:
    for path in files:
        with path.open("rb", buffering=0) as file:
            yield from blocks_of(file, path.stat().st_size, str(path), _READ)


def block_decoder(metadata: Metadata) -> Callable[[Block], Chunk]:
    """Decodes the blocks of one part. Raises FormatError for the first record that is not as the metadata say."""
    if metadata.format is Format.COMPRESSED:
        return lambda block: _decode_singly(block, metadata)
    pieces = _piece_decoder(metadata)
    return lambda block: next(pieces(block, len(block), len(block)))


def _piece_decoder(metadata: Metadata) -> _Pieces:
    """Decodes the blocks of one part, of numbers: structure at once, arrays of at most so many examples at a time."""
    columns = BatchDecoder(metadata)

    def pieces(block: Block, most: int, first: int) -> Iterator[Chunk]:
        found = columns.decode(block)
        start = 0
        for piece in block.split(most, first):
            some = slice(start, start + len(piece))
            good = found.good[some]
            if good.any():
                features = found.features(some.start, some.stop)
                chunk = Chunk(features, found.labels[some], found.ids[some], found.labelled[some], piece)
                yield _fit_lengths(chunk if good.all() else _redecode_failed(chunk, good, metadata), metadata)
            else:
                yield _decode_singly(piece, metadata)
            start = some.stop

    return pieces


def _redecode_failed(chunk: Chunk, good: npt.NDArray[np.bool_], metadata: Metadata) -> Chunk:
    """With the examples in it that only protobuf decodes."""
    features = list(chunk.features)
    for i in np.flatnonzero(~good).tolist():
        example = decode_example(chunk.block.record(i), metadata, chunk.block.where(i))
        features[i] = example.features
        chunk.labels[i], chunk.ids[i], chunk.labelled[i] = example.label, example.id, example.has_label
    return replace(chunk, features=features)


def _fit_lengths(chunk: Chunk, metadata: Metadata) -> Chunk:
    features, size = chunk.features, metadata.sequence_size
    if size < 0 or (isinstance(features, np.ndarray) and features.shape[1] == size):
        return chunk
    return replace(chunk, features=[fit_length(array, size) for array in features])


def _decode_singly(block: Block, metadata: Metadata) -> Chunk:
    examples = [decode_example(block.record(i), metadata, block.where(i)) for i in range(len(block))]
    return Chunk(
        [example.features for example in examples],
        np.array([example.label for example in examples], np.float32).reshape(-1, metadata.n_labels),
        np.array([example.id for example in examples], np.int64),
        np.array([example.has_label for example in examples], np.bool_),
        block,
    )


def _decode_ahead(
    decode_block: Callable[[Block], Chunk], blocks: Iterator[Block], workers: int
) -> Iterator[Chunk]:
    """In order, with at most two blocks a worker under way."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="alcove-reader")
    try:
        waiting: deque[Future[Chunk]] = deque()
        damage: Exception | None = None
        while True:
            try:
                while damage is None and len(waiting) < 2 * workers:
                    waiting.append(pool.submit(decode_block, next(blocks)))
            except Exception as error:  # The end, too. What is whole before it comes first.
                damage = error
            if not waiting:
                break
            yield waiting.popleft().result()
        if not isinstance(damage, StopIteration) and damage is not None:
            raise damage
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def shuffle_pairs(pairs: Iterator[Pair], size: int, random: np.random.Generator) -> Iterator[Pair]:
    """Draws from a buffer that is filled up again. What it keeps is copied: a view would hold all around it."""
    buffer: list[Pair] = []
    for features, label in pairs:
        buffer.append((features.copy(), label.copy()))
        if len(buffer) == size:
            break
    for features, label in pairs:
        i = int(random.integers(len(buffer)))
        yield buffer[i]
        buffer[i] = features.copy(), label.copy()
    for i in random.permutation(len(buffer)).tolist():
        yield buffer[i]


def group_pairs(pairs: Iterator[Pair], size: int) -> Iterator[Group]:
    while some := list(islice(pairs, size)):
        yield [features for features, _ in some], np.stack([label for _, label in some])


def assemble_batches(groups: Iterable[Group], size: int) -> Iterator[BatchWithSizes]:
    """Cuts groups of examples of any length into batches."""
    waiting: list[Group] = []
    count = 0
    for features, labels in groups:
        at = 0
        while at < len(labels):
            taken = min(size - count, len(labels) - at)
            whole = taken == len(labels)  # Then it is nobody else's.
            waiting.append((features if whole else features[at : at + taken], labels[at : at + taken]))
            at += taken
            count += taken
            if count == size:
                yield _pad_groups(waiting)
                waiting, count = [], 0
    if waiting:
        yield _pad_groups(waiting)


def _pad_groups(groups: list[Group]) -> BatchWithSizes:
    labels = np.concatenate([labels for _, labels in groups])
    arrays: list[Floats] = [features for features, _ in groups if isinstance(features, np.ndarray)]
    if len(arrays) == len(groups) and len({array.shape[1:] for array in arrays}) == 1:
        together = arrays[0] if len(arrays) == 1 and arrays[0].base is None else np.concatenate(arrays)
        return together, labels, np.tile(np.array(together.shape[1:4], np.int64), (len(together), 1))
    examples = [array for features, _ in groups for array in features]
    sizes = np.array([array.shape[:3] for array in examples], np.int64)
    out = np.zeros((len(examples), *sizes.max(axis=0), examples[0].shape[3]), np.float32)
    for target, array, (time, rows, cols) in zip(out, examples, sizes.tolist(), strict=True):
        target[:time, :rows, :cols] = array
    return out, labels, sizes
