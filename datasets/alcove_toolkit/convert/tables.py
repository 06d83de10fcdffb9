"""Tables, read in batches: CSV (also TSV, also gzipped) and Parquet.

Cells of a CSV stay text here, since what they mean is learnt from the train part alone. Arrow does the reading, in one
thread, so that it can tell which row is ragged.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from alcove_toolkit.convert.arrow_types import to_plain_type
from alcove_toolkit.errors import SourceError

BLOCK = 4 << 20
"""Bytes of a CSV that are parsed at a time; no row may be longer."""
CELLS = 1 << 18
"""About as many cells of a Parquet file are read at a time."""
_TEXT = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_PARQUET = (".parquet", ".pq")
SUFFIXES = (*_TEXT, *_PARQUET)
_INDEX = re.compile(r"|Unnamed: \d+([._]\w+)*|__index_level_\d+__")
"""Names that pandas gives the index of a data frame; R's and many others' have none."""
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*%?", re.ASCII)
_SEPARATOR_LINE = re.compile(r"\ufeff?\"?sep=(\\t|.)\"?\s*", re.IGNORECASE)
_OTHER_TEXT = re.compile(r"<(!DOCTYPE|html|\?xml)|version https://git-lfs", re.IGNORECASE)
ROLE_NAMES = frozenset(
    ("label", "labels", "class", "target", "text", "file", "filename", "path", "split", "group", "source")
)
"""A first row with one of these is a header."""
HEADER_OPTIONS = "If row 1 is the first example, pass --no-header; if it names the columns, pass --header."


def is_table(path: Path) -> bool:
    """Whether the name is a table's."""
    return path.name.lower().endswith(SUFFIXES)


