"""Reading a dataset: with NumPy alone, as ``tf.data``, or as tensors of PyTorch. Either is loaded only where asked for.

    dataset = open_dataset(Path("digits.data"))
    for features, label in dataset.train: ...
    for features, labels in dataset.train.batches(64, shuffle=10_000, seed=1): ...
    model.fit(dataset.train.tf(64, shuffle=10_000))
    for features, labels in DataLoader(dataset.train.torch(), batch_size=64): ...

An example is an array of float32, time × rows × columns × channels, and a label vector of float32 with the
score (1.0 unless the dataset says otherwise) of each label that the example has. Test examples carry none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from alcove_format import batching
from alcove_format.batching import Batch, BatchWithSizes
from alcove_format.errors import FormatError
from alcove_format.example import Example, Floats
from alcove_format.metadata import METADATA_FILE, Metadata, read_metadata


@dataclass(frozen=True)
class Part:
    """The train or the test part: a folder with ``metadata.textproto`` and ``sample*`` files.

    Iterating gives (features, label) of each example. The methods share their arguments:

    - ``shuffle``: examples are drawn from a buffer of so many, and files are taken in random order. 0: in the
      order of the files, always.
    - ``seed``: the same seed gives the same order each time (of this method; TensorFlow draws other numbers). Without
      one, each iteration has another order.
    - ``workers``: threads that decode ahead; the order stays the same. Meant for images, whose decoders work
      beside each other; other numbers are read at the speed of their check sums by the calling thread alone.

    Whatever is damaged ends with a :class:`FormatError` that names file, record and byte.
    """

    path: Path
    metadata: Metadata
    files: tuple[Path, ...]
    """In the order in which they are read: by name. Row i of the solution is the i-th example so."""

    def __len__(self) -> int:
        return self.metadata.n_examples

    def __iter__(self) -> Iterator[tuple[Floats, Floats]]:
        return self.examples()

    def examples(
        self, *, shuffle: int = 0, seed: int | None = None, workers: int = 0
    ) -> Iterator[tuple[Floats, Floats]]:
        """Yields (features, label) of each example, each in its own shape."""
        random = np.random.default_rng(seed)
        chunks = batching.decode_files(self._files(shuffle, random), self.metadata, workers)
        pairs = chain.from_iterable(zip(c.features, c.labels, strict=True) for c in chunks)
        return batching.shuffle_pairs(pairs, shuffle, random) if shuffle else pairs

    def batches(
        self, size: int, *, shuffle: int = 0, seed: int | None = None, workers: int = 0
    ) -> Iterator[Batch]:
        """Yields (features, labels) of ``size`` examples (fewer in the last batch).

        features: batch × time × rows × columns × channels, labels: batch × labels. Where shapes vary, examples are
        padded with zeros, at the end of each axis, to the largest of the batch; :meth:`batches_with_sizes` gives the
        sizes before that.
        """
        for features, labels, _ in self.batches_with_sizes(size, shuffle=shuffle, seed=seed, workers=workers):
            yield features, labels

    def batches_with_sizes(
        self, size: int, *, shuffle: int = 0, seed: int | None = None, workers: int = 0
    ) -> Iterator[BatchWithSizes]:
        """As :meth:`batches`, with the sizes before padding: batch × (time, rows, columns) of int64."""
        random = np.random.default_rng(seed)
        found = batching.decode_files(self._files(shuffle, random), self.metadata, workers, size)
        if shuffle:
            pairs = chain.from_iterable(zip(c.features, c.labels, strict=True) for c in found)
            return batching.assemble_batches(
                batching.group_pairs(batching.shuffle_pairs(pairs, shuffle, random), size), size
            )
        return batching.assemble_batches(((c.features, c.labels) for c in found), size)

    def records(self) -> Iterator[Example]:
        """Yields each example with its id and its place."""
        for chunk in batching.decode_files(self.files, self.metadata):
            yield from chunk.examples()

    def tf(
        self,
        batch: int | None = None,
        *,
        shuffle: int = 0,
        seed: int | None = None,
        workers: int | None = None,
        sizes: bool = False,
    ) -> Any:
        """A ``tf.data.Dataset`` of the same arrays: (features, label), or batches as in :meth:`batches`.

        Args:
            batch: examples a batch; None: one at a time, in its own shape.
            workers: parallel calls; None: as many as TensorFlow finds best.
            sizes: give (features, labels, sizes) as :meth:`batches_with_sizes` does.
        """
        from alcove_format.tf_reader import tf_dataset

        return tf_dataset(self, batch, shuffle=shuffle, seed=seed, workers=workers, sizes=sizes)

    def torch(self, batch: int | None = None, *, shuffle: int = 0, seed: int | None = None) -> Any:
        """A ``torch.utils.data.IterableDataset`` of the same arrays as tensors: (features, label), or batches.

        For a ``DataLoader``, which batches examples of one shape itself; give it ``batch_size=None`` where ``batch`` is
        set here, which pads what varies in shape.
        """
        from alcove_format.torch_reader import TorchDataset

        return TorchDataset(self, batch, shuffle, seed)

    def _files(self, shuffle: int, random: np.random.Generator) -> tuple[Path, ...]:
        return tuple(self.files[i] for i in random.permutation(len(self.files))) if shuffle else self.files


@dataclass(frozen=True)
class DataFolder:
    """Both parts of a dataset."""

    path: Path
    name: str
    train: Part
    test: Part


def open_part(path: Path) -> Part:
    """Opens one part: a folder such as ``NAME.data/train``. Raises FormatError where it is not one."""
    metadata = read_metadata(path / METADATA_FILE)
    files = tuple(sorted(p for p in path.iterdir() if p.name.startswith("sample") and p.is_file()))
    if not files and metadata.n_examples:
        raise FormatError(str(path), "there is no file whose name starts with 'sample'")
    return Part(path, metadata, files)


def open_dataset(path: Path) -> DataFolder:
    """Opens a folder that has ``train`` and ``test`` in it, or one ``NAME.data`` that has.

    Raises:
        FormatError: it has not, or the metadata of the two parts do not go together.
    """
    path = Path(path)
    if not (path / "train").is_dir():
        inner = sorted(path.glob("*.data")) if path.is_dir() else []
        if len(inner) != 1:
            raise FormatError(
                str(path),
                "there is no folder 'train' in it",
                remedy="Name the folder (NAME.data) that holds 'train' and 'test'.",
            )
        path = inner[0]
    train, test = open_part(path / "train"), open_part(path / "test")
    for attribute in ("n_labels", "shape", "format"):
        one, other = getattr(train.metadata, attribute), getattr(test.metadata, attribute)
        if one != other:
            raise FormatError(str(path), f"{attribute} is {one} in train, but {other} in test")
    name = Path(os.path.abspath(path)).name.removesuffix(".data")  # "." has none of its own.
    return DataFolder(path, name, train, test)
