"""Tables of text that fit a terminal, however many columns they have."""

from __future__ import annotations

from collections.abc import Sequence

from alcove_scorer.written_text import count_cells, pad_cells

WIDTH = 80
"""Of a terminal, in columns, that every table fits."""
_GAP = "  "


def fold_table(rows: Sequence[Sequence[str]], keys: int, width: int = WIDTH) -> list[list[str]]:
    """Lines of one or more tables below each other, that together have all columns.

    Args:
        rows: the first of them the headings; all of the same length.
        keys: leading columns that say what a row is about: each further table begins with them.
        width: columns of the terminal. A table is wider only where its keys and one more column are.
    """
    columns = [list(column) for column in zip(*rows, strict=True)]
    widths = [max(map(count_cells, column)) for column in columns]
    own, waiting = list(range(keys)), list(range(keys, len(columns)))
    tables: list[list[str]] = []
    while waiting or not tables:
        taken = own.copy()
        while waiting and (len(taken) == keys or _measure(widths, [*taken, waiting[0]]) <= width):
            taken.append(waiting.pop(0))
        tables.append([_line([row[i] for i in taken], [widths[i] for i in taken]) for row in rows])
    return tables


def _measure(widths: Sequence[int], taken: Sequence[int]) -> int:
    return sum(widths[i] for i in taken) + len(_GAP) * (len(taken) - 1)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(pad_cells(cell, width) for cell, width in zip(cells, widths, strict=True)).rstrip()
