"""Many records decoded at once, with NumPy over their bytes: no object a record, nor one a number.

protobuf's parser alone, before anything is taken out of its messages, takes several times as long as reading and
checking the bytes where an example has many steps (bench/datasets.py shows it). So records are compared with the
layouts of records that came before (:mod:`alcove_format.record_layout`), and where all bytes of structure are the same,
and all lengths go with each other, the numbers lie where they lay there. Whatever differs, or does not match the
metadata, is left to :func:`alcove_format.example.decode_example`. It uses protobuf, and decides what a record holds and
what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alcove_format.example import Arrays, Floats
from alcove_format.format_pb2 import FeatureList
from alcove_format.metadata import Format, Metadata
from alcove_format.record_layout import (
    FIRST,
    FLOATS,
    INTS,
    THIRD,
    ByteRange,
    Bytes,
    RecordLayout,
    derive_layout,
)
from alcove_format.records import Block

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_STEP = (FIRST,)
_SPARSE_INDEX = {axis: f"0_sparse_{axis}_index" for axis in ("row", "col", "channel")}
_MOST_LAYOUTS = 48
_SPARE = 16
"""Bytes of zero behind packed numbers, so that looking ahead is never out of bounds."""
_LONG = 16
"""Bytes from which it is quicker to copy a stretch by itself than its bytes by their numbers."""


@dataclass(frozen=True)
class DecodedBatch:
    """What was decoded of n records. Where ``good`` is false, nothing else is to be believed."""

    good: Bools
    ids: Ints
    labels: Floats
    """n × labels."""
    labelled: Bools
    features: Callable[[int, int], Arrays]
    """time × rows × columns × channels of each record from one number up to another, as long as it is there."""


class BatchDecoder:
    """Decodes the records of one part, of format DENSE or SPARSE. Remembers the layouts that it has met."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._layouts: list[RecordLayout] = []
        self._failures = 0
        self._unwrap: dict[str, Sequence[int]] = {}
        if metadata.format is Format.DENSE:
            self._keys: tuple[str, ...] = ("0_dense_input",)
        else:
            self._keys = ("0_sparse_value", *_SPARSE_INDEX.values())
            if not metadata.is_token_sequence:
                self._unwrap = dict.fromkeys(_SPARSE_INDEX.values(), _STEP + INTS)
                self._unwrap["0_sparse_value"] = _STEP + FLOATS

    def decode(self, block: Block) -> DecodedBatch:
        walk = _BlockMatcher(block, self._metadata.n_labels, self._keys)
        for layout in self._layouts:
            if walk.left.size:
                walk.match(layout)
        while walk.left.size and len(self._layouts) < _MOST_LAYOUTS and self._failures < _MOST_LAYOUTS:
            row = int(walk.left[-1])  # Small ids are shorter than most.
            found = derive_layout(block.record(row), self._keys, self._unwrap)
            if found is None:
                self._failures += 1
            else:
                self._layouts.append(found)
                walk.match(found)
            walk.left = walk.left[walk.left != row]
        if self._metadata.format is Format.SPARSE and not self._metadata.is_token_sequence:
            features = _decode_sparse(walk, self._metadata)
        else:
            decode = _decode_tokens if self._metadata.is_token_sequence else _decode_dense
            arrays = decode(walk, self._metadata)
            features = lambda start, end: arrays[start:end]  # noqa: E731
        return DecodedBatch(walk.good, walk.ids, walk.labels, walk.labelled, features)


class _Spans:
    """One stretch of the buffer a record, [start, end). Those that were never set have start −1."""

    def __init__(self, start: Ints, end: Ints) -> None:
        self.start, self.end = start, end

    @property
    def found(self) -> Bools:
        return self.start >= 0

    @property
    def sizes(self) -> Ints:
        return self.end - self.start


