"""What a converter is: the one interface that all kinds of data share.

A conversion has four steps, and content is read in the last two alone:

1. :meth:`Converter.scan` lists the items of the source: labels and keys, no content.
2. The framework splits them into train and test (:mod:`.split`).
3. :meth:`Converter.fit` sees the train items alone. Whatever is counted or measured (vocabularies, categories, scaling)
   is counted there, so that nothing of test can show in train or in the metadata.
4. :meth:`Converter.encode` gives the features of items one at a time, and they are written as they come.

Memory is bounded by a few batches: arrays with a few bytes an item are fine, content is not kept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from alcove_api.errors import AlcoveError
from alcove_format.metadata import Metadata
from alcove_format.writer import Features
from alcove_toolkit.convert.choices import Frames, Kind
from alcove_toolkit.convert.labels import ItemLabels
from alcove_toolkit.errors import SourceError

Indices = npt.NDArray[np.int64]
Facts = tuple[tuple[str, str], ...]
"""What was understood, for people: (``labels``, ``column 'label'``)."""


class ConvertProgress(Protocol):
    """Told now and then how far a step is. ``total`` is 0 where it is not known. Cheap: call it for each item."""

    def __call__(self, step: str, done: int, total: int) -> None: ...


def ignore_progress(step: str, done: int, total: int) -> None:
    """Tells nobody."""
    del step, done, total


@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """What a user can ask of the converters. What has no meaning for a kind or a source is refused."""

    labels: str | None = None
    """Names of the label columns, with commas between; or, where items are files, a CSV of files and labels."""
    label_separator: str = ";"
    """Between the labels of one cell."""
    multi_label: bool = False
    """Whether an item may have no label at all."""
    regression: bool | None = None
    """Whether label columns hold numbers to predict; where it is not said, and cannot be told, it is asked for."""
    confidence: bool = False
    """Whether the labels in a cell carry a score: ``cat:0.8;dog:0.3``."""
    folders: str | None = None
    """What the levels of folders below SOURCE mean: ``label``, ``split/label``, ``source/label/group``…"""
    group_column: str | None = None
    source_column: str | None = None
    drop: Sequence[str] = ()
    """Columns of a table that are left out."""
    delimiter: str | None = None
    """Of a table in text; by default found in its first line."""
    header: bool | None = None
    """Whether row 1 of a table in text names the columns; by default it does, and is refused if it looks like data."""
    categories: int = 100
    """Of one column, at most: the most frequent ones of train."""
    scale: bool = False
    """Whether numbers of a table get mean 0 and standard deviation 1 (of train)."""
    text_column: str | None = None
    vocabulary: int = 20_000
    """Words, the unknown one among them."""
    size: tuple[int, int] | None = None
    """Rows and columns that pictures and frames are brought to."""
    channels: int | None = None
    """Of pictures and frames 1, 3 or 4, of recordings any; by default found in the files' headers."""
    rate: int | None = None
    """Samples a second that recordings are brought to."""
    max_seconds: float | None = None
    """Of a recording: the rest is cut off."""
    fps: float | None = None
    """Frames a second that clips are brought to."""
    max_frames: int | None = None
    """Of a clip: the rest is cut off."""
    frames: Frames = "jpeg"
    """How frames of clips are stored. PNG is exact, and several times as large."""


_OF_KINDS: Mapping[str, tuple[Kind, ...]] = {
    "categories": ("tabular",),
    "scale": ("tabular", "series"),
    "text_column": ("text",),
    "vocabulary": ("text",),
    "size": ("image", "video"),
    "channels": ("image", "audio", "video"),
    "rate": ("audio",),
    "max_seconds": ("audio",),
    "fps": ("video",),
    "max_frames": ("video",),
    "frames": ("video",),
}
"""Options that have a meaning for some kinds alone."""
OF_TABLES = ("group_column", "source_column", "drop", "delimiter", "header")
OF_CELLS = ("label_separator", "multi_label", "confidence")
"""Options that say how labels stand in a cell."""


