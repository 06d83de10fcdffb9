"""What an organizer might have lying about: a table, pictures, recordings, clips, texts, series, a dataset of AutoDL's.

Each has two labels that a learner can tell apart. Sizes are small: what is tried is the way, not the load.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile
import tensorflow as tf
from numpy.random import Generator
from PIL import Image


def make_all(folder: Path) -> None:
    """Writes each source under the name that docs/organizer.md gives to its like."""
    random = np.random.default_rng(7)
    table(folder / "people.csv", random)
    pictures(folder / "photos", random)
    recordings(folder / "recordings", random)
    clips(folder / "clips", random)
    texts(folder / "reviews.txt", random)
    series(folder / "gestures.npz", random)


def table(path: Path, random: Generator) -> None:
    """Numbers, a category, a date and gaps; the label depends on two columns, and now and then on chance."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["age", "city", "joined", "income", "label"])
        for _ in range(240):
            age, income = random.integers(18, 80), random.normal(30, 8)
            rich = income + age / 4 + random.normal(0, 2) > 42
            label = "yes" if rich ^ (random.random() < 0.05) else "no"
            city, joined = (
                random.choice(["Łódź", "Oslo", "Rome"]),
                f"20{random.integers(10, 25)}-0{random.integers(1, 9)}-11",
            )
            rows.writerow([age, city, joined, "" if random.random() < 0.1 else f"{income:.2f}", label])


def pictures(folder: Path, random: Generator) -> None:
    """A bright square somewhere in noise, or none."""
    for label, number in _each(folder, ("square", "plain"), 70):
        pixels = random.integers(0, 120, (16, 16, 3), dtype=np.uint8)
        if label == "square":
            y, x = random.integers(0, 8, 2)
            pixels[y : y + 8, x : x + 8] += 130
        Image.fromarray(pixels).save(folder / label / f"{number:03d}.png")


def recordings(folder: Path, random: Generator) -> None:
    """A low or a high note, of any loudness and phase."""
    for label, number in _each(folder, ("low", "high"), 70):
        t = np.arange(800) / 4000
        pitch = random.normal(220 if label == "low" else 660, 20)
        note = random.uniform(0.3, 0.8) * np.sin(2 * np.pi * (pitch * t + random.random()))
        soundfile.write(folder / label / f"{number:03d}.wav", note + random.normal(0, 0.02, 800), 4000)


def clips(folder: Path, random: Generator) -> None:
    """A light patch that stays at the top, or at the bottom, and wanders sideways."""
    for label, number in _each(folder, ("top", "bottom"), 40):
        with av.open(str(folder / label / f"{number:03d}.mp4"), "w") as file:
            stream = file.add_stream("mpeg4", rate=Fraction(5))
            stream.width = stream.height = 32
            stream.pix_fmt = "yuv420p"
            left = int(random.integers(0, 12))
            for step in range(6):
                pixels = random.integers(0, 60, (32, 32, 3), dtype=np.uint8)
                top = 2 if label == "top" else 18
                pixels[top : top + 12, left + step : left + step + 12] += 150
                file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
            file.mux(stream.encode())


def texts(path: Path, random: Generator) -> None:
    """One text a line, its label before it. No word gives the label away alone."""
    words = {
        "good": ["fine", "lovely", "superb", "charming", "clever", "warm", "bright", "funny"],
        "bad": ["dull", "dreadful", "weak", "tired", "cold", "clumsy", "grey", "slow"],
    }
    neutral = [f"word{number}" for number in range(40)]
    with path.open("w", encoding="utf-8") as file:
        for number in range(240):
            label = ("good", "bad")[number % 2]
            chosen = [
                *random.choice(words[label], 4),
                *random.choice(neutral, 8),
                random.choice(words[("good", "bad")[random.integers(2)]]),
            ]
            random.shuffle(chosen)
            file.write(f"{label}\t{' '.join(chosen)}\n")


def series(path: Path, random: Generator) -> None:
    """Three channels over 24 steps: going round, or to and fro."""
    t = np.linspace(0, 2 * np.pi, 24)
    labels = np.array(["round", "straight"])[np.arange(140) % 2]
    moves = [
        np.stack(
            [np.sin(t + turn), np.cos(t + turn) if label == "round" else np.sin(t + turn), 0 * t], axis=1
        )
        for label, turn in zip(labels, random.uniform(0, 6, 140), strict=True)
    ]
    np.savez(path, X=np.array(moves) + random.normal(0, 0.1, (140, 24, 3)), y=labels)


def autodl(folder: Path) -> Path:
    """A dataset in the layout of the AutoDL challenge, written with TensorFlow and by hand; returns ``NAME.data``."""
    random = np.random.default_rng(8)
    data = folder / "letters.data"
    rows = []
    for part, count, first in (("train", 120, 0), ("test", 60, 120)):
        (data / part).mkdir(parents=True)
        (data / part / "metadata.textproto").write_text(METADATA.format(count=count))
        with tf.io.TFRecordWriter(str(data / part / f"sample-letters-{part}.tfrecord")) as file:
            for number in range(count):
                features = random.normal(0, 1, 6)
                labels = [i for i in range(3) if features[2 * i] + 0.3 * random.normal() > 0]
                file.write(_record(first + number, features.tolist(), labels if part == "train" else []))
                if part == "test":
                    rows.append(" ".join(str(int(i in labels)) for i in range(3)))
    data.with_suffix(".solution").write_text("\n".join(rows) + "\n")
    return data


METADATA = """is_sequence: false
sample_count: {count}
sequence_size: 1
output_dim: 3
matrix_spec {{
  col_count: 6
  row_count: 1
  is_sequence_col: false
  is_sequence_row: false
  has_locality_col: false
  has_locality_row: false
  format: DENSE
  num_channels: 1
}}
label_to_index_map {{
  key: "a"
  value: 0
}}
label_to_index_map {{
  key: "b"
  value: 1
}}
label_to_index_map {{
  key: "c"
  value: 2
}}
"""


def _record(number: int, features: list[float], labels: list[int]) -> bytes:
    def whole(values: list[int]) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def real(values: list[float]) -> tf.train.Feature:
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    context = {"id": whole([number]), "label_index": whole(labels), "label_score": real([1.0] * len(labels))}
    lists = {"0_dense_input": tf.train.FeatureList(feature=[real(features)])}
    return bytes(
        tf.train.SequenceExample(
            context=tf.train.Features(feature=context),
            feature_lists=tf.train.FeatureLists(feature_list=lists),
        ).SerializeToString()
    )


def _each(folder: Path, labels: tuple[str, str], count: int) -> Iterator[tuple[str, int]]:
    for label in labels:
        (folder / label).mkdir(parents=True)
    for number in range(count):
        for label in labels:
            yield label, number
