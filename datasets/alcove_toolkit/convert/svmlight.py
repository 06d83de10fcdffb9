"""Sparse tables in the svmlight (libsvm) format: ``label[,label…] [qid:group] column:value …  # remark`` a line.

No row is ever made dense: of a line, what is there is written.
"""

from __future__ import annotations

import codecs
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from alcove_format.metadata import Format, Metadata
from alcove_format.writer import Features, SparseStep
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
from alcove_toolkit.convert.cell_readings import LARGEST
from alcove_toolkit.convert.column_roles import ColumnRoles, RowScanner
from alcove_toolkit.errors import SourceError

SUFFIXES = (".svm", ".svmlight", ".libsvm")
WIDEST = 1 << 20
"""Of more columns, as hashes give them, those that train has are renumbered: readers make arrays of a row."""
NAMED = 100_000
"""So many of these keep their old numbers as names."""
_AT_A_TIME = 1 << 22
_HIGHEST = 1 << 53
"""Of a column's number: float64 holds all whole numbers up to here."""


def is_svmlight(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES)


class SvmlightConverter(Converter):
    """Where each line begins is remembered, so lines can be read in any order."""

    def __init__(self, source: Path, options: ConvertOptions, progress: ConvertProgress) -> None:
        unread = (*OF_TABLES, "labels", "folders", "label_separator", "confidence", "categories", "scale")
        refuse_options(options, unread, f"has no meaning for {source}, which is in the svmlight format")
        self._path, self._progress = source, progress
        self._options = replace(options, label_separator=",")
        self._starts = np.zeros(0, np.int64)
        self._lines = np.zeros(0, np.int64)
        self._first = 1
        self._cols = 0
        self._used: Indices | None = None
        """Columns of train, where they are renumbered."""
        self._last = 0
        self._unknown = 0

    def _where(self, item: int) -> str:
        return f"{self._path}, line {self._lines[item]}"

    def scan(self) -> SourceItems:
        starts, lines = array("q"), array("q")
        scanner: RowScanner | None = None
        groups = False
        offset = 0
        with self._path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                where = f"{self._path}, line {number}"
                row = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                head = row.partition(b"#")[0].split(None, 2)[:2]
                if head:
                    cells = _head(head, where)
                    if scanner is None:
                        groups = "group" in cells
                        scanner = RowScanner(
                            ColumnRoles(("label",), "group" if groups else None), self._options
                        )
                    if groups != ("group" in cells):
                        raise SourceError(
                            where,
                            "some lines have a qid, some have none",
                            remedy="Give each line one, or none.",
                        )
                    scanner.add(cells, where)
                    starts.append(offset)
                    lines.append(number)
                    self._progress("Reading labels", len(starts), 0)
                offset += len(line)
        if scanner is None:
            raise SourceError(str(self._path), "is empty", remedy="Check that the file is whole.")
        self._starts, self._lines = np.array(starts, np.int64), np.array(lines, np.int64)
        items = scanner.items(self._where)
        group = (("groups", "qid"),) if groups else ()
        return replace(items, facts=(("table", "svmlight (libsvm)"), ("labels", "first in a line"), *group))

    def sizes(self) -> npt.NDArray[np.float64]:
        """Values in each row."""
        with self._path.open("rb") as file:
            return np.array([len(self._row(file, item)[0]) for item in range(len(self._starts))], np.float64)

    def fit(self, train: Indices) -> Metadata:
        used = self._used_columns(train)
        if not len(used):
            raise SourceError(str(self._path), "no row of train has a value", remedy="Check the file.")
        # Columns are counted from 1, unless there is a 0.
        self._first = min(int(used[0]), 1)
        cols = int(used[-1]) - self._first + 1
        names: dict[str, int] = {}
        if cols > WIDEST:
            self._last, self._used, cols = int(used[-1]), used, len(used)
            if cols <= NAMED:
                names = {f"column {column}": place for place, column in enumerate(used.tolist())}
        self._cols = cols
        return Metadata(n_examples=0, n_labels=1, rows=1, cols=cols, format=Format.SPARSE, features=names)

    def _used_columns(self, train: Indices) -> Indices:
        """Columns in which rows of train have a value, ascending."""
        used, waiting, count = np.zeros(0, np.int64), [], 0
        with self._path.open("rb") as file:
            for done, item in enumerate(train.tolist(), start=1):
                columns, _ = self._row(file, item)
                waiting.append(columns)
                count += len(columns)
                if count > _AT_A_TIME or done == len(train):
                    used, waiting, count = np.unique(np.concatenate([used, *waiting])), [], 0
                self._progress("Learning from train", done, len(train))
        return used

    def encode(self, items: Indices) -> Iterator[Features]:
        with self._path.open("rb") as file:
            for item in items.tolist():
                columns, values = self._row(file, item)
                places, known = self._places(columns)
                self._unknown += len(known) - int(known.sum())
                yield [SparseStep(places[known], values[known])]

    def _places(self, columns: Indices) -> tuple[Indices, npt.NDArray[np.bool_]]:
        """Where columns are in the dataset, and which are there at all."""
        if self._used is None:
            places = columns - self._first
            return places, (places >= 0) & (places < self._cols)
        places = np.searchsorted(self._used, columns)
        return places, self._used[np.minimum(places, self._cols - 1)] == columns

    def facts(self) -> Facts:
        return (("features", f"{self._cols:,} columns, most of them zero in a row"),)

    def notes(self) -> tuple[str, ...]:
        notes = []
        if self._used is not None:
            notes.append(
                f"Columns are numbered up to {self._last:,}, but train has values in {self._cols:,} alone: these are "
                "renumbered, in order."
            )
        if self._unknown:
            notes.append(f"Values of test in columns that train has not, left out: {self._unknown}.")
        return tuple(notes)

    def _row(self, file: BinaryIO, item: int) -> tuple[Indices, npt.NDArray[np.float32]]:
        """Columns in ascending order, and their values."""
        file.seek(self._starts[item])
        return parse_row(file.readline(), self._where(item))


