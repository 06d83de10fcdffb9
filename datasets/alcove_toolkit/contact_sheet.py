"""The contact sheet of a dataset: one self-contained HTML file that shows some of its examples.

Anybody can have written the names and texts in a dataset: the template escapes everything, and the page's policy
forbids scripts, forms and the network.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alcove_format.errors import FormatError
from alcove_format.example import Example, SparseFeatures, decode_example, decode_sparse_example
from alcove_format.format_pb2 import SequenceExample
from alcove_format.metadata import VARIES, Format, Metadata
from alcove_format.reader import DataFolder, Part
from alcove_format.records import read_records, records_of
from alcove_format.solution import SolutionTable, Targets
from alcove_toolkit import media_frames

DEFAULT_RATE = 16000.0
"""Samples a second that are assumed where a dataset does not say, as in AutoDL's."""
_FRAMES, _COLUMNS, _WORDS, _LABELS = 6, 40, 120, 40
"""At most so many frames of a clip, columns of a table, words of a text, bars in the chart of labels."""
_SIDE, _FRAME_SIDE = 160, 112
"""Of a picture and of a clip's frame, in pixels."""
_SECONDS, _SOUND_BYTES = 10.0, 12 << 20
"""Of sound: of one example, and in the whole page."""


@dataclass(frozen=True)
class ExampleView:
    """One example as the template shows it; fields that do not apply are empty."""

    number: int
    labels: tuple[str, ...]
    hidden: bool
    """Whether its labels are hidden, because only the solution has them."""
    about: str
    pictures: tuple[media_frames.EmbeddedPicture, ...] = ()
    plot: media_frames.CurvePlot | None = None
    sound: str = ""
    cells: tuple[str, ...] = ()
    text: str = ""
    problem: str = ""


@dataclass(frozen=True)
class LabelBar:
    """How often a label occurs. ``…_share``: percent of the share that the most frequent label has in its part."""

    name: str
    train: int
    train_share: float
    test: int
    test_share: float


@dataclass(frozen=True)
class _RecordPosition:
    """Position of an example on disk, to read it again."""

    path: Path
    number: int
    """Of the example in its part, from 0."""
    record: int
    """Number of the record in its file, from 0."""
    offset: int
    labels: Mapping[int, float]


@dataclass
class _PartSurvey:
    """What one pass over a part found out, without its content."""

    counts: npt.NDArray[np.int64]
    unlabelled: int = 0
    examples: int = 0
    bytes: int = 0
    numbers: dict[int, _NumberRange] = field(default_factory=dict)
    """Of a regression."""
    first: dict[int, list[_RecordPosition]] = field(default_factory=dict)
    """First examples of each label; an example with several counts for the smallest, one without counts for −1."""


