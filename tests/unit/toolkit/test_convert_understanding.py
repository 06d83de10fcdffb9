"""What convert takes the columns, rows and cells of people's files for: never a guess without a word."""

from __future__ import annotations

import io
import re
import tracemalloc
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet
import pytest

from alcove_format.metadata import Format, Metadata
from alcove_format.reader import open_dataset
from alcove_format.writer import NewExample, SparseStep, write_dataset
from alcove_toolkit.check import check_dataset
from alcove_toolkit.check import features as check_features
from alcove_toolkit.contact_sheet import render_contact_sheet
from alcove_toolkit.convert import svmlight
from alcove_toolkit.convert.run import Converted
from alcove_toolkit.errors import SourceError
from tests.unit.toolkit.conversions import converted, values, write

# Roles


@pytest.mark.parametrize("header", ["class,age,label", "label,age,class", "target,Class,LABEL"])
def test_the_column_named_label_is_the_label_wherever_it_stands(tmp_path: Path, header: str) -> None:
    rows = [f"{'xyz'[i % 3]},{i * i % 7},{['no', 'yes'][i % 2]}" for i in range(30)]
    if header.startswith("label"):
        rows = [",".join(reversed(row.split(","))) for row in rows]
    made = converted(write(tmp_path / "t.csv", header, *rows))
    assert made.metadata.label_names == ("no", "yes")
    assert any("is the label" in note and "lass'" in note for note in made.notes)


def test_two_columns_that_may_be_the_label_are_refused(tmp_path: Path) -> None:
    source = write(
        tmp_path / "t.csv", "class,x,target", *(f"{'ab'[i % 2]},{i % 5},{i % 2}" for i in range(20))
    )
    with pytest.raises(SourceError, match=r"'class' and 'target', and none is named label.*--labels class"):
        converted(source)
    assert converted(source, labels="target").metadata.label_names == ("0", "1")


def test_the_column_named_text_is_the_text(tmp_path: Path) -> None:
    rows = [f"doc{i},a word of {['red', 'blue'][i % 2]},{'ab'[i % 2]}" for i in range(20)]
    made = converted(write(tmp_path / "t.csv", "document,text,label", *rows), "text")
    assert {"red", "blue"} < set(made.metadata.channel_names)
    assert "doc1" not in made.metadata.channel_names
    assert any("'text' is the text; column 'document' is not" in note for note in made.notes)
    with pytest.raises(SourceError, match="'sentence' and 'content', and none is named text"):
        converted(write(tmp_path / "u.csv", "content,sentence,label", *rows), "text")
    with pytest.raises(SourceError, match="is both text and label"):
        converted(tmp_path / "t.csv", "text", text_column="label")


@pytest.mark.parametrize(
    ("name", "left_out", "note"),
    [
        ("", True, "Columns without a name of their own, left out: column 1."),
        ("Unnamed: 0", True, "Columns without a name of their own, left out: 'Unnamed: 0'."),
        ("id", True, "Column 'id' counts the rows, as an index does: it is left out."),
        ("PassengerId", True, "Column 'PassengerId' counts the rows, as an index does: it is left out."),
        ("n", False, "Column 'n' counts the rows, as an index does: if it is one, leave it out (--drop n)."),
    ],
)
def test_an_index_is_no_feature_in_silence(tmp_path: Path, name: str, left_out: bool, note: str) -> None:
    rows = [f"{i},{i * 7 % 5},{'ab'[i % 2]}" for i in range(40)]
    made = converted(write(tmp_path / "t.csv", f"{name},x,label", *rows))
    assert (name in made.metadata.features) != left_out
    assert note in made.notes


def test_an_id_that_does_not_count_is_told(tmp_path: Path) -> None:
    rows = [f"{(i * 37 + 11) % 101},{i % 5},{'ab'[i % 2]}" for i in range(40)]
    made = converted(write(tmp_path / "t.csv", "customer_id,x,label", *rows))
    assert made.notes == (
        "Column 'customer_id' has another whole number in every row, as an id: if it is one, leave it out "
        "(--drop customer_id).",
    )


def test_the_index_of_a_parquet_file_is_left_out(tmp_path: Path) -> None:
    table = pa.table({"x": [1, 2] * 10, "label": ["a", "b"] * 10, "__index_level_0__": list(range(20))})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    assert set(converted(tmp_path / "t.parquet").metadata.features) == {"x"}


# Headers


