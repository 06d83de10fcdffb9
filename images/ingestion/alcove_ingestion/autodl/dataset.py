"""What ``train`` and ``test`` of the AutoDL challenge's code are given: a ``tf.data.Dataset`` of TensorFlow 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import tensorflow as tf

from alcove_format.metadata import Format, Metadata
from alcove_format.reader import Part

_COLUMN, _VALUE = "0_sparse_col_index", "0_sparse_value"


class GraphDataset(tf.data.Dataset):  # type: ignore[misc]  # TensorFlow has no types.
    """A dataset that can be used in any graph: it is built again in each that it is met in.

    In TensorFlow 1 that was so of every dataset, since nothing was built before an iterator was made. Estimators
    count on it: each call of theirs has a graph of its own.
    """

    def __init__(self, build: Callable[[], Any]) -> None:
        self._build = build
        self._built: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        super().__init__()

    def _current(self) -> Any:
        graph = tf.get_default_graph()
        if graph not in self._built:
            self._built[graph] = self._build()
        return self._built[graph]

    def _as_variant_tensor(self) -> Any:
        return self._current()._variant_tensor

    def _inputs(self) -> list[Any]:
        return [self._current()]

    @property
    def _variant_tensor(self) -> Any:
        return self._current()._variant_tensor

    @property
    def _graph(self) -> Any:
        return tf.get_default_graph()

    @property
    def element_spec(self) -> Any:
        return self._current().element_spec


def make_graph_dataset(part: Part) -> GraphDataset:
    """(features, label) of each example, as the public starting kit has them.

    As :meth:`alcove_format.reader.Part.tf`, but for sparse tables: these are 1 × entries × 2 × 1, the number of the
    column and the value of each entry, in the order of the file.
    """
    metadata = part.metadata
    if metadata.format is Format.SPARSE and not metadata.is_token_sequence:
        return GraphDataset(lambda: _read_sparse_tables(part, metadata))
    return GraphDataset(part.tf)


def _read_sparse_tables(part: Part, metadata: Metadata) -> Any:
    # Imported here, since it loads TensorFlow's side of the reader.
    from alcove_format.tf_reader import CONTEXT_FEATURES, read_label

    def parse(data: Any) -> tuple[Any, Any]:
        context, steps = tf.io.parse_single_sequence_example(
            data,
            context_features=CONTEXT_FEATURES,
            sequence_features={
                _COLUMN: tf.io.VarLenFeature(tf.int64),
                _VALUE: tf.io.VarLenFeature(tf.float32),
            },
        )
        entries = tf.stack([tf.cast(steps[_COLUMN].values, tf.float32), steps[_VALUE].values], axis=1)
        return tf.reshape(entries, [1, -1, 2, 1]), read_label(context, metadata)

    records = tf.data.TFRecordDataset([str(path) for path in part.files])
    return records.map(parse, num_parallel_calls=tf.data.experimental.AUTOTUNE)
