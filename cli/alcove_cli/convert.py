"""``alcove dataset convert``: make a dataset of a table, texts, series, images, recordings or clips."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from alcove_api.words import count_answers
from alcove_cli.errors import CommandError
from alcove_toolkit.convert.choices import Frames, How, Kind, ShiftBy

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from alcove_toolkit.convert.run import Converted

_LABELS = (
    "Label columns of a table, with commas between; or, where each example is a file, a CSV of files and labels. "
    "By default the column named label, or the folder."
)
_FOLDERS = (
    "What levels of folders mean, from the top: label, split/label, source/label, label/group …; - skips one."
)

Source = Annotated[Path, typer.Argument(help="A table, a file, or a folder.")]
OutFolder = Annotated[Path, typer.Argument(help="Folder to write NAME.data and NAME.solution to.")]
KindOfData = Annotated[Kind, typer.Option(help="What the examples are.")]
Name = Annotated[str, typer.Option(help="Name of the dataset; by default made from SOURCE.")]
LabelColumns = Annotated[str | None, typer.Option(help=_LABELS)]
LabelSeparator = Annotated[str, typer.Option(help="Between the labels in one cell.")]
MultiLabel = Annotated[bool, typer.Option("--multi-label", help="An example may have no label.")]
Regression = Annotated[
    bool | None,
    typer.Option(
        "--regression/--classes",
        help="Whether label columns hold numbers to predict, or numbers for classes.",
    ),
]
Confidence = Annotated[
    bool,
    typer.Option("--confidence", help="Labels have scores: cat:0.8;dog:0.3, or a column confidence."),
]
TestFraction = Annotated[float, typer.Option(min=0, max=1, help="Share of examples in test.")]
Seed = Annotated[int, typer.Option(min=0, help="Same source and seed, same bytes.")]
SplitHow = Annotated[
    How | None,
    typer.Option(
        help="By default as given in SOURCE, by group where groups are named, else stratified by label."
    ),
]
Shift = Annotated[ShiftBy | None, typer.Option(help="What differs with --split shift.")]
HoldOut = Annotated[
    str, typer.Option(help="Classes, groups or sources that a shift keeps for test, with commas between.")
]
GroupColumn = Annotated[str | None, typer.Option(help="Column whose values are groups.")]
SourceColumn = Annotated[str | None, typer.Option(help="Column that says where examples come from.")]
FolderLevels = Annotated[str | None, typer.Option(help=_FOLDERS)]
DroppedColumns = Annotated[str, typer.Option(help="Columns to leave out, with commas between.")]
Delimiter = Annotated[str | None, typer.Option(help="Of a CSV, one character or tab; found by default.")]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Whether row 1 of a CSV names the columns; by default it does, and is refused if it looks like data.",
    ),
]
Categories = Annotated[int, typer.Option(min=1, help="At most so many categories a column.")]
Scale = Annotated[bool, typer.Option("--scale", help="Tables and series: mean 0 and deviation 1, of train.")]
TextColumn = Annotated[str | None, typer.Option(help="Column of texts; by default the one named text.")]
Vocabulary = Annotated[int, typer.Option(min=2, help="Texts: at most so many words.")]
Size = Annotated[
    str, typer.Option(metavar="HxW", help="Pictures and clips: bring all to these rows and columns.")
]
Channels = Annotated[
    int | None,
    typer.Option(min=1, help="Pictures: 1 grey, 3 colour, 4 transparency. Sound: keep so many."),
]
Rate = Annotated[int | None, typer.Option(min=1, help="Sound: resample to so many samples a second.")]
MaxSeconds = Annotated[float | None, typer.Option(min=0.001, help="Sound: cut off the rest.")]
FramesPerSecond = Annotated[
    float | None, typer.Option(min=0.001, help="Clips: take so many frames a second.")
]
MaxFrames = Annotated[int | None, typer.Option(min=1, help="Clips: cut off the rest.")]
FrameFormat = Annotated[Frames, typer.Option(help="Clips: png is exact, and several times as large.")]


def convert(
    source: Source,
    out: OutFolder,
    kind: KindOfData,
    name: Name = "",
    labels: LabelColumns = None,
    label_separator: LabelSeparator = ";",
    multi_label: MultiLabel = False,
    regression: Regression = None,
    confidence: Confidence = False,
    test_fraction: TestFraction = 0.35,
    seed: Seed = 0,
    split: SplitHow = None,
    shift_by: Shift = None,
    hold_out: HoldOut = "",
    group_column: GroupColumn = None,
    source_column: SourceColumn = None,
    folders: FolderLevels = None,
    drop: DroppedColumns = "",
    delimiter: Delimiter = None,
    header: Header = None,
    categories: Categories = 100,
    scale: Scale = False,
    text_column: TextColumn = None,
    vocabulary: Vocabulary = 20_000,
    size: Size = "",
    channels: Channels = None,
    rate: Rate = None,
    max_seconds: MaxSeconds = None,
    fps: FramesPerSecond = None,
    max_frames: MaxFrames = None,
    frames: FrameFormat = "jpeg",
) -> None:
    """Convert your own data: split it into train and test, encode it, keep the test labels apart."""
    from alcove_toolkit.convert.base import ConvertOptions
    from alcove_toolkit.convert.run import convert as run_conversion
    from alcove_toolkit.convert.split import SplitRequest

    options = ConvertOptions(
        labels=labels, label_separator=label_separator, multi_label=multi_label, regression=regression,
        confidence=confidence, folders=folders, group_column=group_column, source_column=source_column,
        drop=_parse_names(drop), delimiter=delimiter, header=header, categories=categories, scale=scale,
        text_column=text_column, vocabulary=vocabulary, size=_parse_size(size), channels=channels, rate=rate,
        max_seconds=max_seconds, fps=fps, max_frames=max_frames, frames=frames,
    )  # fmt: skip
    request = SplitRequest(
        how=split, by=shift_by, hold_out=_parse_names(hold_out), test_fraction=test_fraction, seed=seed
    )
    with unwind_on_signals(), ProgressReporter() as progress:
        made = run_conversion(kind, source, out, name, options=options, request=request, progress=progress)
    typer.echo(_summarize(made, kind))


def _parse_names(cell: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in cell.split(",") if name.strip())


def _parse_size(cell: str) -> tuple[int, int] | None:
    """Rows and columns of ``64x48``."""
    found = re.fullmatch("([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", cell)
    if cell and not found:
        raise CommandError(f"--size {cell!r} is not a size. Write rows x columns, such as 64x48.")
    return (int(found[1]), int(found[2])) if found else None


def _summarize(made: Converted, kind: str) -> str:
    names = made.metadata.label_names
    some = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
    asked = count_answers(len(names), made.metadata.is_regression)
    lines = [
        f"Made {made.path} and {made.path.with_suffix('.solution').name}: {kind}, {made.n_train} training and "
        f"{made.n_test} test examples, {asked} ({some}).",
        f"What was understood (kept in {made.summary_path}):",
        *(f"  {line}" for line in made.summary.splitlines()),
        f"Next: alcove dataset check {made.path}",
    ]
    return "\n".join(lines)


@contextmanager
def unwind_on_signals() -> Iterator[None]:
    """Make SIGTERM, and SIGHUP of a closed terminal, unwind like Ctrl-C, so that nothing half-written stays."""

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        sys.exit(128 + number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        if before[number] != signal.SIG_IGN:  # As nohup wants it.
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, before[number])


class ProgressReporter:
    """Reports on stderr how far a conversion is, once it has taken two seconds.

    A bar on a terminal, otherwise a line every ten seconds.
    """

    PATIENCE, LINE, REDRAW = 2.0, 10.0, 0.1
    """Seconds."""

    def __init__(self) -> None:
        self._next = time.monotonic() + self.PATIENCE
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressReporter:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, step: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        if not sys.stderr.isatty():
            self._next = now + self.LINE
            print(f"{step}: {done}{f' of {total}' if total else ''}", file=sys.stderr, flush=True)
            return
        self._next = now + self.REDRAW
        self._draw(step, done, total)

    def _draw(self, step: str, done: int, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        if self._bar is None or self._task is None:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(step, total=None)
            self._bar.start()
        if self._bar.tasks[0].description != step:
            self._bar.reset(self._task, description=step)
        self._bar.update(self._task, completed=done, total=total or None)