@dataclass(frozen=True)
class SourceTable:
    """A table on disk. Rows are counted from 0, and named in messages as a spreadsheet counts them."""

    path: Path
    raw: tuple[str, ...]
    """Names of all columns as they stand in the file; ``column 1``, ``column 2``, … where it has no header."""
    delimiter: str
    """Empty for Parquet."""
    has_header: bool = True
    """Of a CSV."""
    skipped: int = 0
    """Lines before the header: ``sep=;``."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names in normal form C without spaces around; columns of an index are left out."""
        return tuple(clean for name in self.raw if not is_index_name(clean := _clean_name(name)))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know."""
        clean = [_clean_name(name) for name in self.raw]
        index = [
            f"{name!r}" if name else f"column {i}" for i, name in enumerate(clean, 1) if is_index_name(name)
        ]
        return (f"Columns without a name of their own, left out: {', '.join(index)}.",) if index else ()

    @property
    def form(self) -> str:
        """How the file was read, for people."""
        if not self.delimiter:
            return "Parquet"
        names = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
        between = names.get(self.delimiter, repr(self.delimiter))
        header = f"header in row {self.skipped + 1}" if self.has_header else "no header"
        return f"CSV, {between} between cells, {header}"

    def where(self, row: int) -> str:
        """File and row, for messages. The header of a CSV is row 1; empty lines do not count."""
        before = self.skipped + self.has_header if self.delimiter else 0
        return f"{self.path}, row {row + 1 + before}"

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yields (number of the first row, batch) with the columns named, or all.

        Raises:
            SourceError: a ragged row, or the file is damaged.
        """
        wanted = list(self.names if columns is None else columns)
        raw = {_clean_name(name): name for name in self.raw}
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
        names = () if self.has_header else self.raw
        yield from _open_csv(self.path, self.delimiter, convert, skip=self.skipped, names=names)

    def _parquet(self, wanted: list[str]) -> Iterator[pa.RecordBatch]:
        rows = max(1, CELLS // max(1, len(wanted)))
        with pyarrow.parquet.ParquetFile(self.path) as file:
            for batch in file.iter_batches(rows, columns=wanted, use_threads=False):
                plain = [to_plain_type(column) for column in batch.columns]
                yield pa.RecordBatch.from_arrays(plain, names=batch.schema.names)


def is_index_name(name: str) -> bool:
    """Whether a column of this name is the index of a data frame: no name, or the one that pandas writes."""
    return _INDEX.fullmatch(name) is not None


def _clean_name(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip()


def open_table(
    path: Path, delimiter: str | None = None, header: bool | None = None, named: Sequence[str] = ()
) -> SourceTable:
    """Opens a table and reads its header; a CSV is looked through for bytes that are not UTF-8.

    Args:
        delimiter: of a CSV; by default found in its first line.
        header: whether row 1 of a CSV names the columns; by default it does, and is refused if it looks like data.
        named: columns that the user names.

    Raises:
        SourceError: not a table, an empty one, other encodings, columns of the same name, a first row that may be
            either data or a header.
    """
    name = path.name.lower()
    if not is_table(path):
        raise SourceError(
            str(path),
            "is not a table that can be read",
            remedy=f"Give a file that ends in {', '.join(SUFFIXES)}.",
        )
    with _errors(path):
        if name.endswith(_PARQUET):
            with pyarrow.parquet.ParquetFile(path) as file:
                table = SourceTable(path, tuple(file.schema_arrow.names), "")
                empty = file.metadata.num_rows == 0
        else:
            table, empty = _open_text(path, delimiter, header)
    _check_header(table)
    if header is None and table.delimiter:
        _check_not_data(table, named)
    if empty:
        raise SourceError(str(path), "has a header, but no rows", remedy="Check that the file is whole.")
    return table


def _open_text(path: Path, delimiter: str | None, header: bool | None) -> tuple[SourceTable, bool]:
    """The table, and whether it has no rows."""
    lines, has_quotes = _check_text(path)
    separator = separator_of(lines[0])
    skipped = int(separator is not None)
    if delimiter:
        delimiter = asked_delimiter(delimiter)
    else:
        delimiter = separator or _find_delimiter(lines[skipped] if len(lines) > skipped else "")
    if has_quotes:
        _check_quotes(path, delimiter, skipped)
    numbered = header is False
    with _open_csv(path, delimiter, skip=skipped, numbered=numbered) as reader:
        names = tuple(reader.schema.names)
        empty = not any(batch.num_rows for batch in reader)
    if numbered:
        names = tuple(f"column {i}" for i in range(1, len(names) + 1))
    return SourceTable(path, names, delimiter, not numbered, skipped), empty


def separator_of(line: str) -> str | None:
    """The character that a first line ``sep=;`` names, as Excel writes it; None for any other line."""
    found = _SEPARATOR_LINE.fullmatch(line)
    return ("\t" if found[1] == "\\t" else found[1]) if found else None


def asked_delimiter(delimiter: str) -> str:
    """The character that ``--delimiter`` names. Raises SourceError where it names none."""
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
        raise SourceError(
            f"--delimiter {delimiter}", "cannot separate cells", remedy="Give one character, or the word tab."
        )
    return delimiter


def _check_header(table: SourceTable) -> None:
    where = f"{table.path}, row {1 + table.skipped}"
    names = table.names
    if not names:
        raise SourceError(where, "no column has a name", remedy=f"Name the columns there. {HEADER_OPTIONS}")
    if len(set(names)) < len(names):
        twice = next(name for number, name in enumerate(names) if name in names[:number])
        remedy = "Give each column a name of its own."
        raise SourceError(
            where,
            f"there are two columns {twice!r}",
            remedy=f"{remedy} {HEADER_OPTIONS.partition(';')[0]}." if table.delimiter else remedy,
        )


def _check_not_data(table: SourceTable, named: Sequence[str]) -> None:
    """Refuses a first row with numbers in it, unless they count (0, 1, 2, …; years) or a word there must be a name."""
    names = table.names
    numbers = [name for name in names if is_number(name)]
    known = {name for name in names if name.lower() in ROLE_NAMES or (name in named and not is_number(name))}
    if not numbers or known or counts_up(numbers):
        return
    raise SourceError(
        f"{table.path}, row {1 + table.skipped}",
        f"has numbers ({join_few(numbers)}) where names of columns are expected: it may be an example",
        remedy=HEADER_OPTIONS,
    )


def is_number(cell: str) -> bool:
    """Whether a cell is written as a number, with a point or a comma."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def counts_up(cells: Sequence[str]) -> bool:
    """Whether they are two or more whole numbers that follow each other, as names of columns are numbered."""
    whole = [int(cell) for cell in cells if cell.isascii() and cell.isdecimal() and len(cell) < 19]
    return len(whole) == len(cells) > 1 and whole == list(range(whole[0], whole[0] + len(whole)))


def join_few(names: Sequence[str], most: int = 4) -> str:
    """The first names in quotes, for messages."""
    return ", ".join(map(repr, names[:most])) + (" …" if len(names) > most else "")


def _open_csv(
    path: Path,
    delimiter: str,
    convert: object = None,
    *,
    skip: int = 0,
    names: Sequence[str] = (),
    numbered: bool = False,
) -> pyarrow.csv.CSVStreamingReader:
    return pyarrow.csv.open_csv(
        pa.input_stream(str(path)),
        read_options=pyarrow.csv.ReadOptions(
            use_threads=False,
            block_size=BLOCK,
            skip_rows=skip,
            column_names=list(names) or None,
            autogenerate_column_names=numbered,
        ),
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=convert or pyarrow.csv.ConvertOptions(),
    )


def _check_quotes(path: Path, delimiter: str, skipped: int) -> None:
    """Refuses a quote that is not closed: the rows up to the next one would be one cell, in silence."""
    limit = csv.field_size_limit(BLOCK)
    line = skipped
    try:
        with pa.input_stream(str(path)) as stream, io.TextIOWrapper(stream, "utf-8-sig", newline="") as text:
            for _ in range(skipped):
                text.readline()
            reader = csv.reader(text, delimiter=delimiter, strict=True)
            for _ in reader:
                line = reader.line_num + skipped
    except csv.Error as error:
        if "line contains NUL" in str(error) or "field larger" in str(error):
            return  # Told of elsewhere.
        raise SourceError(
            f"{path}, line {line + 1}",
            "a quote is not closed, or text follows one that is",
            remedy='Close it, and double the quotes within a cell: "a ""word""".',
        ) from None
    finally:
        csv.field_size_limit(limit)


def _check_text(path: Path) -> tuple[list[str], bool]:
    """Reads the file once; returns its first lines, and whether there are quotes in it."""
    head, has_quotes = "", False
    with pa.input_stream(str(path)) as stream:
        for piece in decode_utf8(path, iter(lambda: stream.read(1 << 20), b"")):
            has_quotes = has_quotes or '"' in piece
            if len(head) < 1 << 20 and head.count("\n") < 2:
                head += piece
    if not head.strip():
        raise SourceError(str(path), "is empty", remedy="Check that the file is whole.")
    if found := _OTHER_TEXT.match(head.lstrip("\ufeff \r\n\t")):
        what = "a web page" if found[0].startswith("<") else "a pointer of Git LFS"
        raise SourceError(
            str(path),
            f"is {what}, not a table",
            remedy="Fetch the file that it stands for, and convert that.",
        )
    return head.lstrip("\ufeff").splitlines()[:2], has_quotes


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


def _find_delimiter(head: str) -> str:
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
            raise _ragged_error(path, *map(int, ragged.groups())) from None
        if "straddl" in problem or "block" in problem:
            problem = f"a row is longer than {BLOCK >> 20} MiB; is a quote not closed?"
        raise SourceError(str(path), f"cannot be read ({problem})", remedy="Check the file.") from None


def _ragged_error(path: Path, row: int, expected: int, got: int) -> SourceError:
    remedy = "Correct the row; a cell with the delimiter in it needs quotes."
    if expected == 1:
        remedy += " Remove what stands above the header."
    elif row == 2 and got == expected + 1:
        remedy += " If the first column is an index, as of R, give it a name in the header, and leave it out (--drop)."
    return SourceError(f"{path}, row {row}", f"has {got} cells, but the header {expected}", remedy=remedy)
