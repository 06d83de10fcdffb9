"""The module ``dataset`` of the AutoDL starting kit: a part of a dataset by its folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from alcove_format.reader import open_part
from alcove_ingestion.autodl.dataset import make_graph_dataset
from alcove_ingestion.metadata import ModelMetadata


class AutoDLMetadata(ModelMetadata):
    """Metadata of the part in a folder such as ``NAME.data/train``.

    Raises:
        alcove_format.errors.FormatError: there is none, or it is damaged.
    """

    def __init__(self, dataset_name: str | os.PathLike[str]) -> None:
        part = open_part(Path(dataset_name))
        super().__init__(part, part)


class AutoDLDataset:
    """The part in a folder such as ``NAME.data/train``; raises as :class:`AutoDLMetadata` does."""

    def __init__(self, dataset_name: str | os.PathLike[str], num_parallel_readers: int = 3) -> None:  # noqa: ARG002
        # As many readers as TensorFlow finds best; the examples come in the order of the file all the same.
        self._metadata = AutoDLMetadata(dataset_name)
        self._dataset = make_graph_dataset(open_part(Path(dataset_name)))

    def get_dataset(self) -> Any:
        """A ``tf.data.Dataset`` of (features, label)."""
        return self._dataset

    def get_metadata(self) -> AutoDLMetadata:
        return self._metadata

    def get_class_labels(self) -> list[str | None]:
        """Names of the labels by their index; None where one has no name."""
        index = self._metadata.get_label_to_index_map()
        names: list[str | None] = [None] * self._metadata.get_output_size() if index else []
        for name, place in index.items():
            names[place] = name
        return names
