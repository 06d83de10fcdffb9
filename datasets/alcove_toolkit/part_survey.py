"""One pass over the part of a dataset: which labels it has, how often, and where examples of each are stored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alcove_format.errors import FormatError
from alcove_format.format_pb2 import SequenceExample
from alcove_format.reader import Part
from alcove_format.records import read_records
from alcove_format.solution import SolutionTable, Targets


@dataclass(frozen=True)
class RecordPosition:
    """Position of an example on disk, to read it again."""

    path: Path
    number: int
    """Of the example in its part, from 0."""
    record: int
    """Number of the record in its file, from 0."""
    offset: int
    labels: Mapping[int, float]


@dataclass
class NumberRange:
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


@dataclass
class PartSurvey:
    """What one pass over a part found out, without its content."""

    counts: npt.NDArray[np.int64]
    unlabelled: int = 0
    examples: int = 0
    bytes: int = 0
    numbers: dict[int, NumberRange] = field(default_factory=dict)
    """Of a regression."""
    first: dict[int, list[RecordPosition]] = field(default_factory=dict)
    """First examples of each label; an example with several counts for the smallest, one without counts for −1."""


def survey_part(part: Part, most: int, solution: SolutionTable | Targets | None = None) -> PartSurvey:
    """Read all labels of a part, and note where the first examples of each are."""
    seen = PartSurvey(np.zeros(part.metadata.n_labels, np.int64))
    for path in part.files:
        seen.bytes += path.stat().st_size
        for record, (offset, data) in enumerate(read_records(path)):
            labels = _parse_labels(data, f"{path}, record {record}, byte {offset}")
            if solution is not None and seen.examples < len(solution):
                row = solution[seen.examples].tolist()
                labels = {i: float(cell) for i, cell in enumerate(row) if cell or part.metadata.is_regression}
            for label, score in labels.items():
                if part.metadata.is_regression:
                    seen.numbers.setdefault(label, NumberRange()).add(score)
                elif 0 <= label < len(seen.counts) and score >= 0.5:
                    seen.counts[label] += 1
            seen.unlabelled += not labels
            places = seen.first.setdefault(min(labels, default=-1), [])
            if len(places) < most:
                places.append(RecordPosition(path, seen.examples, record, offset, labels))
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


def choose_examples(seen: PartSurvey, most: int) -> list[RecordPosition]:
    """Choose up to ``most`` examples: one of each label, then a second of each, …; in order of labels."""
    columns = [seen.first[label] for label in sorted(seen.first)]
    turns = [(turn, column) for column, places in enumerate(columns) for turn in range(len(places))]
    chosen = sorted(turns)[:most]
    return [columns[column][turn] for turn, column in sorted(chosen, key=lambda one: (one[1], one[0]))]
