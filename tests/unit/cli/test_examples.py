"""The examples that need no framework, on every kind of data that they claim."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alcove_format.metadata import Format, Metadata
from alcove_format.reader import open_dataset
from alcove_format.solution import read_solution
from alcove_format.writer import NewExample, write_dataset
from alcove_ingestion.metadata import ModelMetadata
from alcove_scorer.metrics import find_metric
from alcove_toolkit.practice import PRACTICE, make_practice
from tests.unit.docs.pages import REPOSITORY


def load_model(example: str) -> Any:
    path = REPOSITORY / "examples" / "submissions" / example / "model.py"
    spec = importlib.util.spec_from_file_location(f"example_{example}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Model


def last_score(model_class: Any, data: Path) -> float:
    """Balanced accuracy of the last prediction; the loop is the runner's."""
    folder = open_dataset(data)
    model = model_class(ModelMetadata(folder.train, folder.test))
    prediction = None
    while not model.done_training:
        model.train(folder.train, remaining_time_budget=60.0)
        prediction = model.test(folder.test, remaining_time_budget=60.0)
    solution = read_solution(data.with_suffix(".solution"))
    assert prediction is not None
    assert prediction.shape == solution.shape
    assert np.isfinite(prediction).all()
    return find_metric("balanced_accuracy").score(solution.astype(np.bool_), prediction.astype(np.float32))


@pytest.mark.parametrize("name", [practice.name for practice in PRACTICE])
def test_the_numpy_model_learns_every_practice_dataset(tmp_path: Path, name: str) -> None:
    assert last_score(load_model("numpy"), make_practice(name, tmp_path, examples=600)) > 0.55


def test_it_takes_images_of_any_size_and_dense_text(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def image(label: int) -> NewExample:
        size = int(rng.integers(8, 40)), int(rng.integers(8, 40)), 3
        pixels = (128 * label + rng.integers(0, 100, size)).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return NewExample([buffer.getvalue()], {label: 1.0})

    images = Metadata(n_examples=0, n_labels=2, rows=-1, cols=-1, channels=3, format=Format.COMPRESSED)
    made = write_dataset(
        tmp_path, "images", images, [image(i % 2) for i in range(60)], [image(i % 2) for i in range(20)]
    )
    assert last_score(load_model("numpy"), made) > 0.9

    def sentence(label: int) -> NewExample:
        words = rng.integers(0, 5, int(rng.integers(1, 20))) + 5 * label
        return NewExample(words.reshape(-1, 1, 1, 1), {label: 1.0})

    text = Metadata(
        n_examples=0, n_labels=2, rows=1, cols=1, sequence_size=-1,
        channel_names={f"word {i}": i for i in range(10)},
    )  # fmt: skip
    made = write_dataset(
        tmp_path, "text", text, [sentence(i % 2) for i in range(60)], [sentence(i % 2) for i in range(20)]
    )
    assert open_dataset(made).train.metadata.domain == "text"
    assert last_score(load_model("numpy"), made) > 0.9
