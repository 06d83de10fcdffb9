"""TensorFlow reads what we write, and we read what TensorFlow writes, to the bit."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image

from alcove_format.metadata import Format, Metadata
from alcove_format.reader import open_dataset, open_part
from alcove_format.solution import read_solution
from alcove_format.writer import NewExample, write_dataset
from tests.unit.format.strategies import Content, contents

tf = pytest.importorskip("tensorflow")
Lists = dict[str, list[list[float]]]
"""Feature lists: numbers by step, by key."""


def assert_same(path: Path) -> None:
    """Both readers give the same arrays in the same order."""

    dataset = open_part(path)
    ours = list(dataset.examples())
    theirs = list(dataset.tf().as_numpy_iterator())
    assert len(ours) == len(theirs) > 0
    for (features, label), (tf_features, tf_label) in zip(ours, theirs, strict=True):
        assert tf_features.dtype == features.dtype == np.float32
        assert np.array_equal(features, tf_features)
        assert np.array_equal(label, tf_label)


@given(contents())
@settings(max_examples=15, deadline=None)
def test_tf_data_gives_the_same_arrays(content: Content) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = write_dataset(Path(name), "d", content.metadata, content.written, content.written)
        assert_same(path / "train")
        assert_same(path / "test")


@pytest.mark.parametrize(("size", "steps"), [(2, 3), (4, 3)])
def test_both_cut_and_pad_to_the_sequence_size(tmp_path: Path, size: int, steps: int) -> None:
    metadata = Metadata(n_examples=0, n_labels=1, rows=1, cols=2, sequence_size=-1)
    array = np.arange(1, steps * 2 + 1, dtype=np.float32).reshape(steps, 1, 2, 1)
    path = write_dataset(tmp_path, "d", metadata, [NewExample(array, {0: 1.0})], [])
    file = path / "train" / "metadata.textproto"
    file.write_text(file.read_text().replace("sequence_size: -1", f"sequence_size: {size}"))
    assert_same(path / "train")
    features, _ = next(open_part(path / "train").examples())
    assert features.ravel().tolist() == [*range(1, steps * 2 + 1), 0, 0][: size * 2]


def photo(mode: str, kind: str, seed: int) -> bytes:
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    small.resize((37, 29)).convert(mode).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(("kind", "channels"), [("JPEG", 1), ("JPEG", 3), ("PNG", 1), ("PNG", 3), ("BMP", 3)])
def test_photos_are_decoded_to_the_same_pixels(tmp_path: Path, kind: str, channels: int) -> None:
    metadata = Metadata(
        n_examples=0, n_labels=1, rows=-1, cols=-1, channels=channels, format=Format.COMPRESSED
    )
    mode = "L" if channels == 1 else "RGB"
    examples = [NewExample([photo(mode, kind, seed)], {0: 1.0}) for seed in range(4)]
    if kind == "JPEG" and channels == 1:
        examples.append(NewExample([photo("RGB", kind, 9)], {0: 1.0}))
    assert_same(write_dataset(tmp_path, "d", metadata, examples, []) / "train")


@pytest.mark.parametrize(
    ("pixels", "channels"), [("sixteen", 1), ("sixteen", 3), ("RGB", 1), ("RGBA", 1), ("P", 1), ("P", 3)]
)
def test_pngs_of_more_than_the_metadata_tell_are_read_alike(
    tmp_path: Path, pixels: str, channels: int
) -> None:
    """By hand one can write them: 16 bits a pixel, or colour where one channel is announced."""
    part = tmp_path / "d.data" / "train"
    part.mkdir(parents=True)
    text = (OLD_METADATA % (1, "COMPRESSED")).replace("col_count: 4", "col_count: -1")
    text = text.replace("row_count: 2", f"row_count: -1\n  num_channels: {channels}")
    (part / "metadata.textproto").write_text(text)
    random = np.random.default_rng(0)
    if pixels == "sixteen":
        buffer = io.BytesIO()
        Image.fromarray(random.integers(0, 1 << 16, (29, 37)).astype(np.uint16)).save(buffer, "PNG")
        data = buffer.getvalue()
    else:
        data = photo(pixels, "PNG", 3)
    with tf.io.TFRecordWriter(str(part / "sample")) as file:
        example = tf.train.SequenceExample()
        step = example.feature_lists.feature_list["0_compressed"].feature.add()
        step.bytes_list.value.append(data)
        file.write(example.SerializeToString())
    assert_same(part)
    features, _ = next(open_part(part).examples())
    assert 0.3 < features.mean() < 0.7


@pytest.mark.parametrize("kind", ["dense", "sparse", "tokens", "frames", "frames of any size", "two frames"])
def test_examples_without_a_step_are_read_alike(tmp_path: Path, kind: str) -> None:
    part = tmp_path / "d.data" / "train"
    part.mkdir(parents=True)
    form = {"dense": "DENSE", "sparse": "SPARSE", "tokens": "SPARSE"}.get(kind, "COMPRESSED")
    text = (OLD_METADATA % (5, form)).replace("matrix_spec {", "matrix_spec {\n  num_channels: 3")
    if kind == "tokens":
        text = text.replace("col_count: 4", "col_count: 1").replace("row_count: 2", "row_count: 1")
    if kind == "frames of any size":
        text = text.replace("col_count: 4", "col_count: -1").replace("row_count: 2", "row_count: -1")
    fixed = kind == "two frames"
    (part / "metadata.textproto").write_text(text + f"sequence_size: {2 if fixed else -1}\n")
    steps: dict[str, Lists] = {
        "dense": {"0_dense_input": [[float(i) for i in range(24)]]},
        "sparse": {"0_sparse_col_index": [[3.0]], "0_sparse_value": [[7.0]]},
        "tokens": {"0_sparse_channel_index": [[2.0]], "0_sparse_value": [[1.0]]},
    }
    with tf.io.TFRecordWriter(str(part / "sample")) as file:
        for i, length in enumerate((0, 2, 3 if fixed else 0, 0, 1)):
            if form != "COMPRESSED":
                file.write(hand_written([i % 3], i, {k: v * length for k, v in steps[kind].items()}))
                continue
            example = tf.train.SequenceExample()
            frames = example.feature_lists.feature_list["0_compressed"].feature
            for _ in range(length):
                frames.add().bytes_list.value.append(
                    tf.io.encode_png(np.full((2, 4, 3), i, np.uint8)).numpy()
                )
            file.write(example.SerializeToString())
    assert_same(part)
    opened = open_part(part)
    assert [len(features) for features, _ in opened] == ([2] * 5 if fixed else [0, 2, 0, 0, 1])
    for mine, theirs in zip(opened.batches_with_sizes(2), opened.tf(2, sizes=True), strict=True):
        same = [np.array_equal(np.asarray(one), other) for one, other in zip(mine, theirs, strict=True)]
        assert all(same)


def test_our_records_parse_with_the_bare_tensorflow_calls(tmp_path: Path) -> None:
    metadata = Metadata(n_examples=0, n_labels=3, rows=1, cols=2, sequence_size=-1)
    array = np.array([[1, 2], [3, 4]], np.float32).reshape(2, 1, 2, 1)
    path = write_dataset(tmp_path, "d", metadata, [NewExample(array, {2: 1.0, 0: 0.5})], [])
    (record,) = tf.data.TFRecordDataset(str(path / "train" / "sample-00000"))
    context, steps = tf.io.parse_single_sequence_example(
        record,
        context_features={
            "id": tf.io.FixedLenFeature([], tf.int64),
            "label_index": tf.io.VarLenFeature(tf.int64),
            "label_score": tf.io.VarLenFeature(tf.float32),
        },
        sequence_features={"0_dense_input": tf.io.FixedLenSequenceFeature([2], tf.float32)},
    )
    assert context["id"].numpy() == 0
    assert context["label_index"].values.numpy().tolist() == [0, 2]
    assert context["label_score"].values.numpy().tolist() == [0.5, 1.0]
    assert steps["0_dense_input"].numpy().tolist() == [[1, 2], [3, 4]]


# A dataset as the AutoDL challenge laid it out, written with TensorFlow alone: the older metadata without names,
# file names of its own, sparse features without a channel index.
OLD_METADATA = """is_sequence: false
sample_count: %d
output_dim: 3
matrix_spec {
  col_count: 4
  row_count: 2
  is_sequence_col: false
  is_sequence_row: false
  has_locality_col: true
  has_locality_row: true
  format: %s
}
"""


def hand_written(labels: list[int], identity: int, lists: Lists) -> bytes:
    def feature(key: str, step: list[float]) -> object:
        if key.endswith("index"):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(x) for x in step]))
        return tf.train.Feature(float_list=tf.train.FloatList(value=step))

    example = tf.train.SequenceExample(
        context=tf.train.Features(
            feature={
                "id": tf.train.Feature(int64_list=tf.train.Int64List(value=[identity])),
                "label_index": tf.train.Feature(int64_list=tf.train.Int64List(value=labels)),
                "label_score": tf.train.Feature(float_list=tf.train.FloatList(value=[1.0] * len(labels))),
            }
        ),
        feature_lists=tf.train.FeatureLists(
            feature_list={
                key: tf.train.FeatureList(feature=[feature(key, step) for step in steps])
                for key, steps in lists.items()
            }
        ),
    )
    return bytes(example.SerializeToString())


@pytest.mark.parametrize("form", ["DENSE", "SPARSE"])
def test_a_dataset_in_the_autodl_layout_loads_unchanged(tmp_path: Path, form: str) -> None:
    dense: Lists = {"0_dense_input": [[float(i) for i in range(8)]]}
    sparse: Lists = {
        "0_sparse_row_index": [[0, 1]],
        "0_sparse_col_index": [[3, 0]],
        "0_sparse_value": [[7.0, -1.0]],
    }
    lists = dense if form == "DENSE" else sparse
    for name, rows in (("train", [[0], [1, 2], []]), ("test", [[], []])):
        part = tmp_path / "mini" / "mini.data" / name
        part.mkdir(parents=True)
        (part / "metadata.textproto").write_text(OLD_METADATA % (len(rows), form))
        with tf.io.TFRecordWriter(str(part / f"sample-mini-{name}.tfrecord")) as file:
            for i, labels in enumerate(rows):
                file.write(hand_written(labels, i, lists))
    (tmp_path / "mini" / "mini.solution").write_text("1 0 0\n0 1 1\n")

    folder = open_dataset(tmp_path / "mini")
    assert (folder.name, folder.train.metadata.domain) == ("mini", "image")
    expected = np.arange(8) if form == "DENSE" else np.array([0, 0, 0, 7, -1, 0, 0, 0])
    examples = list(folder.train.records())
    assert [e.label.tolist() for e in examples] == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    assert [e.id for e in examples] == [0, 1, 2]
    assert all(np.array_equal(e.features, expected.reshape(1, 2, 4, 1)) for e in examples)
    assert read_solution(tmp_path / "mini" / "mini.solution").tolist() == [[1, 0, 0], [0, 1, 1]]
    for name in ("train", "test"):
        assert_same(tmp_path / "mini" / "mini.data" / name)


def test_several_files_of_any_name_and_tokens_with_all_four_lists_load_in_order(tmp_path: Path) -> None:
    """AutoDL's text: each step names row, column, channel and value of one word. Files are not numbered as ours are."""
    part = tmp_path / "text.data" / "train"
    part.mkdir(parents=True)
    text = (
        (OLD_METADATA % (6, "SPARSE"))
        .replace("col_count: 4", "col_count: 1")
        .replace("row_count: 2", "row_count: 1")
    )
    text = text.replace("format: SPARSE", "format: SPARSE\n  num_channels: 30000")
    (part / "metadata.textproto").write_text(text + "sequence_size: -1\n")
    (part / "notes.txt").write_text("no sample")
    for shard, name in enumerate(("sample-text-a.tfrecord", "sample-text-b.tfrecord", "sample_last")):
        with tf.io.TFRecordWriter(str(part / name)) as file:
            for i in range(2):
                words = [[float(w)] for w in (shard, 10 * i, 300, 29_999)[: 2 + i]]
                same: Lists = {f"0_sparse_{axis}_index": [[0.0]] * len(words) for axis in ("row", "col")}
                ones: Lists = {"0_sparse_value": [[1.0]] * len(words)}
                file.write(hand_written([i], 2 * shard + i, same | ones | {"0_sparse_channel_index": words}))
    found = list(open_part(part).records())
    assert [e.id for e in found] == list(range(6))
    assert [e.features.ravel().tolist() for e in found[2:4]] == [[1, 0], [1, 10, 300]]
    assert_same(part)


