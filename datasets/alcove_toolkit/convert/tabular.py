"""Tables: a row an example. CSV and Parquet here, sparse tables in :mod:`.svmlight`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from alcove_format.metadata import Format, Metadata
from alcove_format.writer import Features, SparseStep
from alcove_toolkit.convert.base import (
    Converter,
    ConvertOptions,
    ConvertProgress,
    Facts,
    Indices,
    SourceItems,
    refuse_options,
)
from alcove_toolkit.convert.column_encoders import ColumnEncoder, Floats
from alcove_toolkit.convert.column_inference import ColumnInference
from alcove_toolkit.convert.column_roles import ColumnRoles, find_roles, open_asked_table, scan_rows
from alcove_toolkit.convert.svmlight import SUFFIXES as SVMLIGHT
from alcove_toolkit.convert.svmlight import SvmlightConverter, is_svmlight
from alcove_toolkit.convert.tables import CELLS, SourceTable, is_table
from alcove_toolkit.convert.tables import SUFFIXES as TABLES
from alcove_toolkit.errors import SourceError

WIDE, SPARSE = 1000, 0.1
"""From so many columns on, of which at most this share is not zero, rows are written sparse."""


def open_source(source: Path, options: ConvertOptions, progress: ConvertProgress) -> Converter:
    """A converter of a CSV, a Parquet file, or a file in the svmlight format."""
    if is_svmlight(source):
        return SvmlightConverter(source, options, progress)
    if not is_table(source):
        raise SourceError(
            str(source),
            "is not a table that can be read",
            remedy=f"Give a file that ends in {', '.join((*TABLES, *SVMLIGHT))}; save the sheet of a workbook as CSV.",
        )
    refuse_options(options, ("folders",), "has no meaning for --kind tabular")
    table = open_asked_table(source, options)
    return TableConverter(table, find_roles(table, options), options, progress)


class TableConverter(Converter):
    """Columns are numbers, yes or no, dates or categories by what stands in train's rows."""

    sequential = True

    def __init__(
        self, table: SourceTable, roles: ColumnRoles, options: ConvertOptions, progress: ConvertProgress
    ) -> None:
        self._table, self._roles, self._options, self._progress = table, roles, options, progress
        self._columns = tuple(n for n in table.names if n not in roles.all and n not in options.drop)
        self._encoders: list[ColumnEncoder] = []
        self._sources: list[str] = []
        self._is_sparse = False
        self._notes: list[str] = []
        self._odd: dict[str, _OddCells] = {}
        self._rows = 0

    def scan(self) -> SourceItems:
        if not self._columns:
            raise SourceError(
                str(self._table.path), "has no column beside the labels", remedy="There must be a feature."
            )
        items = scan_rows(self._table, self._roles, self._options, self._progress)
        self._rows = len(items)
        return replace(items, notes=(*items.notes, *self._unasked_roles()))

    def _unasked_roles(self) -> tuple[str, ...]:
        """Columns that are named as a role is that nobody asked for."""
        roles = (("group", self._roles.group), ("source", self._roles.source))
        found = ((role, name) for role, asked in roles for name in self._columns if not asked)
        return tuple(
            f"Column {name!r} is a feature; --{role}-column {name} makes it the {role} of each example."
            for role, name in found
            if name.lower() in (role, f"{role}s")
        )

    def fit(self, train: Indices) -> Metadata:
        fits: list[ColumnInference] = []
        done = 0
        for batch in _regular(self._train(train), max(1, CELLS // len(self._columns))):
            fits = fits or [ColumnInference(name, batch.schema.field(name).type) for name in self._columns]
            for fit in fits:
                fit.add(batch.column(fit.name), train[done : done + batch.num_rows])
            done += batch.num_rows
            self._progress("Learning from train", done, len(train))
        for fit in fits:
            encoder = fit.choose_encoder(categories=self._options.categories, scale=self._options.scale)
            if isinstance(encoder, str):
                self._notes.append(encoder)
            else:
                self._encoders.append(encoder)
                self._sources.append(fit.name)
                self._notes += [fit.note] if fit.note else []
        names = [name for encoder in self._encoders for name in encoder.names]
        if not names:
            raise SourceError(
                str(self._table.path), "no column can be used", remedy=f"{' '.join(self._notes)}"
            )
        density = sum(encoder.density for encoder in self._encoders) / len(names)
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
        for first, batch in self._table.batches(self._sources):
            # By so many rows that the numbers, too, are of a bounded size.
            for start in range(0, batch.num_rows, ROWS):
                for row in self._numbers(batch.slice(start, ROWS), first + start):
                    yield self._features(row)

    def _numbers(self, batch: pa.RecordBatch, first: int) -> Floats:
        blocks = []
        for name, encoder in zip(self._sources, self._encoders, strict=True):
            column = batch.column(name)
            block, odd = encoder.encode(column)
            if len(odd):
                found = self._odd.setdefault(
                    name, _OddCells(first + int(odd[0]), column[int(odd[0])].as_py())
                )
                found.count += len(odd)
            blocks.append(block)
        return np.concatenate(blocks, axis=1)

    def _features(self, row: Floats) -> Features:
        if not self._is_sparse:
            return row.reshape(1, 1, -1, 1)
        cols = np.flatnonzero(row)
        return [SparseStep(cols, row[cols])]

    def facts(self) -> Facts:
        columns = (
            f"{name} ({encoder.kind})" for name, encoder in zip(self._sources, self._encoders, strict=True)
        )
        count = len(self._sources)
        some = ", ".join(islice(columns, _NAMED)) + (f" and {count - _NAMED} more" if count > _NAMED else "")
        left_out = [*self._options.drop, *(n for n in self._columns if n not in self._sources)]
        return (
            ("features", f"{count} {'column' if count == 1 else 'columns'}: {some}"),
            *(
                (("left out", ", ".join(left_out[:_NAMED]) + (" …" if len(left_out) > _NAMED else "")),)
                if left_out
                else ()
            ),
        )

    def notes(self) -> tuple[str, ...]:
        kinds = dict(zip(self._sources, self._encoders, strict=True))
        odd = (
            f"Column {name!r} ({kinds[name].kind}): {found.count} of {self._rows} cells cannot be read as such and "
            f"{'is' if found.count == 1 else 'are'} taken as missing, first in row "
            f"{self._table.where(found.row).rpartition(' ')[2]}: {str(found.cell)[:30]!r}."
            for name, found in self._odd.items()
        )
        return (*self._notes, *odd)


@dataclass
class _OddCells:
    """Cells of one column that were taken as missing, and the first of them."""

    row: int
    cell: object
    count: int = 0


_NAMED = 12
"""Columns that are listed for people."""
ROWS = 256


def _regular(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of ``rows``, so that sums do not depend on where the source's batches end."""
    pending: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        pending.append(batch)
        count += batch.num_rows
        while count >= rows:
            whole = pa.concat_batches(pending)
            yield whole.slice(0, rows)
            pending, count = [whole.slice(rows)], count - rows
    if count:
        yield pa.concat_batches(pending)


def _distinct(names: Sequence[str]) -> list[str]:
    """Names that are there already get a number behind."""
    found: dict[str, None] = {}
    for name in names:
        candidate, number = name, 2
        while candidate in found:
            candidate, number = f"{name} ({number})", number + 1
        found[candidate] = None
    return list(found)
