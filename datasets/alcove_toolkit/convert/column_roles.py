"""What the columns of a table are for, and what they say of each row: labels, group, source, split."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from alcove_toolkit.convert.base import ConvertOptions, ConvertProgress, ItemKeys, SourceItems
from alcove_toolkit.convert.labels import LabelBuilder, parse_label_cell, parse_score
from alcove_toolkit.convert.tables import SourceTable
from alcove_toolkit.errors import SourceError

LABEL_NAMES = ("label", "labels", "class", "target")
_TEST = {"train": False, "training": False, "test": True, "testing": True}


@dataclass(frozen=True)
class ColumnRoles:
    """Columns that are no features."""

    labels: tuple[str, ...]
    group: str | None = None
    source: str | None = None
    split: str | None = None
    confidence: str | None = None

    @property
    def all(self) -> tuple[str, ...]:
        rest = (self.group, self.source, self.split, self.confidence)
        return tuple(dict.fromkeys((*self.labels, *(name for name in rest if name))))


def find_column(table: SourceTable, names: Sequence[str], drop: Sequence[str] = ()) -> str | None:
    """The first column that has one of these names, in any case."""
    return next((n for n in table.names if n.lower() in names and n not in drop), None)


def find_roles(
    table: SourceTable, options: ConvertOptions, labels: Sequence[str] | None = None
) -> ColumnRoles:
    """What the columns are for, as asked or by their names.

    Args:
        labels: the label columns; by default ``options.labels``, or the one that is named so.

    Raises:
        SourceError: a column that was asked for is not there, or none is named as labels are.
    """
    split = find_column(table, ("split",), options.drop)
    confidence = find_column(table, ("confidence",), options.drop) if options.confidence else None
    asked = labels if labels is not None else asked_labels(options)
    if not asked:
        found = find_column(table, LABEL_NAMES, options.drop)
        if found is None:
            raise SourceError(
                str(table.path),
                "no column is named label",
                remedy=f"Name the label's with --labels; there are: {join_names(table.names)}."
                + (
                    " If that is several, name what stands between them with --delimiter."
                    if len(table.names) == 1
                    else ""
                ),
            )
        asked = (found,)
    for name in (*asked, *options.drop, options.group_column, options.source_column):
        if name is not None and name not in table.names:
            raise SourceError(
                str(table.path),
                f"there is no column {name!r}",
                remedy=f"There are: {join_names(table.names)}.",
            )
    return ColumnRoles(tuple(asked), options.group_column, options.source_column, split, confidence)


def asked_labels(options: ConvertOptions) -> tuple[str, ...]:
    """The label columns that ``--labels`` names; none where it is left out."""
    return tuple(name.strip() for name in (options.labels or "").split(",") if name.strip())


def join_names(names: Sequence[str]) -> str:
    """The first names, for messages."""
    return ", ".join(names[:12]) + (" …" if len(names) > 12 else "")


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
        self._group, self._source = KeyBuilder(), KeyBuilder()
        self._is_test = array("b")
        self._multi = options.multi_label or len(roles.labels) > 1
        self._unlabelled = ""
        if len(roles.labels) > 1:
            for name in roles.labels:
                self._labels.declare(name)

    def add(self, cells: Mapping[str, object], where: str) -> None:
        """One row: the value of each column of the roles."""
        labels = self._row_labels(cells, where)
        self._multi = self._multi or len(labels) > 1
        self._unlabelled = self._unlabelled or ("" if labels else where)
        self._labels.add(labels)
        for name, builder in ((self._roles.group, self._group), (self._roles.source, self._source)):
            if name is not None:
                key = cell_text(cells[name])
                if not key:
                    raise SourceError(where, f"the cell of {name!r} is empty", remedy="Fill it.")
                builder.add(key)
        if self._roles.split is not None:
            self._is_test.append(parse_part(cell_text(cells[self._roles.split]), where))

    def _row_labels(self, cells: Mapping[str, object], where: str) -> dict[str, float]:
        roles, options = self._roles, self._options
        if len(roles.labels) > 1:
            scores = ((name, _score(cells[name], f"{where}, column {name!r}")) for name in roles.labels)
            return {name: score for name, score in scores if score > 0}
        cell = cells[roles.labels[0]]
        if isinstance(cell, list):  # Of a Parquet file.
            return {cell_text(name): 1.0 for name in cell}
        in_cell = options.confidence and roles.confidence is None
        found = parse_label_cell(
            cell_text(cell), where, separator=options.label_separator, confidence=in_cell
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
        return SourceItems(
            self._labels.build(),
            where,
            self._group.build() if self._roles.group else None,
            self._source.build() if self._roles.source else None,
            np.array(self._is_test, bool) if self._roles.split else None,
        )


def scan_rows(
    table: SourceTable, roles: ColumnRoles, options: ConvertOptions, progress: ConvertProgress
) -> SourceItems:
    """One item a row; reads the columns of the roles alone."""
    scanner = RowScanner(roles, options)
    for first, batch in table.batches(roles.all):
        for row, cells in enumerate(iterate_rows(batch.to_pydict()), start=first):
            scanner.add(cells, table.where(row))
        progress("Reading labels", first + batch.num_rows, 0)
    return replace(scanner.items(table.where), notes=table.notes)


def iterate_rows(columns: Mapping[str, Sequence[object]]) -> Iterator[dict[str, object]]:
    """Yields the cells of one row after the other; the columns have one length."""
    for cells in zip(*columns.values(), strict=True):
        yield dict(zip(columns, cells, strict=True))


def parse_part(cell: str, where: str) -> bool:
    """Whether a cell or folder names the test part. Raises SourceError where it names neither."""
    if cell.lower() not in _TEST:
        raise SourceError(
            where,
            f"the split is {cell!r}",
            remedy="It must be train or test; or leave the column out: --drop split.",
        )
    return _TEST[cell.lower()]


def is_part_name(name: str) -> bool:
    """Whether a folder's name is that of a part: train or test."""
    return name.lower() in _TEST


def cell_text(cell: object) -> str:
    """A cell as a name: whole numbers without a point, nothing for a missing one."""
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    text = cell.decode(errors="backslashreplace") if isinstance(cell, bytes) else str(cell)
    return text.strip()


def _score(cell: object, where: str) -> float:
    text = cell_text(cell).lower()
    known = {"": 0.0, "false": 0.0, "true": 1.0}.get(text)
    return parse_score(text, where) if known is None else known
