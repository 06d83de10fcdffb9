"""Help, versions, encodings and exit statuses: what every command does with a terminal."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from alcove_cli.errors import CommandError, FailedError, FaultError
from alcove_cli.main import app, mount
from alcove_cli.terminal import BROKEN_PIPE, FAULT
from alcove_toolkit import check
from alcove_toolkit.practice import make_practice
from alcove_toolkit.whole_files import write_whole
from tests.unit.cli.conftest import Typed
from tests.unit.docs.pages import pages


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_practice("waves", tmp_path_factory.mktemp("waves"), examples=60)


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "alcove_cli.main", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, env=dict(os.environ, **environment), check=False, timeout=120
    )


def groups() -> list[tuple[str, ...]]:
    """Commands that have commands below them."""
    mount()
    below = typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
    return [(), *((name,) for name, command in below if hasattr(command, "commands"))]


@pytest.mark.parametrize("group", groups())
def test_a_group_of_commands_alone_shows_its_help(group: tuple[str, ...], alcove: Typed) -> None:
    done = alcove(*group)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == alcove(*group, "--help").stdout == alcove(*group, "-h").stdout
    assert done.stdout.startswith(f"Usage: {' '.join(('alcove', *group))} [OPTIONS] COMMAND")
    assert done.stdout.count("\n") > 5


def test_the_version(alcove: Typed) -> None:
    done = alcove("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("alcove 0.")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("dataset", "shwo"), "No such command 'shwo'. Did you mean 'show'? See: alcove dataset --help"),
        (("dataset", "convert"), "Missing argument 'source'. See: alcove dataset convert --help"),
        (("sumbit",), "No such command 'sumbit'. Did you mean 'submit'? See: alcove --help"),
        (("rank", "a", "--bset"), "See: alcove rank --help"),
    ],
)
def test_an_error_names_the_help_of_its_own_command(
    arguments: tuple[str, ...], said: str, alcove: Typed
) -> None:
    done = alcove(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(said + "\n")


def test_the_plugin_names_itself_as_it_was_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from alcove_cli.main import main

    monkeypatch.setattr(sys, "argv", ["/usr/bin/kubectl-alcove", "dataset", "convert"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err.endswith("See: kubectl alcove dataset convert --help\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_any_encoding_can_print_the_output(encoding: str) -> None:
    done = run("dataset", "make", "--list", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    if (
        encoding != "ascii"
    ):  # There, typer takes the terminal for one that was set up wrongly, and writes UTF-8.
        assert "properties of Unicode characters -> category" in done.stdout.decode(encoding)
    missing = run("dataset", "info", "Łódź", PYTHONIOENCODING=encoding)
    assert missing.returncode == 2
    assert "d\\u017a: there is no such folder" in missing.stderr.decode(encoding)


def test_our_own_signs_become_words_in_a_narrow_encoding(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("team,a,b\nx,0.5,0.6\ny,0.7,0.2\n")
    done = run("rank", tmp_path / "t.csv", PYTHONIOENCODING="latin-1")
    assert b"Friedman chi\xb2 " in done.stdout
    assert b" at alpha 0.05 " in done.stdout
    assert b"\\u" not in done.stdout


def test_json_is_ascii_so_that_names_survive_any_encoding(tmp_path: Path, alcove: Typed) -> None:
    (tmp_path / "t.csv").write_text("x,label\n" + "1,Łódź\n2,×\n" * 8, "utf-8")
    assert alcove("dataset", "convert", tmp_path / "t.csv", tmp_path, "--kind", "tabular").returncode == 0
    told = alcove("dataset", "info", tmp_path / "t.data", "--json").stdout
    assert told.isascii()
    assert json.loads(told)["labels"] == ["×", "Łódź"]


def test_a_fault_of_the_program_is_a_sentence_and_no_verdict(
    waves: Path, monkeypatch: pytest.MonkeyPatch, alcove: Typed
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("nobody expected this")

    monkeypatch.setattr(check, "check_source", fail)
    done = alcove("dataset", "check", waves)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert "This is a fault of Alcove (ZeroDivisionError: nobody expected this)." in done.stderr
    report = Path(done.stderr.rpartition("send ")[2].strip().rstrip("."))
    try:
        assert "in fail\n" in report.read_text()
    finally:
        report.unlink()


def test_a_check_whose_report_cannot_be_written_is_no_verdict(waves: Path) -> None:
    command = [sys.executable, "-m", "alcove_cli.main", "dataset", "check", str(waves)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (3, "alcove: No space left on device.\n")


def test_a_reader_that_has_left_ends_it_quietly(waves: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "alcove_cli.main", "dataset", "info", str(waves)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=120)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_the_folder_one_stands_in_is_a_dataset_like_any_other(
    waves: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alcove: Typed
) -> None:
    monkeypatch.chdir(waves)
    assert alcove("dataset", "check", ".").stdout == alcove("dataset", "check", waves).stdout
    assert alcove("dataset", "info", ".").stdout.startswith("waves: series")
    assert alcove("dataset", "show", ".", "--out", tmp_path / "x.html").returncode == 0
    assert "<title>waves: series</title>" in (tmp_path / "x.html").read_text()
    monkeypatch.chdir(tmp_path)
    assert alcove("dataset", "check", waves / "train" / "..").stdout.endswith("can be used: 1 warning.\n")


@pytest.mark.parametrize("command", ["check", "show", "info"])
def test_what_is_not_a_dataset_is_told_before_anything_else(command: str, alcove: Typed) -> None:
    for path, said in (
        ("nowhere", "nowhere: there is no such folder. Name NAME.data, or a folder that holds it."),
        (__file__, f"{__file__} is a file, not a dataset. Convert it first: alcove dataset convert."),
    ):
        done = alcove("dataset", command, path)
        assert (done.returncode, done.stderr) == (2, f"alcove: {said}\n")
    done = alcove("dataset", command, "/")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def _page_commands(tmp_path: Path, waves: Path) -> dict[str, tuple[object, ...]]:
    """Each command that writes a page, but for the page's path at its end."""
    (tmp_path / "y.solution").write_text("1 0\n0 1\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a.predict").write_text("1 0\n0 1\n")
    (tmp_path / "run" / "times.csv").write_text("file,seconds\na.predict,5\n")
    (tmp_path / "t.csv").write_text("team,a\nx,0.5\ny,0.25\n")
    scored = ("--solution", tmp_path / "y.solution", "--snapshots", tmp_path / "run", "--budget", 60)
    return {
        "show": ("dataset", "show", waves, "--out"),
        "score": ("score", *scored, "--report"),
        "rank": ("rank", tmp_path / "t.csv", "--report"),
    }


