"""What the columns of a table are for, and what they say of each row: labels, group, source, split."""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import numpy as np

from alcove_toolkit.convert.base import (
    ConvertOptions,
    ConvertProgress,
    Facts,
    ItemKeys,
    SourceItems,
)
from alcove_toolkit.convert.labels import (
    LabelBuilder,
    parse_label_cell,
    parse_score,
    parse_target,
)
from alcove_toolkit.convert.number_labels import are_classes, describe_rounding, find_numbers
from alcove_toolkit.convert.parts import PartCollector
from alcove_toolkit.convert.tables import HEADER_OPTIONS, SourceTable, open_table
from alcove_toolkit.errors import SourceError

LABEL_NAMES = ("label", "labels", "class", "target")


@dataclass(frozen=True)
class ColumnRoles:
    """Columns that are no features."""

    labels: tuple[str, ...]
    group: str | None = None
    source: str | None = None
    split: str | None = None
    confidence: str | None = None
    notes: tuple[str, ...] = ()
    """What was chosen among several columns, one sentence each."""

    @property
    def all(self) -> tuple[str, ...]:
        rest = (self.group, self.source, self.split, self.confidence)
        return tuple(dict.fromkeys((*self.labels, *(name for name in rest if name))))

    @property
    def facts(self) -> Facts:
        """Of columns that the source has."""
        several = f"{len(self.labels)} columns: {join_names(self.labels)}"
        labels = f"column {self.labels[0]!r}" if len(self.labels) == 1 else several
        optional_roles = (
            ("groups", self.group),
            ("sources", self.source),
            ("parts", self.split),
            ("confidence", self.confidence),
        )
        return (("labels", labels), *((what, f"column {name!r}") for what, name in optional_roles if name))


def find_column(table: SourceTable, names: Sequence[str], drop: Sequence[str] = ()) -> str | None:
    """The column that has the first of these names that is there: as it is written, else in any case."""
    return next(iter(find_columns(table, names, drop)), None)


def find_columns(table: SourceTable, names: Sequence[str], drop: Sequence[str] = ()) -> tuple[str, ...]:
    """All columns that have one of these names, those of the first names first."""
    found = []
    for name in names:
        same = [n for n in table.names if n.lower() == name and n not in drop]
        found += sorted(same, key=lambda n: n != name)
    return tuple(found)


def choose_column(
    table: SourceTable, names: Sequence[str], option: str, drop: Sequence[str] = ()
) -> tuple[str | None, tuple[str, ...]]:
    """The column that is meant by its name, and a note where another could have been.

    Only the first of ``names`` is sure. Raises SourceError where there are two others: the user must say which.
    """
    found = find_columns(table, names, drop)
    if len(found) < 2:
        return (found[0] if found else None), ()
    first, more = found[0], found[1:]
    if first.lower() != names[0]:
        raise SourceError(
            str(table.path),
            f"there are columns {' and '.join(map(repr, found))}, and none is named {names[0]}",
            remedy=f"Leave out the others: --drop {','.join(more)}."
            if option == "--drop"
            else f"Name the one that is meant: {option} {first}.",
        )
    listed = " and ".join(map(repr, more))
    verb, noun = ("are", "columns") if len(more) > 1 else ("is", "column")
    return first, (f"Column {first!r} is the {names[0]}; {noun} {listed} {verb} not ({option} to choose).",)


def find_roles(
    table: SourceTable, options: ConvertOptions, labels: Sequence[str] | None = None
) -> ColumnRoles:
    """What the columns are for, as asked or by their names.

    Args:
        labels: the label columns; by default ``options.labels``, or the one that is named so.

    Raises:
        SourceError: a column that was asked for is not there, or none is named as labels are, or several.
    """
    split = find_column(table, ("split",), options.drop)
    confidence = find_column(table, ("confidence",), options.drop) if options.confidence else None
    asked = tuple(labels if labels is not None else asked_labels(options))
    notes: tuple[str, ...] = ()
    if not asked:
        found, notes = choose_column(table, LABEL_NAMES, "--labels", options.drop)
        if found is None:
            raise _no_label(table)
        asked = (found,)
    for name in (*asked, *options.drop, options.group_column, options.source_column):
        if name is not None and name not in table.names:
            raise SourceError(
                str(table.path),
                f"there is no column {name!r}",
                remedy=f"There are: {join_names(table.names)}.",
            )
    return ColumnRoles(asked, options.group_column, options.source_column, split, confidence, notes)