IRIS = [f"{4 + i % 9 / 10},{2 + i % 7 / 10},{['setosa', 'virginica'][i % 2]}" for i in range(60)]


def test_a_first_row_of_numbers_is_refused_until_the_user_says_what_it_is(tmp_path: Path) -> None:
    source = write(tmp_path / "iris.csv", *IRIS)
    with pytest.raises(SourceError, match=r"row 1: has numbers \('4.0', '2.0'\).*--no-header"):
        converted(source)
    with pytest.raises(SourceError, match="row 3: the label is 'setosa', which is the name of the column"):
        converted(source, labels="setosa")
    made = converted(source, header=False, labels="column 3")
    assert made.n_train + made.n_test == 60
    assert set(made.metadata.features) == {"column 1", "column 2"}
    assert made.metadata.label_names == ("setosa", "virginica")
    assert dict(made.facts)["table"] == "CSV, commas between cells, no header"
    forced = converted(source, header=True, labels="setosa")
    assert forced.n_train + forced.n_test == 59


@pytest.mark.parametrize("names", ["0,1", "2019,2020", "400.5,401.5"])
def test_numbers_that_name_columns_are_taken(tmp_path: Path, names: str) -> None:
    made = converted(write(tmp_path / "t.csv", f"{names},label", *IRIS))
    assert set(made.metadata.features) == set(names.split(","))
    assert made.n_train + made.n_test == 60


def test_a_header_that_is_there_again_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "t.csv", "x,y,label", *IRIS[:30], "x,y,label", *IRIS[30:])
    with pytest.raises(SourceError, match=r"row 32: the label is 'label'.*repeats the header"):
        converted(source)


def test_a_label_may_be_named_like_its_column_if_the_user_says_so(tmp_path: Path) -> None:
    source = write(
        tmp_path / "t.csv", "x,target", *(f"{i % 5},{['target', 'decoy'][i % 2]}" for i in range(20))
    )
    with pytest.raises(SourceError, match="--header"):
        converted(source)
    assert converted(source, header=True).metadata.label_names == ("decoy", "target")


@pytest.mark.parametrize(
    ("line", "delimiter"), [("sep=;", ";"), ('"sep=|"', "|"), ("SEP=\t", "\t"), ("\ufeffsep=^", "^")]
)
def test_a_line_that_names_the_separator_is_no_row(tmp_path: Path, line: str, delimiter: str) -> None:
    rows = [row.replace(",", delimiter) for row in ("x,y,label", *IRIS)]
    made = converted(write(tmp_path / "t.csv", line, *rows))
    assert set(made.metadata.features) == {"x", "y"}
    rows[3] = rows[3].rpartition(delimiter)[0] + delimiter
    write(tmp_path / "t.csv", line, *rows)
    with pytest.raises(SourceError, match=r"t\.csv, row 5: there is no label"):
        converted(tmp_path / "t.csv")


# Cells


