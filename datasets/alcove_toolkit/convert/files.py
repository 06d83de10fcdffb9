"""Items that are a file (or a folder of files) each: listed by folders, or by a table of files and labels."""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alcove_toolkit.convert.base import (
    OF_CELLS,
    OF_TABLES,
    Converter,
    ConvertOptions,
    ConvertProgress,
    SourceItems,
    refuse_options,
)
from alcove_toolkit.convert.column_roles import (
    LABEL_NAMES,
    ColumnRoles,
    RowScanner,
    asked_labels,
    cell_text,
    choose_column,
    find_column,
    find_columns,
    find_roles,
    iterate_rows,
    join_names,
    open_asked_table,
)
from alcove_toolkit.convert.listing import Listing, NameFinder, list_items, normal_form, path_order
from alcove_toolkit.convert.parts import THIRD_PART_REMEDY, find_part, mentions_part
from alcove_toolkit.convert.tables import SourceTable, is_table
from alcove_toolkit.errors import SourceError

_FOLDERS_REMEDY = "Move it away, or say with --folders what the levels of folders mean."
_LEVELS = ("label", "group", "source", "split", "-")
FILE_NAMES = ("file", "path", "filename", "file_name", "filepath", "file_path", "image", "audio", "video")


@dataclass(frozen=True)
class FileItems:
    """Items, and where each lies: a file, or a folder of files."""

    items: SourceItems
    root: Path
    names: tuple[str, ...]
    """Paths below ``root``, with slashes, in order of their parts."""

    def path(self, item: int) -> Path:
        return self.root / self.names[item]


class FileConverter(Converter):
    """Items that are files (or folders) each, whose headers are read once, train's and test's: they are its form."""

    def __init__(self, files: FileItems, options: ConvertOptions, progress: ConvertProgress) -> None:
        self._files, self._options, self._progress = files, options, progress

    def scan(self) -> SourceItems:
        return self._files.items

    @abstractmethod
    def _header(self, path: Path) -> tuple[int, ...]:
        """What a file says of itself, before its content is decoded: some numbers, as many for each."""

    @cached_property
    def _headers(self) -> npt.NDArray[np.int64]:
        """Items × numbers."""
        count = len(self._files.names)
        numbers = array("q")
        for item in range(count):
            numbers.extend(self._header(self._files.path(item)))
            self._progress("Reading headers", item + 1, count)
        return np.array(numbers, np.int64).reshape(count, -1)


def list_files(
    source: Path, options: ConvertOptions, suffixes: Sequence[str], *, folders: bool = False
) -> FileItems:
    """List the items of a folder, or those that a table names.

    A folder's levels below ``source`` are labels, unless ``options.folders`` says otherwise; folders for train and
    test (or validation) at its top are the split. Where ``options.labels`` names a table, or ``source`` is one, it
    has the labels, a row for each file, with paths below the folder, or beside the table.

    Args:
        suffixes: endings of files, in lower case, with the point; others are left out, and a note counts them.
        folders: an item is a folder that has such files in it (frames of a clip), not a file.

    Raises:
        SourceError: nothing found, files without a row, rows without a file, or a file outside its levels.
    """
    if is_table(source):
        return _from_table(source.parent, open_asked_table(source, options), options)
    if not source.is_dir():
        raise SourceError(
            str(source),
            "is neither a folder nor a table of files",
            remedy="Name a folder with a folder for each label in it, or a CSV with the columns file and label.",
        )
    listing = list_items(source, suffixes, folders=folders)
    if not listing.names:
        also_there = f"; others: {listing.left_out_text}" if listing.left_out_text else ""
        raise SourceError(
            str(source),
            f"there is no file that ends in {', '.join(suffixes)}{also_there}",
            remedy="Check folder and kind, or convert the files into one of these formats first.",
        )
    notes = (f"Files of other kinds, left out: {listing.left_out_text}.",) if listing.left_out_text else ()
    if options.labels is None:
        refuse_options(
            options, (*OF_TABLES, *OF_CELLS), f"has no meaning for {source}, where folders are the labels"
        )
        items = _by_folders(source, listing, options)
        return FileItems(replace(items, notes=(*notes, *items.notes)), source, listing.names)
    found = _from_label_table(source, listing, Path(options.labels), options)
    return replace(found, items=replace(found.items, notes=(*notes, *found.items.notes)))


