"""Reading one part (train or test) once, front to back: what is wrong with single records, and what is kept of them."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from alcove_format.batching import Chunk, block_decoder, examples_per_piece
from alcove_format.errors import FormatError
from alcove_format.example import Floats, SparseFeatures, decode_sparse_example
from alcove_format.format_pb2 import SequenceExample
from alcove_format.metadata import VARIES, Format, Metadata
from alcove_format.records import HEADER, Block, blocks_of
from alcove_toolkit.check.features import FeatureMap, feature_map, is_wide
from alcove_toolkit.check.findings import Finding, count, error, names, warning
from alcove_toolkit.check.sample import CELLS, SAMPLE, LabelLists, Reservoir, Shape, TargetNumbers
from alcove_toolkit.check.source import PartName, SampleFile, Source

ReadProgress = Callable[[int], None]
"""Told of bytes that were read."""
NAMED = 3
"""Findings of one kind that are told one by one; of the others the number."""
_STEP = 1 << 20
_LOOKED_AT = 500
"""One example in so many is looked at for keys that readers pass over."""
_CONTEXT_TAG = b"\x0a"
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

    name: PartName
    metadata: Metadata
    features: FeatureMap
    sample: Reservoir
    labels: LabelLists | TargetNumbers
    files: list[SampleFile] = field(default_factory=list)
    bytes: int = 0
    whole: bool = True
    """Whether every record could be read and decoded."""
    labelled: int = 0
    steps: tuple[int, int] = (0, 0)
    """Fewest and most."""
    ids: array[int] = field(default_factory=lambda: array("q"))
    hashes: array[int] = field(default_factory=lambda: array("Q"))
    """Of the decoded features of each example. Python's own, of 64 bits: several times as fast as a digest, and good
    for as long as this process lives."""
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
        return f"{path}, record {self.numbers[index]}, byte {self.offsets[index]}"


@dataclass(frozen=True)
class _WideChunk:
    """As :class:`Chunk`, of examples that are too wide to be arrays."""

    features: list[SparseFeatures]
    labels: Floats
    ids: npt.NDArray[np.int64]
    labelled: npt.NDArray[np.bool_]
    block: Block


def _hash(features: Floats | SparseFeatures) -> int:
    if isinstance(features, SparseFeatures):
        numbers: tuple[bytes, ...] = (features.places.tobytes(), features.values.tobytes())
    else:
        numbers = (features.tobytes(),)
    return hash((*numbers, features.shape)) & 0xFFFF_FFFF_FFFF_FFFF


def _parsed(block: Block, i: int) -> SequenceExample:
    """By protobuf, which looks at all of a record; readers pass over what they need not."""
    try:
        return SequenceExample.FromString(block.record(i))
    except DecodeError:
        raise FormatError(block.where(i), "the record is not a SequenceExample") from None


def _context_bytes(data: bytes) -> int:
    """Of the first field of a record: in train, its size tells the label."""
    if not data.startswith(_CONTEXT_TAG):
        return 0
    length, shift, at = 0, 0, 1
    while at < len(data):
        length |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            break
    return at + length


class PartReader:
    """Reads the sample files of a part. What is wrong goes to :attr:`findings`; nothing is raised for it."""

    def __init__(self, name: PartName, metadata: Metadata, progress: ReadProgress) -> None:
        self.findings: list[Finding] = []
        size = max(100, min(SAMPLE, CELLS // metadata.n_labels))
        sample = Reservoir(size, seed=0 if name == "train" else 1)
        labels = (TargetNumbers if metadata.is_regression else LabelLists)(metadata.n_labels)
        self.facts = PartFacts(name, metadata, feature_map(metadata), sample, labels)
        self._most = examples_per_piece(metadata)
        # As long as each is: what differs from the metadata is then seen, not padded or cut.
        self._decode = block_decoder(replace(metadata, sequence_size=VARIES))
        self._is_wide = is_wide(metadata)
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
        for block in blocks_of(stream, file.bytes, file.path):
            for piece in block.split(self._most):
                self._block(piece)
            end = block.offset + block.ends[-1]
            if end - told >= _STEP:
                self._progress(end - told)
                told = end
        self._progress(file.bytes - told)

    def _block(self, block: Block) -> None:
        try:
            if self.facts.metadata.is_token_sequence:
                for i in range(len(block)):
                    _parsed(block, i)  # The reader of texts passes over all but the tokens.
            chunk = self._decode_wide(block) if self._is_wide else self._decode(block)
        except FormatError as problem:
            if len(block) == 1:
                self._broken(problem)
            else:  # The others may be sound.
                for single in block.split(1):
                    self._block(single)
        else:
            self._chunk(chunk)

    def _decode_wide(self, block: Block) -> _WideChunk:
        metadata = self.facts.metadata
        examples = [
            decode_sparse_example(block.record(i), metadata, block.where(i)) for i in range(len(block))
        ]
        return _WideChunk(
            [example.features for example in examples],
            np.array([example.label for example in examples], np.float32).reshape(-1, metadata.n_labels),
            np.array([example.id for example in examples], np.int64),
            np.array([example.has_label for example in examples], np.bool_),
            block,
        )

    def _broken(self, problem: FormatError) -> None:
        self.facts.whole = False
        self._add(error("record", f"{problem.where}: {problem.problem}.", problem.remedy))

    def _add(self, finding: Finding) -> None:
        seen = self._more.get(finding.code, 0)
        self._more[finding.code] = seen + 1
        if seen < NAMED:
            self.findings.append(finding)

    def _chunk(self, chunk: Chunk | _WideChunk) -> None:
        facts, block = self.facts, chunk.block
        first = len(facts)
        self._values(chunk)
        self._labels(chunk)
        facts.ids.extend(chunk.ids.tolist())
        facts.numbers.extend(range(block.first, block.first + len(block)))
        facts.offsets.extend(start + block.offset - HEADER for start in block.starts)
        for i, features in enumerate(chunk.features):
            self._steps(len(features), block, i)
            facts.hashes.append(_hash(features))
            if facts.sample.takes():
                self._keep(features, block.record(i))
            if (first + i) % _LOOKED_AT == 0:
                self._keys(block, i)

    def _values(self, chunk: Chunk | _WideChunk) -> None:
        if not self._decimals:
            return
        whole = chunk.features
        if isinstance(whole, np.ndarray) and np.isfinite(whole).all():
            return
        for i, features in enumerate(whole):
            values = features.values if isinstance(features, SparseFeatures) else features
            if np.isfinite(values).all():
                continue
            at = np.argwhere(~np.isfinite(values))[0].tolist()
            bad = values[tuple(at)]
            if isinstance(features, SparseFeatures):
                at = [int(place) for place in np.unravel_index(features.places[at[0]], features.shape)]
            self._add(
                error(
                    "not-finite",
                    f"{chunk.block.where(i)}: at (step, row, column, channel) = {tuple(at)} the value is "
                    f"{bad}.",
                    "Replace what is missing by a number, and say that it was missing in a column of its own.",
                )
            )

    def _steps(self, steps: int, block: Block, i: int) -> None:
        facts = self.facts
        fewest, most = facts.steps
        facts.steps = (min(fewest, steps) if facts.hashes else steps, max(most, steps))
        size = facts.metadata.sequence_size
        if size != VARIES and steps != size:
            done = "cut" if steps > size else "filled with zeros"
            self._add(
                warning(
                    "sequence-size",
                    f"{block.where(i)}: has {steps} steps, but sequence_size is {size}: it is {done}.",
                    "Set sequence_size to −1 in both parts, or make the examples as long as it says.",
                )
            )

    def _labels(self, chunk: Chunk | _WideChunk) -> None:
        facts, where = self.facts, chunk.block.where
        facts.labelled += int(chunk.labelled.sum())
        if facts.metadata.is_regression:
            wrong, problem = ~np.isfinite(chunk.labels).all(axis=1), "a number to predict is not finite"
            remedy = "Give a finite number, or leave the example out."
        else:
            wrong = ~((chunk.labels >= 0) & (chunk.labels <= 1)).all(axis=1)
            problem = "a label_score is not between 0 and 1"
            remedy = "Give the confidence in the label, 1 where it is sure."
        for i in np.flatnonzero(wrong).tolist():
            self._add(error("label-score", f"{where(i)}: {problem}.", remedy))
        if facts.name == "train":
            self._keep_labels(chunk)
            return
        for i in np.flatnonzero(chunk.labelled).tolist():
            self._add(
                error(
                    "label-in-test",
                    f"{where(i)}: a test example carries a label.",
                    "Leave label_index empty there; labels of the test part belong in the solution alone.",
                )
            )

    def _keep_labels(self, chunk: Chunk | _WideChunk) -> None:
        labels = self.facts.labels
        if isinstance(labels, LabelLists):
            labels.extend(chunk.labels >= 0.5)
            return
        labels.extend(np.nan_to_num(chunk.labels, posinf=0, neginf=0))
        for i in np.flatnonzero(~chunk.labelled).tolist():
            self._add(
                error(
                    "no-number",
                    f"{chunk.block.where(i)}: a training example has no number to predict.",
                    "Give label_index and, in label_score, the number of each target; or leave the example out.",
                )
            )

    def _keep(self, features: Floats | SparseFeatures, data: bytes) -> None:
        steps, rows, cols, _ = features.shape
        with np.errstate(all="ignore"):  # Large numbers overflow; the sample cuts what they become.
            vector = self.facts.features.vector(features)
        self.facts.sample.keep(vector, Shape(steps, rows, cols, len(data) - _context_bytes(data)))

    def _keys(self, block: Block, i: int) -> None:
        try:
            message = _parsed(block, i)
        except FormatError as problem:
            self._broken(problem)
            return
        for keys, known in (
            (message.context.feature, _CONTEXT),
            (message.feature_lists.feature_list, _LISTS),
        ):
            # A key that is no UTF-8 comes as bytes.
            found = {key.decode("utf-8", "replace") if isinstance(key, bytes) else key for key in keys}
            self._extra.update(found - known)

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