class _BlockMatcher:
    """The bytes of a block, and what was found out about its records so far."""

    def __init__(self, block: Block, n_labels: int, keys: Sequence[str]) -> None:
        count = len(block)
        self.buffer = np.frombuffer(block.data, np.uint8)
        self.good = np.zeros(count, np.bool_)
        self.left = np.arange(count)
        """Records whose layout is not known yet."""
        self.ids = np.full(count, -1, np.int64)
        self.labels = np.zeros((count, n_labels), np.float32)
        self.labelled = np.zeros(count, np.bool_)
        self.values = {
            key: _Spans(np.full(count, -1, np.int64), np.full(count, -1, np.int64)) for key in keys
        }
        self._view = memoryview(block.data)
        self._starts, self._ends = np.array(block.starts, np.int64), np.array(block.ends, np.int64)

    def match(self, layout: RecordLayout) -> None:
        """Takes from the records that are left those of this layout."""
        rows = self.left
        at, ends = self._starts[rows], self._ends[rows]
        spans: list[tuple[str, Ints, Ints]] = []
        first: Bytes | None = None
        for segment in layout.segments:
            size = len(segment.head)
            fits = at + size <= ends
            if not fits.all():
                rows, at, ends, spans, first = _keep_rows(fits, rows, at, ends, spans, first)
            if not len(rows):
                return
            head = self.windows(at, size)
            same = ((head & segment.mask) == segment.head).all(axis=1)
            if not same.all():
                rows, at, ends, spans, first = _keep_rows(same, rows, at, ends, spans, first)
                if not len(rows):
                    return
                head, same = head[same], same[same]
            values = at + size
            behind = values + _varint(head, segment.to_values[-1])
            for places, until in ((segment.to_values[:-1], behind), (segment.to_end, ends)):
                for place in places:
                    same &= at + (place.at + place.size) + _varint(head, place) == until
            same &= behind <= ends
            spans.append((segment.key, values, behind))
            first = head if first is None else first
            at = behind
            if not same.all():
                rows, at, ends, spans, first = _keep_rows(same, rows, at, ends, spans, first)
        whole = at == ends
        if not whole.all():
            rows, at, ends, spans, first = _keep_rows(whole, rows, at, ends, spans, first)
        if first is not None and len(rows):
            self._take(layout, rows, spans, first)

    def _take(
        self, layout: RecordLayout, rows: Ints, spans: list[tuple[str, Ints, Ints]], head: Bytes
    ) -> None:
        good = np.ones(len(rows), np.bool_)
        if layout.id:
            self.ids[rows] = _varint(head, layout.id)
        self.labelled[rows] = bool(layout.index)
        n_labels = self.labels.shape[1]
        for number, place in enumerate(layout.index):
            index = _varint(head, place)
            inside = (index >= 0) & (index < n_labels)
            good &= inside
            score: Floats | float = 1.0
            if layout.scores:
                at = layout.scores.at + 4 * number
                score = np.ascontiguousarray(head[:, at : at + 4]).view("<f4")[:, 0]
            self.labels[rows, np.where(inside, index, 0)] = score
        for key, start, end in spans:
            self.values[key].start[rows], self.values[key].end[rows] = start, end
        self.good[rows] = good
        left = np.ones(len(self.good), np.bool_)
        left[rows] = False
        self.left = self.left[left[self.left]]

    def windows(self, at: Ints, size: int) -> Bytes:
        """``size`` bytes at each position, positions × size. NumPy copies them a position, not a byte, at a time."""
        count = len(self._view) - size + 1
        items: npt.NDArray[np.void] = np.ndarray((count,), f"V{size}", self._view, 0, (1,))
        return items[at].view(np.uint8).reshape(len(at), size)

    def gather(self, spans: _Spans) -> tuple[Bytes, Ints]:
        """The bytes of all spans, one behind the other, and where each begins there (and the last ends)."""
        sizes = np.maximum(spans.sizes, 0)
        begins = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        total = int(begins[-1])
        if total > _LONG * len(sizes):
            stretches = zip(spans.start.tolist(), (spans.start + sizes).tolist(), strict=True)
            return np.frombuffer(b"".join([self._view[s:e] for s, e in stretches]), np.uint8), begins
        at = np.arange(total) + np.repeat(spans.start - begins[:-1], sizes)
        return self.buffer[at], begins

    def ints(self, spans: _Spans) -> tuple[npt.NDArray[np.unsignedinteger], Ints]:
        """All packed int64 of these spans, and how many each has. No record is good where they are damaged."""
        packed, begins = self.gather(spans)
        last = packed < 0x80
        if last.all():
            return packed, np.diff(begins)
        ends = np.flatnonzero(last)
        # A span that ends within a number would spill into the next one.
        whole = last[begins[1:][begins[1:] > begins[:-1]] - 1].all()
        longest, run = 1, ~last
        while longest < 5 and run.any():
            longest, run = longest + 1, run[1:] & ~last[:-longest]
        if not whole or longest == 5:
            self.good[:] = False
            return np.zeros(0, np.uint32), np.zeros(len(self.good), np.int64)
        value, more = packed.take(ends).astype(np.uint32), np.ones(len(ends), np.bool_)
        for place in range(1, longest):
            # Before the first byte lies, for "wrap", the last one, which belongs to no number but its own.
            before = packed.take(ends - place, mode="wrap")
            more &= before >= 0x80
            value = np.where(more, value << 7 | before & 0x7F, value)
        return value, np.diff(np.searchsorted(ends, begins))

    def floats(self, spans: _Spans) -> tuple[Floats, Ints]:
        """All packed floats of these spans, and how many each has. No record is good where they are damaged."""
        packed, begins = self.gather(spans)
        sizes = np.diff(begins)
        if (sizes % 4).any():
            self.good[:] = False
            return np.zeros(0, np.float32), np.zeros(len(self.good), np.int64)
        return packed.view("<f4").astype(np.float32, copy=False), sizes // 4


