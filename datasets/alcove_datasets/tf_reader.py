"""The same arrays as :mod:`alcove_datasets.reader`, as ``tf.data``. Only this module loads TensorFlow."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from alcove_datasets.metadata import Format, Metadata
from alcove_datasets.reader import Part

_PARSED_AT_ONCE = 64
"""Records that one call parses where examples are handed out one by one: a call costs more than a record."""
_CHANNEL = "0_sparse_channel_index"


def tf_dataset(
    part: Part,
    batch: int | None = None,
    *,
    shuffle: int = 0,
    seed: int | None = None,
    workers: int | None = None,
    sizes: bool = False,
) -> Any:
    """A ``tf.data.Dataset``; see :meth:`alcove_datasets.reader.Part.tf`.

    features: float32, [batch ×] time × rows × columns × channels, None where it varies. label: float32, [batch ×]
    one number a label; zeros in a test part. In the order of the files, unless shuffled.
    """
    metadata = part.metadata
    records = _records(part, shuffle, seed)
    numbers = metadata.format is Format.DENSE or metadata.is_token_sequence
    at_once = batch or (_PARSED_AT_ONCE if metadata.sequence_size > 0 else None)
    parse = _parse_batch if numbers and at_once else _parse
    parsed = (records.batch(at_once) if parse is _parse_batch else records).map(
        # Within the one call, so that sizes that nobody wants are not even computed.
        lambda data: parse(data, metadata)[: 3 if sizes else 2],
        num_parallel_calls=workers or tf.data.AUTOTUNE,
        deterministic=True,
    )
    if parse is _parse_batch and not batch:
        parsed = parsed.unbatch()
    elif parse is _parse and batch:
        parsed = parsed.padded_batch(batch)
    return parsed.prefetch(tf.data.AUTOTUNE)


def _records(part: Part, shuffle: int, seed: int | None) -> Any:
    paths = [str(path) for path in part.files]
    if not shuffle:
        return tf.data.TFRecordDataset(paths)
    again = seed is None
    files = tf.data.Dataset.from_tensor_slices(paths)
    files = files.shuffle(len(paths), seed=seed, reshuffle_each_iteration=again)
    return tf.data.TFRecordDataset(files).shuffle(shuffle, seed=seed, reshuffle_each_iteration=again)


_CONTEXT = {
    "label_index": tf.io.VarLenFeature(tf.int64),
    "label_score": tf.io.VarLenFeature(tf.float32),
}


def _parse_batch(data: Any, metadata: Metadata) -> tuple[Any, Any, Any]:
    """Many records of format DENSE, or of tokens, at once."""
    context, steps, lengths = tf.io.parse_sequence_example(
        data, context_features=_CONTEXT, sequence_features=_sequence_features(metadata)
    )
    if metadata.is_token_sequence:
        given = steps[_CHANNEL]
        tokens = tf.RaggedTensor.from_value_rowids(
            given.values, given.indices[:, 0], nrows=given.dense_shape[0], validate=False
        )
        times = tf.cast(tokens.row_lengths(), tf.int64)
        numbers = tf.cast(tokens.to_tensor(), tf.float32)
    else:
        times, numbers = tf.cast(lengths["0_dense_input"], tf.int64), steps["0_dense_input"]
    shape = metadata.shape
    features = tf.reshape(numbers, [tf.shape(numbers)[0], tf.shape(numbers)[1], *shape[1:]])
    if shape[0] > 0:
        features = _fit(features, shape[0], axis=1)
        times = tf.fill(tf.shape(times), tf.constant(shape[0], tf.int64))
    features.set_shape([None, *(size if size > 0 else None for size in shape)])
    others = tf.broadcast_to(tf.constant(shape[1:3], tf.int64), [tf.size(times), 2])
    return features, _labels(context, tf.size(times), metadata), tf.concat([times[:, None], others], axis=1)


def _parse(data: Any, metadata: Metadata) -> tuple[Any, Any, Any]:
    context, steps = tf.io.parse_single_sequence_example(
        data, context_features=_CONTEXT, sequence_features=_sequence_features(metadata)
    )
    decode = {Format.DENSE: _dense, Format.SPARSE: _sparse, Format.COMPRESSED: _compressed}[metadata.format]
    features = decode(steps, metadata)
    if metadata.sequence_size > 0:
        features = _fit(features, metadata.sequence_size, axis=0)
    features.set_shape([size if size > 0 else None for size in metadata.shape])
    return features, _label(context, metadata), tf.cast(tf.shape(features)[:3], tf.int64)


def _sequence_features(metadata: Metadata) -> dict[str, Any]:
    if metadata.format is Format.DENSE:
        _, rows, cols, channels = metadata.shape
        return {"0_dense_input": tf.io.FixedLenSequenceFeature([rows * cols * channels], tf.float32)}
    if metadata.format is Format.COMPRESSED:
        return {"0_compressed": tf.io.VarLenFeature(tf.string)}
    channel = {_CHANNEL: tf.io.VarLenFeature(tf.int64)}
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
    channel = steps[_CHANNEL]
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


def _fit(features: Any, sequence_size: int, axis: int) -> Any:
    """Pads with zeros, or cuts, to the sequence size of the metadata."""
    missing = tf.maximum(sequence_size - tf.shape(features)[axis], 0)
    padding = [[0, missing if i == axis else 0] for i in range(axis + 4)]
    padded = tf.pad(features, padding)
    return padded[:, :sequence_size] if axis else padded[:sequence_size]


def _label(context: dict[str, Any], metadata: Metadata) -> Any:
    index, score = context["label_index"].values, context["label_score"].values
    score = tf.cond(tf.size(score) > 0, lambda: score, lambda: tf.ones_like(index, tf.float32))
    return tf.tensor_scatter_nd_update(tf.zeros(metadata.n_labels), index[:, None], score)


def _labels(context: dict[str, Any], count: Any, metadata: Metadata) -> Any:
    index, score = context["label_index"], context["label_score"]
    scores = tf.cond(
        tf.size(score.values) == tf.size(index.values),
        lambda: score.values,
        lambda: _scores(index, score, count),
    )
    where = tf.stack([index.indices[:, 0], index.values], axis=1)
    return tf.tensor_scatter_nd_update(tf.zeros([count, metadata.n_labels]), where, scores)


def _scores(index: Any, score: Any, count: Any) -> Any:
    """Ones for the examples that give no scores. (An example gives one for each label, or none.)"""
    owners = index.indices[:, 0]
    labels, given = (
        tf.math.unsorted_segment_sum(tf.ones_like(s), s, count) for s in (owners, score.indices[:, 0])
    )
    fits = tf.debugging.Assert(
        tf.reduce_all((given == labels) | (given == 0)), ["label_score", given, labels]
    )
    with tf.control_dependencies([fits]):
        own = tf.gather(given, owners) > 0
    # Those that have scores have them in the same order.
    return tf.tensor_scatter_nd_update(tf.ones_like(index.values, tf.float32), tf.where(own), score.values)