@pytest.mark.parametrize("command", ["show", "score", "rank"])
def test_a_page_is_written_whole_or_not_at_all(
    waves: Path, tmp_path: Path, alcove: Typed, command: str
) -> None:
    asked = _page_commands(tmp_path, waves)[command]
    page = tmp_path / "page.html"
    page.write_text("the old one")
    page.chmod(0o640)
    beside = sorted(tmp_path.iterdir())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        done = alcove(*asked, page)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"{page}" in done.stderr
    assert "file too large" in done.stderr.lower()
    assert page.read_text() == "the old one"
    assert alcove(*asked, page).returncode == 0
    assert page.read_text().rstrip().endswith("</html>")
    assert page.stat().st_mode & 0o777 == 0o640
    assert sorted(tmp_path.iterdir()) == beside


def test_a_page_can_go_into_a_pipe_and_through_a_link(tmp_path: Path) -> None:
    write_whole(Path("/dev/null"), "text")
    assert Path("/dev/null").is_char_device()
    (tmp_path / "real.html").write_text("old")
    (tmp_path / "link.html").symlink_to("real.html")
    write_whole(tmp_path / "link.html", "new")
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "real.html").read_text() == "new"


def test_the_table_of_exit_statuses_holds_those_that_there_are() -> None:
    page = next(page for page in pages() if page.name == "docs/contracts.md")
    section = page.text.partition("## Command line\n")[2].partition("\n## ")[0]
    documented = {int(status) for status in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}
    used = {
        0,
        FailedError.exit_status,
        CommandError.exit_status,
        FaultError.exit_status,
        FAULT,
        BROKEN_PIPE,
        130,
    }
    assert documented == used