def _no_label(table: SourceTable) -> SourceError:
    remedy = f"Name the label's with --labels; there are: {join_names(table.names)}."
    if len(table.names) == 1 and table.delimiter:
        remedy += " If these are several columns, give the character between them with --delimiter."
    if table.delimiter and table.has_header:
        remedy += " If row 1 is the first example, pass --no-header."
    return SourceError(str(table.path), "no column is named label", remedy=remedy)


def open_asked_table(path: Path, options: ConvertOptions) -> SourceTable:
    """Opens a table as the options say; raises SourceError as :func:`open_table` does."""
    named = (
        *asked_labels(options),
        *options.drop,
        options.group_column,
        options.source_column,
        options.text_column,
    )
    return open_table(path, options.delimiter, options.header, [name for name in named if name])


def asked_labels(options: ConvertOptions) -> tuple[str, ...]:
    """The label columns that ``--labels`` names; none where it is left out."""
    return tuple(name.strip() for name in (options.labels or "").split(",") if name.strip())


def join_names(names: Sequence[str], most: int = 12) -> str:
    """The first names, for messages."""
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")


class KeyBuilder:
    """Collects the group or source of each item."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._codes = array("q")

    def add(self, name: str) -> None:
        self._codes.append(self._numbers.setdefault(name, len(self._numbers)))

    def build(self) -> ItemKeys:
        names = sorted(self._numbers)
        position = np.zeros(len(names) or 1, np.int64)
        for index, name in enumerate(names):
            position[self._numbers[name]] = index
        return ItemKeys(position[np.array(self._codes, np.int64)], tuple(names))


class RowScanner:
    """Takes what roles say of one row after the other, and gives the items in the end."""

    def __init__(self, roles: ColumnRoles, options: ConvertOptions) -> None:
        self._roles, self._options = roles, options
        self._labels = LabelBuilder()
        self._targets = array("d")
        self._group, self._source = KeyBuilder(), KeyBuilder()
        self._parts = PartCollector()
        self._multi = options.multi_label or len(roles.labels) > 1
        self._unlabelled = ""
        self.several = 0
        """Examples with more than one label in one cell."""
        if len(roles.labels) > 1 or options.regression:
            for name in roles.labels:
                self._labels.declare(name)

    def add(self, cells: Mapping[str, object], where: str) -> None:
        """One row: the value of each column of the roles."""
        labels = self._row_labels(cells, where)
        self._multi = self._multi or len(labels) > 1
        self.several += len(labels) > 1 == len(self._roles.labels)
        self._unlabelled = self._unlabelled or ("" if labels else where)
        self._labels.add(labels)
        for name, builder in ((self._roles.group, self._group), (self._roles.source, self._source)):
            if name is not None:
                key = _normal_text(cells[name])
                if not key:
                    raise SourceError(where, f"the cell of {name!r} is empty", remedy="Fill it.")
                builder.add(key)
        if self._roles.split is not None:
            self._parts.add(cell_text(cells[self._roles.split]), where)

    def _row_labels(self, cells: Mapping[str, object], where: str) -> dict[str, float]:
        """Names are in normal form C: a Mac writes an accent as a character of its own."""
        roles, options = self._roles, self._options
        if options.regression:
            texts = ((name, cell_text(cells[name])) for name in roles.labels)
            numbers = {name: parse_target(text, f"{where}, column {name!r}") for name, text in texts}
            self._targets.extend(numbers.values())
            return numbers
        if len(roles.labels) > 1:
            scores = ((name, _score(cells[name], f"{where}, column {name!r}")) for name in roles.labels)
            return {name: score for name, score in scores if score > 0}
        cell = cells[roles.labels[0]]
        if isinstance(cell, list):  # Of a Parquet file.
            return {_normal_text(name): 1.0 for name in cell}
        if isinstance(cell, dict):
            raise SourceError(where, "the label is a structure", remedy="Give a column of names or numbers.")
        in_cell = options.confidence and roles.confidence is None
        found = parse_label_cell(
            _normal_text(cell), where, separator=options.label_separator, confidence=in_cell
        )
        if roles.confidence is None:
            return found
        return dict.fromkeys(found, parse_score(cell_text(cells[roles.confidence]), where))

    def items(self, where: Callable[[int], str]) -> SourceItems:
        """Raises SourceError where a row has no label, although each is to have one."""
        if self._unlabelled and not self._multi:
            raise SourceError(
                self._unlabelled,
                "there is no label",
                remedy="Fill the cell, or remove the row; with --multi-label, an example may have none.",
            )
        is_test, notes = self._parts.build() if self._roles.split else (None, ())
        labels = self._labels.build()
        if self._options.regression:
            labels = replace(labels, are_numbers=True, notes=self._rounding_notes())
        elif len(self._roles.labels) == 1:
            labels = replace(labels, notes=(*labels.notes, *self._classes_note(labels.names)))
        return SourceItems(
            labels,
            where,
            self._group.build() if self._roles.group else None,
            self._source.build() if self._roles.source else None,
            is_test,
            notes=(*self._roles.notes, *labels.notes, *notes),
        )

    def _classes_note(self, names: Sequence[str]) -> tuple[str, ...]:
        """Raises SourceError where numbers could be labels as well as to be predicted, and nobody has said which."""
        numbers = find_numbers(names) if self._options.regression is None else None
        if numbers is None:
            return ()
        if not are_classes(numbers):
            raise SourceError(
                f"column {self._roles.labels[0]!r}",
                f"holds {len(numbers):,} different numbers, from {numbers[0]:g} to {numbers[-1]:g}, and nothing says "
                "whether they are classes",
                remedy="Pass --regression to predict them as numbers, or --classes if each is a class of its own.",
            )
        return ("Labels are numbers and each is a class; with --regression they are predicted as numbers.",)

    def _rounding_notes(self) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(self._roles.labels))
        table = np.array(self._targets, np.float64).reshape(-1, len(names))
        found = map(describe_rounding, names, table.T) if len(table) else ()
        return tuple(note for note in found if note)


def scan_rows(
    table: SourceTable, roles: ColumnRoles, options: ConvertOptions, progress: ConvertProgress
) -> SourceItems:
    """One item a row; reads the columns of the roles alone."""
    scanner = RowScanner(roles, options)
    name = roles.labels[0]
    # A table in text: was row 1 an example, or is the header there again, as where files were joined?
    header = name if len(roles.labels) == 1 and options.header is None and table.delimiter else None
    for first, batch in table.batches(roles.all):
        for row, cells in enumerate(iterate_rows(batch.to_pydict()), start=first):
            if header is not None and cells[name] == header:
                raise SourceError(
                    table.where(row),
                    f"the label is {header!r}, which is the name of the column too",
                    remedy=f"If this row repeats the header, remove it. {HEADER_OPTIONS}",
                )
            scanner.add(cells, table.where(row))
        progress("Reading labels", first + batch.num_rows, 0)
    items = scanner.items(table.where)
    facts = list(roles.facts)
    if scanner.several:
        count = "1 cell" if scanner.several == 1 else f"{scanner.several:,} cells"
        facts[0] = ("labels", f"{facts[0][1]}, several in {count} ({options.label_separator!r} between)")
    return replace(items, notes=(*table.notes, *items.notes), facts=(("table", table.form), *facts))


def iterate_rows(columns: Mapping[str, Sequence[object]]) -> Iterator[dict[str, object]]:
    """Yields the cells of one row after the other; the columns have one length."""
    for cells in zip(*columns.values(), strict=True):
        yield dict(zip(columns, cells, strict=True))


def cell_text(cell: object) -> str:
    """A cell as a name: whole numbers without a point, nothing for a missing one."""
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return ""
    if isinstance(cell, float | Decimal) and np.isfinite(float(cell)) and cell == int(cell):
        return str(int(cell))
    text = cell.decode(errors="backslashreplace") if isinstance(cell, bytes) else str(cell)
    return text.strip()


def _normal_text(cell: object) -> str:
    return unicodedata.normalize("NFC", cell_text(cell))


def _score(cell: object, where: str) -> float:
    text = cell_text(cell).lower()
    known = {"": 0.0, "false": 0.0, "true": 1.0}.get(text)
    return parse_score(text, where) if known is None else known