def test_images_that_tensorflow_wrote_load(tmp_path: Path) -> None:
    part = tmp_path / "image.data" / "train"
    part.mkdir(parents=True)
    text = (OLD_METADATA % (3, "COMPRESSED")).replace("col_count: 4", "col_count: -1")
    text = text.replace("row_count: 2", "row_count: -1").replace(
        "matrix_spec {", "matrix_spec {\n  num_channels: 3"
    )
    (part / "metadata.textproto").write_text(text)
    with tf.io.TFRecordWriter(str(part / "sample-image-00000-of-00001")) as file:
        for i in range(3):
            pixels = np.full((2 + i, 3, 3), 40 * i, np.uint8)
            example = tf.train.SequenceExample()
            example.context.feature["id"].int64_list.value.append(i)
            example.context.feature["label_index"].int64_list.value.append(i)
            step = example.feature_lists.feature_list["0_compressed"].feature.add()
            step.bytes_list.value.append(tf.io.encode_jpeg(pixels).numpy())
            file.write(example.SerializeToString())
    assert [features.shape for features, _ in open_part(part)] == [(1, 2 + i, 3, 3) for i in range(3)]
    assert [label.tolist() for _, label in open_part(part)] == np.eye(3).tolist()
    assert_same(part)


@pytest.mark.parametrize(
    ("left_out", "size"), [((), -1), (("row",), 1), (("col", "channel"), 3), (("row", "col", "channel"), -1)]
)
def test_sparse_records_that_leave_out_an_index_or_repeat_a_cell_are_read_alike(
    tmp_path: Path, left_out: tuple[str, ...], size: int
) -> None:
    """Some records have all lists, and some do not; a cell named twice has its last value; a step may be empty."""
    part = tmp_path / "mini.data" / "train"
    part.mkdir(parents=True)
    text = (OLD_METADATA % (6, "SPARSE")).replace("matrix_spec {", "matrix_spec {\n  num_channels: 2")
    (part / "metadata.textproto").write_text(text + f"sequence_size: {size}\n")
    with tf.io.TFRecordWriter(str(part / "sample")) as file:
        for i in range(6):
            steps: Lists = {
                "0_sparse_row_index": [[0, 1, 1, 1], [0], []],
                "0_sparse_col_index": [[3, 0, 2, 0], [i % 4], []],
                "0_sparse_channel_index": [[0, 1, 1, 1], [0], []],
                "0_sparse_value": [[7, -1, 2, 5 + i], [9], []],
            }
            for axis in left_out if i % 2 else ():
                del steps[f"0_sparse_{axis}_index"]
            file.write(hand_written([0], i, {key: found[: 1 + i % 3] for key, found in steps.items()}))
    assert_same(part)
    opened = open_part(part)
    for (ours, _), (theirs, _) in zip(opened.batches(4), opened.tf(4).as_numpy_iterator(), strict=True):
        assert np.array_equal(ours, theirs)
    first, _ = next(opened.examples())
    assert first[0, 1, 0, 1] == 5
