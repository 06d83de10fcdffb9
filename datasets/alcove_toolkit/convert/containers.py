"""Whether a recording or clip was cut off: its container says how long it should be, and the file is shorter.

Decoders read what is left of such a file and say nothing. Only lengths that are meant are taken: whoever writes into a
pipe puts in 0, −1 or a large number, and an edit list or an estimate says nothing about bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_UNKNOWN = 0x7FFF0000
"""From here on, a length of 32 bits means that the writer did not know: sox puts 0x7FFFF000, arecord 0x80000000."""
_SLACK = 64
"""Bytes: some writers count the header as data."""
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
"""Identifies the object of a WMA or WMV file that has its size."""


def count_missing_bytes(path: Path) -> int:
    """How many bytes the file lacks; 0 where it is whole, or where its format does not say.

    Sources: RIFF (Microsoft, 1991), AIFF (Apple, 1989), ISO/IEC 14496-12, RFC 8794 (EBML), ASF (Microsoft, 2004), and
    LAME's Xing header.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(16)
        if start[:4] == b"RIFF":
            end = _riff_end(file, size) if start[8:12] == b"WAVE" else 8 + _length(start[4:8], "little")
        elif start[:4] == b"FORM":
            end = 8 + _length(start[4:8], "big")
        elif start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            end = max(_box_ends(file, size), default=0)
        elif start[:4] == b"\x1a\x45\xdf\xa3":
            end = _segment_end(file)
        elif start == bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"):
            head = file.read(4096)
            at = head.find(_ASF_FILE)
            end = int.from_bytes(head[at + 40 : at + 48], "little") if at >= 0 else 0
        else:
            end = _mp3_end(file, start)
    missing = end - size
    return missing if missing > _SLACK else 0


def _length(data: bytes, order: str) -> int:
    length = int.from_bytes(data, "little" if order == "little" else "big")
    return length if length < _UNKNOWN else 0


def _riff_end(file: BinaryIO, size: int) -> int:
    """Where the samples of a WAV end."""
    offset = 12
    while offset + 8 <= size:
        file.seek(offset)
        name, length = file.read(4), int.from_bytes(file.read(4), "little")
        if name == b"data":
            return offset + 8 + length if length < _UNKNOWN else 0
        offset += 8 + length + length % 2
    return 0


def _box_ends(file: BinaryIO, size: int) -> Iterator[int]:
    """Where the boxes of an MP4 end that hold content. What follows the last one may be anything."""
    offset = 0
    while offset + 8 <= size:
        file.seek(offset)
        length, name = int.from_bytes(file.read(4), "big"), file.read(4)
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        if length < 8 or not name.isalnum():
            return
        offset += length
        if name in (b"mdat", b"moov", b"moof"):
            yield offset


def _segment_end(file: BinaryIO) -> int:
    """Where the segment of a Matroska or WebM file ends; 0 where it was written as a stream."""
    file.seek(4)
    _, header = _ebml_number(file)
    file.seek(header, 1)
    if file.read(4) != b"\x18\x53\x80\x67":
        return 0
    known, length = _ebml_number(file)
    return file.tell() + length if known else 0


def _ebml_number(file: BinaryIO) -> tuple[bool, int]:
    """A length of EBML, and whether it is known: all bits set mean that it is not."""
    first = file.read(1)[0]
    more = 8 - first.bit_length()
    number = int.from_bytes(bytes([first & (0x7F >> more)]) + file.read(more), "big")
    return number != (1 << 7 * (more + 1)) - 1, number


def _mp3_end(file: BinaryIO, start: bytes) -> int:
    """Where an MP3 ends by its Xing header; 0 where it has none, since anything else is an estimate."""
    offset = 0
    if start[:3] == b"ID3":
        offset = 10 + sum(byte << 7 * (3 - i) for i, byte in enumerate(start[6:10]))
    file.seek(offset)
    frame = file.read(256)
    if frame[:1] != b"\xff" or len(frame) < 256:
        return 0
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at < 0:
        return 0
    flags = frame[at + 7]
    if not flags & 2:
        return 0
    count = at + 8 + 4 * (flags & 1)
    return offset + int.from_bytes(frame[count : count + 4], "big")


def is_chained_ogg(path: Path) -> bool:
    """Whether an Ogg file has streams one after the other (RFC 3533), of which libsndfile reads the first alone."""
    has_content = False
    with path.open("rb") as file:
        while len(page := file.read(27)) == 27 and page[:4] == b"OggS":
            begins = bool(page[5] & 2)
            if begins and has_content:
                return True
            has_content = has_content or not begins
            file.seek(sum(file.read(page[26])), 1)
    return False
