"""Series: an ``.npz`` with X (examples × time × channels) and y, an ``.npy`` with labels apart, or a file each.

Files of one series are ``.npy`` (time, or time × channels) or CSV (a row a step, a column a channel).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from alcove_format.metadata import VARIES, Metadata
from alcove_format.writer import Features
from alcove_toolkit.convert.arrays import ArrayFile, open_arrays
from alcove_toolkit.convert.base import (
    OF_TABLES,
    Converter,
    ConvertOptions,
    ConvertProgress,
    Indices,
    SourceItems,
    refuse_options,
)
from alcove_toolkit.convert.cell_parsers import LARGEST, Doubles
from alcove_toolkit.convert.column_inference import RunningMoments
from alcove_toolkit.convert.column_roles import (
    ColumnRoles,
    RowScanner,
    find_roles,
    iterate_rows,
    join_names,
    scan_rows,
)
from alcove_toolkit.convert.files import FileItems, list_files
from alcove_toolkit.convert.tables import is_table, open_table, read_utf8
from alcove_toolkit.errors import SourceError

SUFFIXES = (".npy", ".csv", ".tsv")


class SeriesSource(Protocol):
    """Where series lie."""

    sequential: bool

    def scan(self) -> SourceItems: ...

    def read(self, items: Indices) -> Iterator[Doubles]:
        """Of each item time × channels; where it is sequential, of ascending ones."""
        ...

    def lengths(self) -> Indices:
        """Steps of every item."""
        ...

    def channels(self, item: int) -> tuple[str, ...]:
        """Names of the channels of one item."""
        ...


def open_source(source: Path, options: ConvertOptions, progress: ConvertProgress) -> Converter:
    """A converter of an ``.npz``, an ``.npy``, a folder of files, or a table of files."""
    if source.is_file() and not is_table(source):
        return SeriesConverter(_Stacked(source, options, progress), options, progress)
    return SeriesConverter(_Files(list_files(source, options, SUFFIXES)), options, progress)


class SeriesConverter(Converter):
    """Series of one length, or of many; channels are the same in all."""

    def __init__(self, series: SeriesSource, options: ConvertOptions, progress: ConvertProgress) -> None:
        self._series, self._options, self._progress = series, options, progress
        self.sequential = series.sequential
        self._where: Callable[[int], str] = str
        self._names: tuple[str, ...] = ()
        self._mean, self._divisor = np.zeros(1), np.ones(1)

    def scan(self) -> SourceItems:
        items = self._series.scan()
        self._where = items.where
        return items

    def sizes(self) -> npt.NDArray[np.float64]:
        """Steps."""
        return self._lengths.astype(np.float64)

    @cached_property
    def _lengths(self) -> Indices:
        """Kept, since a CSV is read as a whole for its length."""
        return self._series.lengths()

    def fit(self, train: Indices) -> Metadata:
        # A length is no statistic: it must hold for both parts, as the names of labels do.
        lengths = np.unique(self._lengths)
        self._names = self._series.channels(int(train[0]))
        if self._options.scale:
            self._measure(train)
        return Metadata(
            n_examples=0,
            n_labels=1,
            rows=1,
            cols=1,
            channels=len(self._names),
            sequence_size=int(lengths[0]) if len(lengths) == 1 else VARIES,
            is_sequence=True,
            channel_names={name: i for i, name in enumerate(self._names)},
        )

    def _measure(self, train: Indices) -> None:
        moments = [RunningMoments() for _ in self._names]
        for done, series in enumerate(self._series.read(train), start=1):
            _check_channels(series, self._names, self._where(int(train[done - 1])))
            for channel, values in zip(moments, series.T, strict=True):
                channel.add(values)
            self._progress("Learning from train", done, len(train))
        self._mean = np.array([channel.mean for channel in moments])
        self._divisor = np.array([channel.deviation or 1.0 for channel in moments])

    def encode(self, items: Indices) -> Iterator[Features]:
        names = self._names
        for item, series in zip(items.tolist(), self._series.read(items), strict=True):
            where = self._where(item)
            _check_channels(series, names, where)
            if not len(series):
                raise SourceError(where, "has no steps", remedy="Remove it.")
            bad = np.argwhere(~(np.abs(series) <= LARGEST))
            if len(bad):
                raise SourceError(
                    f"{where}, step {bad[0, 0]}",
                    f"channel {names[bad[0, 1]]!r} is missing or not finite",
                    remedy="Fill such steps, for instance by interpolation.",
                )
            scaled = (series - self._mean) / self._divisor
            yield scaled.astype(np.float32).reshape(len(series), 1, 1, -1)


def _check_channels(series: Doubles, names: tuple[str, ...], where: str) -> None:
    if series.shape[1] != len(names):
        raise SourceError(
            where,
            f"has {series.shape[1]} channels, but the first series of train {len(names)}",
            remedy="All must have the same.",
        )


class _Stacked:
    """All series in one array."""

    sequential = True

    def __init__(self, path: Path, options: ConvertOptions, progress: ConvertProgress) -> None:
        refuse_options(options, ("folders",), f"has no meaning for {path}, which is one file")
        self._path, self._options, self._progress = path, options, progress
        self._arrays = {name.lower(): array for name, array in open_arrays(path).items()}
        self._series = self._find(("x", "data", "series"), "no array is named X")
        if len(self._series.shape) not in (2, 3) or self._series.dtype.kind not in "buif":
            raise SourceError(
                self._series.where,
                f"has shape {self._series.shape} of {self._series.dtype}",
                remedy="It must be numbers: examples × time, or examples × time × channels.",
            )

    def _find(self, names: tuple[str, ...], problem: str) -> ArrayFile:
        found = next((self._arrays[name] for name in names if name in self._arrays), None)
        if found is None:
            raise SourceError(str(self._path), problem, remedy=f"There are: {', '.join(self._arrays)}.")
        return found

    def scan(self) -> SourceItems:
        labels = Path(self._options.labels) if self._options.labels else None
        if labels is not None and is_table(labels):
            if not labels.is_file():
                raise SourceError(f"--labels {labels}", "there is no such file", remedy="Check the path.")
            return self._by_table(labels)
        refuse_options(self._options, OF_TABLES, "has no meaning where labels are no table")
        columns: dict[str, list[object]] = {}
        label = self._labels(labels)
        if len(label.shape) == 2:
            columns |= {str(i): list(column) for i, column in enumerate(label.whole().T.tolist())}
        else:
            columns["label"] = label.whole().tolist()
        names = tuple(columns)
        for role in ("group", "source", "split"):
            array = self._arrays.get(role, self._arrays.get(f"{role}s"))
            if array is not None:
                columns[role] = array.whole().tolist()
        roles = ColumnRoles(
            names, *(role if role in columns else None for role in ("group", "source", "split"))
        )
        scanner = RowScanner(roles, self._options)
        for name, column in columns.items():
            self._check_count(len(column), name)
        for number, cells in enumerate(iterate_rows(columns)):
            scanner.add(cells, self._where(number))
        return scanner.items(self._where)

    def _labels(self, given: Path | None) -> ArrayFile:
        if given is None:
            return self._find(
                ("y", "label", "labels", "target"), "no array is named y, and --labels names no file"
            )
        if not given.is_file():
            return self._find((str(given).lower(),), f"there is no array or file {str(given)!r}")
        return next(iter(open_arrays(given).values()))

    def _by_table(self, labels: Path) -> SourceItems:
        table = open_table(labels, self._options.delimiter)
        options = replace(self._options, labels=None)
        items = scan_rows(table, find_roles(table, options), options, self._progress)
        self._check_count(len(items), str(labels))
        return replace(items, where=self._where)

    def _check_count(self, count: int, what: str) -> None:
        if count != self._series.shape[0]:
            raise SourceError(
                self._series.where,
                f"has {self._series.shape[0]} series, but {what} has {count} entries",
                remedy="Give one for each.",
            )

    def _where(self, item: int) -> str:
        return f"{self._series.where}[{item}]"

    def lengths(self) -> Indices:
        array = self._arrays.get("lengths", self._arrays.get("length"))
        if array is None:
            return np.full(self._series.shape[0], self._series.shape[1], np.int64)
        lengths: Indices = array.whole().astype(np.int64)
        self._check_count(len(lengths), array.where)
        if lengths.min(initial=1) < 1 or lengths.max(initial=1) > self._series.shape[1]:
            raise SourceError(array.where, "has lengths that are no steps of X", remedy="Correct them.")
        return lengths

    def channels(self, item: int) -> tuple[str, ...]:
        del item
        return _numbered(self._series.shape[2] if len(self._series.shape) == 3 else 1)

    def read(self, items: Indices) -> Iterator[Doubles]:
        lengths = self.lengths()
        wanted = np.zeros(self._series.shape[0], bool)
        wanted[items] = True
        for number, row in enumerate(self._series.rows()):
            if wanted[number]:
                yield row.reshape(len(row), -1)[: lengths[number]].astype(np.float64)


class _Files:
    """A file a series."""

    sequential = False

    def __init__(self, files: FileItems) -> None:
        self._files = files
        self._header: tuple[str, ...] = ()
        """Of train's first series, where it is a CSV that has one."""

    def scan(self) -> SourceItems:
        return self._files.items

    def lengths(self) -> Indices:
        return np.array([self._length(item) for item in range(len(self._files.names))], np.int64)

    def _length(self, item: int) -> int:
        path = self._files.path(item)
        if path.suffix.lower() == ".npy":
            return open_arrays(path)["X"].shape[0]
        return len(read_series_csv(path)[1])

    def channels(self, item: int) -> tuple[str, ...]:
        path = self._files.path(item)
        if path.suffix.lower() == ".npy":
            return _numbered(_read_npy(path).shape[1])
        self._header, series = read_series_csv(path)
        return self._header or _numbered(series.shape[1])

    def read(self, items: Indices) -> Iterator[Doubles]:
        for item in items.tolist():
            path = self._files.path(item)
            yield _read_npy(path) if path.suffix.lower() == ".npy" else self._read_csv(path)

    def _read_csv(self, path: Path) -> Doubles:
        header, series = read_series_csv(path)
        if header != self._header and len(header) == len(self._header):
            raise SourceError(
                f"{path}, row 1",
                f"has the channels {join_names(header)}, but the first series of train {join_names(self._header)}",
                remedy="Give all files the same columns, in one order.",
            )
        return series


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"channel {i + 1}" for i in range(count))


