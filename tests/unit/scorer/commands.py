"""``alcove score`` and ``alcove rank`` as they are typed."""

from __future__ import annotations

import json
from typing import Any

import typer
from typer.testing import CliRunner, Result

from alcove_scorer.cli import rank_command, score_command

app = typer.Typer()
app.command("score")(score_command)
app.command("rank")(rank_command)


def alcove(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def document(*arguments: object) -> Any:
    result = alcove(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refusal(*arguments: object) -> str:
    """The one line on stderr of a command that ends with exit status 2."""
    result = alcove(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr
