"""Reading one part (train or test) once, front to back: what is wrong with single records, and what is kept of them."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

import numpy as np

from alcove_datasets.check.features import FeatureMap, feature_map
from alcove_datasets.check.findings import Finding, count, error, names, warning
from alcove_datasets.check.sample import CELLS, SAMPLE, Labels, Reservoir, Shape
from alcove_datasets.check.source import Part, SampleFile, Source
from alcove_datasets.errors import FormatError
from alcove_datasets.format_pb2 import SequenceExample
from alcove_datasets.metadata import VARIES, Format, Metadata
from alcove_datasets.reader import Example, decode
from alcove_datasets.records import OVERHEAD, records_of

Progress = Callable[[int], None]
"""Told of bytes that were read."""
NAMED = 3
"""Findings of one kind that are told one by one; of the others the number."""
_STEP = 1 << 20
_CONTEXT = frozenset({"id", "label_index", "label_score"})
_LISTS = frozenset(
    {
        "0_dense_input",
        "0_compressed",
        *(f"0_sparse_{x}" for x in ("row_index", "col_index", "channel_index", "value")),
    }
)


@dataclass
class PartFacts:
    """What is known of a part once it was read."""

    name: Part
    metadata: Metadata
    features: FeatureMap
    files: list[SampleFile] = field(default_factory=list)
    bytes: int = 0
    whole: bool = True
    """Whether every record could be read and decoded."""
    labelled: int = 0
    steps: tuple[int, int] = (0, 0)
    """Fewest and most."""
    sample: Reservoir = field(default_factory=lambda: Reservoir(SAMPLE, 0))
    labels: Labels = field(default_factory=lambda: Labels(1))
    ids: array[int] = field(default_factory=lambda: array("q"))
    hashes: array[int] = field(default_factory=lambda: array("Q"))
    """Of the decoded features of each example."""
    numbers: array[int] = field(default_factory=lambda: array("q"))
    """Of the record, in its file."""
    offsets: array[int] = field(default_factory=lambda: array("q"))
    starts: list[int] = field(default_factory=list)
    """Number of the first example of each file."""

    def __len__(self) -> int:
        return len(self.ids)

    def where(self, index: int) -> str:
        """File, record and byte of an example."""
        path = self.files[bisect_right(self.starts, index) - 1].path
        return place(path, self.numbers[index], self.offsets[index])


def place(path: str, number: int, offset: int) -> str:
    return f"{path}, record {number}, byte {offset}"


class PartReader:
    """Reads the sample files of a part. What is wrong goes to :attr:`findings`; nothing is raised for it."""

    def __init__(self, name: Part, metadata: Metadata, progress: Progress) -> None:
        self.findings: list[Finding] = []
        self.facts = PartFacts(name, metadata, feature_map(metadata))
        self.facts.labels = Labels(metadata.n_labels)
        size = max(100, min(SAMPLE, CELLS // metadata.n_labels))
        self.facts.sample = Reservoir(size, seed=0 if name == "train" else 1)
        # As long as each is: what differs from the metadata is then seen, not padded or cut.
        self._as_is = replace(metadata, sequence_size=VARIES)
        self._decimals = metadata.format is not Format.COMPRESSED and not metadata.is_token_sequence
        self._progress = progress
        self._more: dict[str, int] = {}
        self._extra: set[str] = set()

    def read(self, source: Source) -> PartFacts:
        for file in source.files(self.facts.name):
            self.facts.files.append(file)
            self.facts.starts.append(len(self.facts))
            self.facts.bytes += file.bytes
            try:
                with source.open(file.path) as stream:
                    self._file(stream, file)
            except FormatError as problem:
                self._broken(problem)
        self._end()
        return self.facts

    def _file(self, stream: BinaryIO, file: SampleFile) -> None:
        told = 0
        for number, (offset, data) in enumerate(records_of(stream, file.bytes, file.path)):
            try:
                self._record(data, place(file.path, number, offset))
            except FormatError as problem:  # Of what is in the record: the next one can be read.
                self._broken(problem)
            else:
                self.facts.numbers.append(number)
                self.facts.offsets.append(offset)
            end = offset + len(data) + OVERHEAD
            if end - told >= _STEP:
                self._progress(end - told)
                told = end
        self._progress(file.bytes - told)

    def _broken(self, problem: FormatError) -> None:
        self.facts.whole = False
        self._add(error("record", f"{problem.where}: {problem.problem}.", problem.remedy))

    def _add(self, finding: Finding) -> None:
        seen = self._more.get(finding.code, 0)
        self._more[finding.code] = seen + 1
        if seen < NAMED:
            self.findings.append(finding)

    def _record(self, data: bytes, where: str) -> None:
        facts = self.facts
        example = decode(data, self._as_is, where)
        self._values(example, where)
        self._steps(len(example.features), where)
        self._label(example, where)
        if facts.sample.takes():
            self._keep(example, data)
        facts.ids.append(example.id)
        values: Any = np.ascontiguousarray(example.features)
        digest = hashlib.blake2b(values, digest_size=8)
        digest.update(repr(example.features.shape).encode())
        facts.hashes.append(int.from_bytes(digest.digest(), "little"))

    def _values(self, example: Example, where: str) -> None:
        if self._decimals and not np.isfinite(example.features).all():
            at = np.argwhere(~np.isfinite(example.features))[0].tolist()
            value = example.features[tuple(at)]
            self._add(
                error(
                    "not-finite",
                    f"{where}: at (step, row, column, channel) = {tuple(at)} the value is {value}.",
                    "Replace what is missing by a number, and say that it was missing in a column of its own.",
                )
            )

    def _steps(self, steps: int, where: str) -> None:
        facts = self.facts
        fewest, most = facts.steps
        facts.steps = (min(fewest, steps) if len(facts) else steps, max(most, steps))
        size = facts.metadata.sequence_size
        if size != VARIES and steps != size:
            done = "cut" if steps > size else "filled with zeros"
            self._add(
                warning(
                    "sequence-size",
                    f"{where}: has {steps} steps, but sequence_size is {size}: it is {done}.",
                    "Set sequence_size to −1 in both parts, or make the examples as long as it says.",
                )
            )

    def _label(self, example: Example, where: str) -> None:
        facts = self.facts
        if example.has_label:
            facts.labelled += 1
            if not (example.label.min() >= 0 and example.label.max() <= 1):
                self._add(
                    error(
                        "label-score",
                        f"{where}: a label_score is not between 0 and 1.",
                        "Give the confidence in the label, 1 where it is sure.",
                    )
                )
        if facts.name == "train":
            facts.labels.append(np.flatnonzero(example.label >= 0.5))
        elif example.has_label:
            self._add(
                error(
                    "label-in-test",
                    f"{where}: a test example carries a label.",
                    "Leave label_index empty there; labels of the test part belong in the solution alone.",
                )
            )

    def _keep(self, example: Example, data: bytes) -> None:
        """Parses the record again, which few are: only so many are kept."""
        message = SequenceExample.FromString(data)
        steps, rows, cols, _ = example.features.shape
        with np.errstate(all="ignore"):  # Large numbers overflow; the sample cuts what they become.
            vector = self.facts.features.vector(example.features)
        # Without the context, whose size tells the label itself in train.
        self.facts.sample.keep(vector, Shape(message.feature_lists.ByteSize(), steps, rows, cols))
        self._extra.update(set(message.context.feature) - _CONTEXT)
        self._extra.update(set(message.feature_lists.feature_list) - _LISTS)

    def _end(self) -> None:
        facts, name, metadata = self.facts, self.facts.name, self.facts.metadata
        for code, seen in self._more.items():
            if seen > NAMED:
                last = max(i for i, f in enumerate(self.findings) if f.code == code)
                old = self.findings[last]
                more = f"{old.message} So it is in {count(seen - NAMED, 'more place')} of {name}."
                self.findings[last] = replace(old, message=more)
        if self._extra:
            self._add(
                warning(
                    "other-keys",
                    f"{name}: records have other keys as well: {names(sorted(self._extra))}.",
                    "Leave them out, or make sure that they tell nothing of the label: participants can read them.",
                )
            )
        if facts.whole and len(facts) != metadata.n_examples:
            self._add(
                error(
                    "sample-count",
                    f"{name}/metadata.textproto: sample_count is {metadata.n_examples}, "
                    f"but there are {len(facts)} examples.",
                    "Correct it, or add the missing sample files.",
                )
            )
        if facts.whole and not len(facts):
            self._add(error("empty", f"{name}: there is no example.", "Add some."))
        elif facts.whole and name == "train" and not facts.labelled:
            self._add(
                error(
                    "no-labels",
                    "train: no example has a label, so nothing can be learned.",
                    "Add label_index.",
                )
            )
