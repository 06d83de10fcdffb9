"""The same arrays as :mod:`alcove_datasets.reader`, as ``tf.data``. Only this module loads TensorFlow."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from alcove_datasets.metadata import Format, Metadata
from alcove_datasets.reader import Dataset


def tf_dataset(dataset: Dataset) -> Any:
    """A ``tf.data.Dataset`` of (features, label), in the order of the files.

    features: float32, time × rows × columns × channels, None where it varies. label: float32, one number a
    label; zeros in a test part.
    """
    records = tf.data.TFRecordDataset([str(path) for path in dataset.files])
    return records.map(
        lambda data: _parse(data, dataset.metadata), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )


def _parse(data: Any, metadata: Metadata) -> tuple[Any, Any]:
    context, steps = tf.io.parse_single_sequence_example(
        data,
        context_features={
            "label_index": tf.io.VarLenFeature(tf.int64),
            "label_score": tf.io.VarLenFeature(tf.float32),
        },
        sequence_features=_sequence_features(metadata),
    )
    decode = {Format.DENSE: _dense, Format.SPARSE: _sparse, Format.COMPRESSED: _compressed}[metadata.format]
    features = _fit(decode(steps, metadata), metadata.sequence_size)
    features.set_shape([size if size > 0 else None for size in metadata.shape])
    return features, _label(context, metadata)


def _sequence_features(metadata: Metadata) -> dict[str, Any]:
    if metadata.format is Format.DENSE:
        _, rows, cols, channels = metadata.shape
        return {"0_dense_input": tf.io.FixedLenSequenceFeature([rows * cols * channels], tf.float32)}
    if metadata.format is Format.COMPRESSED:
        return {"0_compressed": tf.io.VarLenFeature(tf.string)}
    channel = {"0_sparse_channel_index": tf.io.VarLenFeature(tf.int64)}
    if metadata.is_token_sequence:
        return channel
    return channel | {
        "0_sparse_row_index": tf.io.VarLenFeature(tf.int64),
        "0_sparse_col_index": tf.io.VarLenFeature(tf.int64),
        "0_sparse_value": tf.io.VarLenFeature(tf.float32),
    }


def _dense(steps: dict[str, Any], metadata: Metadata) -> Any:
    return tf.reshape(steps["0_dense_input"], [-1, *metadata.shape[1:]])


def _compressed(steps: dict[str, Any], metadata: Metadata) -> Any:
    channels = metadata.frame_channels
    frames = tf.map_fn(
        lambda data: _image(data, channels),
        steps["0_compressed"].values,
        fn_output_signature=tf.TensorSpec([None, None, channels], tf.uint8),
    )
    return tf.image.convert_image_dtype(frames, tf.float32)


def _image(data: Any, channels: int) -> Any:
    # JPEG apart: the default here is a faster transform, whose pixels are off by up to 4 from other decoders.
    return tf.cond(
        tf.io.is_jpeg(data),
        lambda: tf.io.decode_jpeg(data, channels=channels, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(data, channels=channels, expand_animations=False),
    )


def _sparse(steps: dict[str, Any], metadata: Metadata) -> Any:
    channel = steps["0_sparse_channel_index"]
    if metadata.is_token_sequence:
        return tf.reshape(tf.cast(channel.values, tf.float32), [-1, 1, 1, 1])
    values = steps["0_sparse_value"]

    def indices(axis: str) -> Any:
        given = steps[f"0_sparse_{axis}_index"].values
        # Older files have no channel index; there the only channel is meant.
        return given if axis != "channel" else tf.cond(tf.size(given) > 0, lambda: given, lambda: zeros)

    zeros = tf.zeros_like(values.indices[:, 0])
    where = tf.stack([values.indices[:, 0], indices("row"), indices("col"), indices("channel")], axis=1)
    shape = tf.stack([values.dense_shape[0], metadata.rows, metadata.cols, metadata.channels])
    return tf.scatter_nd(where, values.values, tf.cast(shape, tf.int64))


def _fit(features: Any, sequence_size: int) -> Any:
    """Pads with zeros, or cuts, to the sequence size of the metadata, where that is fixed."""
    if sequence_size < 0:
        return features
    missing = tf.maximum(sequence_size - tf.shape(features)[0], 0)
    return tf.pad(features, [[0, missing], [0, 0], [0, 0], [0, 0]])[:sequence_size]


def _label(context: dict[str, Any], metadata: Metadata) -> Any:
    index, score = context["label_index"].values, context["label_score"].values
    score = tf.cond(tf.size(score) > 0, lambda: score, lambda: tf.ones_like(index, tf.float32))
    return tf.tensor_scatter_nd_update(tf.zeros(metadata.n_labels), index[:, None], score)
