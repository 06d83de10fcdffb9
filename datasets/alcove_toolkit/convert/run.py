"""A conversion from beginning to end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from alcove_api.schemes import Task
from alcove_format.metadata import Metadata
from alcove_format.writer import Features, NewExample, final_paths, scratch, write_dataset
from alcove_toolkit.convert.base import (
    OF_CELLS,
    Converter,
    ConvertOptions,
    ConvertProgress,
    Facts,
    Indices,
    SourceItems,
    ignore_progress,
    open_source,
    refuse_options,
)
from alcove_toolkit.convert.choices import Kind
from alcove_toolkit.convert.labels import ItemLabels
from alcove_toolkit.convert.split import SplitRequest, split_items
from alcove_toolkit.convert.spool import FeatureSpool
from alcove_toolkit.convert.summary import format_facts, list_some
from alcove_toolkit.errors import FileAccessError, SourceError
from alcove_toolkit.whole_files import write_whole


@dataclass(frozen=True)
class Converted:
    """What was made."""

    path: Path
    """``NAME.data``; ``NAME.solution`` lies beside it."""
    metadata: Metadata
    n_train: int
    n_test: int
    notes: tuple[str, ...]
    """What the user should know, one sentence each."""
    facts: Facts
    """How the source was understood."""

    @property
    def summary(self) -> str:
        """Facts and notes as a table; it is kept in ``NAME.conversion.txt``."""
        return format_facts(self.facts, self.notes)

    @property
    def summary_path(self) -> Path:
        return self.path.with_suffix(".conversion.txt")


def convert(
    kind: Kind,
    source: Path,
    out: Path,
    name: str = "",
    *,
    options: ConvertOptions | None = None,
    request: SplitRequest | None = None,
    progress: ConvertProgress = ignore_progress,
) -> Converted:
    """Writes ``out/NAME.data`` and ``out/NAME.solution``; the same source, options and seed give the same bytes.

    Beside them, ``NAME.conversion.txt`` says what was understood of the source.

    Args:
        name: by default made from the source's name.

    Raises:
        SourceError: the source cannot be converted; names file and position.
        OutputExistsError: one of the two is there already.
        FileAccessError: the system did not let it be read or written.
    """
    name = name or _default_name(source)
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise SourceError(
            f"--name {name}",
            "a name has letters, digits, dots, hyphens and underscores, and begins with a letter or digit",
            remedy="Choose another name.",
        )
    final_paths(out, name)
    is_new = not out.exists()
    try:
        asked = options or ConvertOptions()
        converter = open_source(kind, source, asked, progress)
        made = _convert(converter, kind, source, out, name, asked, request or SplitRequest(), progress)
        write_whole(made.summary_path, made.summary + "\n")
        return made
    except OSError as error:
        raise FileAccessError(error, str(source), str(out)) from None
    finally:
        if is_new:
            with suppress(OSError):
                out.rmdir()  # Only where nothing is in it.


def _convert(
    converter: Converter,
    kind: Kind,
    source: Path,
    out: Path,
    name: str,
    options: ConvertOptions,
    request: SplitRequest,
    progress: ConvertProgress,
) -> Converted:
    if options.regression:
        refuse_options(options, OF_CELLS, "has no meaning with --regression")
    items = converter.scan()
    if options.regression and not items.labels.are_numbers:
        raise SourceError(
            "--regression",
            "the labels of this source are names of folders",
            remedy="Give a CSV of files and numbers with --labels.",
        )
    _check_labels(items, source)
    parted = split_items(items, request, converter.sizes)
    rng = np.random.default_rng([request.seed, 1])
    # In any other order, the position would tell the label of what the source had sorted.
    train, test = (rng.permutation(np.flatnonzero(mask)) for mask in (~parted.is_test, parted.is_test))
    metadata = replace(
        converter.fit(np.sort(train)),
        n_labels=len(items.labels.names),
        labels={label: index for index, label in enumerate(items.labels.names)},
        split=parted.text,
        stated_domain="speech" if kind == "audio" else kind,
        stated_task=_find_task(items.labels),
    )
    with _any_order(converter, items, out, name, progress) as encode:
        writing = _ExampleStream(encode, items, progress)
        path = write_dataset(out, name, metadata, writing.examples(train), writing.examples(test))
    notes = (*items.notes, *parted.notes, *converter.notes())
    facts = _facts(kind, source, items, converter, metadata, (len(train), len(test)))
    return Converted(path, metadata, len(train), len(test), notes, facts)


def _facts(
    kind: Kind,
    source: Path,
    items: SourceItems,
    converter: Converter,
    metadata: Metadata,
    sizes: tuple[int, int],
) -> Facts:
    known = dict(items.facts)
    labels = list_some(metadata.label_names)
    answers = ("labels", f"{known['labels']}; {labels}" if "labels" in known else labels)
    if items.labels.are_numbers:
        answers = ("to predict", f"numbers, {known.get('labels', labels)}")
    return (
        ("source", f"{source} ({kind})"),
        *((what, how) for what, how in items.facts if what == "table"),
        answers,
        *((what, how) for what, how in items.facts if what not in ("table", "labels")),
        *converter.facts(),
        ("split", metadata.split),
        ("examples", f"{sum(sizes):,}: {sizes[0]:,} in train, {sizes[1]:,} in test"),
    )


def _default_name(source: Path) -> str:
    """A name that is also one for a Dataset: small letters, digits and hyphens."""
    stem = source.resolve().name.split(".")[0]
    return re.sub("[^a-z0-9]+", "-", stem.lower()).strip("-") or "dataset"


def _find_task(labels: ItemLabels) -> Task:
    if labels.are_numbers:
        return "regression"
    return "multiclass" if (np.diff(labels.offsets) == 1).all() else "multilabel"


def _check_labels(items: SourceItems, source: Path) -> None:
    labels = items.labels
    if not len(items):
        raise SourceError(str(source), "there are no examples in it", remedy="Check that it is whole.")
    if not labels.names:
        raise SourceError(str(source), "no example has a label", remedy="Label them; see --labels.")
    if labels.are_numbers:
        table = labels.scores.reshape(len(items), -1)
        for column in np.flatnonzero((table == table[:1]).all(axis=0)).tolist():
            raise SourceError(
                f"column {labels.names[column]!r}",
                "is the same number in all examples, as float32 holds it",
                remedy="Leave it out of --labels; if it differs by little, subtract a constant from all.",
            )
        return
    if len(labels.names) == 1 and len(labels.indices) == len(items):
        raise SourceError(
            str(source),
            f"all examples have the label {labels.names[0]!r}",
            remedy="Give two or more labels, or examples without one (--multi-label).",
        )


@contextmanager
def _any_order(
    converter: Converter, items: SourceItems, out: Path, name: str, progress: ConvertProgress
) -> Iterator[Callable[[Indices], Iterator[Features]]]:
    """Features in any order, whatever the converter can do."""
    if not converter.sequential:
        yield converter.encode
        return
    with scratch(out, name) as folder, FeatureSpool(folder) as spool:
        for done, features in enumerate(converter.encode(np.arange(len(items))), start=1):
            spool.append(features)
            progress("Encoding", done, len(items))
        spool.flush()
        yield lambda indices: (spool.read(item) for item in indices.tolist())


class _ExampleStream:
    """Hands examples to the writer, and counts them."""

    def __init__(
        self, encode: Callable[[Indices], Iterator[Features]], items: SourceItems, progress: ConvertProgress
    ) -> None:
        self._encode, self._items, self._progress = encode, items, progress
        self._done = 0

    def examples(self, indices: Indices) -> Iterator[NewExample]:
        for item, features in zip(indices.tolist(), self._encode(indices), strict=True):
            self._done += 1
            self._progress("Writing", self._done, len(self._items))
            yield NewExample(features, self._items.labels.of(item))
