"""The same arrays as :mod:`alcove_format.reader`, as tensors. Only this module loads PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from alcove_format.reader import Part


class TorchDataset(IterableDataset):  # type: ignore[misc]  # PyTorch is not among the developers' packages.
    """(features, label) of each example, or batches; see :meth:`alcove_format.reader.Part.torch`.

    ``len()`` of it: examples, or batches. Each iteration reads the files anew. With the workers of a ``DataLoader``,
    of n workers each hands out every n-th; they all read, so they help only where decoding is much less than what
    follows it.
    """

    def __init__(self, part: Part, batch: int | None, shuffle: int, seed: int | None) -> None:
        super().__init__()
        self.part, self.batch, self.shuffle = part, batch, shuffle
        self.seed = seed

    def __len__(self) -> int:
        return len(self.part) if self.batch is None else -(-len(self.part) // self.batch)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        worker = get_worker_info()
        first, step, seed = (
            (0, 1, self.seed) if worker is None else (worker.id, worker.num_workers, self.seed)
        )
        if worker is not None and seed is None:
            seed = worker.seed - worker.id  # All of them draw the same order, another in each iteration.
        found = (
            self.part.examples(shuffle=self.shuffle, seed=seed)
            if self.batch is None
            else self.part.batches(self.batch, shuffle=self.shuffle, seed=seed)
        )
        for features, label in islice(found, first, None, step):
            # The reader's arrays may be views of what it decodes next, or be read-only.
            yield torch.tensor(features), torch.tensor(label)