def parse_row(line: bytes, where: str) -> tuple[Indices, npt.NDArray[np.float32]]:
    """Columns of one line, ascending, and their values.

    Raises:
        SourceError: a word that is not a pair, a column twice, a number that is negative or not finite.
    """
    tokens = line.removeprefix(codecs.BOM_UTF8).partition(b"#")[0].split()
    pairs = tokens[_head_length(tokens) :]
    try:
        numbers = np.array([float(part) for pair in pairs for part in pair.split(b":")], np.float64)
        table = numbers.reshape(len(pairs), 2)
    except ValueError:
        bad = next(pair for pair in pairs if not _is_pair(pair))
        raise SourceError(
            where, f"{bad.decode(errors='replace')!r} is not column:value", remedy="Correct the line."
        ) from None
    whole = np.floor(table[:, 0]) == table[:, 0]
    if not (whole & (table[:, 0] >= 0) & (table[:, 0] < _HIGHEST) & (np.abs(table[:, 1]) <= LARGEST)).all():
        raise SourceError(
            where,
            "has a column that is not a whole number, or a value that is not finite",
            remedy="Correct it.",
        )
    columns, values = table[:, 0].astype(np.int64), table[:, 1].astype(np.float32)
    if (np.diff(columns) <= 0).any():
        order = np.argsort(columns, kind="stable")
        columns, values = columns[order], values[order]
        if (np.diff(columns) == 0).any():
            raise SourceError(where, "has a column twice", remedy="Remove one.")
    return columns, values


def _head_length(tokens: list[bytes]) -> int:
    """How many of the first two tokens are labels and qid; a row without labels begins with a pair."""
    labels = int(bool(tokens) and b":" not in tokens[0])
    return labels + int(len(tokens) > labels and tokens[labels].startswith(b"qid:"))


def _head(tokens: list[bytes], where: str) -> dict[str, object]:
    try:
        texts = [token.decode() for token in tokens[: _head_length(tokens)]]
    except UnicodeDecodeError:
        raise SourceError(where, "is not UTF-8", remedy="Save the whole file as UTF-8.") from None
    group = [text.removeprefix("qid:") for text in texts if text.startswith("qid:")]
    labels = [text for text in texts if not text.startswith("qid:")]
    cells: dict[str, object] = {"label": labels[0] if labels else ""}
    return cells | ({"group": group[0]} if group else {})


def _is_pair(token: bytes) -> bool:
    try:
        _, _ = map(float, token.split(b":"))
    except ValueError:
        return False
    return True
