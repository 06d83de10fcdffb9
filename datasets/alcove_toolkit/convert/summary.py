"""What a conversion understood of its source, as a short table for people: on the terminal, and beside the dataset."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from alcove_toolkit.convert.base import Facts

WIDTH = 78
"""Columns of the table: 80 with the two by which a terminal shows it indented."""
_NAMED = 8


def format_facts(facts: Facts, notes: Iterable[str]) -> str:
    """A row for each fact, then one for each note; long ones go on below, so that no line exceeds ``WIDTH``."""
    rows = [*facts, *(("note", note) for note in notes)]
    first = max(len(what) for what, _ in rows) + 2
    lines: list[str] = []
    for what, how in rows:
        lines += textwrap.wrap(
            how,
            WIDTH,
            initial_indent=f"{what:<{first}}",
            subsequent_indent=" " * first,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def list_some(names: Sequence[str]) -> str:
    """How many names there are, and the first."""
    return f"{len(names)}: {', '.join(names[:_NAMED])}" + (" …" if len(names) > _NAMED else "")