def _from_label_table(source: Path, listing: Listing, path: Path, options: ConvertOptions) -> FileItems:
    """The files of a folder with the labels of a table; each file must have a row, each row a file."""
    if not is_table(path) or not path.is_file():
        raise SourceError(
            f"--labels {path}",
            "is not a table of files and labels",
            remedy="Name a CSV with a row for each file.",
        )
    asked = replace(options, labels=None)
    found = _from_table(source, open_asked_table(path, asked), asked)
    missing = sorted(set(listing.names) - set(found.names), key=path_order)
    if missing:
        raise SourceError(
            str(source / missing[0]), f"has no row in {path}", remedy="Add it, or remove the file."
        )
    return found


def _by_folders(source: Path, listing: Listing, options: ConvertOptions) -> SourceItems:
    levels = (options.folders or _default_levels(source, listing)).strip("/").split("/")
    unknown = next((level for level in levels if level not in _LEVELS), None)
    if unknown is not None or "label" not in levels:
        raise SourceError(
            f"--folders {options.folders}",
            "does not say which level is the label" if unknown is None else f"{unknown!r} is not a level",
            remedy=f"Join with slashes, from the top: {', '.join(_LEVELS)} (- is skipped).",
        )
    group, origin, split = (level if level in levels else None for level in ("group", "source", "split"))
    roles = ColumnRoles(("label",), group, origin, split)
    scanner = RowScanner(roles, replace(options, label_separator="", confidence=False, regression=False))
    for name in listing.names:
        parts = normal_form(name).split("/")[:-1]
        if len(parts) < len(levels):
            raise SourceError(
                str(source / name),
                f"is not in folders {'/'.join(levels)}",
                remedy="Move it into the folder of its label, or say with --folders what the levels mean.",
            )
        scanner.add(dict(zip(levels, parts, strict=False)), str(source / name))
    items = scanner.items(lambda item: str(source / listing.names[item]))
    notes = (
        *items.notes,
        *_empty_notes(listing, levels.index("label")),
        *_deeper_notes(listing, len(levels)),
    )
    return replace(items, notes=notes, facts=(("labels", f"folders, by level: {'/'.join(levels)}"),))


def _empty_notes(listing: Listing, level: int) -> tuple[str, ...]:
    """Folders of labels without an item, so that no class is missing without a word."""
    used = {name.split("/")[level] for name in listing.names}
    parts = (folder.split("/") for folder in listing.folders)
    empty = sorted({part[level] for part in parts if len(part) == level + 1} - used)
    return (f"Folders without a file of this kind, so not a label: {join_names(empty)}.",) if empty else ()


def _deeper_notes(listing: Listing, levels: int) -> tuple[str, ...]:
    """Folders below the last level that has a meaning, so that none is passed over without a word."""
    paths = (name.split("/")[:-1] for name in listing.names)
    deeper = sorted({path[levels] for path in paths if len(path) > levels})
    listed = join_names(deeper, 4)
    return (
        (f"Folders further down have no meaning: {listed} (--folders to give them one).",) if deeper else ()
    )


def _default_levels(source: Path, listing: Listing) -> str:
    """What the levels mean, by the names of the folders. Raises SourceError where that is not clear."""
    tops = {name.split("/")[0] for name in listing.names if "/" in name}
    parts = {top: part for top in sorted(tops) if (part := find_part(top))}
    if len(parts) < 2:
        if len(tops) == 1 and all("/" in name for name in listing.names):
            _refuse_one_folder(source, *tops)
        _refuse_parts_below(source, listing)
        _refuse_parts_as_labels(source, tops)
        return "label"
    if tops - set(parts):
        raise SourceError(
            str(source / min(tops - set(parts))),
            "lies beside folders for train and test",
            remedy=_FOLDERS_REMEDY,
        )
    named = list(parts.values())
    odd = next((top for top, part in parts.items() if named.count(part) > 1), None)
    if odd or "train" not in named:
        problem = "two folders are the same part" if odd else "there is no folder for train"
        raise SourceError(str(source), f"{problem}: {', '.join(parts)}", remedy=_FOLDERS_REMEDY)
    if len(parts) > 2:
        third = next(top for top, part in parts.items() if part == "validation")
        raise SourceError(
            str(source / third), "lies beside folders for train and test", remedy=THIRD_PART_REMEDY
        )
    return "split/label"


