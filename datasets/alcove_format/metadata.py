"""``metadata.textproto``: what all examples of one part (train or test) of a dataset have in common."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, get_args

from google.protobuf import text_format

from alcove_api.schemes import Task
from alcove_format import format_pb2
from alcove_format.errors import FormatError

METADATA_FILE = "metadata.textproto"
VARIES = -1
Domain = Literal["image", "video", "speech", "text", "series", "tabular"]
DOMAINS: tuple[Domain, ...] = get_args(Domain)
TASKS: tuple[Task, ...] = get_args(Task)


class Format(StrEnum):
    """How the numbers of one example are stored."""

    DENSE = "DENSE"
    SPARSE = "SPARSE"
    COMPRESSED = "COMPRESSED"
    """Each step is an encoded image (PNG, JPEG, …)."""


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """Shape and names. A size is −1 where it varies from example to example.

    ``labels``, ``features`` (names of columns) and ``channel_names`` (in text: the vocabulary) map name to
    index; they may be empty.
    """

    n_examples: int
    n_labels: int
    rows: int
    cols: int
    channels: int = 1
    sequence_size: int = 1
    format: Format = Format.DENSE
    is_sequence: bool = False
    has_locality_rows: bool = False
    has_locality_cols: bool = False
    labels: Mapping[str, int] = field(default_factory=dict)
    features: Mapping[str, int] = field(default_factory=dict)
    channel_names: Mapping[str, int] = field(default_factory=dict)
    split: str = ""
    """How train and test were parted, and in what test differs: one line. In the file it is a comment, which every
    reader of the layout passes over."""
    rate: float = 0.0
    """Steps a second: samples of sound, frames of a clip. 0 where it is not known, as in AutoDL's; a comment, too."""
    stated_domain: Domain | None = None
    """Kind of data as whoever wrote the file says it; None where they do not, as in AutoDL's; a comment, too."""
    stated_task: Task | None = None
    """What is predicted, as whoever wrote the file says it; None where they do not, as in AutoDL's; a comment, too.

    Of a regression, ``labels`` are the names of the numbers to predict, and a label's score is the number."""

    @property
    def is_token_sequence(self) -> bool:
        """Whether each step is one of ``channels`` tokens, stored as sparse one-hot channels (AutoDL's text).

        Such an example is given as token numbers, time × 1 × 1 × 1: one-hot it would have as many numbers a
        word as there are words in the vocabulary.
        """
        return self.format is Format.SPARSE and self.rows == self.cols == 1 and self.channels > 1

    @property
    def numbers(self) -> int:
        """Of one step, zeros among them; 0 where it varies."""
        return max(0, self.rows) * max(0, self.cols) * max(0, self.shape[3])

    @property
    def frame_channels(self) -> int:
        """Channels of a decoded frame. Of images without a number of channels 3, as the AutoDL starting kit has it."""
        return self.channels if self.channels > 0 else 3

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of one example as it is read: time × rows × columns × channels, −1 where it varies."""
        return self.sequence_size, self.rows, self.cols, 1 if self.is_token_sequence else self.frame_channels

    @property
    def label_names(self) -> tuple[str, ...]:
        """One name a label, in order; its number where it has none."""
        names = {index: name for name, index in self.labels.items()}
        return tuple(names.get(i, str(i)) for i in range(self.n_labels))

    @property
    def is_regression(self) -> bool:
        """Whether numbers are predicted. AutoDL's layout has labels alone, so a file must say so."""
        return self.stated_task == "regression"

    @property
    def domain(self) -> Domain:
        """Kind of data: as the file states it or, where it does not, as shape and names tell it.

        The rule is the one by which submissions to the AutoDL challenge chose their models: a sequence of single
        numbers is text where its channels have names (the vocabulary), else speech; any other sequence is video.
        """
        if self.stated_domain is not None:
            return self.stated_domain
        if self.is_token_sequence:
            return "text"
        if self.sequence_size == 1:
            return "tabular" if self.rows == 1 or self.cols == 1 else "image"
        if self.rows == self.cols == 1:
            return "text" if self.channel_names else "speech"
        return "video"

    @property
    def holds_tokens(self) -> bool:
        """Whether an example is a sequence of token numbers: in AutoDL's text, sparse or (in its later files) dense."""
        return self.domain == "text" and self.shape[1:] == (1, 1, 1)

    @property
    def vocabulary_size(self) -> int:
        """How many tokens there are: examples hold their numbers, from 0 on. 0 where the data is no text."""
        if self.is_token_sequence:
            return self.channels
        return len(self.channel_names) if self.holds_tokens else 0

    def to_text(self) -> str:
        """The file: sizes first, in the order of AutoDL's own files, whose users read them by line; comments last."""
        head = (
            f"is_sequence: {str(self.is_sequence).lower()}\n"
            f"sample_count: {self.n_examples}\n"
            f"sequence_size: {self.sequence_size}\n"
            f"output_dim: {self.n_labels}\n"
        )
        body = self.to_message()
        for name in ("is_sequence", "sample_count", "sequence_size", "output_dim"):
            body.ClearField(name)
        remarks = {
            "domain": self.stated_domain or "",
            "task": self.stated_task or "",
            "split": " ".join(self.split.split()),
        }
        if self.rate:
            remarks["rate"] = f"{self.rate:.9g}"
        told = "".join(f"# {name}: {text}\n" for name, text in remarks.items() if text)
        return head + text_format.MessageToString(body) + told

    def to_message(self) -> format_pb2.DataSpecification:
        """The protobuf message that the file holds as text; ``split``, ``rate``, domain and task are not in it."""
        spec = format_pb2.DataSpecification(
            is_sequence=self.is_sequence,
            output_dim=self.n_labels,
            label_to_index_map=self.labels,
            feature_to_index_map=self.features,
            channel_to_index_map=self.channel_names,
            sequence_size=self.sequence_size,
            sample_count=self.n_examples,
        )
        spec.matrix_spec.add(
            col_count=self.cols,
            row_count=self.rows,
            is_sequence_col=False,
            is_sequence_row=False,
            has_locality_col=self.has_locality_cols,
            has_locality_row=self.has_locality_rows,
            format=format_pb2.MatrixSpec.Format.Value(self.format.value),
            num_channels=self.channels,
        )
        return spec


