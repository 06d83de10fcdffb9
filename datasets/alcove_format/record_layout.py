"""The layout of a record: which of its bytes say where things are, and which are the things.

Records of one dataset come out of a serializer alike: the same tags, keys and lengths, around other numbers. So the
layout of one is worked out byte by byte, once, and other records are compared with it, many at a time.
The encoding: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

# Tags of the fields: number << 3 | 2 (a length and so many bytes).
FIRST, SECOND, THIRD = 0x0A, 0x12, 0x1A
INTS, FLOATS = (THIRD, FIRST), (SECOND, FIRST)
"""Feature → its list → the packed values."""


@dataclass(frozen=True)
class ByteRange:
    """``size`` bytes from ``at`` on, counted from the beginning of a segment."""

    at: int
    size: int


@dataclass(frozen=True)
class Segment:
    """Bytes that are the same in every record of a layout, under ``mask``, and the key of the values that follow."""

    head: Bytes
    mask: Bytes
    to_values: tuple[ByteRange, ...]
    """Lengths of what ends with the values, the last one that of the values themselves."""
    to_end: tuple[ByteRange, ...]
    """Lengths of what ends with the record."""
    key: str


@dataclass(frozen=True)
class RecordLayout:
    """Segments and values in turn. The places of the context are in the first segment."""

    segments: tuple[Segment, ...]
    id: ByteRange | None
    index: tuple[ByteRange, ...]
    """A varint each."""
    scores: ByteRange | None


class _OtherwiseError(Exception):
    """The record is not laid out as serializers do it."""


@dataclass(frozen=True)
class _Field:
    tag: int
    length: ByteRange
    start: int
    end: int


def derive_layout(data: bytes, keys: Sequence[str], unwrap: dict[str, Sequence[int]]) -> RecordLayout | None:
    """The layout of a SequenceExample whose feature lists are some of ``keys``; None where it is another thing.

    ``unwrap``: what is around the values of a key, as tags; nothing for those whose steps are taken as they are.
    """
    try:
        return _Sketch(data).layout(keys, unwrap)
    except (_OtherwiseError, IndexError, ValueError):
        return None


class _Sketch:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._mask = np.full(len(data), 0xFF, np.uint8)
        self._lengths: list[tuple[ByteRange, int]] = []

    def layout(self, keys: Sequence[str], unwrap: dict[str, Sequence[int]]) -> RecordLayout:
        context, lists = self._only(0, len(self._data), FIRST, SECOND)
        identity, index, scores = self._context(context)
        values = []
        for key, field in self._entries(lists):
            inner = self._unwrapped(field, unwrap.get(key, ()))
            values.append((inner.start, inner.end, key))
        names = [key for _, _, key in values]
        if (
            len(set(names)) < len(names)
            or not set(names) <= set(keys)
            or not values
            or values[-1][1] != len(self._data)
        ):
            raise _OtherwiseError
        segments, start = [], 0
        for begin, end, key in values:
            segments.append(self._segment(start, begin, end, key))
            start = end
        return RecordLayout(tuple(segments), identity, index, scores)

    def _context(self, context: _Field) -> tuple[ByteRange | None, tuple[ByteRange, ...], ByteRange | None]:
        found = dict(self._entries(context))
        identity: ByteRange | None = None
        index: tuple[ByteRange, ...] = ()
        scores: ByteRange | None = None
        if "id" in found:
            identity = next(iter(self._varints(self._unwrapped(found["id"], INTS))), None)
        if "label_index" in found:
            index = tuple(self._varints(self._unwrapped(found["label_index"], INTS)))
        if "label_score" in found:
            packed = self._unwrapped(found["label_score"], FLOATS)
            size = packed.end - packed.start
            if size not in (0, 4 * len(index)):
                raise _OtherwiseError
            if size:
                scores = ByteRange(packed.start, size)
                self._mask[packed.start : packed.end] = 0
        return identity, index, scores

    def _varints(self, field: _Field) -> Iterator[ByteRange]:
        at = field.start
        while at < field.end:
            _, behind = self._varint(at)
            if behind > field.end:
                raise _OtherwiseError
            self._mask[at:behind] = 0x80
            yield ByteRange(at, behind - at)
            at = behind

    def _varint(self, at: int) -> tuple[int, int]:
        value = 0
        for place in range(4):
            byte = self._data[at + place]
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                return value, at + place + 1
        raise _OtherwiseError

    def _fields(self, start: int, end: int) -> Iterator[_Field]:
        while start < end:
            length, content = self._varint(start + 1)
            if content + length > end:
                raise _OtherwiseError
            place = ByteRange(start + 1, content - start - 1)
            self._lengths.append((place, content + length))
            yield _Field(self._data[start], place, content, content + length)
            start = content + length

    def _only(self, start: int, end: int, *tags: int) -> tuple[_Field, ...]:
        """The fields of a message, which must be these."""
        fields = tuple(self._fields(start, end))
        if tuple(field.tag for field in fields) != tags:
            raise _OtherwiseError
        return fields

    def _entries(self, field: _Field) -> Iterator[tuple[str, _Field]]:
        """Keys and values of a map."""
        for entry in self._fields(field.start, field.end):
            if entry.tag != FIRST:
                raise _OtherwiseError
            key, value = self._only(entry.start, entry.end, FIRST, SECOND)
            yield self._data[key.start : key.end].decode(), value

    def _unwrapped(self, field: _Field, tags: Sequence[int]) -> _Field:
        for tag in tags:
            if field.start == field.end:
                return field
            (field,) = self._only(field.start, field.end, tag)
        return field

    def _segment(self, start: int, values: int, end: int, key: str) -> Segment:
        to_values, to_end = [], []
        for place, ends in self._lengths:
            if not start <= place.at < values or ends <= values < end:
                continue
            if ends == end:
                to_values.append(ByteRange(place.at - start, place.size))
            elif ends == len(self._data):
                to_end.append(ByteRange(place.at - start, place.size))
            elif ends > values:
                raise _OtherwiseError
            else:
                continue
            self._mask[place.at : place.at + place.size] = 0x80
        if not to_values:
            raise _OtherwiseError
        head = np.frombuffer(self._data, np.uint8)[start:values]
        return Segment(
            head & self._mask[start:values], self._mask[start:values], tuple(to_values), tuple(to_end), key
        )
