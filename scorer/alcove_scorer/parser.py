"""``python -I -m alcove_scorer.parser``: parses predictions for :mod:`.parser_process`, and can do nothing else.

It is a program of its own, so that no secret of the job was ever in its memory. Both sides take turns, so neither pipe
can fill while the other side writes too:

- to it: a request (``REQUEST``), then a piece (``LENGTH`` and bytes) for each ``NEXT``, an empty one at the end;
- from it: ``READY`` once, then for each request any number of ``NEXT`` and ``BLOCK`` (``SHAPE`` and the numbers, row by
  row), and at the end ``DONE``, or ``REFUSED`` (``LENGTH`` and the reason).

Of an ``.npy`` file it gets the beginning alone, as one piece, and answers with ``HEADER``.
"""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module

import numpy as np

from alcove_scorer.confinement import confine
from alcove_scorer.errors import PredictionError
from alcove_scorer.predictions import Kind, parse_header, text_blocks

REQUEST = struct.Struct("<cQII")
"""Kind (``n`` or ``t``), bytes, rows and labels."""
LENGTH = struct.Struct("<I")
SHAPE = struct.Struct("<I")
"""Rows of a block."""
HEADER = struct.Struct("<?3sI")
"""Whether columns follow each other, the type of the numbers, such as ``<f4``, and the header's bytes."""
READY, NEXT, BLOCK, FORM, DONE, REFUSED = b"R", b"N", b"B", b"H", b"D", b"E"
KINDS: dict[bytes, Kind] = {b"n": "npy", b"t": "text"}
REASON_BYTES = 2000
_SOURCE, _SINK = 0, 1


def main() -> None:
    _load_all()
    os.close(2)
    os.environ.clear()
    confine()
    write_all(_SINK, READY)
    while request := _read(REQUEST.size):
        kind, size, rows, labels = REQUEST.unpack(request)
        _answer(KINDS[kind], size, rows, labels)


def _answer(kind: Kind, size: int, rows: int, labels: int) -> None:
    try:
        if kind == "npy":
            header = parse_header(next(_pieces(), b""), size, (rows, labels))
            form = HEADER.pack(header.fortran, header.dtype.str.encode(), header.size)
            write_all(_SINK, FORM + form)
        else:
            for block in text_blocks(_pieces(), size, labels, rows):
                write_all(_SINK, BLOCK + SHAPE.pack(len(block)))
                write_all(_SINK, np.ascontiguousarray(block, np.float64).data.cast("B"))
        write_all(_SINK, DONE)
    except PredictionError as error:
        _refuse(str(error))
    except MemoryError:
        _refuse("reading it takes more memory than a prediction may; save it with numpy.save")


def _refuse(why: str) -> None:
    reason = why.encode(errors="replace")[:REASON_BYTES]
    write_all(_SINK, REFUSED + LENGTH.pack(len(reason)) + reason)


def _pieces() -> Iterator[bytes]:
    while True:
        write_all(_SINK, NEXT)
        (length,) = LENGTH.unpack(_read(LENGTH.size))
        if not length:
            return
        yield _read(length)


def _read(size: int) -> bytes:
    """Exactly so many bytes; none where the other side has closed."""
    data = bytearray(size)
    return bytes(data) if read_all(_SOURCE, memoryview(data)) else b""


def read_all(source: int, target: memoryview) -> bool:
    """Fills ``target``; False where the other side has closed before."""
    done = 0
    while done < len(target):
        count = os.readv(source, [target[done:]])
        if not count:
            return False
        done += count
    return True


def write_all(sink: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(sink, view) :]


_LATE_MODULES = (
    "ast",
    "linecache",
    "tokenize",
    "traceback",
    "unicodedata",
    "encodings.ascii",
    "encodings.latin_1",
)
"""What Python's own parsers, which NumPy hands a header to, import where they need it."""


def _load_all() -> None:
    """Parses a little of everything, so that nothing has to be loaded once no file can be opened."""
    for name in _LATE_MODULES:
        import_module(name)
    warnings.simplefilter("ignore")
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f2', 'fortran_order': False, 'shape': (1, 1), }"
    header += b" " * (127 - len(header)) + b"\n"
    samples: list[tuple[Kind, bytes]] = [
        ("npy", header + b"\0\0"),
        ("npy", header.replace(b"'<f2'", b"'>f8'") + bytes(8)),
        ("npy", header.replace(b"'<f2'", b"'<O' ") + bytes(8)),
        ("npy", header.replace(b"{", b"(") + b"\0\0"),
        ("npy", b"\x93NUMPY\x02\x00" + bytes(200)),
        ("npy", b"\x93NUMPY\x09\x00" + bytes(200)),
        ("text", b"0.5\n"),
        ("text", b"\xef\xbb\xbf1e5\n\xc3\xa9\n"),
        ("text", b"1 2\n"),
        ("text", b"1e\n"),
    ]
    for kind, data in samples:
        with suppress(PredictionError):
            if kind == "npy":
                parse_header(data, len(data), (1, 1))
            else:
                list(text_blocks([data], len(data), 1, 1))


if __name__ == "__main__":
    main()
