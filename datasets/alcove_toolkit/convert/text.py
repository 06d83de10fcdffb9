"""Texts: a file each in folders named by label, a column of a table, or lines ``label<TAB>text``.

Tokens are words in small letters; of scripts that put no spaces between words (Chinese, Japanese, Thai …) each
character is one. Punctuation is left out.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from alcove_format.metadata import VARIES, Format, Metadata
from alcove_format.writer import Features
from alcove_toolkit.convert.base import (
    OF_TABLES,
    Converter,
    ConvertOptions,
    ConvertProgress,
    Facts,
    Indices,
    SourceItems,
    refuse_options,
)
from alcove_toolkit.convert.column_roles import (
    LABEL_NAMES,
    ColumnRoles,
    RowScanner,
    cell_text,
    choose_column,
    find_column,
    find_roles,
    join_names,
    open_asked_table,
    scan_rows,
)
from alcove_toolkit.convert.files import FILE_NAMES, FileItems, list_files
from alcove_toolkit.convert.tables import SourceTable, decode_utf8, is_table, read_utf8
from alcove_toolkit.errors import SourceError

SUFFIXES = (".txt", ".text", ".md")
TEXT_NAMES = ("text", "sentence", "document", "content")
UNKNOWN = "<unknown>"
MOST_BYTES, MOST_WORDS = 64 << 20, 1 << 20
"""Of one text: a word takes some hundred bytes of memory while it is written."""
COUNTED = 1 << 21
"""So many different words are counted at a time; the rare ones are then forgotten."""
# Han, kana, Thai, Lao, Myanmar, Khmer.
_ALONE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
# Vowel signs and accents that Python does not count as letters, of Latin, Hebrew, Arabic and the scripts of India.
_SIGNS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"
_TOKEN = re.compile(rf"[{_ALONE}]|(?:[^\W{_ALONE}]|[{_SIGNS}])+(?:['’](?:[^\W{_ALONE}]|[{_SIGNS}])+)*")


def tokenize_text(text: str) -> list[str]:
    """The words of a text."""
    return _TOKEN.findall(unicodedata.normalize("NFC", text).lower())


class TextSource(Protocol):
    """Where texts lie."""

    sequential: bool

    def scan(self) -> SourceItems: ...

    def read(self, items: Indices) -> Iterator[str]:
        """The text of each item; where it is sequential, of ascending ones."""
        ...


def open_source(source: Path, options: ConvertOptions, progress: ConvertProgress) -> Converter:
    """A converter of a folder, a table, or a file of lines ``label<TAB>text``."""
    return TextConverter(_open(source, options, progress), options, progress, str(source))


def _open(source: Path, options: ConvertOptions, progress: ConvertProgress) -> TextSource:
    if is_table(source):
        table = open_asked_table(source, options)
        column = options.text_column
        notes: tuple[str, ...] = ()
        if column is None:
            column, notes = choose_column(table, TEXT_NAMES, "--text-column", options.drop)
        if column is None and find_column(table, FILE_NAMES) is None:
            raise SourceError(
                str(source),
                "has neither a column text nor a column file",
                remedy=f"Name it with --text-column; there are: {join_names(table.names)}."
                + (
                    " If row 1 is the first example, pass --no-header."
                    if table.delimiter and table.has_header
                    else ""
                ),
            )
        if column is not None:
            if column not in table.names:
                raise SourceError(
                    str(source), f"there is no column {column!r}", remedy="Correct --text-column."
                )
            refuse_options(options, ("folders",), f"has no meaning for {source}, whose texts are in a column")
            roles = find_roles(table, options)
            return _Column(table, column, replace(roles, notes=(*roles.notes, *notes)), options, progress)
    elif source.is_file():
        return _Lines(source, options, progress)
    refuse_options(options, ("text_column",), f"has no meaning for {source}, where each text is a file")
    return _Files(list_files(source, options, SUFFIXES))


class _Files:
    sequential = False

    def __init__(self, files: FileItems) -> None:
        self._files = files

    def scan(self) -> SourceItems:
        return self._files.items

    def read(self, items: Indices) -> Iterator[str]:
        for item in items.tolist():
            path = self._files.path(item)
            if path.stat().st_size > MOST_BYTES:
                raise _too_long(str(path))
            yield read_utf8(path)


class _Column:
    sequential = True

    def __init__(
        self,
        table: SourceTable,
        column: str,
        roles: ColumnRoles,
        options: ConvertOptions,
        progress: ConvertProgress,
    ) -> None:
        self._table, self._column, self._roles = table, column, roles
        self._options, self._progress = options, progress

    def scan(self) -> SourceItems:
        if self._column in self._roles.all:
            raise SourceError(
                str(self._table.path),
                f"the column {self._column!r} is both text and {_role(self._roles, self._column)}",
                remedy="Name another one with --text-column or --labels.",
            )
        items = scan_rows(self._table, self._roles, self._options, self._progress)
        used = {self._column, *self._roles.all}
        left_out = [name for name in self._table.names if name not in used]
        unread = (("left out", join_names(left_out)),) if left_out else ()
        return replace(items, facts=(*items.facts, ("texts", f"column {self._column!r}"), *unread))

    def read(self, items: Indices) -> Iterator[str]:
        for first, batch in self._table.batches([self._column]):
            start, end = np.searchsorted(items, (first, first + batch.num_rows))
            cells = batch.column(self._column)
            for item in items[start:end].tolist():
                yield cell_text(cells[item - first].as_py())


def _role(roles: ColumnRoles, column: str) -> str:
    return "label" if column in roles.labels else "group, source or split"


class _Lines:
    sequential = False

    def __init__(self, path: Path, options: ConvertOptions, progress: ConvertProgress) -> None:
        refuse_options(
            options,
            (*OF_TABLES, "labels", "folders", "text_column"),
            f"has no meaning for {path}, whose lines are label<TAB>text",
        )
        self._path, self._options, self._progress = path, options, progress
        self._starts = array("q")
        self._lines = array("q")

    def scan(self) -> SourceItems:
        scanner = RowScanner(ColumnRoles(("label",)), self._options)
        offset = 0
        with self._path.open("rb") as file:
            for number, line in enumerate(decode_utf8(self._path, iter(file)), start=1):
                if line.strip():
                    label, tab, text = line.lstrip("\ufeff").partition("\t")
                    where = f"{self._path}, line {number}"
                    if not tab:
                        raise SourceError(
                            where, "is not label<TAB>text", remedy="Put a tab behind the label."
                        )
                    if (
                        number == 1
                        and label.strip().lower() in LABEL_NAMES
                        and text.strip().lower() in TEXT_NAMES
                    ):
                        raise SourceError(where, "is a header", remedy="Remove it: each line is an example.")
                    scanner.add({"label": label}, where)
                    self._starts.append(offset)
                    self._lines.append(number)
                    self._progress("Reading labels", len(self._lines), 0)
                offset += len(line.encode())
        items = scanner.items(lambda item: f"{self._path}, line {self._lines[item]}")
        return replace(items, facts=(("table", "lines of label<TAB>text"), ("labels", "before the tab")))

    def read(self, items: Indices) -> Iterator[str]:
        with self._path.open("rb") as file:
            for item in items.tolist():
                file.seek(self._starts[item])
                yield file.readline().decode().partition("\t")[2]


def _too_long(where: str) -> SourceError:
    return SourceError(
        where,
        f"is a text of more than {MOST_WORDS:,} words",
        remedy="Cut it into pieces: each file, row or line is one example.",
    )


class TextConverter(Converter):
    """Words are numbered by how frequent they are in train; 0 is any other."""

    def __init__(
        self, texts: TextSource, options: ConvertOptions, progress: ConvertProgress, where: str
    ) -> None:
        self._texts, self._options, self._progress, self._source = texts, options, progress, where
        self._where: Callable[[int], str] = str
        self.sequential = texts.sequential
        self._numbers: dict[str, int] = {}
        self._count = 0
        self._empty = 0

    def scan(self) -> SourceItems:
        items = self._texts.scan()
        self._count, self._where = len(items), items.where
        return items

    def sizes(self) -> npt.NDArray[np.float64]:
        """Words in each text."""
        texts = self._texts.read(np.arange(self._count))
        return np.fromiter((len(tokenize_text(text)) for text in texts), np.float64, self._count)

    def fit(self, train: Indices) -> Metadata:
        counts = count_words(self._told(self._texts.read(train), len(train)))
        ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        words = [UNKNOWN, *(word for word, _ in ranked[: self._options.vocabulary - 1])]
        if len(words) < 2:
            raise SourceError(self._source, "there is no word in train", remedy="Check the texts.")
        self._numbers = {word: number for number, word in enumerate(words)}
        return Metadata(
            n_examples=0,
            n_labels=1,
            rows=1,
            cols=1,
            channels=len(words),
            sequence_size=VARIES,
            format=Format.SPARSE,
            is_sequence=True,
            channel_names=self._numbers,
        )

    def _told(self, texts: Iterator[str], total: int) -> Iterator[str]:
        for done, text in enumerate(texts, start=1):
            self._progress("Learning words from train", done, total)
            yield text

    def encode(self, items: Indices) -> Iterator[Features]:
        for item, text in zip(items.tolist(), self._texts.read(items), strict=True):
            numbers = [self._numbers.get(word, 0) for word in tokenize_text(text)]
            if len(numbers) > MOST_WORDS:
                raise _too_long(self._where(item))
            self._empty += not numbers
            # A sequence has a step at least.
            yield np.array(numbers or [0], np.float32).reshape(-1, 1, 1, 1)

    def facts(self) -> Facts:
        return (("vocabulary", f"{len(self._numbers) - 1:,} words of train, and one for any other"),)

    def notes(self) -> tuple[str, ...]:
        return (f"Texts without a word, given as one unknown word: {self._empty}.",) if self._empty else ()


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each word is there. Of very many, those that were rare up to some point may be missing."""
    counts: Counter[str] = Counter()
    least = 1
    for text in texts:
        counts.update(tokenize_text(text))
        while len(counts) > COUNTED:
            counts = Counter({word: count for word, count in counts.items() if count > least})
            least += 1
    return counts
