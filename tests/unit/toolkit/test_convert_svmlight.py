"""Sparse tables: a line an example, never made dense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcove_format.metadata import Format
from alcove_format.reader import open_dataset
from alcove_toolkit.convert.svmlight import parse_row
from alcove_toolkit.errors import SourceError
from tests.unit.toolkit.conversions import contents, converted

ROWS = st.dictionaries(st.integers(0, 10**6), st.floats(width=32, allow_nan=False, allow_infinity=False))


@given(ROWS, st.sampled_from(["3 ", "1,2 ", "", "1 qid:7 "]), st.randoms())
def test_a_row_comes_back_in_order(row: dict[int, float], head: str, random: object) -> None:
    cells = [f"{column}:{value!r}" for column, value in row.items()]
    getattr(random, "shuffle")(cells)  # noqa: B009
    columns, values = parse_row((head + " ".join(cells) + " # said\n").encode(), "here")
    assert columns.tolist() == sorted(row)
    assert values.tolist() == [row[c] for c in sorted(row)]


@given(st.binary(max_size=40))
def test_any_line_is_a_row_or_an_error_with_its_place(line: bytes) -> None:
    message = ""
    try:
        parse_row(line, "s.svm, line 4")
    except SourceError as error:
        message = str(error)
    assert not message or message.startswith("s.svm, line 4: ")


def test_rows_labels_and_columns_of_train_alone(tmp_path: Path) -> None:
    source = tmp_path / "s.svm"
    source.write_text(
        "# a remark\n\n" + "".join(f"{i % 2},5 qid:{i // 4} {i + 1}:{i + 0.5} 900:1\n" for i in range(40))
    )
    made = converted(source, how="group")
    assert made.metadata.format is Format.SPARSE
    assert made.metadata.label_names == ("0", "1", "5")
    assert made.metadata.cols == 900
    found = []
    for features, label in open_dataset(made.path).train:
        columns = np.flatnonzero(features)
        item = int(columns[0])
        assert columns.tolist() == [item, 899]
        assert features.ravel()[item] == item + 0.5
        assert label.tolist() == [float(item % 2 == 0), float(item % 2 == 1), 1.0]
        found.append(item)
    assert len({item // 4 for item in found}) * 4 == len(found)


def test_columns_that_train_has_not_are_left_out_of_test(tmp_path: Path) -> None:
    found = []
    for name, extra in (("one", ""), ("other", " 7:1 4000000:3")):
        (tmp_path / name).mkdir()
        source = tmp_path / name / "s.svm"
        # By size: the longest rows are test.
        rows = [f"{i % 2} 1:2" for i in range(8)] + [f"{i % 2} 1:2 2:1 3:1{extra}" for i in range(4)]
        source.write_text("\n".join(rows))
        made = converted(source, how="shift", by="size", test_fraction=1 / 3)
        assert made.metadata.cols == 1
        found.append(contents(made.path))
        assert made.notes[0].startswith("Values of test in columns that train has not, left out: ")
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1 3:x", "'3:x' is not column:value"),
        ("1 3", "'3' is not column:value"),
        ("1 1:2:3 4:5", "'1:2:3' is not column:value"),
        ("1 -1:2", "a column that is not a whole number"),
        ("1 1.5:2", "a column that is not a whole number"),
        ("1 1:nan", "a value that is not finite"),
        ("1 3:1 3:2", "has a column twice"),
        ("1 qid:4 3:1", "some lines have a qid"),
        ("1 1:2:3", "is not column:value"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    source = tmp_path / "s.svm"
    source.write_text("\n".join([*(f"{i % 2} 1:1" for i in range(6)), line, "0 1:1"]))
    with pytest.raises(SourceError, match=rf"s\.svm, line 7: .*{problem}"):
        converted(source)
    assert set(contents(tmp_path)) == {"s.svm"}


def test_labels_are_in_the_lines(tmp_path: Path) -> None:
    (tmp_path / "s.svm").write_text("1 1:1\n0 1:2\n")
    with pytest.raises(SourceError, match="--labels: has no meaning for"):
        converted(tmp_path / "s.svm", labels="y")