def _read_npy(path: Path) -> Doubles:
    array = open_arrays(path)["X"]
    if len(array.shape) not in (1, 2) or array.dtype.kind not in "buif":
        raise SourceError(
            str(path),
            f"has shape {array.shape} of {array.dtype}",
            remedy="It must be numbers: time × channels.",
        )
    return array.whole().astype(np.float64).reshape(array.shape[0], -1)


def read_series_csv(path: Path) -> tuple[tuple[str, ...], Doubles]:
    """Names of the channels (empty where the first row has numbers) and time × channels; NaN where a cell is empty.

    Raises:
        SourceError: no UTF-8, a ragged row or a cell that is no number; names the row.
    """
    text = read_utf8(path).lstrip("\ufeff")
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise SourceError(str(path), "is empty", remedy="Remove the file.")
    delimiter = max(",;\t", key=lines[0].count)
    header = tuple(cell.strip().strip('"') for cell in lines[0].split(delimiter))
    has_header = not all(_is_number(cell) for cell in header)
    body = lines[has_header:]
    if not body:
        raise SourceError(str(path), "has a header, but no rows", remedy="Remove the file.")
    try:
        series = np.loadtxt(
            io.StringIO("\n".join(body)), np.float64, delimiter=delimiter, ndmin=2, comments=None
        )
    except ValueError:
        raise _csv_problem(path, body, delimiter, len(header), 1 + has_header) from None
    if series.shape[1] != len(header):
        raise _csv_problem(path, body, delimiter, len(header), 1 + has_header)
    return header if has_header else (), series


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _csv_problem(path: Path, lines: list[str], delimiter: str, columns: int, first: int) -> SourceError:
    for number, line in enumerate(lines, start=first):
        cells = line.split(delimiter)
        if len(cells) != columns:
            problem = f"has {len(cells)} cells, but the first row {columns}"
        elif not all(map(_is_number, cells)):
            problem = f"{next(cell for cell in cells if not _is_number(cell))!r} is no number"
        else:
            continue
        return SourceError(f"{path}, row {number}", problem, remedy="Correct the row; fill empty cells.")
    return SourceError(str(path), "is no table of numbers", remedy="A row is a step, a column a channel.")
