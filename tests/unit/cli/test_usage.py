"""What was typed wrongly is said in one line, by every command."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from alcove_cli.main import app, main, mount
from tests.unit.docs.pages import REPOSITORY


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["score", "--budget", "x"], "Invalid value for '--budget'"),
        (
            ["submit", ".", "--framework", "x"],
            "Invalid value for '--framework': 'x' is not one of 'tensorflow', 'numpy', 'torch', 'tensorflow1'.",
        ),
        (["score"], "Missing option '--solution'"),
        (["rank", "a.csv", "--best"], "No such option: --best"),
        (["rank", "a.csv", "b.csv"], "unexpected extra argument"),
        (["rank", "a.csv", "--seed", "1.5"], "Invalid value for '--seed'"),
        (["rank"], "Missing argument 'file'"),
        (["rank", "nosuch.csv"], "alcove rank: nosuch.csv: cannot be read"),
    ],
)
def test_one_line_and_exit_status_2(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["alcove", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err


def test_help_is_no_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["alcove", "score", "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert "--solution" in capsys.readouterr().out


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux alone has a disk that is always full")
def test_an_answer_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("who,a\nx,1\n")
    command = [
        sys.executable,
        "-m",
        "alcove_cli.main",
        "rank",
        str(tmp_path / "scores.csv"),
        "--intervals",
        "0",
    ]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert ended.returncode == 3
    assert ended.stderr == "alcove: No space left on device.\n"


OF_OTHER_PROGRAMS = {"--socket", "--go", "--quiet", "--clear", "--python", "--replicas"}
"""Of the supervisor, of uv, and of kubectl."""


def options(command: Any) -> Iterator[str]:
    """Of a command and of all below it."""
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    for inner in getattr(command, "commands", {}).values():
        yield from options(inner)


def test_every_option_that_a_message_advises_can_be_typed() -> None:
    mount()
    known = {*options(typer.main.get_command(app)), "--help", *OF_OTHER_PROGRAMS}
    named: dict[str, str] = {}
    for package in ("datasets/alcove_toolkit", "scorer/alcove_scorer", "cli/alcove_cli"):
        for file in sorted((REPOSITORY / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found = re.findall(r"(?<![\w-])--[a-z][a-z-]*", node.value)
                    named |= dict.fromkeys(found, f"{file}, line {node.lineno}")
    assert "--no-header" in named
    assert {option: where for option, where in named.items() if option not in known} == {}