def _keep_rows(
    keep: Bools, rows: Ints, at: Ints, ends: Ints, spans: list[tuple[str, Ints, Ints]], first: Bytes | None
) -> tuple[Ints, Ints, Ints, list[tuple[str, Ints, Ints]], Bytes | None]:
    spans = [(key, start[keep], end[keep]) for key, start, end in spans]
    return rows[keep], at[keep], ends[keep], spans, None if first is None else first[keep]


def _varint(head: Bytes, place: ByteRange) -> Ints:
    """The varint of so many bytes in each row; the layout's mask has made sure that it is one."""
    value = head[:, place.at].astype(np.int64)
    if place.size == 1:
        return value
    value &= 0x7F
    for i in range(1, place.size):
        value |= (head[:, place.at + i] & 0x7F).astype(np.int64) << (7 * i)
    return value


def _decode_dense(walk: _BlockMatcher, metadata: Metadata) -> Arrays:
    """Each step has the same length, so its frame (tags and lengths, written here by protobuf) has, too."""
    spans = walk.values["0_dense_input"]
    shape = metadata.shape[1:]
    size = shape[0] * shape[1] * shape[2]
    step = FeatureList()
    step.feature.add().float_list.value.extend(np.zeros(size).tolist())
    frame = np.frombuffer(step.SerializeToString()[: -4 * size], np.uint8)
    stride = len(frame) + 4 * size
    walk.good &= spans.found & (spans.sizes % stride == 0)
    steps = np.where(walk.good, spans.sizes // stride, 0)
    if (steps == 1).all():
        walk.good &= (walk.windows(spans.start, len(frame)) == frame).all(axis=1)
        numbers = walk.windows(spans.start + len(frame), 4 * size).view("<f4")
        return numbers.astype(np.float32, copy=False).reshape(-1, 1, *shape)
    packed, _ = walk.gather(_Spans(spans.start, spans.start + steps * stride))
    total = len(packed) // stride
    if not total:
        return _split_by_record(np.zeros((0, *shape), np.float32), steps)
    framed = np.ones(total, np.bool_)
    for place, width in _cut_words(len(frame)):
        words: npt.NDArray[np.unsignedinteger] = np.ndarray((total,), f"<u{width}", packed, place, (stride,))
        framed &= words == frame[place : place + width].view(f"<u{width}")
    if not framed.all():
        walk.good[np.repeat(np.arange(len(steps)), steps)[~framed]] = False
    # As one item of so many bytes a step: NumPy then copies a step at a time, and not number by number.
    items: npt.NDArray[np.void] = np.ndarray((total,), f"V{4 * size}", packed, len(frame), (stride,))
    numbers = items.copy().view("<f4").astype(np.float32, copy=False)
    return _split_by_record(numbers.reshape(-1, *shape), steps)


def _cut_words(length: int) -> Iterator[tuple[int, int]]:
    """Cuts so many bytes into words of 8, 4, 2 and 1: (where, width)."""
    place = 0
    for width in (8, 4, 2, 1):
        while length - place >= width:
            yield place, width
            place += width


def _split_by_record(numbers: Floats, steps: Ints) -> Arrays:
    """One array a record, of all their steps."""
    if len(steps) and (steps == steps[0]).all():
        return numbers.reshape(len(steps), int(steps[0]), *numbers.shape[1:])
    ends = np.cumsum(steps).tolist()
    return [numbers[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _decode_tokens(walk: _BlockMatcher, metadata: Metadata) -> Arrays:
    """Steps of one token each: six bytes of frame, whose lengths go with each other, and a varint.

    Every place that looks like a frame is taken; they are right if, and only if, each begins where the one before
    ends, from the first byte of a record's list to its last.
    """
    spans = walk.values[_SPARSE_INDEX["channel"]]
    walk.good &= spans.found & walk.values["0_sparse_value"].found
    packed, begins = walk.gather(_Spans(spans.start, np.where(walk.good, spans.end, spans.start)))
    total = len(packed)
    ahead = np.concatenate([packed, np.zeros(_SPARE, np.uint8)])
    one, two, three, four, size, *body = (ahead[place : place + total] for place in range(1, 10))
    # In place, and the rest only where it may be one: each array of this length costs as much as the comparison.
    looks = packed == FIRST
    looks &= two == THIRD
    looks &= four == FIRST
    at = np.flatnonzero(looks)
    sizes = size.take(at)
    fits = (one.take(at) == sizes + 4) & (three.take(at) == sizes + 2) & (sizes - np.uint8(1) < 4)
    if not fits.all():
        at, sizes = at[fits], sizes[fits]
    chained = total == 0 or (len(at) > 0 and at[0] == 0 and at[-1] + 6 + sizes[-1] == total)
    chained = chained and bool((np.diff(at) == sizes[:-1] + np.uint8(6)).all())
    first = np.searchsorted(at, begins)
    # Each record's list begins with a frame, too.
    if not chained or (np.append(at, total)[first] != begins).any():
        walk.good[:] = False
        return []
    steps = np.diff(first)
    value, wrong = np.zeros(len(at), np.uint32), np.zeros(len(at), np.bool_)
    for place in range(int(sizes.max(initial=0))):
        byte = body[place].take(at)
        inside = sizes > place
        wrong |= inside & ((byte >= 0x80) != (sizes > place + 1))
        value |= (byte & 0x7F * inside.view(np.uint8)).astype(np.uint32) << 7 * place
    wrong |= value >= metadata.channels
    if wrong.any():
        walk.good[np.repeat(np.arange(len(steps)), steps)[wrong]] = False
    return _split_by_record(value.astype(np.float32).reshape(-1, 1, 1, 1), steps)


def _decode_sparse(walk: _BlockMatcher, metadata: Metadata) -> Callable[[int, int], Arrays]:
    """Examples of one step: where there are more, the record's layout is none of ours.

    The arrays are mostly zeros, and many times as large as the records: they are made as they are asked for.
    """
    given = walk.values["0_sparse_value"]
    walk.good &= given.found
    values, counts = walk.floats(given)
    shape = (metadata.rows, metadata.cols, metadata.channels)
    size = shape[0] * shape[1] * shape[2]
    place = np.zeros(len(values), np.min_scalar_type(size))
    inside = True
    for (_, key), length in zip(_SPARSE_INDEX.items(), shape, strict=True):
        spans = walk.values[key]
        index: npt.NDArray[np.unsignedinteger] | int = 0
        if spans.found.any():  # Older files have no channel index; there the only channel is meant.
            index, entries = walk.ints(spans)
            inside = inside and np.array_equal(entries, counts) and int(index.max(initial=0)) < length
        if length > 1 and inside:
            place *= length
            place += index
    walk.good &= inside and bool(walk.good.all())
    first = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])

    def features(start: int, end: int) -> Arrays:
        out = np.zeros((end - start, 1, *shape), np.float32)
        some = slice(first[start], first[end])
        begins = np.repeat(np.arange(0, (end - start) * size, size), counts[start:end])
        out.reshape(-1)[place[some] + begins] = values[some]
        return out

    return features
