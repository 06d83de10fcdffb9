"""Tables: a row an example. CSV and Parquet here, sparse tables in :mod:`.svmlight`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from alcove_format.metadata import Format, Metadata
from alcove_format.writer import Features, SparseStep
from alcove_toolkit.convert.base import (
    Converter,
    ConvertOptions,
    ConvertProgress,
    Indices,
    SourceItems,
    refuse_options,
)
from alcove_toolkit.convert.column_encoders import ColumnEncoder, Floats
from alcove_toolkit.convert.column_inference import ColumnInference
from alcove_toolkit.convert.column_roles import ColumnRoles, find_roles, scan_rows
from alcove_toolkit.convert.svmlight import SvmlightConverter, is_svmlight
from alcove_toolkit.convert.tables import CELLS, SourceTable, open_table
from alcove_toolkit.errors import SourceError

WIDE, SPARSE = 1000, 0.1
"""From so many columns on, of which at most this share is not zero, rows are written sparse."""


def open_source(source: Path, options: ConvertOptions, progress: ConvertProgress) -> Converter:
    """A converter of a CSV, a Parquet file, or a file in the svmlight format."""
    if is_svmlight(source):
        return SvmlightConverter(source, options, progress)
    refuse_options(options, ("folders",), "has no meaning for --kind tabular")
    table = open_table(source, options.delimiter)
    return TableConverter(table, find_roles(table, options), options, progress)


class TableConverter(Converter):
    """Columns are numbers, yes or no, dates or categories by what stands in train's rows."""

    sequential = True

    def __init__(
        self, table: SourceTable, roles: ColumnRoles, options: ConvertOptions, progress: ConvertProgress
    ) -> None:
        self._table, self._roles, self._options, self._progress = table, roles, options, progress
        self._columns = tuple(n for n in table.names if n not in roles.all and n not in options.drop)
        self._encodings: list[ColumnEncoder] = []
        self._sources: list[str] = []
        self._is_sparse = False
        self._notes: list[str] = []
        self._unread: dict[str, int] = {}

    def scan(self) -> SourceItems:
        if not self._columns:
            raise SourceError(
                str(self._table.path), "has no column beside the labels", remedy="There must be a feature."
            )
        return scan_rows(self._table, self._roles, self._options, self._progress)

    def fit(self, train: Indices) -> Metadata:
        fits: list[ColumnInference] = []
        done = 0
        for batch in _regular(self._train(train), max(1, CELLS // len(self._columns))):
            fits = fits or [ColumnInference(name, batch.schema.field(name).type) for name in self._columns]
            for fit in fits:
                fit.add(batch.column(fit.name))
            done += batch.num_rows
            self._progress("Learning from train", done, len(train))
        for fit in fits:
            encoding = fit.encoding(categories=self._options.categories, scale=self._options.scale)
            if isinstance(encoding, str):
                self._notes.append(encoding)
            else:
                self._encodings.append(encoding)
                self._sources.append(fit.name)
                self._notes += [fit.note] if fit.note else []
        names = [name for encoding in self._encodings for name in encoding.names]
        if not names:
            raise SourceError(
                str(self._table.path), "no column can be used", remedy=f"{' '.join(self._notes)}"
            )
        density = sum(encoding.density for encoding in self._encodings) / len(names)
        self._is_sparse = len(names) >= WIDE and density <= SPARSE
        return Metadata(
            n_examples=0,
            n_labels=1,
            rows=1,
            cols=len(names),
            format=Format.SPARSE if self._is_sparse else Format.DENSE,
            features={name: i for i, name in enumerate(_distinct(names))},
        )

    def _train(self, train: Indices) -> Iterator[pa.RecordBatch]:
        for first, batch in self._table.batches(self._columns):
            start, end = np.searchsorted(train, (first, first + batch.num_rows))
            yield batch.take(pa.array(train[start:end] - first))

    def encode(self, items: Indices) -> Iterator[Features]:
        del items  # All of them, in their order.
        for _, batch in self._table.batches(self._sources):
            # By so many rows that the numbers, too, are of a bounded size.
            for start in range(0, batch.num_rows, ROWS):
                for row in self._numbers(batch.slice(start, ROWS)):
                    yield self._features(row)

    def _numbers(self, batch: pa.RecordBatch) -> Floats:
        blocks = []
        for name, encoding in zip(self._sources, self._encodings, strict=True):
            block, unread = encoding.encode(batch.column(name))
            if unread:
                self._unread[name] = self._unread.get(name, 0) + unread
            blocks.append(block)
        return np.concatenate(blocks, axis=1)

    def _features(self, row: Floats) -> Features:
        if not self._is_sparse:
            return row.reshape(1, 1, -1, 1)
        cols = np.flatnonzero(row)
        return [SparseStep(cols, row[cols])]

    def notes(self) -> tuple[str, ...]:
        unread = (
            f"Cells of {name!r} that are infinite, or not as in train, taken as missing: {count}."
            for name, count in self._unread.items()
        )
        return (*self._notes, *unread)


ROWS = 256


def _regular(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of ``rows``, so that sums do not depend on where the source's batches end."""
    kept: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        kept.append(batch)
        count += batch.num_rows
        while count >= rows:
            whole = pa.concat_batches(kept)
            yield whole.slice(0, rows)
            kept, count = [whole.slice(rows)], count - rows
    if count:
        yield pa.concat_batches(kept)


def _distinct(names: Sequence[str]) -> list[str]:
    """Names that are there already get a number behind."""
    found: dict[str, None] = {}
    for name in names:
        candidate, number = name, 2
        while candidate in found:
            candidate, number = f"{name} ({number})", number + 1
        found[candidate] = None
    return list(found)
