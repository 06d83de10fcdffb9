"""TFRecord framing: length, masked CRC-32C of the length, data, masked CRC-32C of the data.

The layout is the one in TensorFlow's documentation ("TFRecord and tf.train.Example"); the CRC is
google-crc32c's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from alcove_datasets.errors import FormatError

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
OVERHEAD = _HEADER.size + _FOOTER.size
"""Bytes that framing adds to a record."""


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
    with path.open("rb", buffering=1 << 20) as file:
        yield from records_of(file, path.stat().st_size, str(path))


def records_of(file: BinaryIO, size: int, name: str) -> Iterator[tuple[int, bytes]]:
    """Yields (byte offset, data) of each record of a stream of ``size`` bytes. ``name`` is for messages.

    Raises:
        FormatError: it ends within a record, or a CRC is wrong; names file, record and byte offset.
    """
    offset = 0
    number = 0
    while offset < size:
        where = f"{name}, record {number}, byte {offset}"
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            raise FormatError(where, "the file ends within the length of a record")
        length, crc = _HEADER.unpack(header)
        # Checked before the length is used: a damaged length must not become an allocation.
        if masked_crc(header[:8]) != crc:
            raise FormatError(where, "the length of the record is damaged (its CRC does not match)")
        if offset + OVERHEAD + length > size:
            raise FormatError(where, f"the record has {length} bytes, but the file ends before that")
        data = file.read(length)
        footer = file.read(_FOOTER.size)
        if len(footer) < _FOOTER.size:
            raise FormatError(where, f"the record has {length} bytes, but the file ends before that")
        if masked_crc(data) != _FOOTER.unpack(footer)[0]:
            raise FormatError(where, "the record is damaged (its CRC does not match)")
        yield offset, data
        offset += OVERHEAD + length
        number += 1
