"""TFRecord framing: length, masked CRC-32C of the length, data, masked CRC-32C of the data.

The layout is the one in TensorFlow's documentation ("TFRecord and tf.train.Example"); the CRC is
google-crc32c's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from alcove_format.errors import FormatError

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
OVERHEAD = _HEADER.size + _FOOTER.size
"""Bytes that framing adds to a record."""
HEADER = _HEADER.size
"""Of these, before it."""
_BLOCK = 256 << 10
"""Bytes that are read at a time: what fits the processor's cache is copied and checked fastest."""


@dataclass(frozen=True)
class Block:
    """Some records of a file, one behind the other, whose CRCs are right."""

    data: bytes
    starts: Sequence[int]
    """Where each record begins and ends in ``data``."""
    ends: Sequence[int]
    name: str
    first: int
    """Number of the first of them in the file."""
    offset: int
    """Where ``data`` begins in the file."""

    def __len__(self) -> int:
        return len(self.starts)

    def split(self, most: int, first: int | None = None) -> Iterator[Block]:
        """The same records, at most so many in a block, and in the first one at most ``first``."""
        edges = [0, *range(most if first is None else first, len(self), most), len(self)]
        for start, end in pairwise(edges):
            starts, ends = self.starts[start:end], self.ends[start:end]
            yield replace(self, starts=starts, ends=ends, first=self.first + start)

    def record(self, i: int) -> bytes:
        return self.data[self.starts[i] : self.ends[i]]

    def where(self, i: int) -> str:
        """File, record and byte offset, for messages."""
        return _where(self.name, self.first + i, self.offset + self.starts[i] - _HEADER.size)


def masked_crc(data: bytes) -> int:
    """CRC-32C rotated by 15 bits plus a constant, so that a CRC of data with CRCs in it stays a good one."""
    crc = int(google_crc32c.value(data))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def write_record(file: BinaryIO, data: bytes) -> int:
    """Appends one record; returns the bytes written."""
    length = struct.pack("<Q", len(data))
    file.write(length + _FOOTER.pack(masked_crc(length)))
    file.write(data)
    file.write(_FOOTER.pack(masked_crc(data)))
    return len(data) + OVERHEAD


def read_records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields (byte offset, data) of each record of a file; see :func:`records_of`."""
    with path.open("rb", buffering=0) as file:
        yield from records_of(file, path.stat().st_size, str(path))


def records_of(file: BinaryIO, size: int, name: str) -> Iterator[tuple[int, bytes]]:
    """Yields (byte offset, data) of each record of a stream of ``size`` bytes; see :func:`blocks_of`."""
    for block in blocks_of(file, size, name):
        shift = block.offset - _HEADER.size
        for start, end in zip(block.starts, block.ends, strict=True):
            yield start + shift, block.data[start:end]


def blocks_of(file: BinaryIO, size: int, name: str, most: int = _BLOCK) -> Iterator[Block]:
    """Yields the records of a stream of ``size`` bytes, as many at a time as fit ``most`` bytes (by default 256 KiB).

    ``name`` is for messages. A record that is larger is a block of its own.

    Raises:
        FormatError: it ends within a record, or a CRC is wrong; names file, record and byte offset. What comes
            before that place has been yielded then.
    """
    data, offset, number, wanted = b"", 0, 0, most
    while offset + len(data) < size or data:
        more = file.read(wanted)
        data = data + more if data else more
        block, behind, missing, problem = _cut(data, offset, size, name, number)
        wanted = max(most, missing)
        if len(block):
            yield block
        if not problem and not more:
            problem = "the file ends before this record does"  # It was longer when its size was looked up.
        number += len(block)
        data, offset = data[behind:], offset + behind
        if problem:
            raise FormatError(_where(name, number, offset), problem)


def _cut(data: bytes, offset: int, size: int, name: str, number: int) -> tuple[Block, int, int, str]:
    """The whole records of ``data``, how much they fill, what the next one lacks, and what is wrong behind them."""
    starts: list[int] = []
    ends: list[int] = []
    at, problem, missing = 0, "", 0
    while not problem:
        start = at + _HEADER.size
        if start > len(data):
            if offset + start > size and offset + at < size:
                problem = "the file ends within the length of a record"
            break
        length, crc = _HEADER.unpack_from(data, at)
        # Checked before the length is used: a damaged length must not become an allocation.
        if masked_crc(data[at : at + 8]) != crc:
            problem = "the length of the record is damaged (its CRC does not match)"
            break
        end = start + length
        if offset + end + _FOOTER.size > size:
            problem = f"the record has {length} bytes, but the file ends before that"
        elif end + _FOOTER.size > len(data):
            missing = end + _FOOTER.size - len(data)
            break
        elif masked_crc(data[start:end]) != _FOOTER.unpack_from(data, end)[0]:
            problem = "the record is damaged (its CRC does not match)"
        else:
            starts.append(start)
            ends.append(end)
            at = end + _FOOTER.size
    return Block(data, starts, ends, name, number, offset), at, missing, problem


def _where(name: str, number: int, offset: int) -> str:
    return f"{name}, record {number}, byte {offset}"
