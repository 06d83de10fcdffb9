"""How ``alcove`` meets a terminal: text that any encoding can print, and an exit status for each way to end.

docs/contracts.md, "Command line", has the table of exit statuses. A crash has one of its own, so that it is never
taken for an answer.
"""

from __future__ import annotations

import codecs
import io
import os
import shutil
import sys
import tempfile
import textwrap
import traceback
from importlib.metadata import version
from pathlib import Path
from typing import Any

import typer

FAULT, BROKEN_PIPE = 3, 141
_PLAIN = str.maketrans(
    {
        "→": "->", "←": "<-", "×": "x", "·": "-", "…": "...", "–": "-", "—": "-", "−": "-", "±": "+-", "≤": "<=",
        "≥": ">=", "≈": "~", "∞": "inf", "α": "alpha", "√": "sqrt", "✓": "ok", "✗": "x", "▇": "#", "█": "#",
        "▁": "_", "▂": "_", "▃": "-", "▄": "-", "▅": "=", "▆": "=",
        "░": ".", "½": "1/2", "²": "^2", "“": '"', "”": '"', "„": '"', "’": "'", "‘": "'", "\u00a0": " ",
        "χ": "chi", "τ": "tau", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR",
    }
)  # fmt: skip


def fit_streams() -> None:
    """Let standard output and error print any text, whatever their encoding.

    Signs of our own become plain ones, as ``->``; other letters their escape, as ``\\u00e9``.
    """
    codecs.register_error("alcove_plain", _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # A test or a notebook may have put another one there.
            stream.reconfigure(errors="alcove_plain")


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    escaped = "".join(c if ord(c) < 128 else c.encode("ascii", "backslashreplace").decode() for c in text)
    return escaped, error.end


PROSE_WIDTH = 100
"""Columns of sentences at most: longer lines are hard to read."""
_LIST_INDENT = 4


def echo_prose(text: str) -> None:
    """Print sentences in lines that fit the terminal. What is deeper than a list, such as code, stays as it is, and so
    does everything that goes to a file or another program."""
    if sys.stdout.isatty():
        width = min(PROSE_WIDTH, shutil.get_terminal_size().columns)
        text = "\n".join(_wrap(line, width) for line in text.split("\n"))
    typer.echo(text)


def _wrap(line: str, width: int) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    if len(line) <= width or len(indent) > _LIST_INDENT:
        return line
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def show_help(ctx: typer.Context) -> None:
    """Print the help of a group of commands where none of them is named."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def show_version(wanted: bool) -> None:
    """Print the version and end the program."""
    if wanted:
        typer.echo(f"alcove {version('alcove')}")
        raise typer.Exit


def program_name() -> str:
    """What was typed: ``alcove``, or ``kubectl alcove`` for the plugin."""
    return "kubectl alcove" if Path(sys.argv[0]).name.startswith("kubectl-") else "alcove"


def report_usage_error(error: Any) -> int:
    """Say in one line what was typed wrongly, and which help has more. Returns the exit status."""
    # "Value error, " is how the library that checks options begins what is wrong with a choice.
    message = " ".join(error.format_message().split()).replace(": Value error, ", ": ", 1)
    where = error.ctx.command_path if error.ctx is not None else program_name()
    if message:
        end = "" if message.endswith(("?", "!", ".")) else "."
        print(f"alcove: {message}{end} See: {where} --help", file=sys.stderr)
    return int(error.exit_code)


def report_fault(error: BaseException) -> int:
    """Say that Alcove failed, and keep the traceback in a file. Returns the exit status."""
    if isinstance(error, MemoryError):
        print("alcove: There is not enough memory for this.", file=sys.stderr)
        return FAULT
    told = traceback.format_exception(error)
    kind = type(error).__name__
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            prefix="alcove-traceback-",
            suffix=".txt",
            encoding="utf-8",
            errors="backslashreplace",
            delete=False,
        ) as file:
            file.writelines(told)
        remedy = f"send {file.name}"
    except OSError:
        sys.stderr.writelines(told)
        remedy = "send the lines above"
    print(
        f"alcove: This is a fault of Alcove ({kind}: {error}). The command did not finish. To report it, {remedy}.",
        file=sys.stderr,
    )
    return FAULT


def report_system_error(error: OSError) -> int:
    """Say what the system refused: of standard output, say, since commands report on their own files themselves."""
    if isinstance(error, BrokenPipeError):  # Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    place = f"{error.filename}: " if error.filename else ""
    print(f"alcove: {place}{error.strerror or error}.", file=sys.stderr)
    return FAULT