@pytest.mark.parametrize(
    "odd", ["#N/A", "<NA>", ".", "\\N", "NaN", "-", "#DIV/0!", "1.#QNAN", "n.d.", "<0.1", "12a"]
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_odd_cell_makes_no_words_of_numbers(tmp_path: Path, odd: str, seed: int) -> None:
    rows = [[f"{15 + i * 37 % 100 / 10}", str(20 + i * 7 % 50), "ab"[i % 2]] for i in range(100)]
    rows[57][:2] = [odd, odd]
    made = converted(write(tmp_path / "t.csv", "temp,age,label", *map(",".join, rows)), seed=seed)
    assert (
        {"temp", "age"} <= set(made.metadata.features) <= {"temp", "age", "temp is missing", "age is missing"}
    )
    sound = [float(row[0]) for i, row in enumerate(rows) if i != 57]
    found = values(made, "temp").tolist()
    missing = next(
        i for i, value in enumerate(found) if not any(np.isclose(value, sound)) or i == len(found) - 1
    )
    assert np.sort(np.delete(found, missing)) == pytest.approx(np.sort(sound), abs=5)
    if "temp is missing" in made.metadata.features:
        assert values(made, "temp is missing").sum() == 1
    told = [note for note in made.notes if "first in row 59" in note and repr(odd) in note]
    assert len(told) == (2 if odd in ("n.d.", "<0.1", "12a") else 0)


def test_the_reading_with_the_fewest_odd_cells_is_taken(tmp_path: Path) -> None:
    dates = [f"{1 + i % 28}/{1 + i % 12}/2024" for i in range(60)]
    rows = [f"{date},{'ab'[i % 2]}" for i, date in enumerate([*dates[:40], "unknown", *dates[41:]])]
    made = converted(write(tmp_path / "t.csv", "d,label", *rows), how="random")
    assert "Column 'd' has dates that are read as day/month/year." in made.notes
    assert any("1 of 60 cells" in note and "'unknown'" in note for note in made.notes)


def test_codes_of_numbers_and_words_stay_categories_and_it_is_said(tmp_path: Path) -> None:
    rows = [f"{['1', '2', '3', 'other'][i % 4]},{'ab'[i // 4 % 2]}" for i in range(40)]
    made = converted(write(tmp_path / "t.csv", "code,label", *rows))
    assert "code is 'other'" in made.metadata.features
    assert made.notes == (
        "Column 'code' is taken as categories, though most of its cells are numbers: 'other' and the like are not.",
    )


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1 234,5", "12 345 678", "7"], [7, 1234.5, 12345678]),
        (["1\u202f234.5", "-2\u00a0000", "7"], [-2000, 7, 1234.5]),
        (["1'234.5", "7", "-8"], [-8, 7, 1234.5]),
        (["\u22121.5", "\u22122", "3"], [-2, -1.5, 3]),
    ],
)
def test_numbers_as_print_and_switzerland_have_them(
    tmp_path: Path, cells: list[str], expected: list[float]
) -> None:
    rows = [f"{cells[i % 3]};{'ab'[i // 3 % 2]}" for i in range(24)]
    made = converted(write(tmp_path / "t.csv", "x;label", *rows), how="random")
    assert np.unique(values(made, "x")) == pytest.approx(expected)


def test_codes_with_leading_zeros_and_missing_categories_are_told(tmp_path: Path) -> None:
    rows = [f"0{i % 5}12,{['NA', 'US', 'DE', ''][i % 4]},{'ab'[i % 2]}" for i in range(40)]
    made = converted(write(tmp_path / "t.csv", "zip,country,label", *rows), how="random", seed=1)
    assert "Column 'zip' has leading zeros, as codes have, and is read as numbers: 012 is 12." in made.notes
    assert any(note.startswith("Column 'country': cells 'NA' (") for note in made.notes)
    assert "country is missing" in made.metadata.features


@pytest.mark.parametrize("fault", ['"oops', '"oops" said', '"a \\"b\\""'])
def test_a_quote_that_is_not_closed_swallows_no_rows(tmp_path: Path, fault: str) -> None:
    rows = [f"{'ab'[i % 2]},word {i % 3}" for i in range(20)]
    rows[7] = f"a,{fault}"
    source = write(tmp_path / "t.csv", "label,text", *rows)
    with pytest.raises(SourceError, match=r"t\.csv, line 9: a quote is not closed"):
        converted(source, "text")
    rows[7], rows[12] = 'a,"two\nlines, and ""more"""', 'b,5" disk'
    made = converted(write(tmp_path / "u.csv", "label,text", *rows), "text")
    assert made.n_train + made.n_test == 20


# Types of Parquet


def test_all_types_that_parquet_brings_are_read_or_left_out_by_name(tmp_path: Path) -> None:
    n, cities = 40, ["Rome", "Oslo", "Kyiv", None]
    text = [cities[i % 4] for i in range(n)]
    number = [float(i * 7 % 10) for i in range(n)]
    columns = {
        "view": pa.array(text, pa.string_view()),
        "large": pa.array(text, pa.large_string()),
        "coded": pa.array(text).dictionary_encode(),
        "bytes": pa.array([b"?"] * n, pa.binary_view()),
        "half": pa.array(np.array(number, np.float16)),
        "money": pa.array([Decimal(int(x)) + Decimal("0.25") for x in number], pa.decimal128(7, 2)),
        "time": pa.array([int(x) * 1000 for x in number], pa.time32("ms")),
        "span": pa.array([int(x) for x in number], pa.duration("s")),
        "nothing": pa.nulls(n),
        "list": pa.array([[1, 2]] * n),
        "struct": pa.array([{"a": 1}] * n),
        "label": pa.array(["ab"[i % 2] for i in range(n)], pa.string_view()),
    }
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    made = converted(tmp_path / "t.parquet")
    assert made.metadata.label_names == ("a", "b")
    features = set(made.metadata.features)
    for name in ("view", "large", "coded"):
        assert {f"{name} is {city!r}" for city in cities[:3]} <= features
    for name in ("half", "time", "span"):
        assert values(made, name).tolist() == sorted(number)
    assert values(made, "money").tolist() == [x + 0.25 for x in sorted(number)]
    for name in ("bytes", "list", "struct", "nothing"):
        assert any(f"'{name}'" in note and "left out" in note for note in made.notes), name