def read_metadata(path: Path) -> Metadata:
    """Reads a ``metadata.textproto``; see :func:`parse_metadata`."""
    try:
        return parse_metadata(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise FormatError(str(path), "the file is missing", remedy="Name a folder that holds it.") from None


def parse_metadata(data: bytes, where: str) -> Metadata:
    """Reads the bytes of a ``metadata.textproto``. ``where`` is for messages.

    Raises:
        FormatError: it is not such a text, or describes what this format does not have.
    """
    try:
        spec = text_format.Parse(data, format_pb2.DataSpecification())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise FormatError(
            where, f"not a metadata text: {str(error).rstrip('.')}", remedy="Correct the line."
        ) from None
    if len(spec.matrix_spec) != 1:
        raise FormatError(
            where,
            f"has {len(spec.matrix_spec)} matrix_spec",
            remedy="A dataset has one matrix a step: keep one.",
        )
    metadata = _from_message(spec, _remarks(data))
    problem = _problem(metadata)
    if problem:
        raise FormatError(where, problem, remedy="Correct the file.")
    return metadata


def _remarks(data: bytes) -> dict[str, str]:
    """Our comments by name, wherever they stand: a line of this text format is never within a string."""
    found = re.findall(r"^# (domain|task|split|rate): (.*)$", data.decode(), re.MULTILINE)
    return {name: text.strip() for name, text in reversed(found)}  # Of two with one name, the first.


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:  # A comment of somebody else's.
        return 0.0
    return rate if 0 < rate < math.inf else 0.0


def _from_message(spec: format_pb2.DataSpecification, remarks: Mapping[str, str]) -> Metadata:
    matrix = spec.matrix_spec[0]
    name = "SPARSE" if matrix.is_sparse else format_pb2.MatrixSpec.Format.Name(matrix.format)
    channels = matrix.num_channels
    if channels == VARIES and name != "COMPRESSED":  # Left open, and only images have more without a word.
        channels = 1
    return Metadata(
        n_examples=spec.sample_count,
        n_labels=spec.output_dim,
        rows=matrix.row_count,
        cols=matrix.col_count,
        channels=channels,
        sequence_size=spec.sequence_size,
        format=Format(name),
        is_sequence=spec.is_sequence,
        has_locality_rows=matrix.has_locality_row,
        has_locality_cols=matrix.has_locality_col,
        labels=dict(spec.label_to_index_map),
        features=dict(spec.feature_to_index_map),
        channel_names=dict(spec.channel_to_index_map),
        split=remarks.get("split", ""),
        rate=_rate(remarks.get("rate", "")),
        stated_domain=next((domain for domain in DOMAINS if domain == remarks.get("domain")), None),
        stated_task=next((task for task in TASKS if task == remarks.get("task")), None),
    )


def _problem(metadata: Metadata) -> str:
    sizes = {
        "sequence_size": metadata.sequence_size,
        "row_count": metadata.rows,
        "col_count": metadata.cols,
        "num_channels": metadata.channels,
    }
    for name, size in sizes.items():
        if size < 1 and size != VARIES:
            return f"{name} is {size}, but must be at least 1, or −1 where it varies"
        if size == VARIES and metadata.format is not Format.COMPRESSED and name != "sequence_size":
            return f"{name} may be −1 (it varies) only with format COMPRESSED"
    if metadata.n_labels < 1:
        return f"output_dim (the number of labels) is {metadata.n_labels}, but must be at least 1"
    if metadata.n_examples < 0:
        return f"sample_count is {metadata.n_examples}"
    for name, index in metadata.labels.items():
        if not 0 <= index < metadata.n_labels:
            return f"label {name!r} has index {index}, but output_dim is {metadata.n_labels}"
    return ""
