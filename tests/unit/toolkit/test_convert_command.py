"""``alcove dataset convert`` as it is typed."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from alcove_cli import main as cli
from alcove_cli.convert import ProgressReporter


def alcove(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Exit status of a command that runs in this process."""
    monkeypatch.setattr("sys.argv", ["alcove", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_what_was_made_and_what_to_do_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "My Birds.csv"
    source.write_text("who,n,kind\n" + "".join(f"id{i},{i},{'ab'[i % 2]}\n" for i in range(40)))
    arguments = ["--kind", "tabular", "--labels", "kind", "--split", "shift", "--shift-by", "class"]
    assert alcove(monkeypatch, "dataset", "convert", str(source), str(tmp_path / "out"), *arguments) == 0
    said = capsys.readouterr().out.splitlines()
    data = tmp_path / "out" / "my-birds.data"
    assert said[0] == (
        f"Made {data} and my-birds.solution: tabular, 26 training and 14 test examples, 2 labels (a, b)."
    )
    table = said[2:-1]
    assert all(len(line) <= 80 for line in table if str(tmp_path) not in line)
    facts = [tuple(line.strip().split("  ", 1)) for line in table if not line.startswith("    ")]
    assert {what: how.strip() for what, how in facts if what not in ("source", "split")} == {
        "table": "CSV, commas between cells, header in row 1",
        "labels": "column 'kind'; 2: a, b",
        "features": "1 column: n (number)",
        "left out": "who",
        "examples": "40: 26 in train, 14 in test",
        "note": "Column 'n' counts the rows, as an index does: if it is one, leave it",
    }
    assert "another text in nearly every row" in " ".join(" ".join(table).split())
    assert (tmp_path / "out" / "my-birds.conversion.txt").read_text().splitlines() == [
        line[2:] for line in table
    ]
    assert said[-1] == f"Next: alcove dataset check {data}"
    assert alcove(monkeypatch, "dataset", "info", str(data)) == 0
    assert "shift by class: of the examples of " in capsys.readouterr().out


def test_row_1_is_an_example_or_a_header_as_one_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "iris.csv"
    source.write_text("".join(f"{4 + i / 10},{i % 7},{['setosa', 'virginica'][i % 2]}\n" for i in range(60)))
    asked = ["dataset", "convert", str(source), str(tmp_path / "out"), "--kind", "tabular"]
    assert alcove(monkeypatch, *asked) == 2
    assert "If row 1 is the first example, pass --no-header; if it names" in capsys.readouterr().err
    assert alcove(monkeypatch, *asked, "--no-header", "--labels", "column 3") == 0
    assert "  examples  60: 39 in train, 21 in test" in capsys.readouterr().out
    assert alcove(monkeypatch, *asked, "--header", "--labels", "setosa", "--name", "named") == 0
    assert "  examples  59: " in capsys.readouterr().out


def test_an_error_is_one_line_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "t.csv"
    source.write_text("x,label\n1,a\n1,2,3\n")
    assert (
        alcove(monkeypatch, "dataset", "convert", str(source), str(tmp_path / "out"), "--kind", "tabular")
        == 2
    )
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        f"alcove: {source}, row 3: has 3 cells, but the header 2. Nothing was written. "
        "Correct the row; a cell with the delimiter in it needs quotes.\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_what_is_quick_says_nothing_and_what_is_long_says_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ProgressReporter() as quick:
        quick("Writing", 1, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(ProgressReporter, "PATIENCE", 0.0)
    with ProgressReporter() as long:
        long("Reading labels", 10, 0)
        long("Reading labels", 11, 0)
    assert capsys.readouterr().err == "Reading labels: 10\n"
    monkeypatch.setattr(ProgressReporter, "REDRAW", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with ProgressReporter() as bar:
        bar("Reading labels", 5, 0)
        bar("Writing", 10, 40)
    assert "10/40" in capsys.readouterr().err


def test_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "t.csv", tmp_path / "file"
    source.write_text("x,label\n" + "1,a\n2,b\n" * 4)
    out.write_text("mine")
    for command in (("convert", str(source), str(out), "--kind", "tabular"), ("make", "waves", str(out))):
        assert alcove(monkeypatch, "dataset", *command) == 2
        assert capsys.readouterr().err == (
            f"alcove: {out}: is no folder. Nothing was written. Choose another place, or make room.\n"
        )
    assert out.read_text() == "mine"


def test_where_there_is_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "t.csv", tmp_path / "out"
    source.write_text("x,label\n" + "1,a\n2,b\n" * 4)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
    try:
        for command in (("convert", str(source), str(out), "--kind", "tabular"), ("make", "waves", str(out))):
            assert alcove(monkeypatch, "dataset", *command) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    for line in capsys.readouterr().err.splitlines():
        assert (
            line == f"alcove: {out}: File too large. Nothing was written. Choose another place, or make room."
        )
    assert not any(out.glob("*"))
