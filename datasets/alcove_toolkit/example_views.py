"""Examples of a dataset as its contact sheet shows them: pictures, curves, sound, words, cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from alcove_format.errors import FormatError
from alcove_format.example import Example, SparseFeatures, decode_example, decode_sparse_example
from alcove_format.format_pb2 import SequenceExample
from alcove_format.metadata import VARIES, Format, Metadata
from alcove_format.reader import Part
from alcove_format.records import records_of
from alcove_toolkit import media_frames
from alcove_toolkit.part_survey import RecordPosition

_FRAMES, _COLUMNS, _WORDS = 6, 40, 120
"""At most so many frames of a clip, columns of a table, words of a text."""
_SIDE, _FRAME_SIDE = 160, 112
"""Of a picture and of a clip's frame, in pixels."""
SECONDS = 10.0
"""Of sound, of one example at most."""
_SOUND_BYTES = 12 << 20
"""Of sound, in the whole page."""


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


class ExampleViewer:
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

    def show(self, part: Part, place: RecordPosition, *, hidden: bool = False) -> ExampleView:
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
        uri = media_frames.embed_sound(features, self._rate, SECONDS)
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


def _read_record(place: RecordPosition) -> tuple[bytes, str]:
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


def format_shape(sizes: Sequence[int]) -> str:
    return " × ".join("any" if n < 0 else str(n) for n in sizes)