# Labels


@pytest.mark.parametrize(
    ("cells", "expected", "note"),
    [
        (["1", "1.0", "0", "0.0"], ("0", "1"), "Labels that are the same number are one label"),
        (["+1", "-1", "1"], ("-1", "1"), "'+1', '1' are label '1'"),
        (["01", "1"], ("01", "1"), "Labels that look alike are labels of their own: '01' and '1'."),
        (["Cat", "cat"], ("Cat", "cat"), "'Cat' and 'cat'"),
        (["NA", "x"], ("NA", "x"), "Taken as a label: 'NA'."),
        (["1.0", "2.0"], ("1.0", "2.0"), ""),
        (["none", "mild"], ("mild", "none"), ""),
        (["\u00e9t\u00e9", "e\u0301te\u0301", "x"], ("x", "\u00e9t\u00e9"), ""),
    ],
)
def test_labels_that_are_one_number_are_one_label(
    tmp_path: Path, cells: list[str], expected: Sequence[str], note: str
) -> None:
    rows = [f"{i * 7 % 10},{cells[i % len(cells)]}" for i in range(60)]
    made = converted(write(tmp_path / "t.csv", "x,label", *rows))
    assert made.metadata.label_names == expected
    assert any(note in found for found in made.notes) if note else not made.notes


def test_labels_of_svmlight_are_numbers_too_and_both_in_one_cell_are_one(tmp_path: Path) -> None:
    made = converted(write(tmp_path / "t.svm", *(f"{['+1', '-1', '1'][i % 3]} 1:{i} 2:1" for i in range(30))))
    assert made.metadata.label_names == ("-1", "1")
    rows = [f"{i % 7},{['1;1.0', '2'][i % 2]}" for i in range(20)]
    made = converted(write(tmp_path / "u.csv", "x,label", *rows))
    assert made.metadata.label_names == ("1", "2")
    assert all(label.sum() == 1 for _, label in open_dataset(made.path).train)


def test_several_labels_in_a_cell_are_told(tmp_path: Path) -> None:
    rows = [f"{i % 7},{['R&amp;D', 'HR'][i % 2]}" for i in range(20)]
    made = converted(write(tmp_path / "t.csv", "x,label", *rows))
    assert dict(made.facts)["labels"] == "column 'label', several in 10 cells (';' between); 3: D, HR, R&amp"
    made = converted(tmp_path / "t.csv", label_separator="|")
    assert made.metadata.label_names == ("HR", "R&amp;D")


# Series


def series(folder: Path, *texts: str, count: int = 8) -> Path:
    """Files of two labels; the given ones first, the last of them again and again."""
    for i in range(count):
        path = folder / f"{'ab'[i % 2]}/{i}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[min(i, len(texts) - 1)])
    return folder


def text_of(array: npt.ArrayLike, delimiter: str = ",", header: str = "") -> str:
    out = io.StringIO()
    np.savetxt(out, np.asarray(array), "%g", delimiter, header=header, comments="")
    return out.getvalue()


STEPS = np.array([[0.5, 7], [1.25, 8], [-2, 9]])


def steps_of(made: Converted) -> npt.NDArray[np.float32]:
    return next(iter(open_dataset(made.path).train))[0][:, 0, 0, :]


@pytest.mark.parametrize("cell", ["", "NA", "nan", "#N/A"])
def test_a_missing_value_in_the_first_step_makes_no_header(tmp_path: Path, cell: str) -> None:
    bad = f"{cell},7\n1.5,8\n-2,9\n"
    source = series(tmp_path / "s", text_of(STEPS), bad, text_of(STEPS))
    with pytest.raises(
        SourceError, match=r"1\.csv, (row 1: .*(is empty|is not a number)|step 0: channel .* is missing)"
    ):
        converted(source, "series")


