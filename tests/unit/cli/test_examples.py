"""The examples, on every kind of data that they claim; the one in PyTorch is run in the environment of its image."""

from __future__ import annotations

import importlib.util
import io
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import Ridge, SGDRegressor
from threadpoolctl import threadpool_limits

from alcove_api.frameworks import Framework
from alcove_baselines import AnytimeRegressor
from alcove_format.metadata import Format, Metadata
from alcove_format.reader import open_dataset
from alcove_format.solution import read_solution, read_targets
from alcove_format.writer import NewExample, write_dataset
from alcove_ingestion.frameworks import open_feed
from alcove_ingestion.metadata import ModelMetadata
from alcove_scorer.metric_registry import find_metric
from alcove_toolkit.practice import PRACTICE, REGRESSIONS, make_practice
from tests.unit.docs.pages import REPOSITORY


def load_model(example: str) -> Any:
    path = REPOSITORY / "examples" / "submissions" / example / "model.py"
    spec = importlib.util.spec_from_file_location(f"example_{example}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Model


def predict_last(model_class: Any, data: Path, most: int) -> Any:
    """The last prediction, or the ``most``-th; the loop is the runner's."""
    folder = open_dataset(data)
    framework: Framework = getattr(model_class, "framework", "numpy")
    train, test = (open_feed(part, framework) for part in (folder.train, folder.test))
    model = model_class(ModelMetadata(folder.train, folder.test))
    prediction = None
    while not model.done_training and most:
        most -= 1
        model.train(train, remaining_time_budget=60.0)
        prediction = model.test(test, remaining_time_budget=60.0)
    return prediction


def last_score(model_class: Any, data: Path, most: int = 100) -> float:
    """Balanced accuracy of the last prediction, or of the ``most``-th."""
    prediction = predict_last(model_class, data, most)
    solution = read_solution(data.with_suffix(".solution"))
    assert prediction is not None
    assert prediction.shape == solution.shape
    assert np.isfinite(prediction).all()
    return find_metric("balanced_accuracy").score(solution.astype(np.bool_), prediction.astype(np.float32))


@pytest.fixture(scope="module")
def practice_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("practice")
    return {practice.name: make_practice(practice.name, folder, examples=600) for practice in PRACTICE}


NAMES = [practice.name for practice in PRACTICE]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("example", ["sklearn", "boosting"])
def test_those_of_scikit_learn_learn_every_practice_dataset(
    practice_data: dict[str, Path], example: str, name: str
) -> None:
    """In two rounds: how it goes on is told by the tests of what they stand on."""
    with threadpool_limits(1):  # Threads that outnumber the free cores wait for each other.
        assert last_score(load_model(example), practice_data[name], most=2) > 0.55


def test_the_model_of_the_readme_learns(practice_data: dict[str, Path]) -> None:
    readme = (REPOSITORY / "examples" / "submissions" / "README.md").read_text()
    (code,) = re.findall(r"```python\n(from alcove_baselines .*?)```", readme, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert last_score(names["Model"], practice_data["digits"], most=3) > 0.8


@pytest.mark.parametrize("name", NAMES)
def test_the_majority_is_worth_nothing(practice_data: dict[str, Path], name: str) -> None:
    assert last_score(load_model("majority"), practice_data[name]) == pytest.approx(0.5)


@pytest.mark.parametrize("name", NAMES)
def test_chance_is_worth_nothing(
    practice_data: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model("chance")
    monkeypatch.setattr(model, "pause", 0.0)
    assert last_score(model, practice_data[name]) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_the_numpy_model_learns_every_practice_dataset(practice_data: dict[str, Path], name: str) -> None:
    assert last_score(load_model("numpy"), practice_data[name]) > 0.55


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="TensorFlow is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_the_tensorflow_model_learns_every_practice_dataset(
    practice_data: dict[str, Path], name: str
) -> None:
    # A round takes as many steps as its time allows, which on a busy machine are few.
    assert last_score(load_model("tensorflow"), practice_data[name], most=4) > 0.55


def score_numbers(model_class: Any, data: Path, most: int) -> float:
    """R² of the ``most``-th prediction, or of the last."""
    prediction = predict_last(model_class, data, most)
    return find_metric("r2").score(read_targets(data.with_suffix(".solution")), np.asarray(prediction))


def test_numbers_are_predicted_early_and_then_better(tmp_path: Path) -> None:
    (practice,) = REGRESSIONS
    data = make_practice(practice.name, tmp_path, examples=1000)
    with threadpool_limits(1):
        first, third = (score_numbers(load_model("regression"), data, most) for most in (1, 3))
    assert 0.1 < first < third
    assert third > 0.7
    assert score_numbers(load_model("majority"), data, 1) == pytest.approx(0.0, abs=0.05)


def test_several_numbers_have_a_regressor_each(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 3))
    examples = [NewExample(row.reshape(1, 1, -1, 1), {0: 1000 + row[0], 1: -5 * row[1]}) for row in rows]
    metadata = Metadata(n_examples=0, n_labels=2, rows=1, cols=3, stated_task="regression")
    data = write_dataset(tmp_path, "two", metadata, examples[:200], examples[200:])

    def model(metadata: ModelMetadata) -> AnytimeRegressor:
        return AnytimeRegressor(metadata, Ridge(alpha=1e-3))

    assert score_numbers(model, data, 9) > 0.999
    with pytest.raises(TypeError, match="SGDRegressor learns with partial_fit"):
        AnytimeRegressor(ModelMetadata(open_dataset(data).train, open_dataset(data).test), SGDRegressor())


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
