"""What is kept of a part while it is read once: a few bytes of every example, and a bounded sample in full."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
SAMPLE = 10_000
"""Examples of a part that models are fitted to, or tried on, at most."""
CELLS = 20_000_000
"""Examples × labels of any table of labels at most."""
LARGEST = 1e12
"""Larger numbers are cut to this before anything is fitted: their squares would not be finite."""


@dataclass(frozen=True)
class Shape:
    """Of one example: what a participant sees before the first feature."""

    steps: int
    rows: int
    cols: int
    bytes: int


SHAPE_NAMES = ("the number of steps", "the number of rows", "the number of columns", "the number of bytes")


@dataclass
class Reservoir:
    """A uniform sample of a stream of unknown length (Vitter, 1985, algorithm R), the same for the same stream."""

    size: int
    seed: int
    seen: int = 0
    index: list[int] = field(default_factory=list)
    """Position in the stream of each example that is kept."""
    vectors: list[Floats] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        self._slot = 0

    def takes(self) -> bool:
        """Whether the next example is to be kept, until later ones replace it: then :meth:`keep` must follow."""
        self.seen += 1
        self._slot = self.seen - 1 if self.seen <= self.size else int(self._rng.integers(self.seen))
        return self._slot < self.size

    def keep(self, vector: Floats, shape: Shape) -> None:
        if self._slot == len(self.index):
            self.index.append(self.seen - 1)
            self.vectors.append(vector)
            self.shapes.append(shape)
        else:
            self.index[self._slot] = self.seen - 1
            self.vectors[self._slot] = vector
            self.shapes[self._slot] = shape

    def sample(self) -> Sample:
        order = np.argsort(np.array(self.index, np.int64))
        vectors = np.stack([self.vectors[i] for i in order]) if self.vectors else np.zeros((0, 1), np.float32)
        np.nan_to_num(vectors, copy=False, posinf=LARGEST, neginf=-LARGEST)
        np.clip(vectors, -LARGEST, LARGEST, out=vectors)
        shapes = [self.shapes[i] for i in order]
        table = np.array([(s.steps, s.rows, s.cols, s.bytes) for s in shapes], np.float32).reshape(-1, 4)
        return Sample(np.array(self.index, np.int64)[order], vectors, table)


@dataclass(frozen=True)
class Sample:
    index: Ints
    """Positions in the part, ascending."""
    vectors: Floats
    """Examples × features."""
    shapes: Floats
    """Examples × (steps, rows, columns, bytes)."""


class LabelLists:
    """The labels of each example of a part that carries them, in a few bytes each."""

    def __init__(self, n_labels: int) -> None:
        self.n_labels = n_labels
        self._flat = array("i")
        self._ends = array("q", [0])

    def extend(self, present: Bools) -> None:
        """``present``: which labels the next examples have, examples × labels."""
        rows, columns = np.nonzero(present)
        ends = len(self._flat) + np.searchsorted(rows, np.arange(len(present)), "right")
        self._flat.extend(columns.tolist())
        self._ends.extend(ends.tolist())

    def counts(self) -> Ints:
        """Examples that have each label."""
        flat = np.frombuffer(self._flat, np.int32) if self._flat else np.zeros(0, np.int32)
        return np.bincount(flat, minlength=self.n_labels).astype(np.int64)

    def per_example(self) -> Ints:
        """Labels of each example."""
        ends = np.array(self._ends, np.int64)
        return ends[1:] - ends[:-1]

    def table(self, index: Ints, columns: Ints) -> Bools:
        """Rows ``index`` and columns ``columns`` of the examples × labels."""
        place = np.full(self.n_labels, -1, np.int64)
        place[columns] = np.arange(len(columns))
        out = np.zeros((len(index), len(columns)), np.bool_)
        for row, i in enumerate(index.tolist()):
            for label in self._flat[self._ends[i] : self._ends[i + 1]]:
                if place[label] >= 0:
                    out[row, place[label]] = True
        return out


class TargetNumbers:
    """The numbers to predict of each example of a part that carries them.

    As labels they are whether a number is above the target's median: by that, leaks are looked for as those of labels
    are.
    """

    def __init__(self, n_targets: int) -> None:
        self.n_targets = n_targets
        self._flat = array("f")

    def extend(self, numbers: Floats) -> None:
        """``numbers``: examples × targets."""
        self._flat.frombytes(np.ascontiguousarray(numbers, np.float32).tobytes())

    def numbers(self) -> Floats:
        """Examples × targets."""
        return np.array(self._flat, np.float32).reshape(-1, self.n_targets)

    def medians(self) -> Floats:
        found: Floats = np.median(self.numbers(), axis=0).astype(np.float32)
        return found

    def above(self) -> Bools:
        """Examples × targets: whether each number is above the target's median."""
        found: Bools = self.numbers() > self.medians()
        return found

    def counts(self) -> Ints:
        """Examples above each median."""
        found: Ints = self.above().sum(axis=0, dtype=np.int64)
        return found

    def per_example(self) -> Ints:
        """Numbers of each example."""
        return np.full(len(self._flat) // self.n_targets, self.n_targets, np.int64)

    def table(self, index: Ints, columns: Ints) -> Bools:
        """Rows ``index`` and columns ``columns`` of :meth:`above`."""
        found: Bools = self.above()[np.ix_(index, columns)]
        return found