@pytest.mark.parametrize(
    ("text", "channels"),
    [
        ("0,5;7\n1,25;8\n-2,0;9\n", 2),
        ("sep=;\n0,5;7\n1,25;8\n-2;9\n", 2),
        ("0,5\t7\n1,25\t8\n-2\t9\n", 2),
        ("0.5 7\n1.25 8\n-2 9\n", 2),
        ('"0.5","7"\n"1.25","8"\n"-2","9"\n', 2),
        ("x;y\n0,5;7\n1,25;8\n-2;9\n", 2),
        (",x,y\n0,0.5,7\n1,1.25,8\n2,-2,9\n", 2),
    ],
)
def test_series_as_other_programs_write_them(tmp_path: Path, text: str, channels: int) -> None:
    made = converted(series(tmp_path / "s", text), "series")
    assert steps_of(made).tolist() == STEPS.tolist()
    assert made.metadata.channels == channels
    assert made.metadata.sequence_size == 3


@pytest.mark.parametrize("text", ["0,1\n0.5,7\n1.5,8\n", "x,1.5\n0.5,7\n1.5,8\n"])
def test_a_first_step_that_may_be_a_header_is_refused(tmp_path: Path, text: str) -> None:
    source = series(tmp_path / "s", text)
    with pytest.raises(SourceError, match=r"row 1: .*--no-header"):
        converted(source, "series")
    assert steps_of(converted(source, "series", header=True)).tolist() == [[0.5, 7], [1.5, 8]]


def test_files_with_and_without_a_header_do_not_go_together(tmp_path: Path) -> None:
    named = text_of(STEPS, header="x,y")
    for texts in ((text_of(STEPS), named, text_of(STEPS)), (named, text_of(STEPS), named)):
        with pytest.raises(
            SourceError, match=r"row 1: has (numbers|names of channels), but the first series"
        ):
            converted(series(tmp_path / texts[0][:1], *texts), "series")


def test_whole_numbers_between_commas_and_an_index_are_told(tmp_path: Path) -> None:
    made = converted(series(tmp_path / "s", "1,5\n2,7\n3,9\n"), "series")
    assert made.metadata.channels == 2
    assert any("--delimiter ';'" in note for note in made.notes)
    assert any("'channel 1' counts the steps" in note for note in made.notes)
    made = converted(series(tmp_path / "s", "1,5\n2,7\n3,9\n"), "series", delimiter=";")
    assert steps_of(made)[:, 0] == pytest.approx([1.5, 2.7, 3.9])


def arrays(folder: Path, array: npt.NDArray[np.generic]) -> Path:
    for i in range(8):
        path = folder / f"{'ab'[i % 2]}/{i}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array)
    return folder


def test_arrays_in_either_order_are_the_same(tmp_path: Path) -> None:
    made = converted(arrays(tmp_path / "s", np.asfortranarray(STEPS)), "series")
    assert steps_of(made).tolist() == STEPS.tolist()
    many = np.arange(60.0).reshape(20, 3) + 0.5
    for name, order in (("c", np.ascontiguousarray), ("f", np.asfortranarray)):
        np.savez(tmp_path / f"{name}.npz", X=order(many), y=np.arange(20) % 2)
        np.save(tmp_path / f"{name}.npy", order(many))
    np.save(tmp_path / "y.npy", np.arange(20) % 2)
    found = [converted(tmp_path / f"{name}.npz", "series") for name in "cf"]
    found += [converted(tmp_path / f"{name}.npy", "series", labels=str(tmp_path / "y.npy")) for name in "cf"]
    first, *later = ([example.tolist() for example, _ in open_dataset(made.path).train] for made in found)
    assert all(other == first for other in later)
    assert {tuple(np.ravel(example)) for example in first} <= {tuple(row) for row in many.tolist()}


@pytest.mark.parametrize("shape", [(), (0, 2), (3, 0), (1, 3, 2)])
def test_arrays_that_are_no_series_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(SourceError, match=r"0\.npy: has shape"):
        converted(arrays(tmp_path / "s", np.zeros(shape)), "series")


def test_channels_before_time_are_told(tmp_path: Path) -> None:
    made = converted(arrays(tmp_path / "s", np.random.default_rng(0).random((3, 40))), "series")
    assert any(note.startswith("There are 40 channels, but at most 3 steps") for note in made.notes)


# Lines


def test_a_header_above_lines_and_a_mark_before_them_are_no_example(tmp_path: Path) -> None:
    lines = [f"{'ab'[i % 2]}\tword {i % 3}" for i in range(20)]
    with pytest.raises(SourceError, match="line 1: is a header"):
        converted(write(tmp_path / "t.txt", "Label\tText", *lines), "text", how="random")
    assert converted(
        write(tmp_path / "u.txt", "\ufeff" + lines[0], *lines[1:]), "text"
    ).metadata.label_names == ("a", "b")
    rows = [f"{i % 2} 1:{i}" for i in range(20)]
    made = converted(write(tmp_path / "s.svm", "\ufeff" + rows[0], *rows[1:]), how="random")
    assert made.metadata.label_names == ("0", "1")


