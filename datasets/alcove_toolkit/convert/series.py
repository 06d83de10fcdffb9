"""Series: an ``.npz`` with X (examples × time × channels) and y, an ``.npy`` with labels apart, or a file each.

Files of one series are ``.npy`` (time, or time × channels) or CSV (a row a step, a column a channel).
"""

from __future__ import annotations

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
    Facts,
    Indices,
    SourceItems,
    refuse_options,
)
from alcove_toolkit.convert.cell_readings import LARGEST, Doubles
from alcove_toolkit.convert.column_inference import RunningMoments
from alcove_toolkit.convert.column_roles import (
    ColumnRoles,
    RowScanner,
    find_roles,
    iterate_rows,
    join_names,
    open_asked_table,
    scan_rows,
)
from alcove_toolkit.convert.files import FileItems, list_files
from alcove_toolkit.convert.series_csv import SeriesTable, read_series_csv
from alcove_toolkit.convert.summary import list_some
from alcove_toolkit.convert.tables import is_table
from alcove_toolkit.errors import SourceError

_MANY = 16
"""Channels that may exceed the steps without a word."""
_CLOCK_STEPS, _CLOCK = 10, "rises with every step, as a clock does"
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

    def notes(self) -> tuple[str, ...]:
        """What the user should know of how they were read."""
        ...


