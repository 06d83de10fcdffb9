"""What README shows of a terminal is what the command above it prints, but for numbers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from alcove_cli.errors import CommandError
from alcove_cli.local_run import find_supervisor
from alcove_toolkit.practice import make_practice
from tests.unit.docs.pages import REPOSITORY, blocks, pages

README = next(page for page in pages() if page.name == "README.md")
AT_THE_END = ("Ended: ", "[alcove] finished")
"""Lines that depend on how quick the machine is."""


def forms(output: str) -> set[str]:
    """Its lines, without numbers and widths."""
    lines = (re.sub(r"[0-9]+(\.[0-9]+)?", "#", " ".join(line.split())) for line in output.splitlines())
    return {line for line in lines if line and not line.startswith(AT_THE_END)}


def test_readme_shows_what_alcove_run_prints(tmp_path: Path) -> None:
    try:
        find_supervisor()
    except CommandError as error:
        pytest.skip(str(error))
    shown = next(block for block in blocks(README, "text") if block.startswith("$ "))
    command, _, output = shown.partition("\n")
    assert command.removeprefix("$ ") in "".join(blocks(README, "sh"))
    words = command.split()[2:]
    data = make_practice("digits", tmp_path, examples=200)
    # A busy machine needs more seconds to load its libraries.
    other = {"out/digits": str(data), "20": "60"}
    typed = [other.get(word, word) for word in words]
    done = subprocess.run(
        [sys.executable, "-m", "alcove_cli.main", *typed],
        cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=200,
    )  # fmt: skip
    assert forms(output) <= forms(done.stdout + done.stderr)
    assert "Ended: the program finished." in output
