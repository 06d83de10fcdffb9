"""Tables, read in batches: CSV (also TSV, also gzipped) and Parquet.

Cells of a CSV stay text here, since what they mean is learnt from the train part alone. Arrow does the reading, in one
thread, so that it can tell which row is ragged.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from alcove_toolkit.errors import SourceError

BLOCK = 4 << 20
"""Bytes of a CSV that are parsed at a time; no row may be longer."""
CELLS = 1 << 18
"""About as many cells of a Parquet file are read at a time."""
_TEXT = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_PARQUET = (".parquet", ".pq")
SUFFIXES = (*_TEXT, *_PARQUET)


def is_table(path: Path) -> bool:
    """Whether the name is a table's."""
    return path.name.lower().endswith(SUFFIXES)


@dataclass(frozen=True)
class SourceTable:
    """A table on disk. Rows are counted from 0, and named in messages as a spreadsheet counts them."""

    path: Path
    raw: tuple[str, ...]
    """Names of all columns as they stand in the file."""
    delimiter: str
    """Empty for Parquet."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names without spaces around; columns without a name are left out."""
        return tuple(name.strip() for name in self.raw if name.strip())

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know."""
        nameless = len(self.raw) - len(self.names)
        return (f"Columns without a name, left out: {nameless}.",) if nameless else ()

    def where(self, row: int) -> str:
        """File and row, for messages. The header of a CSV is row 1; empty lines do not count."""
        return f"{self.path}, row {row + (2 if self.delimiter else 1)}"

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yields (number of the first row, batch) with the columns named, or all.

        Raises:
            SourceError: a ragged row, or the file is damaged.
        """
        wanted = list(self.names if columns is None else columns)
        raw = {name.strip(): name for name in self.raw}
        named = [raw[name] for name in wanted]
        first = 0
        with _errors(self.path):
            for batch in self._csv(named) if self.delimiter else self._parquet(named):
                # Parquet has its own order.
                yield first, batch.select(named).rename_columns(wanted)
                first += batch.num_rows

    def _csv(self, wanted: list[str]) -> Iterator[pa.RecordBatch]:
        convert = pyarrow.csv.ConvertOptions(
            column_types={name: pa.string() for name in self.raw}, include_columns=wanted
        )
        yield from _open_csv(self.path, self.delimiter, convert)

    def _parquet(self, wanted: list[str]) -> Iterator[pa.RecordBatch]:
        rows = max(1, CELLS // max(1, len(wanted)))
        with pyarrow.parquet.ParquetFile(self.path) as file:
            yield from file.iter_batches(rows, columns=wanted, use_threads=False)


def open_table(path: Path, delimiter: str | None = None) -> SourceTable:
    """Opens a table and reads its header; a CSV is looked through for bytes that are no UTF-8.

    Raises:
        SourceError: no table, an empty one, other encodings, columns of the same name.
    """
    name = path.name.lower()
    if not is_table(path):
        raise SourceError(
            str(path),
            "is no table that is known",
            remedy=f"Known are files that end in {', '.join(SUFFIXES)}.",
        )
    with _errors(path):
        if name.endswith(_PARQUET):
            with pyarrow.parquet.ParquetFile(path) as file:
                names, delimiter = tuple(file.schema_arrow.names), ""
                empty = file.metadata.num_rows == 0
        else:
            head = _check_text(path)
            delimiter = _asked(delimiter) if delimiter else _delimiter(head)
            with _open_csv(path, delimiter, pyarrow.csv.ConvertOptions()) as reader:
                names = tuple(reader.schema.names)
                empty = not any(batch.num_rows for batch in reader)
    _check_header(path, names)
    if empty:
        raise SourceError(str(path), "has a header, but no rows", remedy="Check that the file is whole.")
    return SourceTable(path, names, delimiter)


def _asked(delimiter: str) -> str:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
        raise SourceError(
            f"--delimiter {delimiter}", "is no delimiter", remedy="Give one character, or the word tab."
        )
    return delimiter


def _check_header(path: Path, names: Sequence[str]) -> None:
    bare = [name.strip() for name in names if name.strip()]
    if not bare:
        raise SourceError(f"{path}, row 1", "names no column", remedy="The first row must name columns.")
    if len(set(bare)) < len(bare):
        twice = next(name for number, name in enumerate(bare) if name in bare[:number])
        raise SourceError(
            f"{path}, row 1", f"there are two columns {twice!r}", remedy="Give each a name of its own."
        )


def _open_csv(path: Path, delimiter: str, convert: object) -> pyarrow.csv.CSVStreamingReader:
    return pyarrow.csv.open_csv(
        pa.input_stream(str(path)),
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK),
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=convert,
    )


def _check_text(path: Path) -> str:
    """Reads the file once; returns its first line."""
    head = ""
    with pa.input_stream(str(path)) as stream:
        for piece in decode_utf8(path, iter(lambda: stream.read(1 << 20), b"")):
            if len(head) < 1 << 20 and "\n" not in head:
                head += piece
    if not head.strip():
        raise SourceError(str(path), "is empty", remedy="Check that the file is whole.")
    return head.lstrip("\ufeff").splitlines()[0]


def read_utf8(path: Path) -> str:
    """All of a file, in memory. Raises SourceError as :func:`decode_utf8` does."""
    with path.open("rb") as file:
        return "".join(decode_utf8(path, iter(lambda: file.read(1 << 20), b"")))


def decode_utf8(path: Path, pieces: Iterator[bytes]) -> Iterator[str]:
    """Decodes a file that comes in pieces.

    Raises:
        SourceError: it is not UTF-8, or has NUL bytes; names the byte.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    for piece in pieces:
        if offset == 0 and piece[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise SourceError(
                f"{path}, byte 0", "the text is UTF-16", remedy="Save it as UTF-8: iconv -f UTF-16 -t UTF-8."
            )
        if (nul := piece.find(b"\0")) >= 0:
            raise SourceError(
                f"{path}, byte {offset + nul}",
                "there is a NUL byte",
                remedy="Remove it; is this a text file?",
            )
        before = offset - len(decoder.getstate()[0])
        offset += len(piece)
        try:
            yield decoder.decode(piece)
        except UnicodeDecodeError as error:
            raise _not_utf8(path, before + error.start) from None
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise _not_utf8(path, offset - len(decoder.getstate()[0]) + error.start) from None


def _not_utf8(path: Path, byte: int) -> SourceError:
    return SourceError(
        f"{path}, byte {byte}",
        "is not UTF-8",
        remedy="Save the whole file as UTF-8, as with iconv -f LATIN1 -t UTF-8.",
    )


def _delimiter(head: str) -> str:
    """Tab, semicolon, comma or bar: which is most frequent outside quotes in the first line."""
    bare = re.sub(r'"[^"]*"', "", head)
    return max(",;\t|", key=bare.count)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        problem = str(error).splitlines()[0]
        if "Empty CSV file" in problem:
            raise SourceError(str(path), "is empty", remedy="Check that the file is whole.") from None
        ragged = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", problem)
        if ragged:
            row, expected, got = ragged.groups()
            raise SourceError(
                f"{path}, row {row}",
                f"has {got} cells, but the header {expected}",
                remedy="Correct the row; a cell with the delimiter in it needs quotes.",
            ) from None
        if "straddl" in problem or "block" in problem:
            problem = f"a row is longer than {BLOCK >> 20} MiB; is a quote not closed?"
        raise SourceError(str(path), f"cannot be read ({problem})", remedy="Check the file.") from None
