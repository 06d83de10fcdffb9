"""Tables that are damaged, or not what they should be: file, position and remedy."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcove_toolkit.convert.tables import SourceTable, open_table
from alcove_toolkit.errors import SourceError
from tests.unit.toolkit.conversions import contents, converted

GOOD = "x,label\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(10))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", r"t\.csv: is empty"),
        (b"\n \n", r"t\.csv: is empty"),
        (b"x,label\n", r"t\.csv: has a header, but no rows"),
        (b"x,x,label\n1,2,a\n", r"t\.csv, row 1: there are two columns 'x'"),
        (b"x, x ,label\n1,2,a\n", r"t\.csv, row 1: there are two columns 'x'"),
        (b",,\n1,2,a\n", r"t\.csv, row 1: no column has a name"),
        (b"x label\n1 a\n", r"t\.csv: no column is named label.* --delimiter"),
        (b"x,label\n1,a\n2,b\n1,2,a\n", r"t\.csv, row 4: has 3 cells, but the header 2"),
        (b"x,label\n1,a\n2\n1,a\n", r"t\.csv, row 3: has 1 cells, but the header 2"),
        (b"x,label\n1,a\n1,caf\xe9\n", r"t\.csv, byte 17: is not UTF-8"),
        (b"x,label\n1,\xe2\x82", r"t\.csv, byte 10: is not UTF-8"),
        (b"x,label\n1,a\0\n", r"t\.csv, byte 11: there is a NUL byte"),
        ("x,label\n1,a\n".encode("utf-16"), r"t\.csv, byte 0: the text is UTF-16"),
        (b"x,label\n1,a\n2,\n3,b\n", r"t\.csv, row 3: there is no label"),
        (b"x,label\n1,a\n2,a\n3,a\n", r"t\.csv: all examples have the label 'a'"),
        (b"x,label\n1,\n2,\n", r"t\.csv, row 2: there is no label"),
        (b"x,label\n1,a\n2,b\n3,b\n", r"t\.csv, row 2: is the only example of label 'a'"),
        (b"x,klass\n1,a\n", r"t\.csv: no column is named label.* there are: x, klass"),
        (b"label\na\nb\n", r"t\.csv: has no column beside the labels"),
        (b"x,label,split\n1,a,train\n1,b,mine\n", r"t\.csv, row 3: the split is 'mine'"),
        (b"x,label\n\xff\xfe\n", r"t\.csv, byte 8: is not UTF-8"),
        (b'x,label\n1,"a\n2,b\n3,b\n', r"t\.csv"),
        (b"x,label\n,a\n,b\n,a\n,b\n", r"t\.csv: no column can be used.*'x' has no value in train"),
    ],
)
def test_bad_input_is_one_line_with_its_place_and_leaves_nothing(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    source = tmp_path / "t.csv"
    source.write_bytes(content)
    with pytest.raises(SourceError, match=problem) as error:
        converted(source)
    assert "\n" not in str(error.value)
    assert error.value.remedy
    assert set(contents(tmp_path)) == {"t.csv"}


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"labels": "nope"}, "there is no column 'nope'"),
        ({"drop": ("nope",)}, "there is no column 'nope'"),
        ({"group_column": "nope"}, "there is no column 'nope'"),
        ({"how": "group"}, "no group is known.*--group-column"),
        ({"test_fraction": 0.01}, "leaves test empty"),
        ({"delimiter": "ab"}, "--delimiter ab: cannot separate cells"),
        ({"delimiter": "tab"}, "no column is named label"),
        ({"name": "../x"}, r"--name \.\./x: a name has letters"),
    ],
)
def test_what_cannot_be_asked(tmp_path: Path, asked: dict[str, Any], problem: str) -> None:
    source = tmp_path / "t.csv"
    source.write_text(GOOD)
    with pytest.raises(SourceError, match=problem):
        converted(source, **asked)


def test_a_damaged_gzip_and_parquet_are_named(tmp_path: Path) -> None:
    whole = gzip.compress(GOOD.encode() * 500)
    for name, content in (("t.csv.gz", whole[: len(whole) // 2]), ("t.parquet", b"PAR1 no"), ("t.xls", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match=name.replace(".", r"\.")):
            open_table(tmp_path / name)


def rows(table: SourceTable) -> list[dict[str, object]]:
    return [row for _, batch in table.batches() for row in batch.to_pylist()]


def test_the_same_table_in_every_form(tmp_path: Path) -> None:
    expected = [{"x": str(i), "label": "ab"[i % 2]} for i in range(10)]
    forms = {
        "a.csv": GOOD.encode(),
        "b.csv": b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode(),
        "c.csv": GOOD.replace(",", ";").encode(),
        "d.tsv": GOOD.replace(",", "\t").encode(),
        "e.csv.gz": gzip.compress(GOOD.encode()),
    }
    for name, content in forms.items():
        (tmp_path / name).write_bytes(content)
        assert rows(open_table(tmp_path / name)) == expected
    pyarrow.parquet.write_table(pa.Table.from_pylist(expected), tmp_path / "f.parquet")
    assert rows(open_table(tmp_path / "f.parquet")) == expected


CELLS = st.text(st.characters(codec="utf-8", exclude_characters='\0\r"'), min_size=1, max_size=8)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_quoted_cells_come_back_whatever_is_in_them(cells: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        quoted = "".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in cells)
        path.write_bytes(("x,y\n" + quoted).encode())
        assert [list(row.values()) for row in rows(open_table(path))] == cells


@given(st.binary(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_table_or_an_error_with_its_place(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        path.write_bytes(b"x,label\n" + content)
        message = ""
        try:
            rows(open_table(path))
        except SourceError as error:
            message = str(error)
        assert not message or message.startswith(str(path))
        assert len(message.splitlines()) <= 1


def test_tables_as_other_programs_write_them(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    rows = [(i, i % 3, "ab"[i % 2]) for i in range(12)]
    # pandas writes row numbers into a column without a name, a spreadsheet empty columns at the end.
    for header, row, nameless in (
        (",x,label", "{},{},{}", "column 1"),
        ("Unnamed: 0,x,label", "{},{},{}", "'Unnamed: 0'"),
        ("x|label||", "{1}|{2}||", "column 3, column 4"),
        ('" x";label ', "{1};{2}", ""),
        ("x, label", "{1}, {2}", ""),
        ("sep=;\nx;label", "{1};{2}", ""),
    ):
        source.write_text("\n".join((header, *(row.format(*cells) for cells in rows))) + "\n")
        made = converted(source, labels=" label ")
        assert set(made.metadata.features) == {"x"}
        assert made.metadata.label_names == ("a", "b")
        assert made.notes == (
            (f"Columns without a name of their own, left out: {nameless}.",) if nameless else ()
        )
