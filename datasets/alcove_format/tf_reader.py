"""The same arrays as :mod:`alcove_format.reader`, as ``tf.data``. Only this module loads TensorFlow.

It runs with the names and the behaviour of TensorFlow 1, too, where ``==`` of two tensors asks whether they are one.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from alcove_format.metadata import Format, Metadata
from alcove_format.reader import Part

_PARSED_AT_ONCE = 64
"""Records that one call parses where examples are handed out one by one: a call costs more than a record."""
_SMALL_BATCH = 16 << 20
"""Bytes of a batch of images that one call decodes; of larger ones, each image is decoded by itself."""
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
    """A ``tf.data.Dataset``; see :meth:`alcove_format.reader.Part.tf`.

    features: float32, [batch ×] time × rows × columns × channels, None where it varies. label: float32, [batch ×]
    one number a label; zeros in a test part. In the order of the files, unless shuffled.
    """
    metadata = part.metadata
    records = _records(part, shuffle, seed)
    images = metadata.format is Format.COMPRESSED
    if images:
        at_once = batch if batch and _is_small(metadata, batch) else 0
        parse = _parse_images if at_once else _parse_image
    else:
        # Of examples without a step, which only those of any length can be, unbatch() makes the process crash.
        at_once = batch or (_PARSED_AT_ONCE if metadata.sequence_size > 0 else 0)
        parse = _parse_batch if at_once else _parse_one
    parsed = (records.batch(at_once) if at_once else records).map(
        # Within the one call, so that sizes that nobody wants are not even computed.
        lambda data: parse(data, metadata)[: 3 if sizes else 2],
        num_parallel_calls=workers or tf.data.AUTOTUNE,
        deterministic=True,
    )
    if at_once and not batch:
        parsed = parsed.unbatch()
    elif batch and not at_once:
        parsed = parsed.padded_batch(batch)
    return parsed.prefetch(tf.data.AUTOTUNE)


def _is_small(metadata: Metadata, batch: int) -> bool:
    """Whether as many batches of images as there are processors can be in memory at a time; not where sizes differ."""
    return min(metadata.shape) > 0 and 4 * batch * math.prod(metadata.shape) <= _SMALL_BATCH


def _records(part: Part, shuffle: int, seed: int | None) -> Any:
    paths = [str(path) for path in part.files]
    if not shuffle:
        return tf.data.TFRecordDataset(paths)
    again = seed is None
    files = tf.data.Dataset.from_tensor_slices(paths)
    files = files.shuffle(len(paths), seed=seed, reshuffle_each_iteration=again)
    return tf.data.TFRecordDataset(files).shuffle(shuffle, seed=seed, reshuffle_each_iteration=again)


CONTEXT_FEATURES = {
    "label_index": tf.io.VarLenFeature(tf.int64),
    "label_score": tf.io.VarLenFeature(tf.float32),
}


def _parse_batch(data: Any, metadata: Metadata) -> tuple[Any, Any, Any]:
    """Many records of numbers or tokens at once."""
    context, steps, lengths = tf.io.parse_sequence_example(
        data, context_features=CONTEXT_FEATURES, sequence_features=_sequence_features(metadata)
    )
    shape = metadata.shape
    if metadata.format is Format.DENSE:
        times, numbers = tf.cast(lengths["0_dense_input"], tf.int64), steps["0_dense_input"]
    elif metadata.is_token_sequence:
        given = steps[_CHANNEL]
        tokens = tf.RaggedTensor.from_value_rowids(
            given.values, given.indices[:, 0], nrows=given.dense_shape[0], validate=False
        )
        times = tf.cast(tokens.row_lengths(), tf.int64)
        numbers = tf.cast(tokens.to_tensor(), tf.float32)
    else:
        times, numbers = steps["0_sparse_value"].row_lengths(), _sparse(steps, metadata)
    features = tf.reshape(numbers, [tf.shape(numbers)[0], tf.shape(numbers)[1], *shape[1:]])
    if shape[0] > 0:
        features = _fit(features, shape[0])
        times = tf.fill(tf.shape(times), tf.constant(shape[0], tf.int64))
    features.set_shape([None, *(size if size > 0 else None for size in shape)])
    rows_and_columns = tf.broadcast_to(tf.constant(shape[1:3], tf.int64), [tf.size(times), 2])
    return (
        features,
        _labels(context, tf.size(times), metadata),
        tf.concat([times[:, None], rows_and_columns], axis=1),
    )


def _parse_one(data: Any, metadata: Metadata) -> tuple[Any, Any, Any]:
    """One record of numbers or tokens."""
    features, label, sizes = _parse_batch(data[None], metadata)
    return features[0], label[0], sizes[0]


def _parse_image(data: Any, metadata: Metadata) -> tuple[Any, Any, Any]:
    """One record of images, whose sizes may differ from those of the next."""
    context, steps = tf.io.parse_single_sequence_example(
        data,
        context_features=CONTEXT_FEATURES,
        sequence_features={"0_compressed": tf.io.VarLenFeature(tf.string)},
    )
    channels = metadata.frame_channels
    given = steps["0_compressed"].values
    frames = tf.cond(  # Of no frame, map_fn cannot tell rows and columns.
        tf.size(given) > 0,
        lambda: tf.map_fn(
            lambda data: _image(data, channels),
            given,
            fn_output_signature=tf.TensorSpec([None, None, channels], tf.uint8),
        ),
        lambda: tf.zeros([0, max(metadata.rows, 0), max(metadata.cols, 0), channels], tf.uint8),
    )
    features = tf.image.convert_image_dtype(frames, tf.float32)
    if metadata.sequence_size > 0:
        features = _fit(features[None], metadata.sequence_size)[0]
    features.set_shape([size if size > 0 else None for size in metadata.shape])
    return features, read_label(context, metadata), tf.cast(tf.shape(features)[:3], tf.int64)


def _parse_images(data: Any, metadata: Metadata) -> tuple[Any, Any, Any]:
    """Many records of images of one size at once."""
    context, steps, lengths = tf.io.parse_sequence_example(
        data,
        context_features=CONTEXT_FEATURES,
        sequence_features={"0_compressed": tf.io.FixedLenSequenceFeature([], tf.string)},
    )
    given, lengths = steps["0_compressed"], tf.cast(lengths["0_compressed"], tf.int64)
    time, rows, cols, channels = metadata.shape
    frames = tf.map_fn(
        lambda data: _image(data, channels),
        tf.boolean_mask(given, tf.sequence_mask(lengths, tf.shape(given)[1])),
        fn_output_signature=tf.TensorSpec([rows, cols, channels], tf.uint8),
    )
    together = tf.RaggedTensor.from_row_lengths(frames, lengths, validate=False)
    # Padded with zeros, or cut, to the sequence size of the metadata.
    whole = together.to_tensor(shape=[None, time, rows, cols, channels])
    features = tf.image.convert_image_dtype(whole, tf.float32)
    count = tf.size(lengths)
    sizes = tf.broadcast_to(tf.constant([time, rows, cols], tf.int64), [count, 3])
    return features, _labels(context, count, metadata), sizes


def _sequence_features(metadata: Metadata) -> dict[str, Any]:
    if metadata.format is Format.DENSE:
        _, rows, cols, channels = metadata.shape
        return {"0_dense_input": tf.io.FixedLenSequenceFeature([rows * cols * channels], tf.float32)}
    if metadata.is_token_sequence:
        return {_CHANNEL: tf.io.VarLenFeature(tf.int64)}
    # Ragged, since these tell where the steps end, even those that have no entry.
    axes = ("0_sparse_row_index", "0_sparse_col_index", _CHANNEL)
    indices = {key: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64) for key in axes}
    return indices | {"0_sparse_value": tf.io.RaggedFeature(tf.float32, row_splits_dtype=tf.int64)}


def _image(data: Any, channels: int) -> Any:
    # JPEG apart: the default here is a faster transform, whose pixels are off by up to 4 from other decoders.
    return tf.cond(
        tf.io.is_jpeg(data),
        lambda: tf.io.decode_jpeg(data, channels=channels, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(data, channels=channels, expand_animations=False),
    )


def _sparse(steps: dict[str, Any], metadata: Metadata) -> Any:
    """Batch × time × rows × columns × channels. A cell that is named several times has the last of its values."""
    values = steps["0_sparse_value"]
    owners = values.value_rowids()
    time = tf.range(tf.size(owners, out_type=tf.int64)) - tf.gather(values.row_starts(), owners)
    longest = tf.reduce_max(values.row_lengths())
    # Cells are counted through, so that one number, not five, says where an entry belongs.
    entries = values.values.value_rowids()
    cell, inside = tf.gather(owners * longest + time, entries), tf.constant(True)
    for axis, length in zip(("row", "col", "channel"), metadata.shape[1:], strict=True):
        given = steps[f"0_sparse_{axis}_index"]
        inside &= tf.reduce_all((given.flat_values >= 0) & (given.flat_values < length))
        # What an example has no list of is 0: older files have no channel index, and mean the only channel.
        cell = cell * length + _aligned(given, owners, entries) if length > 1 else cell
    shape = [values.nrows(), longest, *metadata.shape[1:]]
    # Not tf.debugging.Assert: each brings functions along, which every pass over the data sets up again.
    wrong = tf.raw_ops.Assert(condition=inside, data=[f"an index beyond {metadata.shape[1:]}"])
    with tf.control_dependencies([wrong]):
        given = tf.SparseTensor(cell[:, None], values.flat_values, [tf.reduce_prod(shape)])
        return tf.reshape(tf.sparse.to_dense(given, validate_indices=False), shape)


def _aligned(given: Any, owners: Any, entries: Any) -> Any:
    """An index for each value, of the step ``entries`` of the example ``owners[entries]``."""
    lengths = given.row_lengths()

    def filled() -> Any:
        own = tf.where(tf.gather(tf.gather(lengths > 0, owners), entries))
        return tf.tensor_scatter_nd_update(tf.zeros_like(entries), own, given.flat_values)

    same = tf.equal(tf.size(given.flat_values), tf.size(entries))
    return tf.cond(same, lambda: given.flat_values, filled)


def _fit(features: Any, sequence_size: int) -> Any:
    """Pads the second axis with zeros, or cuts it, to the sequence size of the metadata."""
    steps = tf.shape(features)[1]
    missing = tf.maximum(sequence_size - steps, 0)
    return tf.cond(  # Most need neither, and both copy all of it.
        tf.equal(steps, sequence_size),
        lambda: features,
        lambda: tf.pad(features, [[0, 0], [0, missing], *[[0, 0]] * 3])[:, :sequence_size],
    )


def read_label(context: dict[str, Any], metadata: Metadata) -> Any:
    index, score = context["label_index"].values, context["label_score"].values
    score = tf.cond(tf.size(score) > 0, lambda: score, lambda: tf.ones_like(index, tf.float32))
    return tf.tensor_scatter_nd_update(tf.zeros(metadata.n_labels), index[:, None], score)


def _labels(context: dict[str, Any], count: Any, metadata: Metadata) -> Any:
    index, score = context["label_index"], context["label_score"]
    scores = tf.cond(
        tf.equal(tf.size(score.values), tf.size(index.values)),
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
    fits = tf.raw_ops.Assert(
        condition=tf.reduce_all(tf.equal(given, labels) | tf.equal(given, 0)),
        data=["label_score", given, labels],
    )
    with tf.control_dependencies([fits]):
        own = tf.gather(given, owners) > 0
    # Those that have scores have them in the same order.
    return tf.tensor_scatter_nd_update(tf.ones_like(index.values, tf.float32), tf.where(own), score.values)