def open_source(source: Path, options: ConvertOptions, progress: ConvertProgress) -> Converter:
    """A converter of an ``.npz``, an ``.npy``, a folder of files, or a table of files."""
    if source.is_file() and not is_table(source):
        return SeriesConverter(_Stacked(source, options, progress), options, progress)
    if options.labels is None and source.is_dir():
        # No table of labels: these are of the series.
        files = list_files(source, replace(options, delimiter=None, header=None), SUFFIXES)
        return SeriesConverter(_SeriesFiles(files, options), options, progress)
    of_table = replace(options, delimiter=None, header=None)
    return SeriesConverter(_SeriesFiles(list_files(source, options, SUFFIXES), of_table), options, progress)


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
            # Not as names of channels: by those, code of the AutoDL challenge would take it for text.
            features={name: i for i, name in enumerate(self._names)},
        )

    def facts(self) -> Facts:
        fewest, most = int(self._lengths.min()), int(self._lengths.max())
        return (
            ("channels", list_some(self._names)),
            ("steps", f"{fewest}" if fewest == most else f"{fewest} to {most}"),
        )

    def notes(self) -> tuple[str, ...]:
        steps, channels = int(self._lengths.max()), len(self._names)
        if channels <= max(steps, _MANY):
            return self._series.notes()
        return (
            *self._series.notes(),
            f"There are {channels} channels, but at most {steps} steps: the axes are time, then channels. If yours are "
            "the other way round, transpose the arrays.",
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
        self._used: list[str] = []
        self._series = self._find(("x", "data", "series"), "no array is named X")
        if len(self._series.shape) not in (2, 3) or self._series.dtype.kind not in "buif":
            raise SourceError(
                self._series.where,
                f"has shape {self._series.shape} of {self._series.dtype}",
                remedy="It must be numbers: examples × time, or examples × time × channels.",
            )

    def _find(self, names: tuple[str, ...], problem: str) -> ArrayFile:
        found = next((name for name in names if name in self._arrays), None)
        if found is None:
            raise SourceError(str(self._path), problem, remedy=f"There are: {', '.join(self._arrays)}.")
        self._used.append(found)
        return self._arrays[found]

    def _find_optional(self, *names: str) -> ArrayFile | None:
        return self._find(names, "") if any(name in self._arrays for name in names) else None

    def scan(self) -> SourceItems:
        labels = Path(self._options.labels) if self._options.labels else None
        if labels is not None and is_table(labels):
            if not labels.is_file():
                raise SourceError(f"--labels {labels}", "there is no such file", remedy="Check the path.")
            return self._by_table(labels)
        refuse_options(self._options, OF_TABLES, "has no meaning where labels are not a table")
        columns: dict[str, list[object]] = {}
        label = self._labels(labels)
        if len(label.shape) == 2:
            columns |= {str(i): list(column) for i, column in enumerate(label.whole().T.tolist())}
        else:
            columns["label"] = label.whole().tolist()
        names = tuple(columns)
        for role in ("group", "source", "split"):
            array = self._find_optional(role, f"{role}s")
            if array is not None:
                columns[role] = array.whole().tolist()
        group, origin, split = (role if role in columns else None for role in ("group", "source", "split"))
        roles = ColumnRoles(names, group, origin, split)
        scanner = RowScanner(roles, self._options)
        for name, column in columns.items():
            self._check_count(len(column), name)
        for number, cells in enumerate(iterate_rows(columns)):
            scanner.add(cells, self._where(number))
        arrays = (
            "arrays",
            f"series of {self._series.member or self._path}, labels of {label.member or label.path}",
        )
        return replace(scanner.items(self._where), facts=(arrays,))

    def _labels(self, given: Path | None) -> ArrayFile:
        if given is None:
            return self._find(
                ("y", "label", "labels", "target"), "no array is named y, and --labels names no file"
            )
        if not given.is_file():
            return self._find((str(given).lower(),), f"there is no array or file {str(given)!r}")
        return next(iter(open_arrays(given).values()))

    def _by_table(self, labels: Path) -> SourceItems:
        options = replace(self._options, labels=None)
        table = open_asked_table(labels, options)
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
        array = self._find_optional("lengths", "length")
        if array is None:
            return np.full(self._series.shape[0], self._series.shape[1], np.int64)
        lengths: Indices = array.whole().astype(np.int64)
        self._check_count(len(lengths), array.where)
        if lengths.min(initial=1) < 1 or lengths.max(initial=1) > self._series.shape[1]:
            raise SourceError(array.where, "has lengths that X has not", remedy="Correct them.")
        return lengths

    def channels(self, item: int) -> tuple[str, ...]:
        del item
        return _numbered(self._series.shape[2] if len(self._series.shape) == 3 else 1)

    def notes(self) -> tuple[str, ...]:
        unread = sorted(set(self._arrays) - set(self._used))
        return (f"Arrays that were not read: {join_names(unread)}.",) if unread else ()

    def read(self, items: Indices) -> Iterator[Doubles]:
        lengths = self.lengths()
        wanted = np.zeros(self._series.shape[0], bool)
        wanted[items] = True
        for number, row in enumerate(self._series.rows()):
            if wanted[number]:
                yield row.reshape(len(row), -1)[: lengths[number]].astype(np.float64)


class _SeriesFiles:
    """A file a series."""

    sequential = False

    def __init__(self, files: FileItems, options: ConvertOptions) -> None:
        self._files, self._options = files, options
        self._header: tuple[str, ...] | None = None
        """Of train's first series, where it is a CSV; empty where that has no header."""
        self._notes: tuple[str, ...] = ()

    def scan(self) -> SourceItems:
        return self._files.items

    def lengths(self) -> Indices:
        return np.array([self._length(item) for item in range(len(self._files.names))], np.int64)

    def _length(self, item: int) -> int:
        path = self._files.path(item)
        return _open_npy(path).shape[0] if _is_npy(path) else len(self._table(path).values)

    def _table(self, path: Path) -> SeriesTable:
        return read_series_csv(path, self._options.delimiter, self._options.header)

    def channels(self, item: int) -> tuple[str, ...]:
        path = self._files.path(item)
        if _is_npy(path):
            values = _read_npy(path)
            self._notes = _step_notes(names := _numbered(values.shape[1]), values)
            return names
        table = self._table(path)
        self._header = table.header
        names = table.header or _numbered(table.values.shape[1])
        self._notes = (*table.notes, *_step_notes(names, table.values))
        return names

    def read(self, items: Indices) -> Iterator[Doubles]:
        for item in items.tolist():
            path = self._files.path(item)
            yield _read_npy(path) if _is_npy(path) else self._read_csv(path)

    def notes(self) -> tuple[str, ...]:
        return self._notes

    def _read_csv(self, path: Path) -> Doubles:
        table = self._table(path)
        known = self._header
        if known is None or table.header == known or table.values.shape[1] != len(known or table.values[0]):
            return table.values
        if not (table.header and known):
            raise SourceError(
                f"{path}, row 1",
                f"has {'names of channels' if table.header else 'numbers'}, but the first series of train "
                f"{'names them' if known else 'does not'}",
                remedy="Give all files a header, or none; --header and --no-header say that they have.",
            )
        raise SourceError(
            f"{path}, row 1",
            f"has the channels {join_names(table.header)}, but the first series of train {join_names(known)}",
            remedy="Give all files the same columns, in one order.",
        )


def _is_npy(path: Path) -> bool:
    return path.suffix.lower() == ".npy"


def _step_notes(names: tuple[str, ...], values: Doubles) -> tuple[str, ...]:
    """Channels of a series of three steps or more that count them, or that rise with each, as a clock does."""
    if len(values) < 3:
        return ()
    steps = np.arange(len(values))[:, None]
    counts = ((values == steps) | (values == steps + 1)).all(axis=0)
    rises = ((np.diff(values, axis=0) > 0).all(axis=0)) & ~counts & (len(values) >= _CLOCK_STEPS)
    return tuple(
        f"Channel {', '.join(repr(names[i]) for i in np.flatnonzero(found))} {what}: if it is one, leave it out."
        for found, what in ((counts, "counts the steps, as an index does"), (rises, _CLOCK))
        if found.any()
    )


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"channel {i + 1}" for i in range(count))


def _open_npy(path: Path) -> ArrayFile:
    array = next(iter(open_arrays(path).values()))
    if len(array.shape) not in (1, 2) or array.dtype.kind not in "buif" or 0 in array.shape:
        raise SourceError(
            str(path),
            f"has shape {array.shape} of {array.dtype}",
            remedy="It must be numbers: time × channels.",
        )
    return array


def _read_npy(path: Path) -> Doubles:
    array = _open_npy(path)
    return array.whole().astype(np.float64).reshape(array.shape[0], -1)
