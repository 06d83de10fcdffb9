"""Any classifier of scikit-learn's interface predicts early, then better, on data of every format."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from alcove_baselines import AnytimeClassifier, anytime
from alcove_baselines.labels import weigh_against_rates
from alcove_format.metadata import Format, Metadata
from alcove_format.reader import Part, open_dataset
from alcove_format.solution import read_solution
from alcove_format.writer import NewExample, write_dataset
from alcove_ingestion.metadata import ModelMetadata
from alcove_scorer.metric_registry import find_metric

BOOSTING = HistGradientBoostingClassifier(
    max_iter=8, max_leaf_nodes=4, min_samples_leaf=5, early_stopping=False
)
CLASSIFIERS = {
    "predict_proba": LogisticRegression(),
    "decision_function": LinearSVC(),
    "decision_function, many labels at once": RidgeClassifier(),
    "partial_fit": SGDClassifier(random_state=0),
    "partial_fit, dense alone": GaussianNB(),
    "many labels at once": ExtraTreesClassifier(20, random_state=0),
    "many labels at once, in one array": KNeighborsClassifier(),
    "dense alone": BOOSTING,
}
TABLE = Metadata(n_examples=0, n_labels=3, rows=1, cols=6)
SPARSE = Metadata(n_examples=0, n_labels=3, rows=1, cols=30_000, format=Format.SPARSE)
IMAGES = Metadata(n_examples=0, n_labels=2, rows=-1, cols=-1, channels=3, format=Format.COMPRESSED)
SERIES = Metadata(n_examples=0, n_labels=2, rows=1, cols=2, sequence_size=-1, is_sequence=True)
WORDS = Metadata(
    n_examples=0, n_labels=2, rows=1, cols=1, sequence_size=-1, channel_names={f"w{i}": i for i in range(10)}
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that outnumber the free cores wait for each other."""
    with threadpool_limits(1):
        yield


def table(rng: np.random.Generator, *labels: int) -> NewExample:
    features = rng.normal(size=6)
    features[list(labels)] += 4
    return NewExample(features.reshape(1, 1, 6, 1), dict.fromkeys(labels, 1.0))


def two_labels(rng: np.random.Generator, label: int) -> NewExample:
    """The label, and half of the time a second."""
    return table(rng, label, (label + 1) % 3) if rng.random() < 0.5 else table(rng, label)


def sparse(rng: np.random.Generator, label: int) -> NewExample:
    features = np.zeros((1, 1, 30_000, 1))
    features[0, 0, rng.integers(0, 30_000, 20), 0] = 1
    features[0, 0, 10_000 * label + rng.integers(0, 5, 3), 0] = 2
    return NewExample(features, {label: 1.0})


