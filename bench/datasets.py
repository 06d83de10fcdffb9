"""Speed of reading and staging datasets, each beside what it is measured against in the same run.

    python -m bench.datasets [--quick] [--only table,series,…]

Each figure is the least of several times, ours and the baseline's in turn. The row of staging needs the pinned MinIO
(built on first use by tests/cluster).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import tensorflow as tf
from PIL import Image

from alcove_api import keys
from alcove_api.documents import StoreCredentials
from alcove_api.run_documents import RunConfig
from alcove_format.metadata import VARIES, Format, Metadata
from alcove_format.reader import Part, open_dataset
from alcove_format.writer import NewExample, write_dataset
from alcove_toolkit.publish import publish
from bench.reading import (
    BATCH,
    CHECKED,
    exhaust,
    is_sparse_row,
    least,
    measured,
    processor_time,
    processor_time_of,
    reading_rows,
    row,
)
from tests.cluster.minio import minio_server

EAGER = 500
"""Examples that are read so: it takes very long."""
TABLE = Metadata(n_examples=0, n_labels=4, rows=1, cols=30)
KINDS = {
    "table": (TABLE, 100_000),
    "series": (replace(TABLE, cols=3, sequence_size=VARIES), 20_000),
    "dense 28×28": (replace(TABLE, rows=28, cols=28), 20_000),
    "tokens": (
        replace(TABLE, cols=1, channels=20_000, sequence_size=VARIES, format=Format.SPARSE),
        30_000,
    ),
    "sparse row": (replace(TABLE, cols=10_000, format=Format.SPARSE), 50_000),
    "image": (replace(TABLE, rows=64, cols=64, channels=3, format=Format.COMPRESSED), 4_000),
}


def examples(kind: str, metadata: Metadata, count: int) -> Iterator[NewExample]:
    random = np.random.default_rng(0)
    for i in range(count):
        labels = {i % metadata.n_labels: 1.0}
        if kind == "image":
            small = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            file = io.BytesIO()
            small.resize((64, 64)).save(file, "PNG")
            yield NewExample([file.getvalue()], labels)
            continue
        steps = 200 + i % 50 if kind == "series" else 50 + i % 100 if kind == "tokens" else 1
        array = random.random((steps, *metadata.shape[1:]), dtype=np.float32)
        if kind == "tokens":
            array = np.floor(array * metadata.channels)
        if kind == "sparse row":
            array[array < 0.99] = 0
        yield NewExample(array, labels)


@dataclass(frozen=True)
class Bare:
    """What a user of TensorFlow writes by hand, for this one dataset."""

    part: Part
    all_lists: bool = False
    """Of sparse rows, also the row and channel indices, which are all 0 here, but which a reader cannot know."""

    @property
    def _axes(self) -> slice:
        return slice(0, 3) if self.all_lists else slice(1, 2)

    def eager(self, count: int) -> None:
        """One record at a time, as in a notebook."""
        parse = self._parse_single()
        for data in tf.data.TFRecordDataset([str(path) for path in self.part.files]).take(count):
            parse(data)

    def batched(self) -> Any:
        records = tf.data.TFRecordDataset([str(path) for path in self.part.files]).batch(BATCH)
        return records.map(self._parse_batch(), num_parallel_calls=tf.data.AUTOTUNE).prefetch(
            tf.data.AUTOTUNE
        )

    def _features(self) -> tuple[dict[str, Any], dict[str, Any]]:
        context = {
            "label_index": tf.io.VarLenFeature(tf.int64),
            "label_score": tf.io.VarLenFeature(tf.float32),
        }
        metadata = self.part.metadata
        if metadata.format is Format.DENSE:
            size = metadata.rows * metadata.cols
            return context, {"0_dense_input": tf.io.FixedLenSequenceFeature([size], tf.float32)}
        if metadata.format is Format.COMPRESSED:
            return context, {"0_compressed": tf.io.FixedLenSequenceFeature([], tf.string)}
        if metadata.is_token_sequence:
            return context, {"0_sparse_channel_index": tf.io.VarLenFeature(tf.int64)}
        axes = ("row", "col", "channel")[self._axes]
        indices = {f"0_sparse_{axis}_index": tf.io.VarLenFeature(tf.int64) for axis in axes}
        return context, indices | {"0_sparse_value": tf.io.VarLenFeature(tf.float32)}

    def _finish(self, steps: dict[str, Any]) -> Any:
        """The same decoding, and the same dense rows, as ours has to do."""
        if self.part.metadata.format is Format.COMPRESSED:
            flat = tf.reshape(steps["0_compressed"], [-1])
            return tf.map_fn(
                lambda data: tf.image.convert_image_dtype(tf.io.decode_png(data, channels=3), tf.float32),
                flat,
                fn_output_signature=tf.float32,
            )
        if is_sparse_row(self.part.metadata):
            values = steps["0_sparse_value"]
            given = [steps[f"0_sparse_{axis}_index"].values for axis in ("row", "col", "channel")[self._axes]]
            where = tf.stack([values.indices[:, 0], *given], axis=1)
            sizes = tf.constant(self.part.metadata.shape[1:][self._axes], tf.int64)
            return tf.scatter_nd(where, values.values, tf.concat([values.dense_shape[:1], sizes], axis=0))
        return steps

    def _parse_single(self) -> Callable[[Any], Any]:
        context, sequence = self._features()

        def parse(data: Any) -> Any:
            found, steps = tf.io.parse_single_sequence_example(data, context, sequence)
            return found, self._finish(steps)

        return parse

    def _parse_batch(self) -> Callable[[Any], Any]:
        context, sequence = self._features()

        def parse(data: Any) -> Any:
            found, steps, _ = tf.io.parse_sequence_example(data, context, sequence)
            return found, self._finish(steps)

        return parse


def reading(kind: str, part: Part, repeats: int) -> None:
    image = kind == "image"
    bare = Bare(part)
    sparse = is_sparse_row(part.metadata)
    size = sum(path.stat().st_size for path in part.files)
    name = f"{kind}, {len(part):,} examples, {size / 1e6:.0f} MB"
    # As most have it, who need no TensorFlow: what memory costs differs with what a process has loaded.
    alone = subprocess.run(
        [sys.executable, "-m", "bench.reading", str(part.files[0].parents[1]), str(repeats)],
        check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    found = json.loads(alone.stdout)
    reading_rows(name, kind, part.metadata, found)
    if not image:
        loaded = measured(part, repeats)
        row(f"(where TensorFlow is loaded, {kind})", loaded["numpy"], loaded["bytes"], CHECKED, "–")
    # Built once, as a program does, and gone through many times.
    ours, theirs, whole = part.tf(BATCH), bare.batched(), Bare(part, all_lists=True).batched()
    pipelines = {"tf": lambda: exhaust(ours), "bare": lambda: exhaust(theirs)}
    if sparse:
        pipelines["whole"] = lambda: exhaust(whole)
    found |= least(pipelines, repeats)
    some = min(EAGER, len(part))
    eager = least({"eager": lambda: bare.eager(some)}, 1)["eager"] * len(part) / some
    row(f"NumPy, {kind}", found["numpy"], eager, f"TensorFlow eagerly, by {some} examples", "< 1")
    tf_row = f"tf.data in batches of {BATCH}, {kind}"
    by_hand = "bare TFRecordDataset + parse_sequence_example"
    if sparse:
        row(tf_row, found["tf"], found["bare"], f"{by_hand} of columns and values + scatter_nd", "–")
        row(tf_row, found["tf"], found["whole"], f"{by_hand} of all four lists + scatter_nd", "≤ 1.11")
    else:
        row(tf_row, found["tf"], found["bare"], by_hand + (" + decoding" if image else ""), "≤ 1.11")


FETCH = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from minio import Minio
endpoint, access, secret, *keys = sys.argv[1:]
store = Minio(endpoint=endpoint, access_key=access, secret_key=secret, secure=False, region="us-east-1")
def fetch(key):
    response = store.get_object("alcove", key)
    for piece in response.stream(1 << 20):
        pass
    response.close(); response.release_conn()
with ThreadPoolExecutor(4) as pool:
    list(pool.map(fetch, keys))
"""
STAGE = """
import os
from alcove_recorder.settings import from_environment
from alcove_recorder.staging import stage_run
settings = from_environment(os.environ)
stage_run(settings, settings.staging)
"""


