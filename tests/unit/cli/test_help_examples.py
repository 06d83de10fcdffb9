"""Every command's help ends with an example, which the program's own parser takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from alcove_cli.examples import EXAMPLES
from alcove_cli.main import app, mount
from tests.unit.cli.conftest import Typed


def list_commands(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in command.commands.items():
        if hasattr(inner, "commands"):
            yield from list_commands(inner, f"{path}{name} ")
        else:
            yield f"{path}{name}", inner


mount()
COMMANDS = dict(list_commands(typer.main.get_command(app)))


def test_each_command_has_one_and_no_other() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_example_can_be_typed(name: str) -> None:
    words = EXAMPLES[name].split()
    assert words[: 1 + name.count(" ") + 1] == ["alcove", *name.split()]
    COMMANDS[name].make_context(name, words[2 + name.count(" ") :]).close()
    assert len(f"  {EXAMPLES[name]}") <= 100


def test_the_example_ends_the_help_unwrapped(alcove: Typed) -> None:
    assert alcove("compete", "--help").stdout.endswith(f"Example:\n    {EXAMPLES['compete']}\n")
    assert alcove("dataset", "make", "-h").stdout.endswith(f"Example:\n    {EXAMPLES['dataset make']}\n")