def image(rng: np.random.Generator, label: int) -> NewExample:
    size = int(rng.integers(8, 60)), int(rng.integers(8, 60)), 3
    pixels = (128 * label + rng.integers(0, 100, size)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return NewExample([buffer.getvalue()], {label: 1.0})


def series(rng: np.random.Generator, label: int) -> NewExample:
    steps = np.arange(int(rng.integers(0, 90)))[:, None] + rng.uniform(0, 6, 2)
    wave = np.sin(steps * (0.3 + 0.6 * label)) + rng.normal(scale=0.1, size=steps.shape)
    return NewExample(wave.reshape(-1, 1, 2, 1), {label: 1.0})


def sentence(rng: np.random.Generator, label: int) -> NewExample:
    words = rng.integers(0, 5, int(rng.integers(1, 20))) + 5 * label
    return NewExample(words.reshape(-1, 1, 1, 1), {label: 1.0})


def make(folder: Path, metadata: Metadata, draw: Any, count: int = 240, order: Any = None) -> Path:
    """``count`` training examples and half as many for test. ``order``: label of the i-th."""
    rng = np.random.default_rng(0)
    label_of = order or (lambda i: i % metadata.n_labels)
    train = [draw(rng, label_of(i)) for i in range(count)]
    test = [draw(rng, i % metadata.n_labels) for i in range(count // 2)]
    return write_dataset(folder, "made", metadata, train, test)


def run(data: Path, classifier: Any, **options: Any) -> Iterator[tuple[float, int]]:
    """Of each prediction its balanced accuracy, and how many training examples had been read by then."""
    folder = open_dataset(data)
    solution = read_solution(data.with_suffix(".solution")).astype(np.bool_)
    counting = _Counting(folder.train)
    model = AnytimeClassifier(ModelMetadata(folder.train, folder.test), classifier, **options)
    while not model.done_training:
        model.train(counting, remaining_time_budget=60.0)
        prediction = model.test(folder.test, remaining_time_budget=60.0)
        assert prediction.shape == solution.shape
        assert np.isfinite(prediction).all()
        assert prediction.min() >= 0
        assert prediction.max() <= 1
        yield find_metric("balanced_accuracy").score(solution, prediction.astype(np.float32)), counting.read


class _Counting:
    def __init__(self, part: Part) -> None:
        self._part, self.read = part, 0

    def __iter__(self) -> Iterator[Any]:
        for pair in self._part:
            self.read += 1
            yield pair


@pytest.mark.parametrize("kind", CLASSIFIERS)
@pytest.mark.parametrize(
    ("metadata", "draw"),
    [(TABLE, table), (TABLE, two_labels), (SPARSE, sparse)],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_every_sort_of_classifier_learns_tables_dense_and_sparse(
    tmp_path: Path, kind: str, metadata: Metadata, draw: Any
) -> None:
    scores = list(run(make(tmp_path, metadata, draw), CLASSIFIERS[kind], first=60))
    assert scores[-1][0] > 0.7


@pytest.mark.parametrize(
    ("metadata", "draw"),
    [(IMAGES, image), (SERIES, series), (WORDS, sentence)],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_examples_of_any_size_become_vectors_of_one_length(
    tmp_path: Path, metadata: Metadata, draw: Any
) -> None:
    data = make(tmp_path, metadata, draw, 120)
    assert list(run(data, LogisticRegression(max_iter=200)))[-1][0] > 0.9


def test_the_first_prediction_reads_few_examples_and_each_round_four_times_as_many(tmp_path: Path) -> None:
    data = make(tmp_path, TABLE, table, 500)
    assert [read for _, read in run(data, LogisticRegression(), first=20)] == [20, 80, 320, 500]


def test_a_setting_grows_once_all_examples_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = []
    fit = ExtraTreesClassifier.fit

    def note(self: Any, x: Any, y: Any) -> Any:
        fitted.append((len(y), self.n_estimators))
        return fit(self, x, y)

    monkeypatch.setattr(ExtraTreesClassifier, "fit", note)
    list(run(make(tmp_path, TABLE, table, 100), ExtraTreesClassifier(2), first=50, grows="n_estimators"))
    assert fitted == [(50, 2), (100, 2), (100, 4), (100, 8), (100, 16), (100, 32), (100, 64)]


def test_partial_fit_sees_new_examples_once_and_then_all_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    learn = GaussianNB.partial_fit

    def note(self: Any, x: Any, y: Any, classes: Any) -> Any:
        seen.append(len(y))
        return learn(self, x, y, classes)

    monkeypatch.setattr(GaussianNB, "partial_fit", note)
    list(run(make(tmp_path, TABLE, table, 100), GaussianNB(), first=20))
    assert seen == [20, 60, 20, *[100] * anytime.PASSES]


@pytest.mark.parametrize("classifier", [LogisticRegression(), SGDClassifier(random_state=0), BOOSTING])
def test_a_first_round_of_one_class_alone_is_survived(tmp_path: Path, classifier: Any) -> None:
    data = make(tmp_path, TABLE, table, 300, order=lambda i: i // 100)
    scores = [score for score, _ in run(data, classifier, first=20)]
    assert scores[0] == pytest.approx(0.5, abs=0.1)
    assert scores[-1] > 0.8


def test_it_ends_where_a_further_round_would_not_be_over_in_time(tmp_path: Path) -> None:
    folder = open_dataset(make(tmp_path, TABLE, table, 100))
    model = AnytimeClassifier(ModelMetadata(folder.train, folder.test), LogisticRegression(), first=20)
    model.train(folder.train, remaining_time_budget=1e-9)
    assert model.test(folder.test, remaining_time_budget=1e-9) is not None
    assert model.done_training


def test_what_does_not_fit_into_memory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anytime, "BYTES_AT_MOST", 50 * 6 * 4)
    data = make(tmp_path, TABLE, table, 500)
    assert max(read for _, read in run(data, LogisticRegression(), first=20)) == pytest.approx(50, abs=2)


def test_two_runs_predict_the_same(tmp_path: Path) -> None:
    data = make(tmp_path, TABLE, two_labels, 300)
    first, second = (list(run(data, SGDClassifier(random_state=0), first=20)) for _ in range(2))
    assert first == second


@given(st.floats(0, 1), st.floats(0.01, 0.99))
def test_a_half_is_where_a_label_is_as_likely_as_on_average(p: float, rate: float) -> None:
    weighed = weigh_against_rates(np.array([[p]]), np.array([rate]))[0, 0]
    assert 0 <= weighed <= 1
    if abs(p - rate) > 1e-6:
        assert (weighed > 0.5) == (p > rate)