def refuse_options(options: ConvertOptions, names: Iterable[str], why: str) -> None:
    """For options that would have no effect. Raises SourceError where one of them is not at its default."""
    asked = (name for name in names if getattr(options, name) != getattr(ConvertOptions, name))
    for name in asked:
        raise SourceError(f"--{name.replace('_', '-')}", why, remedy="Leave it out.")


@dataclass(frozen=True)
class ItemKeys:
    """One name an item (its group, its source), kept as a number."""

    codes: Indices
    names: tuple[str, ...]


@dataclass(frozen=True)
class SourceItems:
    """What there is in a source, in an order that depends on the source's content alone (never on a listing)."""

    labels: ItemLabels
    where: Callable[[int], str]
    """File and position of an item, for messages: ``birds.csv, row 17``."""
    group: ItemKeys | None = None
    source: ItemKeys | None = None
    is_test: npt.NDArray[np.bool_] | None = None
    """Of each item, where the source has a split of its own."""
    notes: tuple[str, ...] = field(default=())
    """What the user should know: ``Files of other kinds, left out: 3.``"""
    facts: Facts = field(default=())
    """How the source was understood: which columns or folders are labels, groups, sources, parts."""

    def __len__(self) -> int:
        return len(self.labels)


class Converter(ABC):
    """One source of one kind. Made by the function ``open_source`` of the kind's module.

    Methods are called once each, in the order in which they stand here (``sizes`` only where it is asked for).
    They raise :class:`SourceError` for what is wrong with the source.
    """

    sequential: bool = False
    """Whether items can only be read in their order (a stream of rows). Then ``encode`` is called once, for all of
    them, and the framework puts them in order on disk; else it is called for train, then test, in any order."""

    @abstractmethod
    def scan(self) -> SourceItems:
        """Lists the items without reading their content."""

    def sizes(self) -> npt.NDArray[np.float64]:
        """How large each item is (words, pixels, steps…), for a split by size."""
        raise SourceError("--shift-by size", "has no meaning for this source", remedy="Choose another one.")

    @abstractmethod
    def fit(self, train: Indices) -> Metadata:
        """Learns from the train items alone; ascending indices.

        Returns:
            Metadata without counts and labels (``n_examples=0, n_labels=1``), which the framework fills in.
        """

    @abstractmethod
    def encode(self, items: Indices) -> Iterator[Features]:
        """Yields the features of each item, in the order given; see :class:`alcove_format.writer.NewExample`."""

    def facts(self) -> Facts:
        """What the examples are made of, once :meth:`fit` has learned it: (``features``, ``3 columns: …``)."""
        return ()

    def notes(self) -> tuple[str, ...]:
        """What the user should know at the end, one sentence each: cells that were taken as missing, …"""
        return ()


def open_source(
    kind: Kind, source: Path, options: ConvertOptions, progress: ConvertProgress = ignore_progress
) -> Converter:
    """The converter of a kind, from its module ``alcove_toolkit.convert.<kind>``.

    Raises:
        SourceError: the source is missing, or is nothing that this kind reads; an option has no meaning for it.
        AlcoveError: a library for it is not installed.
    """
    meaningless = (option for option, kinds in _OF_KINDS.items() if kind not in kinds)
    refuse_options(options, meaningless, f"has no meaning for --kind {kind}")
    if not source.exists():
        raise SourceError(str(source), "there is no such file or folder", remedy="Check the path.")
    try:
        module = import_module(f"alcove_toolkit.convert.{kind}")
    except ModuleNotFoundError as error:
        raise AlcoveError(
            f"{error.name} is not installed.",
            consequence=f"Nothing of kind {kind} can be converted.",
            remedy="Install the extra: pip install 'alcove[convert]'.",
        ) from None
    opened = module.open_source(source, options, progress)
    assert isinstance(opened, Converter)
    return opened