def _refuse_one_folder(source: Path, top: str) -> None:
    raise SourceError(
        str(source),
        f"all files are below one folder, {top!r}, so there would be one label",
        remedy=f"Name {source / top} as SOURCE, or say with --folders what the levels of folders mean.",
    )


def _refuse_parts_below(source: Path, listing: Listing) -> None:
    """Folders train and test *in* each label would be passed over."""
    below = {name.split("/")[1] for name in listing.names if name.count("/") > 1}
    if len({find_part(name) for name in below} - {None}) > 1:
        raise SourceError(
            str(source),
            f"the folders of the labels have folders {join_names(sorted(below))}",
            remedy="If these are the split, pass --folders label/split; if not, --folders label.",
        )


def _refuse_parts_as_labels(source: Path, tops: Set[str]) -> None:
    """Folders ``my_train`` and ``my_test``, ``train`` and ``holdout``, ``fold1`` and ``fold2`` would be labels. One of
    many may be a label that is named so: a train, a query."""
    found = sorted(name for name in tops if mentions_part(name))
    if found and (len(found) > 1 or len(tops) <= 2):
        raise SourceError(
            str(source),
            f"has folders {join_names(found)}, which may be parts or labels",
            remedy="Name those of the split train and test; if they are labels, pass --folders label.",
        )


def _from_table(root: Path, table: SourceTable, options: ConvertOptions) -> FileItems:
    refuse_options(options, ("folders",), f"has no meaning where the labels stand in {table.path}")
    columns = find_columns(table, FILE_NAMES, options.drop)
    if not columns:
        raise SourceError(
            str(table.path),
            "has no column named file",
            remedy=f"Give the one with names of files that name; there are: {join_names(table.names)}.",
        )
    column, *unchosen = columns
    labels, notes = asked_labels(options), table.notes
    if not labels:
        labels, more = _label_columns(table, column, options)
        notes = (*notes, *more)
    if unchosen := [name for name in unchosen if name not in labels]:
        notes = (
            *notes,
            f"Column {column!r} names the files, not {', '.join(map(repr, unchosen))} (--drop to choose).",
        )
    roles = replace(find_roles(table, options, labels), notes=notes)
    scanner = RowScanner(roles, options)
    finder = NameFinder(root)
    names: dict[str, None] = {}
    for first, batch in table.batches(tuple(dict.fromkeys((column, *roles.all)))):
        for row, cells in enumerate(iterate_rows(batch.to_pydict()), start=first):
            where = table.where(row)
            name = finder.find(cell_text(cells[column]), where)
            if name in names:
                raise SourceError(where, f"the file {name!r} is there twice", remedy="Remove one row.")
            names[name] = None
            scanner.add(cells, where)
    ordered = tuple(names)
    items = scanner.items(lambda item: str(root / ordered[item]))
    unread = [name for name in table.names if name not in (column, *roles.all)]
    left_out = (("left out", join_names(unread)),) if unread else ()
    facts = (("table", table.form), ("files", f"column {column!r}"), *roles.facts, *left_out)
    return FileItems(replace(items, facts=facts), root, ordered)


def _label_columns(
    table: SourceTable, file_column: str, options: ConvertOptions
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The column named label, or all that are nothing else: one of names, or several of 0 and 1; and what to say."""
    found, notes = choose_column(table, LABEL_NAMES, "--drop", options.drop)
    if found:
        return (found,), notes
    special = (find_column(table, (name,), options.drop) for name in ("split", "confidence"))
    taken = (file_column, options.group_column, options.source_column, *options.drop, *special)
    left = tuple(name for name in table.names if name not in taken)
    notes = (f"Column {left[0]!r} is the label, as the only other one (--labels to choose).",)
    return left, notes if len(left) == 1 else ()