def render_contact_sheet(
    folder: DataFolder, solution: SolutionTable | Targets | None, examples: int = 40, rate: float = 0.0
) -> str:
    """Return the page, as HTML.

    Args:
        solution: of the test part; None hides the labels of test examples.
        examples: number from train, spread over the labels; test shows a quarter as many.
        rate: samples of sound per second, where the metadata lack it or are wrong.

    Raises:
        FormatError: a record is damaged; names file and position. (A picture that cannot be decoded is marked.)
    """
    metadata = folder.train.metadata
    of_test = max(examples // 4, 1)
    train, test = _survey_part(folder.train, examples), _survey_part(folder.test, of_test, solution)
    viewer = _ExampleViewer(metadata, rate or metadata.rate or DEFAULT_RATE)
    hidden = solution is None
    shown = [viewer.show(folder.train, place) for place in _choose_examples(train, examples)]
    asked = [viewer.show(folder.test, place, hidden=hidden) for place in _choose_examples(test, of_test)]
    return _render_page(
        name=folder.name,
        kind=metadata.domain,
        facts=_list_facts(folder, train, test),
        bars=[] if metadata.is_regression else _label_bars(metadata, train, test, solution),
        more_labels=0 if metadata.is_regression else max(metadata.n_labels - _LABELS, 0),
        has_solution=not hidden,
        columns=viewer.columns,
        columns_left_out=viewer.columns_left_out,
        assumed_rate=0 if rate or metadata.rate or metadata.domain != "speech" else round(DEFAULT_RATE),
        seconds=round(_SECONDS),
        parts=[("Train", shown), ("Test", asked)],
    )


def _render_page(**values: Any) -> str:
    """Fill the template, with its style sheet inside; the page's policy allows that one alone, by its digest."""
    import jinja2  # Slow to import.

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("alcove_toolkit"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = environment.get_template("contact_sheet.css").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    template = environment.get_template("contact_sheet.html")
    return template.render(style=style, style_digest=digest, **values)


def _survey_part(part: Part, most: int, solution: SolutionTable | Targets | None = None) -> _PartSurvey:
    """Read all labels of a part, and note where the first examples of each are."""
    seen = _PartSurvey(np.zeros(part.metadata.n_labels, np.int64))
    for path in part.files:
        seen.bytes += path.stat().st_size
        for record, (offset, data) in enumerate(read_records(path)):
            labels = _parse_labels(data, f"{path}, record {record}, byte {offset}")
            if solution is not None and seen.examples < len(solution):
                row = solution[seen.examples].tolist()
                labels = {i: float(cell) for i, cell in enumerate(row) if cell or part.metadata.is_regression}
            for label, score in labels.items():
                if part.metadata.is_regression:
                    seen.numbers.setdefault(label, _NumberRange()).add(score)
                elif 0 <= label < len(seen.counts) and score >= 0.5:
                    seen.counts[label] += 1
            seen.unlabelled += not labels
            places = seen.first.setdefault(min(labels, default=-1), [])
            if len(places) < most:
                places.append(_RecordPosition(path, seen.examples, record, offset, labels))
            seen.examples += 1
    return seen


def _parse_labels(data: bytes, where: str) -> dict[int, float]:
    try:
        context = SequenceExample.FromString(data).context.feature
    except ValueError:  # protobuf's DecodeError is one.
        raise FormatError(where, "the record is not a SequenceExample") from None
    indices = context["label_index"].int64_list.value if "label_index" in context else ()
    scores = context["label_score"].float_list.value if "label_score" in context else ()
    return dict(zip(indices, scores if len(scores) == len(indices) else [1.0] * len(indices), strict=True))


def _choose_examples(seen: _PartSurvey, most: int) -> list[_RecordPosition]:
    """Choose up to ``most`` examples: one of each label, then a second of each, …; in order of labels."""
    columns = [seen.first[label] for label in sorted(seen.first)]
    turns = [(turn, column) for column, places in enumerate(columns) for turn in range(len(places))]
    chosen = sorted(turns)[:most]
    return [columns[column][turn] for turn, column in sorted(chosen, key=lambda one: (one[1], one[0]))]


def _list_facts(folder: DataFolder, train: _PartSurvey, test: _PartSurvey) -> list[tuple[str, str]]:
    metadata = folder.train.metadata
    files = len(folder.train.files) + len(folder.test.files)
    facts = [
        ("Examples", f"{train.examples:,} train, {test.examples:,} test"),
        _count_answers(metadata),
        ("Shape", f"{format_shape(metadata.shape)} (time × rows × columns × channels)"),
        ("Format", metadata.format.value),
        ("Files", f"{files:,}, {format_bytes(train.bytes)} train, {format_bytes(test.bytes)} test"),
    ]
    labelled = train.examples - train.unlabelled
    if metadata.is_regression:
        facts += _list_spreads(metadata, train, test)
    elif labelled and train.counts.sum() != labelled:
        facts.append(("Labels per example", f"{train.counts.sum() / labelled:.2f} on average"))
    if train.unlabelled:
        facts.append(("Without a label", f"{train.unlabelled:,} of train"))
    if metadata.holds_tokens:
        facts.append(("Vocabulary", f"{metadata.vocabulary_size:,}"))
    if metadata.rate:
        facts.append(("Rate", f"{metadata.rate:,.6g} steps per second"))
    if metadata.split:
        facts.append(("Split", metadata.split))
    return facts


def _count_answers(metadata: Metadata) -> tuple[str, str]:
    if not metadata.is_regression:
        return "Labels", f"{metadata.n_labels:,}"
    more = " …" if metadata.n_labels > _LABELS else ""
    return "Numbers to predict", ", ".join(metadata.label_names[:_LABELS]) + more


def _list_spreads(metadata: Metadata, train: _PartSurvey, test: _PartSurvey) -> list[tuple[str, str]]:
    """Lowest, mean and highest of each number, of the parts that say it."""
    facts = []
    for label, name in enumerate(metadata.label_names[:_LABELS]):
        parts = (("train", train.numbers.get(label)), ("test", test.numbers.get(label)))
        told = "; ".join(f"{part}: {found}" for part, found in parts if found)
        facts.append((f"{name}, lowest, mean and highest", told))
    return facts


@dataclass
class _NumberRange:
    """Of one number to predict, over a part."""

    lowest: float = math.inf
    highest: float = -math.inf
    total: float = 0.0
    count: int = 0

    def add(self, number: float) -> None:
        self.lowest, self.highest = min(self.lowest, number), max(self.highest, number)
        self.total, self.count = self.total + number, self.count + 1

    def __str__(self) -> str:
        return f"{self.lowest:.5g}, {self.total / self.count:.5g}, {self.highest:.5g}"


def format_shape(sizes: Sequence[int]) -> str:
    return " × ".join("any" if n < 0 else str(n) for n in sizes)


def format_bytes(count: int) -> str:
    for unit, bytes_ in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= bytes_:
            return f"{count / bytes_:.1f} {unit}"
    return f"{count} B"


def _label_bars(
    metadata: Metadata, train: _PartSurvey, test: _PartSurvey, solution: SolutionTable | Targets | None
) -> list[LabelBar]:
    """Bars of all labels in their order; of the most frequent ones where there are too many."""
    order = np.arange(metadata.n_labels)
    if metadata.n_labels > _LABELS:
        order = np.sort(np.argsort(-train.counts, kind="stable")[:_LABELS])
    shares = train.counts / max(train.examples, 1)
    test_shares = test.counts / max(test.examples, 1)
    most = (
        max(float(shares.max(initial=0)), float(test_shares.max(initial=0)) if solution is not None else 0)
        or 1
    )
    names = metadata.label_names
    return [
        LabelBar(
            names[i],
            int(train.counts[i]),
            round(100 * float(shares[i]) / most, 2),
            int(test.counts[i]),
            round(100 * float(test_shares[i]) / most, 2),
        )
        for i in order
    ]


class _ExampleViewer:
    """Turns examples into what the template shows."""

    def __init__(self, metadata: Metadata, rate: float) -> None:
        self._metadata = metadata
        self._names = metadata.label_names
        self._rate = rate
        self._sound_left = _SOUND_BYTES
        self._words = _names_by_index(metadata.channel_names) if metadata.holds_tokens else {}
        width = metadata.rows * metadata.cols * metadata.frame_channels
        self._is_table = metadata.domain == "tabular"
        self._features = _names_by_index(metadata.features)
        # A wide sparse table is shown by what is not zero, since most of it is.
        self._by_entries = self._is_table and metadata.format is Format.SPARSE and width > _COLUMNS
        self.columns: list[str] = []
        if self._is_table and not self._by_entries:
            self.columns = [self._features.get(i, str(i)) for i in range(min(width, _COLUMNS))]
        self.columns_left_out = width - len(self.columns) if self.columns else 0

    def show(self, part: Part, place: _RecordPosition, *, hidden: bool = False) -> ExampleView:
        labels = tuple(
            self._describe_label(label, score)
            for label, score in sorted(place.labels.items())
            if 0 <= label < len(self._names)
        )
        base = ExampleView(place.number, () if hidden else labels, hidden, "")
        try:
            data, where = _read_record(place)
            if self._by_entries:
                return self._view_entries(base, decode_sparse_example(data, self._metadata, where).features)
            example, steps = _decode_shown(data, part.metadata, where)
        except FormatError as error:
            return replace(base, problem=error.problem)
        features = example.features
        kind = self._metadata.domain
        sizes = features.shape[1:] if kind == "image" else (steps, *features.shape[1:])
        base = replace(base, about=format_shape(sizes))
        if kind == "text":
            return self._view_text(base, features)
        if kind == "tabular":
            return self._view_row(base, features)
        if kind in ("image", "video"):
            return self._view_pictures(base, features, steps)
        made = replace(base, plot=media_frames.draw_curves(features), about=f"{steps:,} steps")
        if kind != "speech":
            return made
        uri = media_frames.embed_sound(features, self._rate, _SECONDS)
        if len(uri) > self._sound_left:
            uri = ""
        self._sound_left -= len(uri)
        return replace(made, sound=uri, about=f"{steps / self._rate:.2f} s, {steps:,} samples")

    def _describe_label(self, label: int, score: float) -> str:
        if self._metadata.is_regression:
            return f"{self._names[label]} = {_format_number(score)}"
        return self._names[label] + (f" {score:.2g}" if score != 1 else "")

    def _view_text(self, base: ExampleView, features: media_frames.Floats) -> ExampleView:
        tokens = np.nan_to_num(features.ravel(), posinf=0, neginf=0).astype(int).tolist()
        words = [self._words.get(token, str(token)) for token in tokens[:_WORDS]]
        more = f" … ({len(tokens) - _WORDS:,} more words)" if len(tokens) > _WORDS else ""
        return replace(base, text=" ".join(words) + more)

    def _view_row(self, base: ExampleView, features: media_frames.Floats) -> ExampleView:
        cells = features.ravel()[:_COLUMNS].tolist()
        return replace(base, cells=tuple(_format_number(number) for number in cells))

    def _view_entries(self, base: ExampleView, features: SparseFeatures) -> ExampleView:
        entries = zip(features.places[:_COLUMNS].tolist(), features.values[:_COLUMNS].tolist(), strict=True)
        shown = [f"{self._features.get(i, str(i))} = {_format_number(number)}" for i, number in entries]
        count = len(features.places)
        more = f" … ({count - _COLUMNS:,} more)" if count > _COLUMNS else ""
        return replace(base, text=", ".join(shown) + more, about=format_shape(features.shape))

    def _view_pictures(self, base: ExampleView, features: media_frames.Floats, steps: int) -> ExampleView:
        compressed = self._metadata.format is Format.COMPRESSED
        factor = 255.0 if compressed else media_frames.brightness_factor(features)
        numbers = _choose_frames(steps)
        frames = features if len(features) == len(numbers) else features[numbers]
        side = _SIDE if steps == 1 else _FRAME_SIDE
        return replace(
            base,
            pictures=tuple(
                media_frames.embed_picture(
                    frame, side, factor, f"frame {number + 1} of {steps}" if steps > 1 else ""
                )
                for frame, number in zip(frames, numbers, strict=True)
            ),
        )


def _names_by_index(names: Mapping[str, int]) -> dict[int, str]:
    return {index: name for name, index in names.items()}


def _format_number(value: float) -> str:
    return "–" if value != value else f"{value:.5g}"


def _choose_frames(steps: int) -> list[int]:
    """Numbers of up to six frames, equally spaced, with the first and the last."""
    numbers: list[int] = np.unique(
        np.linspace(0, steps - 1, min(steps, _FRAMES)).round().astype(int)
    ).tolist()
    return numbers


def _read_record(place: _RecordPosition) -> tuple[bytes, str]:
    """One example as it is stored, and where that is."""
    length = place.path.stat().st_size - place.offset
    with place.path.open("rb") as file:
        file.seek(place.offset)
        _, data = next(records_of(file, length, str(place.path)))
    return data, f"{place.path}, record {place.record}, byte {place.offset}"


def _decode_shown(data: bytes, metadata: Metadata, where: str) -> tuple[Example, int]:
    """An example and its number of steps. Of a long clip, only the frames to be shown are decoded."""
    if metadata.format is Format.COMPRESSED:
        message = SequenceExample.FromString(data)
        steps = message.feature_lists.feature_list["0_compressed"].feature
        if len(steps) > _FRAMES:
            count, chosen = len(steps), [steps[i] for i in _choose_frames(len(steps))]
            thin = SequenceExample(context=message.context)
            thin.feature_lists.feature_list["0_compressed"].feature.extend(chosen)
            return decode_example(
                thin.SerializeToString(), replace(metadata, sequence_size=VARIES), where
            ), count
    example = decode_example(data, metadata, where)
    return example, len(example.features)
