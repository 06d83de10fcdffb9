"""Amounts, times and dates as people write them, and what is told where a column's words seem to mean more."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from alcove_toolkit.errors import SourceError
from tests.unit.toolkit.conversions import converted, values, write


@pytest.mark.parametrize(
    ("cells", "expected", "kind", "note"),
    [
        (
            ["$1,234.50", "-$3.25", "($2)"],
            [-3.25, -2, 1234.5],
            "amount",
            "amounts that are read as in $1,234.50",
        ),
        (["5 €", "1,234.5 EUR", "2€"], [2, 5, 1234.5], "amount", "read as in € 1,234.50"),
        (["1.234,50 €", "3,25 €"], [3.25, 1234.5], "amount", "read as in € 1.234,50"),
        (["(1,974)", "2,000", "7"], [-1974, 7, 2000], "number", "as accounts have them: (5) is -5"),
        (["12,34,567", "1,23,456"], [123456, 1234567], "number", "read as in 1,234.5"),
        (["00:01", "23:59", "1:30"], [60, 5400, 86340], "time in seconds", "hours:minutes, in seconds"),
        (["12:05 AM", "1:00:30 pm"], [300, 46830], "time in seconds", "hours:minutes, in seconds"),
        (["100:00:01,5", "0:00"], [0, 360001.5], "time in seconds", "hours:minutes, in seconds"),
    ],
)
def test_amounts_and_times_are_numbers_and_it_is_said(
    tmp_path: Path, cells: list[str], expected: list[float], kind: str, note: str
) -> None:
    rows = [f'"{cells[i % len(cells)]}",{"ab"[i // 3 % 2]}' for i in range(36)]
    made = converted(write(tmp_path / "t.csv", "v,label", *rows), how="random")
    assert np.unique(values(made, "v")) == pytest.approx(expected)
    assert dict(made.facts)["features"] == f"1 column: v ({kind})"
    assert [found for found in made.notes if note in found] == list(made.notes)


@pytest.mark.parametrize(
    ("cells", "first", "note"),
    [
        (["4/15/91", "4/23/20"], "1991-04-15", "month/day/year, with years from 1969 to 2068"),
        (["15/4/91", "23/4/20"], "1991-04-15", "day/month/year, with years from 1969 to 2068"),
        (["15.04.91", "23.04.20"], "1991-04-15", "day.month.year, with years from 1969 to 2068"),
        (["15-Apr-91", "3-May-20"], "1991-04-15", "day-month-year, with years from 1969 to 2068"),
        (["15-Apr-1991", "3 May 2020"], "1991-04-15", "day-month-year"),
        (["April 15, 1991", "May 3, 2020"], "1991-04-15", "month day, year"),
        (["15-04-1991", "03-05-2020"], "1991-04-15", "day-month-year"),
        (["1991.04.15", "2020.5.3"], "1991-04-15", "year.month.day"),
        (["1991-04", "2020-05"], "1991-04-01", "the first day of a month"),
        (["4/15/1991 12:00 AM", "5/3/2020, 3:04:05 PM"], "1991-04-15", "month/day/year"),
    ],
)
def test_dates_as_people_write_them_and_it_is_said(
    tmp_path: Path, cells: list[str], first: str, note: str
) -> None:
    rows = [f'"{cells[i % 2]}",{"ab"[i // 2 % 2]}' for i in range(24)]
    made = converted(write(tmp_path / "t.csv", "d,label", *rows), how="random")
    assert values(made, "d days").min() == np.datetime64(first).astype(int)
    assert made.notes == (f"Column 'd' has dates that are read as {note}.",)


def test_amounts_of_two_currencies_are_not_compared(tmp_path: Path) -> None:
    rows = [f"{'$€'[i % 2]}{i % 5},{'ab'[i // 2 % 2]}" for i in range(40)]
    made = converted(write(tmp_path / "t.csv", "v,label", *rows))
    assert dict(made.facts)["features"] == "1 column: v (10 categories)"
    assert any("though its cells begin with numbers: '" in note for note in made.notes)


def test_cells_that_begin_with_numbers_and_are_none_are_told(tmp_path: Path) -> None:
    rows = [f"{i % 9 + 1} kg,{'ab'[i % 2]}" for i in range(40)]
    made = converted(write(tmp_path / "t.csv", "v,label", *rows))
    assert any(
        re.search(r"begin with numbers: '\d kg', '\d kg', '\d kg' … are read as words", note)
        for note in made.notes
    )


@pytest.mark.parametrize(
    ("name", "cells"), [("set", ("train", "test")), ("is_train", ("1", "0")), ("fold", ("1", "2"))]
)
def test_a_column_that_parts_the_rows_is_no_feature_in_silence(
    tmp_path: Path, name: str, cells: tuple[str, str]
) -> None:
    rows = [f"{i % 7},{cells[i % 3 == 0]},{'ab'[i % 2]}" for i in range(40)]
    made = converted(write(tmp_path / "t.csv", f"x,{name},label", *rows))
    assert [note for note in made.notes if f"Column {name!r} seems to part the rows" in note]
    assert converted(tmp_path / "t.csv", drop=(name,)).notes == ()


def test_columns_named_as_a_role_that_nobody_asked_for_are_told(tmp_path: Path) -> None:
    rows = [f"{i % 7},g{i % 4},{'ab'[i % 2]}" for i in range(40)]
    made = converted(write(tmp_path / "t.csv", "x,group,label", *rows))
    assert made.notes == (
        "Column 'group' is a feature; --group-column group makes it the group of each example.",
    )


def test_labels_that_seem_to_be_several_are_told(tmp_path: Path) -> None:
    cells = ["Action|Comedy", "Drama", "Action", "Drama|Action"]
    source = write(tmp_path / "t.csv", "x,genre", *(f"{i % 7},{cells[i % 4]}" for i in range(40)))
    made = converted(source, labels="genre")
    assert made.notes == (
        "Label 'Drama|Action' is one label: if '|' stands between several, pass --label-separator '|'.",
    )
    assert converted(source, labels="genre", label_separator="|").metadata.label_names == (
        "Action",
        "Comedy",
        "Drama",
    )
    alone = write(tmp_path / "u.csv", "x,genre", *(f"{i % 7},{['AC/DC', 'Abba'][i % 2]}" for i in range(40)))
    assert converted(alone, labels="genre").notes == ()


def test_a_structure_is_no_label(tmp_path: Path) -> None:
    table = pa.table({"x": [1, 2] * 10, "label": [{"a": 1}, {"a": 2}] * 10})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(SourceError, match="row 1: the label is a structure"):
        converted(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<!DOCTYPE html>\n<title>Sign in</title>\n", "is a web page, not a table"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "is a pointer of Git LFS"),
        ("made by x\nx,y,label\n1,2,a\n", r"row 2: has 3 cells, but the header 1.*above the header"),
        ('"x","label"\n"1",2,a\n"2",3,b\n', r"row 2: has 3 cells, but the header 2.*give it a name"),
    ],
)
def test_what_is_no_table_is_told_for_what_it_is(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(SourceError, match=problem):
        converted(tmp_path / "t.csv")
