"""Sources whose label columns hold numbers: to be predicted, or classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from alcove_format.reader import open_dataset
from alcove_format.solution import read_targets
from alcove_toolkit.check import check_dataset
from alcove_toolkit.convert.base import ConvertOptions
from alcove_toolkit.convert.choices import Kind
from alcove_toolkit.convert.run import Converted, convert
from alcove_toolkit.convert.split import SplitRequest
from alcove_toolkit.errors import SourceError

ROWS = 200


def made(
    source: Path,
    request: SplitRequest | None = None,
    kind: Kind = "tabular",
    *,
    labels: str | None = None,
    regression: bool | None = None,
    multi_label: bool = False,
) -> Converted:
    options = ConvertOptions(labels=labels, regression=regression, multi_label=multi_label)
    return convert(kind, source, source.parent / "out", "d", options=options, request=request)


def table(folder: Path, label: Sequence[object], name: str = "price", more: str = "") -> Path:
    """A row an example: its number, in ``id_of``, and ``label``."""
    path = folder / "houses.csv"
    rows = [f"{i * 0.5},{cell}{more}" for i, cell in enumerate(label)]
    path.write_text("\n".join([f"area,{name}{',rooms' if more else ''}", *rows]) + "\n")
    return path


def prices() -> list[float]:
    return [round(float(price), 2) for price in np.random.default_rng(0).lognormal(5, 1, ROWS)]


def test_numbers_are_predicted_and_none_of_test_is_in_train(tmp_path: Path) -> None:
    told = dict(zip((i * 0.5 for i in range(ROWS)), prices(), strict=True))
    done = made(table(tmp_path, prices()), labels="price", regression=True)
    folder, truth = open_dataset(done.path), read_targets(done.path.with_suffix(".solution"))
    assert (done.metadata.stated_task, done.metadata.label_names) == ("regression", ("price",))
    for features, label in folder.train:
        assert label.tolist() == [np.float32(told[float(features.ravel()[0])])]
    for (features, _), row in zip(folder.test, truth, strict=True):
        assert np.float32(row[0]) == np.float32(told[float(features.ravel()[0])])
    assert ("to predict", "numbers, column 'price'") in done.facts
    found = check_dataset(done.path, done.path.with_suffix(".solution"))
    assert found.ok, found.problems


def test_train_and_test_have_numbers_of_all_sizes(tmp_path: Path) -> None:
    done = made(table(tmp_path, prices()), SplitRequest(test_fraction=0.25), labels="price", regression=True)
    truth = read_targets(done.path.with_suffix(".solution"))[:, 0]
    quarter = np.searchsorted(np.quantile(prices(), [0.25, 0.5, 0.75]), truth)
    assert done.n_test == ROWS // 4
    assert max(abs(np.bincount(quarter, minlength=4) - ROWS / 16)) <= 1.5
    assert "stratified: by the size of the numbers" in done.metadata.split


def test_several_columns_are_several_numbers(tmp_path: Path) -> None:
    source = table(tmp_path, prices(), more=",7")
    text = source.read_text().splitlines()
    source.write_text("\n".join([text[0], *(f"{row[:-1]}{i % 5}" for i, row in enumerate(text[1:]))]) + "\n")
    done = made(source, labels="rooms,price", regression=True)
    assert done.metadata.label_names == ("price", "rooms")
    assert read_targets(done.path.with_suffix(".solution")).shape == (done.n_test, 2)


@pytest.mark.parametrize(
    "label",
    [
        prices(),
        [3 * (i % 97) for i in range(ROWS)],
        [2000 + i % 40 for i in range(ROWS)],
        [0.5, 1, 1.5, 2] * 50,
        ["NA", *[i % 50 * 2.5 for i in range(ROWS - 1)]],
        ["inf", *[i % 50 * 2.5 for i in range(ROWS - 1)]],
        ["withdrawn", *[i % 50 * 2.5 for i in range(ROWS - 1)]],
        [f"${i % 50 * 2.5}" for i in range(ROWS)],
        [f"{i % 50 * 2.5} EUR" for i in range(ROWS)],
        [f"{i % 50 * 2.5} %" for i in range(ROWS)],
        [f'"{i % 50},5"' for i in range(ROWS)],
        [f'"{i % 50},500"' for i in range(ROWS)],
        [f"\u2212{i % 50}.5" for i in range(ROWS)],
    ],
)
def test_numbers_that_may_be_either_are_asked_about(tmp_path: Path, label: list[object]) -> None:
    source = table(tmp_path, label, "label")
    with pytest.raises(SourceError, match=r"column 'label': holds .* different numbers") as refused:
        made(source)
    assert "Pass --regression to predict them as numbers, or --classes" in str(refused.value)
    assert not (tmp_path / "out").exists()
    assert made(source, SplitRequest(how="random"), regression=False).metadata.stated_task == "multiclass"


@pytest.mark.parametrize(
    "label",
    [
        [i % 10 for i in range(ROWS)],
        [i % 100 for i in range(ROWS)],
        [3, 7, 12, 30] * 50,
        ["$10", "$20", "$50", "$100"] * 50,
    ],
)
def test_numbers_that_count_or_are_few_are_classes_and_that_is_said(
    tmp_path: Path, label: list[object]
) -> None:
    done = made(table(tmp_path, label, "label"))
    assert (done.metadata.n_labels, done.metadata.stated_task) == (len(set(label)), "multiclass")
    assert (
        "Labels are numbers and each is a class; with --regression they are predicted as numbers."
        in done.notes
    )


@pytest.mark.parametrize(
    "label",
    [
        ["cat", "dog"] * 100,
        ["2024-01-0" + str(1 + i % 9) for i in range(ROWS)],
        ["1.2.3", "1.3.0", "2.0.1", "2.1.0"] * 50,
        ["1", "2"] * 100,
        [f"item {i % 40}" for i in range(ROWS)],
    ],
)
def test_words_are_classes_and_nothing_is_said_of_numbers(tmp_path: Path, label: list[object]) -> None:
    assert not [note for note in made(table(tmp_path, label, "label")).notes if "numbers" in note]


def test_a_number_that_is_there_once_may_be_one_to_predict(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"the only example of label '7'.* If these are numbers to predict, pass"
    ):
        made(table(tmp_path, [*([0, 3, 5] * 50), 7], "label"))
    with pytest.raises(SourceError, match="the only example of label 'eel'") as refused:
        made(table(tmp_path, [*(["ant", "bee", "cat"] * 50), "eel"], "label"))
    assert "numbers" not in str(refused.value)


def test_what_float32_loses_of_numbers_is_said(tmp_path: Path) -> None:
    seconds = table(tmp_path, [1_700_000_000 + i for i in range(ROWS)], more=",7")
    notes = made(seconds, labels="price", regression=True).notes
    assert (
        "Column 'price' is kept as float32, up to 64 off, where its numbers differ by 199: subtract a constant "
        "from all to keep the rest." in notes
    )


def test_series_with_an_array_of_numbers(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(40, 6, 2))
    for number, y in enumerate((x[:, :, 0].sum(1), x.sum(1))):
        np.savez(tmp_path / f"s{number}.npz", X=x, y=y)
        source = tmp_path / f"s{number}.npz"
        done = convert(
            "series", source, tmp_path / "out", f"s{number}", options=ConvertOptions(regression=True)
        )
        assert done.metadata.is_regression
        assert np.shape(read_targets(done.path.with_suffix(".solution"))) == (14, number + 1)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("", "houses.csv, row 4, column 'price': the number to predict is missing"),
        ("n/a", "row 4, column 'price': 'n/a' is not a number that can be predicted"),
        ('"1,5"', "row 4, column 'price': '1,5' is not a number"),
        ("1e39", "row 4, column 'price': '1e39' is not a number"),
        ("1.2.3", "row 4, column 'price': '1.2.3' is not a number"),
    ],
)
def test_a_cell_that_is_no_number_is_named(tmp_path: Path, cell: str, words: str) -> None:
    label: list[object] = [*prices()]
    label[2] = cell
    with pytest.raises(SourceError, match=words):
        made(table(tmp_path, label), labels="price", regression=True)


def test_what_makes_no_sense_for_numbers_is_refused(tmp_path: Path) -> None:
    source = table(tmp_path, prices(), "label")
    with pytest.raises(SourceError, match="--multi-label: has no meaning with --regression"):
        made(source, regression=True, multi_label=True)
    with pytest.raises(SourceError, match="--shift-by class: numbers have no classes"):
        made(source, SplitRequest(by="class"), regression=True)
    constant = table(tmp_path, [20000000 + i / 10 for i in range(10)], "label")
    with pytest.raises(SourceError, match="'label': is the same number in all examples, as float32 holds it"):
        made(constant, regression=True)
    for name in ("1", "2"):
        (tmp_path / "texts" / name).mkdir(parents=True)
        for i in range(4):
            (tmp_path / "texts" / name / f"{i}.txt").write_text(f"text {i} of {name}")
    with pytest.raises(SourceError, match="--regression: the labels of this source are names of folders"):
        made(tmp_path / "texts", kind="text", regression=True)


def test_svmlight_and_texts_have_numbers_too(tmp_path: Path) -> None:
    rows = [f"{number} 1:{i} 3:{i % 7}" for i, number in enumerate(prices(), start=1)]
    (tmp_path / "d.svm").write_text("\n".join(rows) + "\n")
    with pytest.raises(SourceError, match="Pass --regression"):
        made(tmp_path / "d.svm")
    assert made(tmp_path / "d.svm", regression=True).metadata.is_regression
    reviews = tmp_path / "reviews.csv"
    reviews.write_text(
        "\n".join(["text,label", *(f"word{i} good,{n}" for i, n in enumerate(prices()))]) + "\n"
    )
    done = convert("text", reviews, tmp_path / "texts", "r", options=ConvertOptions(regression=True))
    assert done.metadata.is_regression