# Very wide sparse tables


def test_hashed_columns_are_renumbered_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svmlight, "_AT_A_TIME", 7)
    hashes = [3, 1_000, 2_000_000_000, 2**40 + 1]
    rows = [
        f"{i % 2} " + " ".join(f"{h}:{i * 7 % 10 + 1}" for h in sorted(hashes)[i % 2 : i % 2 + 3])
        for i in range(60)
    ]
    made = converted(write(tmp_path / "t.svm", *rows))
    assert made.metadata.features == {f"column {h}": i for i, h in enumerate(sorted(hashes))}
    assert any(f"up to {2**40 + 1:,}, but train has values in 4 alone" in note for note in made.notes)
    for features, label in open_dataset(made.path).train:
        assert (features.ravel() != 0).tolist() == (
            [True] * 3 + [False] if label[0] else [False] + [True] * 3
        )
    assert check_dataset(made.path, made.path.with_suffix(".solution")).ok


def sparse_dataset(out: Path, cols: int, name: str = "d") -> Path:
    rng = np.random.default_rng(0)
    made = []
    for i in range(60):
        where = np.sort(rng.choice(1000, 5, replace=False)) + (cols - 1000) * (i % 2)
        made.append(NewExample([SparseStep(where, rng.random(5).astype(np.float32))], {i % 2: 1.0}))
    metadata = Metadata(
        n_examples=0, n_labels=2, rows=1, cols=cols, format=Format.SPARSE, labels={"a": 0, "b": 1}
    )
    return write_dataset(out, name, metadata, made[:40], made[40:])


def test_a_table_of_two_thousand_million_columns_is_checked_without_its_zeros(tmp_path: Path) -> None:
    found = check_dataset(data := sparse_dataset(tmp_path, 2_000_000_000), data.with_suffix(".solution"))
    assert found.ok, found.problems
    assert (found.n_train, found.n_test) == (40, 20)
    assert [finding.code for finding in found.warnings if finding.code == "too-wide"] == ["too-wide"]


def test_a_table_of_two_thousand_million_columns_is_shown_without_its_zeros(tmp_path: Path) -> None:
    data = sparse_dataset(tmp_path, 2_000_000_000)
    tracemalloc.start()
    page = render_contact_sheet(open_dataset(data), None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 << 20
    assert re.search(r"1999999\d{3} = 0\.\d+, 1999999\d{3} = 0\.", page)


def test_a_wide_table_has_the_same_findings_with_and_without_its_zeros(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sparse_dataset(tmp_path, 4096)
    dense = check_dataset(data, data.with_suffix(".solution"))
    monkeypatch.setattr(check_features, "WIDE", 1)
    sparse = check_dataset(data, data.with_suffix(".solution"))
    assert sparse.to_json() == dense.to_json()


# Files


def test_tables_of_files_say_which_columns_they_took(tmp_path: Path) -> None:
    for i in range(8):
        write(tmp_path / f"{i}.txt", f"word {['red', 'blue'][i % 2]}")
    rows = [f"{'xyz'[i % 3]},{i}.txt,{'ab'[i % 2]},nowhere" for i in range(8)]
    made = converted(write(tmp_path / "t.csv", "class,file,label,image", *rows), "text")
    assert made.metadata.label_names == ("a", "b")
    assert {"labels": "column 'label'; 2: a, b", "files": "column 'file'"}.items() <= dict(made.facts).items()
    assert "Column 'file' names the files, not 'image' (--drop to choose)." in made.notes
    assert "Column 'label' is the label; column 'class' is not (--drop to choose)." in made.notes
    write(tmp_path / "u.csv", "class,file,target", *(row.rpartition(",")[0] for row in rows))
    with pytest.raises(SourceError, match=r"'class' and 'target', and none is named label.*--drop target"):
        converted(tmp_path / "u.csv", "text")


def test_folders_are_said(tmp_path: Path) -> None:
    for i in range(8):
        write(tmp_path / f"s/{'ab'[i % 2]}/{i}.txt", "word")
    made = converted(tmp_path / "s", "text")
    assert dict(made.facts)["labels"] == "folders, by level: label; 2: a, b"
