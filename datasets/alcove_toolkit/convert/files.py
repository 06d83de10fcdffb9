"""Items that are a file (or a folder of files) each: listed by folders, or by a table of files and labels."""

from __future__ import annotations

import os
from abc import abstractmethod
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

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
    find_column,
    find_roles,
    is_part_name,
    iterate_rows,
    join_names,
    open_asked_table,
)
from alcove_toolkit.convert.tables import SourceTable, is_table
from alcove_toolkit.errors import SourceError

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
    """The items of a folder, or those that a table names.

    A folder's levels below ``source`` are labels, unless ``options.folders`` says otherwise; ``train`` and ``test``
    at its top are taken as the split. Where ``options.labels`` names a table, or ``source`` is one, the labels stand
    there, one row a file; paths are below the folder, or beside the table.

    Args:
        suffixes: endings of files, in lower case, with the point; others are left out, and the notes say so.
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
    names, others = _list_names(source, suffixes, folders)
    if not names:
        raise SourceError(
            str(source),
            f"there is no file that ends in {', '.join(suffixes)}",
            remedy="Check folder and kind.",
        )
    notes = (f"Files of other kinds, left out: {others}.",) if others else ()
    if options.labels is None:
        refuse_options(
            options, (*OF_TABLES, *OF_CELLS), f"has no meaning for {source}, where folders are the labels"
        )
        return FileItems(replace(_by_folders(source, names, options), notes=notes), source, names)
    path = Path(options.labels)
    if not is_table(path) or not path.is_file():
        raise SourceError(
            f"--labels {path}",
            "is no table of files and labels",
            remedy="Name a CSV with a row for each file.",
        )
    found = _from_table(
        source, open_asked_table(path, replace(options, labels=None)), replace(options, labels=None)
    )
    missing = sorted(set(names) - set(found.names), key=_path_order)
    if missing:
        raise SourceError(
            str(source / missing[0]), f"has no row in {path}", remedy="Add it, or remove the file."
        )
    return replace(found, items=replace(found.items, notes=notes))


def _path_order(name: str) -> tuple[str, ...]:
    return PurePosixPath(name).parts


def _list_names(source: Path, suffixes: Sequence[str], folders: bool) -> tuple[tuple[str, ...], int]:
    """Names of items below ``source``, in order, and how many other files there are. Hidden ones do not count."""
    names: set[str] = set()
    others = 0
    for folder, files in walk_folders(source):
        for name in files:
            if not name.lower().endswith(tuple(suffixes)) or not is_regular(folder / name):
                others += 1
                continue
            path = (folder if folders else folder / name).relative_to(source).as_posix()
            if not path.isprintable():
                raise SourceError(repr(path), "has a name that is no text", remedy="Rename it.")
            names.add(path)
    return tuple(sorted(names, key=_path_order)), others


def walk_folders(source: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yields each folder below ``source`` and the names of what is in it that is no folder; nothing that is hidden.

    Raises:
        SourceError: a link leads back to where it was found, which would never end.
    """
    for at, inner, files in os.walk(source, followlinks=True):
        folder = Path(at)
        inner[:] = [name for name in inner if not name.startswith(".")]
        for link in (folder / name for name in inner if (folder / name).is_symlink()):
            if link.resolve() in {above.resolve() for above in (folder, *folder.absolute().parents)}:
                raise SourceError(str(link), "leads back to a folder above it", remedy="Remove the link.")
        yield folder, [name for name in files if not name.startswith(".")]


def is_regular(path: Path) -> bool:
    """Whether it is a file, and no pipe or device, which could keep a reader waiting.

    Raises:
        SourceError: it is a link to nothing.
    """
    if path.is_symlink() and not path.exists():
        raise SourceError(str(path), "is a link to nothing", remedy="Remove it, or put the file there.")
    return path.is_file()


def _by_folders(source: Path, names: Sequence[str], options: ConvertOptions) -> SourceItems:
    default = _default_levels(source, {name.split("/")[0] for name in names})
    levels = (options.folders or default).strip("/").split("/")
    unknown = next((level for level in levels if level not in _LEVELS), None)
    if unknown is not None or "label" not in levels:
        raise SourceError(
            f"--folders {options.folders}",
            "does not say which level is the label" if unknown is None else f"{unknown!r} is no level",
            remedy=f"Join with slashes, from the top: {', '.join(_LEVELS)} (- is skipped).",
        )
    group, origin, split = (level if level in levels else None for level in ("group", "source", "split"))
    roles = ColumnRoles(("label",), group, origin, split)
    scanner = RowScanner(roles, replace(options, label_separator="", confidence=False))
    for name in names:
        parts = name.split("/")[:-1]
        if len(parts) < len(levels):
            raise SourceError(
                str(source / name),
                f"is not in folders {'/'.join(levels)}",
                remedy="Move it into the folder of its label, or say with --folders what the levels mean.",
            )
        scanner.add(dict(zip(levels, parts, strict=False)), str(source / name))
    return scanner.items(lambda item: str(source / names[item]))


def _default_levels(source: Path, tops: set[str]) -> str:
    parts = {top for top in tops if is_part_name(top)}
    if len(parts) < 2:
        return "label"
    if tops - parts:
        raise SourceError(
            str(source / min(tops - parts)),
            "lies beside folders for train and test",
            remedy="Move it away, or say with --folders what the levels of folders mean.",
        )
    return "split/label"


def _from_table(root: Path, table: SourceTable, options: ConvertOptions) -> FileItems:
    refuse_options(options, ("folders",), f"has no meaning where the labels stand in {table.path}")
    column = find_column(table, FILE_NAMES)
    if column is None:
        raise SourceError(
            str(table.path),
            "has no column named file",
            remedy=f"Give the one with names of files that name; there are: {join_names(table.names)}.",
        )
    labels = asked_labels(options) or _label_columns(table, column, options)
    roles = find_roles(table, options, labels)
    scanner = RowScanner(roles, options)
    names: dict[str, None] = {}
    for first, batch in table.batches(tuple(dict.fromkeys((column, *roles.all)))):
        for row, cells in enumerate(iterate_rows(batch.to_pydict()), start=first):
            where = table.where(row)
            name = _parse_name(cell_text(cells[column]), root, where)
            if name in names:
                raise SourceError(where, f"the file {name!r} is there twice", remedy="Remove one row.")
            if not (root / name).exists():
                raise SourceError(
                    where, f"there is no file {root / name}", remedy="Remove the row, or add it."
                )
            names[name] = None
            scanner.add(cells, where)
    ordered = tuple(names)
    return FileItems(scanner.items(lambda item: str(root / ordered[item])), root, ordered)


def _parse_name(cell: str, root: Path, where: str) -> str:
    """The name in a cell; with slashes, also where it was written on Windows."""
    if not cell:
        raise SourceError(where, "names no file", remedy="Fill the cell, or remove the row.")
    name = cell if "\\" not in cell or (root / cell).exists() else cell.replace("\\", "/")
    return PurePosixPath(name).as_posix()


def _label_columns(table: SourceTable, file_column: str, options: ConvertOptions) -> list[str]:
    """All that are nothing else: one column of names, or several of 0 and 1."""
    found = find_column(table, LABEL_NAMES, options.drop)
    if found:
        return [found]
    special = (find_column(table, (name,), options.drop) for name in ("split", "confidence"))
    others = (file_column, options.group_column, options.source_column, *options.drop, *special)
    return [name for name in table.names if name not in others]