def staging(folder: Path, megabytes: int, repeats: int) -> None:
    """What the recorder does before the go, in a process of its own, beside one that fetches the same objects."""
    random = np.random.default_rng(1)
    metadata = replace(TABLE, rows=512, cols=512)
    pictures = (
        NewExample(random.random((1, 512, 512, 1), dtype=np.float32), {i % 4: 1.0}) for i in range(megabytes)
    )
    path = write_dataset(folder, "staged", metadata, pictures, [NewExample(np.zeros((1, 512, 512, 1)))])
    with minio_server(lambda _: None) as server:
        from minio.credentials import StaticProvider

        from alcove_store import client as store_client

        client = store_client.client(
            server.url, "us-east-1", StaticProvider(server.access_key, server.secret_key)
        )
        for bucket in (keys.MAIN_BUCKET, keys.SOLUTIONS_BUCKET):
            client.make_bucket(bucket)
        digest, _, manifest = publish(path, path.with_suffix(".solution"), client)
        objects = [keys.dataset_file(digest, entry.path) for entry in manifest.files]
        bare = [sys.executable, "-c", FETCH, server.endpoint, server.access_key, server.secret_key, *objects]
        credentials = folder / "stage.json"
        credentials.write_bytes(
            StoreCredentials(access_key=server.access_key, secret_key=server.secret_key).canonical()
        )
        run = RunConfig(
            submission_uid="u", alias="a", attempt=1, data_sha256=digest, code_sha256=None, budget_ns=1, n_test=1,
            n_labels=4,
        )  # fmt: skip
        on_volume = run.model_copy(update={"data_sha256": None})
        root = folder / "root"
        (root / "run").mkdir(parents=True)
        environment = os.environ | {
            "ALCOVE_ROOT": str(root), "ALCOVE_STORE_ENDPOINT": server.url,
            "ALCOVE_STORE_REGION": "us-east-1", "ALCOVE_STORE_BUCKET": keys.MAIN_BUCKET,
            "ALCOVE_STAGE_CREDENTIALS": str(credentials), "ALCOVE_POD_UID": "p",
        }  # fmt: skip

        def stage(run: RunConfig) -> None:
            subprocess.run(["rm", "-rf", str(root / "data")], check=True)
            command = [sys.executable, "-I", "-c", STAGE]
            told = environment | {"ALCOVE_RUN": run.model_dump_json()}
            subprocess.run(command, env=told, check=True, stdout=subprocess.DEVNULL)

        actions = {
            "stage": lambda: stage(run),
            "volume": lambda: stage(on_volume),
            "fetch": lambda: subprocess.run(bare, check=True),
            "hash": lambda: [hashlib.sha256((path / e.path).read_bytes()) for e in manifest.files],
        }
        found, spent = least(actions, repeats), least(actions, repeats, processor_time)
        store = server.pid
        both = {"stage": actions["stage"]}
        of_all = least(both, repeats, lambda: processor_time() + processor_time_of(store))["stage"]
    size = sum(entry.bytes for entry in manifest.files) / 1e6
    what = f"stage, {len(manifest.files)} files, {size:.0f} MB"
    row(
        what,
        found["stage"],
        found["fetch"],
        "a program that fetches the same objects and drops them",
        "near 1",
    )
    row(
        "stage, processor time",
        spent["stage"],
        spent["fetch"] + spent["hash"],
        "fetching alone and hashing alone, added up",
        "near 1",
    )
    row("stage", found["stage"], found["hash"], "hashing the same bytes from the page cache, one thread", "–")
    cores = os.cpu_count() or 1
    row(
        "stage",
        found["stage"],
        of_all / cores,
        f"processor time of it and the store, on {cores} cores",
        "near 1",
    )
    row("stage, the dataset on a volume", found["volume"], found["fetch"], "fetching all the same", "nothing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the examples")
    parser.add_argument("--only", default=",".join([*KINDS, "stage"]), help="kinds, with commas between")
    parser.add_argument("--megabytes", type=int, default=512, help="of the dataset that is staged")
    arguments = parser.parse_args()
    print(json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), "cores": os.cpu_count(),
                      "machine": platform.machine(), "python": platform.python_version(),
                      "numpy": np.__version__, "tensorflow": tf.__version__}))  # fmt: skip
    print("\n| figure | Alcove | baseline | ratio | the baseline | goal |\n|---|---|---|---|---|---|")
    repeats = 3 if arguments.quick else 7
    with tempfile.TemporaryDirectory() as name:
        for kind in arguments.only.split(","):
            if kind == "stage":
                staging(Path(name), arguments.megabytes // (8 if arguments.quick else 1), repeats)
                continue
            metadata, count = KINDS[kind]
            count = count // 10 if arguments.quick else count
            path = write_dataset(
                Path(name),
                kind.replace(" ", "-"),
                metadata,
                examples(kind, metadata, count),
                examples(kind, metadata, 1),
            )
            reading(kind, open_dataset(path).train, repeats)


if __name__ == "__main__":
    main()
